"""Entries: what the log holds beside hypotheses, dated and about something (`E0003-x7q`).

A note of some kind with named fields, an idea that waits in the queue, a pilot, or the table of a comparison. An entry
is never a result: a verdict is computed and stands in its hypothesis. How entries are written is `lab.notes`, how
they look `report.notebook`. Kinds and fields are what people's own logs were found to need (M-PROT-06, M-PROT-08).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from dreamerlab.errors import ToolFailed
from dreamerlab.protocol.chain import Event, Record
from dreamerlab.protocol.registry import ENTRY, Registry
from dreamerlab.protocol.state import COMPARED, CORRECTED, DROPPED, FILED, MOVED, NOTED

COMPARISON = "comparison"
IDEA, PILOT, CAUTION = "idea", "pilot", "caution"
KINDS: dict[str, str] = {
    "observation": "something that was seen",
    "cause": "why something happened, or may have happened",
    "decision": "what will be done, and why",
    "conclusion": "what a result is taken to mean, in words beside the computed verdict",
    CAUTION: "something that is believed and not shown, and must stay marked so",
    "tradeoff": "what is gained and what is paid for it",
    "analysis": "theory, or figures worked out by hand",
    "audit": "code or settings held against a paper or a reference",
    "profiling": "a measurement of speed or memory",
    "implementation": "how something is built",
    "bug": "something wrong in code or settings",
    "fix": "what repaired a bug, and what changed after it",
    "failure": "something that was tried and did not work",
    "sweep": "several settings tried side by side",
    "continuation": "a run that goes on from an earlier one's checkpoint",
    PILOT: "a short try that can never carry a verdict",
    IDEA: "something to try; waits in the queue",
}
"""Kind of a note -> what it is. `compare` writes entries of the kind `comparison` by itself."""
FIELDS: dict[str, str] = {
    "setup": "configuration or set-up, where it is not a run's own",
    "change": "what was changed",
    "expected": "what was expected beforehand",
    "checkpoint": "checkpoint it started from, with its step",
    "baseline": "what it is held against, and at which steps",
    "results": "figures that stand in no record",
    "observation": "what was seen",
    "cause": "root cause, as far as it is known",
    "possible-causes": "what else it may be",
    "conclusion": "what it is taken to mean",
    "decision": "what follows from it",
    "status": "where the matter stands; never a verdict",
    "next": "the next step",
    "files": "files modified",
    "tool": "what it was seen or measured with",
    "tradeoff": "what is gained and what is paid",
    "dated": "the day it is about, when that is not today",
    "source": "where an idea or a claim comes from",
    "needs": "why an idea cannot be run yet",
}
STATUSES: dict[str, str] = {
    "open": "nothing is decided yet",
    "waiting": "figures are still to come (TBD)",
    "incomplete": "it ended before its end",
    "no-results": "nothing was recorded",
    "killed": "it was stopped by hand",
    "slow": "it works, and takes too long",
    "worse-than-random": "it does worse than random play",
    "fixed": "the fault is repaired",
    "retry": "it will be tried again",
    "cautioned": "believed and not shown",
    "superseded": "something newer stands in its place",
    "archived": "put away",
    "reopened": "taken up again",
    "done": "nothing is left to do",
}
"""Value of the field `status` -> what it says. None of them is a result (M-PROT-09)."""


@dataclass(frozen=True)
class Entry:
    """One entry as it reads now; `earlier` are the texts it had before it was corrected."""

    id: str
    kind: str
    text: str
    time: str
    """When it was written first; UTC, ISO 8601."""
    author: str
    about: tuple[str, ...] = ()
    """Full ids of the hypotheses, runs and entries it is about."""
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """All of its events' data: a comparison keeps `runs`, `reducer`, `records` and `markdown` there."""
    earlier: tuple[Event, ...] = ()
    rank: float | None = None
    """Where an idea was moved to in the queue."""
    dropped: str | None = None
    """Why an idea was taken off the queue."""
    filed: str | None = None
    """The hypothesis an idea became."""
    faults: tuple[str, ...] = ()


def entry_of(record: Record) -> Entry:
    """Return the entry that a record tells of; ToolFailed when its beginning cannot be understood."""
    first = record.events[0] if record.events else None
    if first is None or first.event not in (NOTED, COMPARED):
        raise ToolFailed(f"{record.id} does not begin with a note or a comparison", hint="dreamerlab lint")
    try:
        entry = _first(record, first)
        for event in record.events[1:]:
            entry = _after(entry, event, first)
            first = event if event.event == CORRECTED else first
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ToolFailed(f"{record.id} cannot be understood: {error!r}", hint="dreamerlab lint") from error
    return entry


def entries(registry: Registry) -> Iterator[Entry]:
    """Yield every entry that can be understood, ascending; `lint` names the others."""
    for record in registry.all(ENTRY):
        try:
            yield entry_of(record)
        except ToolFailed:
            continue


def _first(record: Record, event: Event) -> Entry:
    data = event.data
    if event.event == COMPARED:
        about = tuple(str(one) for one in data["runs"])
        return Entry(record.id, COMPARISON, "", event.time, event.author, about, data=data, faults=record.faults)
    return Entry(record.id, **_words(data), time=event.time, author=event.author, data=data, faults=record.faults)


def _words(data: Mapping[str, Any]) -> dict[str, Any]:
    fields = cast("Mapping[str, Any]", data.get("fields") or {})
    return {
        "kind": str(data["kind"]),
        "text": str(data["text"]),
        "about": tuple(str(one) for one in data.get("about") or ()),
        "fields": {str(name): str(value) for name, value in fields.items()},
    }


def _after(entry: Entry, event: Event, replaced: Event) -> Entry:
    data = event.data
    if event.event == CORRECTED:
        return replace(entry, **_words(data), data={**entry.data, **data}, earlier=(*entry.earlier, replaced))
    if event.event == MOVED:
        return replace(entry, rank=float(data["rank"]))
    if event.event == DROPPED:
        return replace(entry, dropped=str(data.get("why", "")))
    if event.event == FILED:
        return replace(entry, filed=str(data["hypothesis"]))
    return entry  # an event of a later version
