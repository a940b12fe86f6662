"""The registry: what was believed and what became of it, as append-only lines of JSON that prove their order.

One file per record in `protocol/registry/`: `H0007-k3f.jsonl` a hypothesis, `E0003-x7q.jsonl` an entry of the log.
Every line carries its number, the sha256 of the line before it (the first one: of the record's own id) and a sha256
of itself, so that an edited, removed, moved or renamed line is found. There is no index: git merges the files, people
read them. What a crash left unfinished at the end of a file is set aside in `H0007-k3f.torn` by the next append.

Writers hold the workspace lock (they are given by `lab.ledger`); readers need none. The lines are `chain.py`, what
the events mean is `state.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dreamerlab.atomic import atomic_write_bytes, disk_failure, read_small, sync_directory, write_all
from dreamerlab.errors import Conflict, NotFound, ToolFailed, did_you_mean
from dreamerlab.ids import RecordId, letter_of, matching, new_id, parse_id, refuse_path
from dreamerlab.protocol.chain import Event, Record, encode, first_link, link, parse_record

__all__ = ["ENTRY", "HYPOTHESIS", "SUFFIX", "TORN", "Event", "Record", "Registry", "first_link", "link", "parse_record"]

HYPOTHESIS, ENTRY = "H", "E"
SUFFIX, TORN = ".jsonl", ".torn"


@dataclass(frozen=True)
class Registry:
    """The folder of all records."""

    folder: Path

    def path(self, record_id: str) -> Path:
        """Return the file of a full id."""
        return self.folder / f"{record_id}{SUFFIX}"

    def torn_path(self, record_id: str) -> Path:
        """Return where unfinished lines of a record are kept once they are set aside."""
        return self.folder / f"{record_id}{TORN}"

    def files(self, record_id: str) -> list[Path]:
        """Return the files that belong to a record: its own, and what was set aside."""
        torn = self.torn_path(record_id)
        return [self.path(record_id), *([torn] if torn.exists() else [])]

    def ids(self, letter: str) -> list[RecordId]:
        """Return the ids of one kind, ascending."""
        found = (parse_id(name.removesuffix(SUFFIX), letter) for name in self._names() if name.endswith(SUFFIX))
        return sorted(one for one in found if one)

    def set_aside(self) -> list[Path]:
        """Return the files of unfinished lines that were set aside, by name."""
        return [self.folder / name for name in sorted(self._names()) if name.endswith(TORN)]

    def read(self, record_id: str) -> Record:
        """Return the record of a full id; NotFound when there is none, ToolFailed when it cannot be read."""
        return parse_record(record_id, self._content(record_id))

    def all(self, letter: str) -> Iterator[Record]:
        """Yield the records of one kind, ascending; one whose file cannot be read has that as its fault."""
        for record_id in map(str, self.ids(letter)):
            try:
                yield self.read(record_id)
            except NotFound:
                continue  # removed since the folder was listed
            except ToolFailed as failure:
                yield Record(record_id, (), (failure.message,))

    def create(self, letter: str, event: Event) -> str:
        """Open a new record with its first event and return its id; the workspace lock must be held.

        The file appears with its first line whole, or not at all.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
        except OSError as error:
            raise disk_failure(self.folder, error) from error
        taken = self.ids(letter)
        record_id = str(new_id(letter, 1 + max((one.number for one in taken), default=0)))
        atomic_write_bytes(self.path(record_id), encode(event, 1, first_link(record_id)))
        return record_id

    def append(
        self, record_id: str, event: Event | Callable[[Record], Event], report: Callable[[str], None] | None = None
    ) -> None:
        """Add an event to a record, durably; the workspace lock must be held.

        The event may be made from the record as it is now, and refused by raising. Conflict when the chain of the
        record is broken: nothing is built on what may have been altered. `report` hears of an unfinished line that
        was set aside.
        """
        path = self.path(record_id)
        content = self._content(record_id)
        record = parse_record(record_id, content)
        if record.faults:
            raise Conflict(f"{path} is damaged: {record.faults[0]}", hint="see all of it: dreamerlab lint")
        made = event(record) if callable(event) else event
        whole = content[: len(content) - len(record.torn)]
        line = encode(made, len(record.events) + 1, link(whole.splitlines()[-1]))
        try:
            if record.torn:
                self._keep_torn(record)
            _extend(path, len(whole), line)
        except OSError as error:
            raise disk_failure(path, error) from error
        if record.torn and report is not None:
            kept = self.torn_path(record_id)
            report(f"{path} ended in an unfinished line, left by a crash; it is kept in {kept.name}")

    def find(self, text: str, letter: str = HYPOTHESIS) -> str:
        """Return the full id meant by `text`: an id, a unique prefix (`H7`), or a name.

        UsageError for what looks like a path, Conflict for what several are called, NotFound with the nearest.
        """
        refuse_path(text, "an id", f"{letter}7 or {letter}0007-k3f")
        ids = self.ids(letter)
        if parse_id(text, letter) in ids:
            return text
        found = [str(one) for one in matching(ids, text)]
        hint = "add the characters after the dash" if found else "give the id"
        if not found and letter == HYPOTHESIS:
            found = self.called(text)
        if len(found) > 1:
            raise Conflict(f"'{text}' could be {' or '.join(found)}", hint=hint)
        if found:
            return found[0]
        near = did_you_mean(text, [*map(str, ids), *(self.names() if letter == HYPOTHESIS else ())])
        if letter == ENTRY:
            hint = "protocol/LOG.md tells of every entry; dreamerlab log renders it"
            raise NotFound(f"no entry is called '{text}'{near}", hint=hint)
        if (other := letter_of(text)) in ("R", ENTRY):
            what = "a run" if other == "R" else "an entry"
            raise NotFound(
                f"'{text}' is {what}, and a hypothesis is meant here",
                hint=f"see which one it is about: dreamerlab show {text}",
            )
        raise NotFound(f"no hypothesis is called '{text}'{near}", hint="see what there is: dreamerlab list")

    def called(self, name: str) -> list[str]:
        """Return the ids of the hypotheses of a name, ascending; of a thousand only those that spell it are parsed."""
        spelled = json.dumps(name, ensure_ascii=False).encode(errors="replace")
        found: list[str] = []
        for record_id in map(str, self.ids(HYPOTHESIS)):
            with suppress(NotFound, ToolFailed):
                content = self._content(record_id)
                if spelled in content and _name(parse_record(record_id, content)) == name:
                    found.append(record_id)
        return found

    def names(self) -> dict[str, str]:
        """Return name -> id of every hypothesis that has a name; of several with one name, the newest."""
        return {name: record.id for record in self.all(HYPOTHESIS) if (name := _name(record)) is not None}

    def _names(self) -> list[str]:
        try:
            with os.scandir(self.folder) as entries:
                return [entry.name for entry in entries]
        except FileNotFoundError:
            return []

    def _content(self, record_id: str) -> bytes:
        path = self.path(record_id)
        try:
            return read_small(str(path))
        except FileNotFoundError as error:
            raise NotFound(f"there is no record {record_id}", hint="see what there is: dreamerlab list") from error
        except OSError as error:
            raise ToolFailed(f"cannot read {path}: {error.strerror or error}", hint="make it readable") from error

    def _sweep(self) -> None:
        """Remove the drafts of writers that died: whoever holds the lock is the only one at work here."""
        for name in self._names():
            if name.startswith(".") and name.endswith(".tmp"):
                with suppress(OSError):
                    (self.folder / name).unlink()

    def _keep_torn(self, record: Record) -> None:
        """Copy the unfinished line beside its record, before it is cut off there; rather twice than never."""
        path = self.torn_path(record.id)
        before = path.read_bytes() if path.exists() else b""
        atomic_write_bytes(path, before + record.torn + b"\n")


def _name(record: Record) -> str | None:
    name = record.events[0].data.get("name") if record.events else None
    return name if isinstance(name, str) else None


def _extend(path: Path, size: int, line: bytes) -> None:
    """Make the file its first `size` bytes and `line`, durably; when the disk refuses half-way, without the line."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        if os.fstat(descriptor).st_size != size:
            os.ftruncate(descriptor, size)
        try:
            write_all(descriptor, line)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)
