"""Read the small part of YAML that a configuration needs, and refuse the rest with a line number.

A file is a mapping of scalars, lists of scalars and nested mappings, in plain UTF-8. Tags, anchors, aliases,
duplicate keys, several documents, deep nesting and large files are refused: each either runs code, expands without
bound or hides a value. The text is read as parser events, so nothing is ever constructed from it. Scalars follow
YAML 1.2 (`scalars.py`): `1e-3` is a number, and only `true` and `false` are booleans.
What keys mean is `catalogue.py`; which file wins is `layers.py`.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import yaml

from dreamerlab.config.scalars import Entry, scalar

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
MAX_SCALAR = 500


class YamlFault(Exception):
    """What is wrong with a text, in one line, and where (line from 1)."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


def read_entries(path: Path) -> list[Entry]:
    """Return every value in the file `path`, in file order; YamlFault when it is not an acceptable YAML file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise YamlFault(1, "not a regular file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise YamlFault(1, f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise YamlFault(1, f"larger than {MAX_BYTES // 1024} KiB, too large for a configuration")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlFault(data.count(b"\n", 0, error.start) + 1, "not UTF-8 text") from None
    return parse_entries(text)


def parse_entries(text: str) -> list[Entry]:
    """Return every value in a YAML mapping given as text; an empty text has none."""
    with _plain_faults(text):
        events = _Events(text)
        events.take(yaml.StreamStartEvent)
        if isinstance(events.peek(), yaml.StreamEndEvent):
            return []
        events.take(yaml.DocumentStartEvent)
        first = events.next()
        if not isinstance(first, yaml.MappingStartEvent):
            raise YamlFault(_line(first), "the file must be a mapping of keys to values")
        entries: list[Entry] = []
        _read_mapping(events, "", 1, entries, {})
        events.take(yaml.DocumentEndEvent)
        if not isinstance(trailing := events.next(), yaml.StreamEndEvent):
            raise YamlFault(_line(trailing), "holds more than one document")
        return entries


def parse_value(text: str) -> object:
    """Return the scalar or flow list (`[-20, 20]`, as a tuple) that `text` spells; YamlFault for anything else."""
    if not text.strip():
        raise YamlFault(1, "there is no value")
    if len(text) > MAX_BYTES:
        raise YamlFault(1, "the value is too long")
    with _plain_faults(text):
        events = _Events(text)
        events.take(yaml.StreamStartEvent)
        if isinstance(events.peek(), yaml.StreamEndEvent):
            raise YamlFault(1, "there is no value")
        events.take(yaml.DocumentStartEvent)
        first = events.next()
        if isinstance(first, yaml.MappingStartEvent):
            raise YamlFault(1, "a mapping is not a value")
        if isinstance(first, yaml.SequenceStartEvent) and not first.flow_style:
            raise YamlFault(1, "a list is written [a, b]")
        value = _read_value(events, first, 1)
        events.take(yaml.DocumentEndEvent)
        if not isinstance(events.next(), yaml.StreamEndEvent):
            raise YamlFault(1, "more than one value")
        return value


class _Events:
    """The parser's events with one step of lookahead; every forbidden construct is refused here."""

    def __init__(self, text: str) -> None:
        parse = cast("Callable[..., Iterator[yaml.Event]]", yaml.parse)  # pyright: ignore[reportUnknownMemberType]
        self._events = parse(text, Loader=yaml.SafeLoader)
        self._ahead: yaml.Event | None = None

    def peek(self) -> yaml.Event:
        if self._ahead is None:
            self._ahead = next(self._events)
        return self._ahead

    def next(self) -> yaml.Event:
        event = self.peek()
        self._ahead = None
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise YamlFault(_line(event), "anchors and aliases are not allowed: write the value out")
        if (tag := getattr(event, "tag", None)) is not None:
            raise YamlFault(_line(event), f"the tag {shorten(tag)} is not allowed: values are plain YAML")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_SCALAR:
            raise YamlFault(_line(event), f"a value longer than {MAX_SCALAR} characters")
        return event

    def take(self, kind: type[yaml.Event]) -> None:
        event = self.next()
        assert isinstance(event, kind), (kind, event)


@contextmanager
def _plain_faults(text: str) -> Generator[None]:
    """Turn the parser's own exceptions into YamlFault."""
    try:
        yield
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlFault(line, "holds a character that YAML does not allow") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise YamlFault(line, f"not valid YAML: {error.problem or error.context}") from None


def _read_mapping(events: _Events, prefix: str, depth: int, entries: list[Entry], seen: dict[str, int]) -> None:
    if depth > MAX_DEPTH:
        raise YamlFault(_line(events.peek()), f"nested deeper than {MAX_DEPTH} levels")
    while not isinstance(event := events.next(), yaml.MappingEndEvent):
        if not isinstance(event, yaml.ScalarEvent):
            raise YamlFault(_line(event), "a key must be a word, not a list or a mapping")
        key = f"{prefix}{event.value}"
        line = _line(event)
        if key in seen:
            raise YamlFault(line, f"the key {shorten(key)} is given twice, first on line {seen[key]}")
        seen[key] = line
        value = events.next()
        if isinstance(value, yaml.MappingStartEvent):
            _read_mapping(events, f"{key}.", depth + 1, entries, seen)
        else:
            entries.append(Entry(key, _read_value(events, value, depth), line))


def _read_value(events: _Events, event: yaml.Event, depth: int) -> object:
    if isinstance(event, yaml.ScalarEvent):
        plain = event.implicit[0]  # quoted and block scalars are text, whatever they spell
        return scalar(event.value) if plain else event.value
    if not isinstance(event, yaml.SequenceStartEvent):
        raise YamlFault(_line(event), "a mapping inside a list is not a value")
    if depth > MAX_DEPTH:
        raise YamlFault(_line(event), f"nested deeper than {MAX_DEPTH} levels")
    items: list[object] = []
    while not isinstance(item := events.next(), yaml.SequenceEndEvent):
        items.append(_read_value(events, item, depth + 1))
    return tuple(items)


def shorten(value: object, limit: int = 60) -> str:
    """Return `value` as it may be shown in a message: escaped, quoted if text, and never longer than `limit`."""
    if isinstance(value, tuple | list):
        items = cast("Sequence[object]", value)
        shown = "[" + ", ".join(shorten(item) for item in items[:8]) + (", ...]" if len(items) > 8 else "]")
    elif value is None or isinstance(value, bool):
        shown = {None: "null", True: "true", False: "false"}[value]
    else:
        shown = repr(value)
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def _line(event: yaml.Event) -> int:
    return 1 if event.start_mark is None else event.start_mark.line + 1
