"""What `lint` looks at and what it says: the rules as a closed list, findings as data, the books read once.

Every finding names the file, the line where there is one, and how it is mended. The checks are `lint_registry`,
`lint_order`, `lint_runs`, `lint_figures`, `lint_words`, `lint_verdicts` and `lint_pages`; `lint.py` calls them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dreamerlab.atomic import read_object, read_small
from dreamerlab.errors import LabError
from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.chain import Event, Record, parse_record
from dreamerlab.protocol.entries import Entry, entry_of
from dreamerlab.protocol.registry import ENTRY, HYPOTHESIS
from dreamerlab.protocol.state import Hypothesis, fold
from dreamerlab.runs.directory import MANIFEST
from dreamerlab.runs.manifest import Manifest, manifest_from_dict
from dreamerlab.runs.store import Workspace, run_ids

Severity = Literal["error", "warning"]
RULES: dict[str, tuple[Severity, str]] = {
    "chain": ("error", "a line of a record was edited, removed, moved or cannot be read"),
    "rewritten": ("error", "a record differs from what was committed earlier"),
    "gone": ("error", "a record or run that once was committed is not there any more"),
    "order": ("error", "git does not show that a proposal is older than its first trial record"),
    "sequence": ("error", "the events of a record contradict each other"),
    "missing": ("error", "a run, seed or file that the records speak of is not there"),
    "mismatch": ("error", "two records say different things"),
    "artifact": ("error", "an artifact has not the recorded size or, with --deep, the recorded hash"),
    "verdict": ("error", "the stored verdict is not what its frozen rule gives"),
    "page": ("warning", "a generated page is not what the records give"),
    "torn": ("warning", "a record ends in an unfinished line"),
    "unclaimed": ("warning", "no hypothesis and no entry speaks of a run"),
    "stray": ("warning", "a file lies in the registry that is no record"),
    "figure": ("warning", "a figure typed by hand is in no record"),
    "citation": ("warning", "a citation cannot be filled"),
    "words": ("warning", "the words claim more than the verdict"),
}
"""Rule -> how grave, and what a finding of it says. An error: a record is not what it was, or proves nothing. A
warning: words or files that a person should put right. Both end `lint` with exit code 6."""


@dataclass(frozen=True)
class Finding:
    """One thing that does not hold."""

    rule: str
    file: str
    """Relative to the workspace."""
    line: int | None
    message: str
    hint: str
    """How it is mended, as a command where there is one."""

    @property
    def severity(self) -> Severity:
        """`error` or `warning`, by its rule."""
        return RULES[self.rule][0]

    @property
    def where(self) -> str:
        """The file, with the line if there is one."""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def to_data(self) -> dict[str, Any]:
        """Return the finding as JSON-ready values."""
        return {"severity": self.severity, **vars(self)}


@dataclass(frozen=True)
class Source:
    """One record as it lies on disk."""

    record: Record
    content: bytes
    file: str
    """Relative to the workspace."""
    lines: tuple[int, ...]
    """For each event, the line of the file it stands in."""

    def numbered(self) -> list[tuple[int, Event]]:
        """Return the events with their lines."""
        return list(zip(self.lines, self.record.events, strict=True))


@dataclass(frozen=True)
class Books:
    """Everything `lint` looks at, read once."""

    workspace: Workspace
    hypotheses: Mapping[str, Source]
    entries: Mapping[str, Source]
    folded: Mapping[str, Hypothesis]
    """Of the hypotheses, those that can be understood."""
    notes: Mapping[str, Entry]
    """Of the entries, those that can be understood."""
    runs: Mapping[str, Manifest | None]
    """Run id -> manifest; None when it cannot be read."""

    @property
    def records(self) -> dict[str, Source]:
        """All records, hypotheses first."""
        return {**self.hypotheses, **self.entries}

    def treatment_of(self) -> dict[str, list[str]]:
        """Return run id -> the hypotheses that launched it as their treatment, or as the baseline they measure."""
        found: dict[str, list[str]] = {}
        for one in self.folded.values():
            if one.run is not None:
                found.setdefault(one.run, []).append(one.id)
        return found


def open_books(workspace: Workspace) -> Books:
    """Read all records and manifests of a workspace; what is damaged is kept as it is."""
    registry = registry_of(workspace)
    sources: dict[str, dict[str, Source]] = {HYPOTHESIS: {}, ENTRY: {}}
    for letter, found in sources.items():
        for record_id in map(str, registry.ids(letter)):
            found[record_id] = _source(workspace, registry.path(record_id), record_id)
    folded: dict[str, Hypothesis] = {}
    for record_id, source in sources[HYPOTHESIS].items():
        with suppress(LabError):
            folded[record_id] = fold(source.record)
    notes: dict[str, Entry] = {}
    for record_id, source in sources[ENTRY].items():
        with suppress(LabError):
            notes[record_id] = entry_of(source.record)
    runs = {str(run_id): _manifest(f"{workspace.runs}/{run_id}/{MANIFEST}") for run_id in run_ids(workspace)}
    return Books(workspace, sources[HYPOTHESIS], sources[ENTRY], folded, notes, runs)


def _source(workspace: Workspace, path: Path, record_id: str) -> Source:
    file = path.relative_to(workspace.path).as_posix()
    try:
        content = read_small(str(path))
    except OSError as error:
        reason = f"line 1 cannot be read ({error.strerror or error})"
        return Source(Record(record_id, (), (reason,)), b"", file, ())
    record = parse_record(record_id, content)
    count = len(record.events)
    lines = tuple(range(1, count + 1)) if not record.faults else _readable_lines(content)
    return Source(record, content, file, lines if len(lines) == count else tuple(range(1, count + 1)))


def _readable_lines(content: bytes) -> tuple[int, ...]:
    """Return the numbers of the lines of a damaged record that hold an event."""
    found: list[int] = []
    for number, raw in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            value = json.loads(raw)
            held = {"event", "time", "data"} <= value.keys() and isinstance(value["data"], dict)
        except (ValueError, AttributeError, RecursionError):
            continue
        if held:
            found.append(number)
    return tuple(found)


def _manifest(path: str) -> Manifest | None:
    try:
        return manifest_from_dict(read_object(path))
    except (OSError, KeyError, TypeError, ValueError, AttributeError):
        return None
