"""Reading the config that a run recorded, of ANY version, as a flat dict, without the schema.

Keys renamed since are brought to today's name; everything else is kept as found and never validated, so that an old
run stays readable for ever (DESIGN section 2). Apart from `record.py`, which writes configs and reads them back whole,
because the schema is costly to import and a page that shows a run does without it. A record that is spelled as our own
writer spells it is read line by line; any other one goes through the YAML library.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dreamerlab.config.scalars import Entry, scalar
from dreamerlab.errors import ConfigError, NotFound

_SECTION = re.compile(r"([a-z][a-z0-9_]*):")
_LEAF = re.compile(r"(  )?([a-z][a-z0-9_]*): (\S.*)")
_LONGEST = 64 * 1024
_WORD = re.compile(r"[A-Za-z0-9_+.-][A-Za-z0-9_+./-]{0,99}")
_QUOTED = re.compile(r'"[A-Za-z0-9_+./ -]{0,99}"')
"""A text that would mean something else without quotes, `"off"`; nothing in it needs an escape."""
SCHEMA = 1
"""Version of the set of keys; raised by one whenever a leaf is renamed."""


@dataclass(frozen=True)
class Rename:
    """A leaf that records before schema version `schema` call `old` is called `new` from then on."""

    schema: int
    old: str
    new: str


RENAMES: tuple[Rename, ...] = ()


def load_recorded(path: Path, renames: Sequence[Rename] = RENAMES) -> dict[str, object]:
    """Return the leaves recorded at `path` by dotted key (lists as tuples), renamed to today's keys, not validated."""
    return {entry.key: entry.value for entry in read_record(path, renames)[1]}


def read_record(path: Path, renames: Sequence[Rename]) -> tuple[int, list[Entry]]:
    """Return the record's schema version and its entries under today's names; NotFound or ConfigError."""
    if not path.exists():
        raise NotFound(f"there is no recorded config at {path}")
    entries = _as_written(path)
    if entries is None:
        from dreamerlab.config.strict_yaml import YamlFault, read_entries

        try:
            entries = read_entries(path)
        except YamlFault as fault:
            raise ConfigError(f"{path}:{fault.line}: {fault.reason}") from None
    schema = next((entry.value for entry in entries if entry.key == "schema"), 1)
    if type(schema) is not int:
        raise ConfigError(f"{path}: the schema version must be a whole number, got {schema!r}")
    return schema, [Entry(_today(e.key, schema, renames), e.value, e.line) for e in entries if e.key != "schema"]


def _today(key: str, schema: int, renames: Sequence[Rename]) -> str:
    for rename in sorted(renames, key=lambda rename: rename.schema):
        if rename.schema > schema and key == rename.old:
            key = rename.new
    return key


def _as_written(path: Path) -> list[Entry] | None:
    """Return the entries of a record in our own plain spelling, None for one that is spelled in any other way."""
    try:
        text = path.read_bytes().decode("ascii") if path.is_file() else ""
    except (OSError, ValueError):
        return None
    if not text.endswith("\n") or len(text) > _LONGEST:
        return None
    found: dict[str, Entry] = {}
    sections: set[str] = set()
    section = ""
    for number, line in enumerate(text[:-1].split("\n"), start=1):
        if (opened := _SECTION.fullmatch(line)) is not None:
            section = opened[1]
            if section in sections or section in found:
                return None
            sections.add(section)
            continue
        leaf = _LEAF.fullmatch(line)
        if leaf is None or (leaf[1] and not section) or not _is_plain(leaf[3]):
            return None
        section = section if leaf[1] else ""
        key = f"{section}.{leaf[2]}" if section else leaf[2]
        if key in found or key in sections:
            return None
        found[key] = Entry(key, _value(leaf[3]), number)
    # A section without a leaf means a value of its own, which our writer never leaves.
    filled = {key.partition(".")[0] for key in found}
    return list(found.values()) if sections <= filled else None


def _is_plain(text: str) -> bool:
    items = text[1:-1].split(", ") if text[0] == "[" and text[-1] == "]" and text != "[]" else [text]
    return text == "[]" or all(
        _QUOTED.fullmatch(item) or (_WORD.fullmatch(item) and item.strip("-.")) for item in items
    )


def _value(text: str) -> object:
    if text[0] != "[":
        return _item(text)
    return tuple(_item(item) for item in text[1:-1].split(", ")) if text != "[]" else ()


def _item(text: str) -> object:
    return text[1:-1] if text[0] == '"' else scalar(text)
