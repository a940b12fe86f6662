"""The lines of a record: how an event becomes one, and how edited, removed, moved and foreign lines are found.

    {"schema": 1, "line": 2, "event": ..., "time": ..., "author": ..., "previous": <sha256 of line 1>, "data": {...},
     "sha256": <of everything before this field>}

`previous` of the first line is the sha256 of the record's id. Files and folders are `registry.py`, what the events
mean is `state.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from dreamerlab.atomic import to_json

_SCHEMA = 1
_SEAL = b', "sha256": "'
_SEAL_BYTES = len(_SEAL) + 64 + len(b'"}')


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

    @property
    def caveats(self) -> tuple[str, ...]:
        """What is odd and no fault: events dated before the one they follow. The chain orders them, not the clock."""
        pairs = enumerate(zip(self.events, self.events[1:], strict=False), start=2)
        return tuple(
            f"line {number} is dated {after.time}, before line {number - 1} ({before.time}): the clock went backwards"
            for number, (before, after) in pairs
            if after.time < before.time
        )


@dataclass(frozen=True)
class _Line:
    """One line as it stands in the file; `event` is None when it cannot be read."""

    event: Event | None
    number: int = 0
    """As the line itself says."""
    previous: str = ""
    sealed: bool = False
    """Whether the line's own sha256 is right."""
    reason: str = ""


def encode(event: Event, number: int, previous: str) -> bytes:
    """Return the line of an event, with its newline."""
    body = to_json(
        {
            "schema": _SCHEMA,
            "line": number,
            "event": event.event,
            "time": event.time,
            "author": event.author,
            "previous": previous,
            "data": dict(event.data),
        }
    )[:-1].encode()
    return body + _SEAL + link(body).encode() + b'"}\n'


def link(line: bytes) -> str:
    """Return what the next line must carry of this one."""
    return hashlib.sha256(line).hexdigest()


def first_link(record_id: str) -> str:
    """Return what the first line of a record carries instead of a line before it."""
    return link(record_id.encode())


def parse_record(record_id: str, content: bytes) -> Record:
    """Return the record in the bytes of its file; what does not hold is a fault that names its line."""
    whole, _, torn = content.rpartition(b"\n")
    lines: list[_Line] = []
    links = [first_link(record_id)]
    for raw in whole.split(b"\n") if whole else []:
        line, own_link = _read(raw)
        lines.append(line)
        links.append(own_link)
    events = tuple(line.event for line in lines if line.event is not None)
    if all(
        line.sealed and line.number == position and line.previous == links[position - 1]
        for position, line in enumerate(lines, start=1)
    ):
        return Record(record_id, events, () if lines else ("it holds no whole line",), torn)
    return Record(record_id, events, tuple(_faults(lines, links)), torn)


def _read(raw: bytes) -> tuple[_Line, str]:
    """Return a line and what the next one must carry of it, hashing it once."""
    digest = hashlib.sha256(raw[:-_SEAL_BYTES])
    own = digest.hexdigest().encode()
    tail = raw[-_SEAL_BYTES:]
    digest.update(tail)
    try:
        value = json.loads(raw)
        if not isinstance(value, dict):
            raise ValueError("not an object")
        data = cast("dict[str, Any]", value)
        event = Event(str(data["event"]), str(data["time"]), str(data.get("author", "")), dict(data["data"]))
        number = data.get("line")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        return _Line(None, reason=reason), digest.hexdigest()
    sealed = tail == _SEAL + own + b'"}'
    number = number if isinstance(number, int) else 0
    return _Line(event, number, str(data.get("previous")), sealed), digest.hexdigest()


def _faults(lines: list[_Line], links: list[str]) -> list[str]:
    """Say of every line that does not hold what happened to it, as far as the file can tell."""
    faults: list[str] = []
    for position, line in enumerate(lines, start=1):
        if line.event is None:
            faults.append(f"line {position} cannot be read ({line.reason})")
        elif not line.sealed:
            faults.append(f"line {position} was edited: its checksum does not fit")
    sealed = [(position, line) for position, line in enumerate(lines, start=1) if line.sealed]
    by_number = {0: links[0], **{line.number: links[position] for position, line in sealed}}
    # A line that was edited or cannot be read still stands where it stood, and is not missing.
    standing = by_number.keys() | {position for position in range(1, len(lines) + 1) if not lines[position - 1].sealed}
    faults += [f"line {number} was removed" for number in range(1, max(by_number) + 1) if number not in standing]
    in_order = _longest_rise([line.number for _, line in sealed])
    for index, (position, line) in enumerate(sealed):
        if index not in in_order:
            faults.append(f"line {line.number} was moved or repeated: it stands at {position}")
        elif by_number.get(line.number - 1, line.previous) != line.previous:
            faults.append(
                f"line {line.number} does not follow from line {line.number - 1}: one of the two was replaced"
                if line.number > 1
                else "line 1 belongs to another record: the file was renamed"
            )
    return faults or ["its lines do not follow from each other"]


def _longest_rise(numbers: list[int]) -> set[int]:
    """Return the indexes of the longest strictly rising selection: what is left out are the fewest moved lines."""
    best: list[list[int]] = []
    for index, number in enumerate(numbers):
        earlier = (chain for chain in best if numbers[chain[-1]] < number)
        best.append([*max(earlier, key=len, default=()), index])
    return set(max(best, key=len, default=()))
