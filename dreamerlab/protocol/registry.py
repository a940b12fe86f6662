"""The registry: what was believed and what became of it, as append-only lines of JSON that prove their order.

One file per record in `protocol/registry/`: `H0007-k3f.jsonl` a hypothesis, `E0003-x7q.jsonl` an entry of the log.
Every line carries the sha256 of the line before it, the first one of the record's own id, so that an edited, removed,
moved or renamed line is found. There is no index: git merges the files, people read them.

Writers hold the workspace lock (they are given by `lab.ledger`); readers need none. What the events mean is
`state.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dreamerlab.atomic import append_line, read_small
from dreamerlab.errors import Conflict, NotFound, ToolFailed, did_you_mean
from dreamerlab.ids import RecordId, matching, new_id, parse_id, refuse_path

HYPOTHESIS, ENTRY = "H", "E"
SUFFIX = ".jsonl"
_SCHEMA = 1


@dataclass(frozen=True)
class Event:
    """One line: what happened, when, by whom."""

    event: str
    time: str
    """UTC, ISO 8601."""
    author: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Record:
    """One file: its whole lines in order, and what is wrong with it."""

    id: str
    events: tuple[Event, ...]
    faults: tuple[str, ...] = ()
    """Each names the line; empty when the chain holds."""
    torn: bytes = b""
    """An unfinished last line: written by a crash, never part of the record."""


@dataclass(frozen=True)
class Registry:
    """The folder of all records."""

    folder: Path

    def path(self, record_id: str) -> Path:
        """Return the file of a full id."""
        return self.folder / f"{record_id}{SUFFIX}"

    def ids(self, letter: str) -> list[RecordId]:
        """Return the ids of one kind, ascending."""
        try:
            with os.scandir(self.folder) as entries:
                names = [entry.name for entry in entries]
        except FileNotFoundError:
            return []
        found = (parse_id(name.removesuffix(SUFFIX), letter) for name in names if name.endswith(SUFFIX))
        return sorted(one for one in found if one)

    def read(self, record_id: str) -> Record:
        """Return the record of a full id; NotFound when there is none, ToolFailed when it cannot be read."""
        path = self.path(record_id)
        try:
            content = read_small(str(path))
        except FileNotFoundError as error:
            raise NotFound(f"there is no record {record_id}", hint="see what there is: dreamerlab list") from error
        except OSError as error:
            raise ToolFailed(f"cannot read {path}: {error.strerror or error}") from error
        return parse_record(record_id, content)

    def all(self, letter: str) -> Iterator[Record]:
        """Yield the records of one kind, ascending."""
        for record_id in self.ids(letter):
            yield self.read(str(record_id))

    def create(self, letter: str, event: Event) -> str:
        """Open a new record with its first event and return its id; the workspace lock must be held."""
        self.folder.mkdir(parents=True, exist_ok=True)
        taken = self.ids(letter)
        record_id = str(new_id(letter, 1 + max((one.number for one in taken), default=0)))
        append_line(self.path(record_id), _line(event, first_link(record_id)), durable=True)
        return record_id

    def append(self, record_id: str, event: Event) -> None:
        """Add an event to a record, durably; the workspace lock must be held.

        Conflict when the chain of the record is broken: nothing is built on what may have been altered.
        """
        path = self.path(record_id)
        record = self.read(record_id)
        if record.faults:
            raise Conflict(f"{path} is damaged: {record.faults[0]}", hint="see all of it: dreamerlab lint")
        content = read_small(str(path))
        whole = content[: len(content) - len(record.torn)]
        append_line(path, _line(event, link(whole.splitlines()[-1])), durable=True)

    def find(self, text: str, letter: str = HYPOTHESIS) -> str:
        """Return the full id meant by `text`: an id, a unique prefix (`H7`), or a name.

        UsageError for what looks like a path, Conflict for a prefix of several, NotFound with the nearest.
        """
        refuse_path(text, "an id", "H7 or H0007-k3f")
        ids = self.ids(letter)
        if parse_id(text, letter) in ids:
            return text
        found = matching(ids, text)
        if len(found) > 1:
            raise Conflict(
                f"'{text}' could be {' or '.join(map(str, found))}", hint="add the characters after the dash"
            )
        if found:
            return str(found[0])
        names = self.names() if letter == HYPOTHESIS else {}
        if text in names:
            return names[text]
        near = did_you_mean(text, [*map(str, ids), *names])
        what = "hypothesis" if letter == HYPOTHESIS else "entry"
        raise NotFound(f"no {what} is called '{text}'{near}", hint="see what there is: dreamerlab list")

    def names(self) -> dict[str, str]:
        """Return name -> id of every hypothesis that has a name."""
        found: dict[str, str] = {}
        for record in self.all(HYPOTHESIS):
            name = record.events[0].data.get("name") if record.events else None
            if isinstance(name, str):
                found[name] = record.id
        return found


def parse_record(record_id: str, content: bytes) -> Record:
    """Return the record in the bytes of its file; what does not hold is a fault that names its line."""
    whole, _, torn = content.rpartition(b"\n")
    events: list[Event] = []
    faults: list[str] = []
    expected = first_link(record_id)
    for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
        try:
            value = json.loads(line)
            if not isinstance(value, dict):
                raise ValueError("not an object")
            data = cast("dict[str, Any]", value)
            event = Event(str(data["event"]), str(data["time"]), str(data.get("author", "")), dict(data["data"]))
        except (ValueError, KeyError, TypeError) as error:
            faults.append(f"line {number} cannot be read ({error})")
        else:
            events.append(event)
            if data.get("previous") != expected:
                faults.append(f"line {number} does not follow from the line before it")
        expected = link(line)
    if not events and not faults:
        faults.append("it holds no whole line")
    return Record(record_id, tuple(events), tuple(faults), torn)


def link(line: bytes) -> str:
    """Return what the next line must carry of this one."""
    return hashlib.sha256(line).hexdigest()


def first_link(record_id: str) -> str:
    """Return what the first line of a record carries instead of a line before it."""
    return link(record_id.encode())


def _line(event: Event, previous: str) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
        "event": event.event,
        "time": event.time,
        "author": event.author,
        "previous": previous,
        "data": dict(event.data),
    }
