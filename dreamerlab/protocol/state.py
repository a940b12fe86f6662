"""Where a hypothesis stands: its events folded into one value.

    queued -> open -> running -> judged | measured          withdrawn from any of the first three

A hypothesis is judged when its verdict is computed; a baseline that predicted nothing is measured instead. Notes and
comparisons are entries of their own (`E0003-x7q`), so that they never meet in a merge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dreamerlab.errors import ToolFailed
from dreamerlab.protocol.hypothesis import Proposal, proposal_from_dict
from dreamerlab.protocol.registry import HYPOTHESIS, Event, Record, Registry

PROPOSED = "proposed"
"""Data: the proposal."""
AMENDED = "amended-before-launch"
"""Data: `changes` {field: value} of the proposal's dict, `why`."""
OPENED = "opened"
"""A queued hypothesis was taken from the queue. Data: empty."""
LAUNCHED = "launched"
"""Data: `run`, `baseline_run` (or null), `code` {run id: identity}, `sealed` {run id: sha256 over its manifest and
config}, `proposal_commit` (or null: order unproven),
`dirty` bool, `caveats` [line], `gates` [line that was passed by a flag]."""
TRIAL_FINISHED = "trial-finished"
"""Data: `run`, `seed`, `state`, `score` (or null), `summary_sha256`."""
TRIAL_KILLED = "trial-killed"
"""A declared kill rule ended a trial. Data: `run`, `seed`, `rule` (its words), `env_steps`, `value`."""
LOOK = "look"
"""Data: `seeds` (per arm so far), `alpha` (spent), `outcome`, `figures`."""
JUDGED = "judged"
"""Data: `verdict.Verdict.to_dict()`."""
MEASURED = "measured"
"""A baseline without expectation is complete. Data: `figures`."""
ADOPTED = "adopted"
"""Its treatment run became the family's champion. Data: `family`, `run`, `why`."""
WITHDRAWN = "withdrawn"
"""Data: `why`."""
NOTED = "noted"
"""First event of an entry. Data: `kind`, `text`, `about` [ids], `fields` {name: text}."""
COMPARED = "compared"
"""First event of an entry written by `compare`. Data: `runs`, `reducer`, `records` {run id: sha256}, `markdown`."""
CORRECTED = "corrected"
"""Replaces the text of an entry, which stays readable. Data as in NOTED."""
MOVED = "moved"
"""A hypothesis or an idea that waits in the queue was given another place. Data: `rank` (a number, low first)."""
DROPPED = "dropped"
"""An idea was taken off the queue; a hypothesis is withdrawn instead. Data: `why`."""
FILED = "filed"
"""An idea became a hypothesis. Data: `hypothesis`."""

QUEUED, OPEN, RUNNING, DONE_JUDGED, DONE_MEASURED, DONE_WITHDRAWN = (
    "queued",
    "open",
    "running",
    "judged",
    "measured",
    "withdrawn",
)
PHASES = (QUEUED, OPEN, RUNNING, DONE_JUDGED, DONE_MEASURED, DONE_WITHDRAWN)
_WAITING = frozenset({QUEUED, OPEN})
_ENDED = frozenset({DONE_JUDGED, DONE_MEASURED})
POSSIBLE_IN: Mapping[str, frozenset[str]] = {
    PROPOSED: frozenset(),
    AMENDED: _WAITING,
    MOVED: _WAITING,
    OPENED: frozenset({QUEUED}),
    LAUNCHED: _WAITING,
    **dict.fromkeys((TRIAL_FINISHED, TRIAL_KILLED, LOOK, JUDGED, MEASURED), frozenset({RUNNING})),
    ADOPTED: _ENDED,
    WITHDRAWN: _WAITING | {RUNNING},
}
"""Event after the first -> the phases in which it can happen; elsewhere it counts for nothing. One that is not named
here is of a later version, and changes no phase."""


@dataclass(frozen=True)
class Hypothesis:
    """One hypothesis now: as it was frozen, and what has happened since."""

    id: str
    proposal: Proposal
    proposed_at: str
    author: str
    phase: str = OPEN
    launched_at: str | None = None
    run: str | None = None
    """The treatment run; of a baseline hypothesis, the baseline run."""
    baseline_run: str | None = None
    launch: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Data of the event `launched`."""
    trials: tuple[Mapping[str, Any], ...] = ()
    """Data of the events `trial-finished` and `trial-killed`, in order."""
    looks: tuple[Mapping[str, Any], ...] = ()
    verdict: Mapping[str, Any] | None = None
    """Data of the newest event `judged` or `measured`."""
    ended_at: str | None = None
    adopted_at: str | None = None
    withdrawn: str | None = None
    """Why it was withdrawn."""
    amendments: tuple[Event, ...] = ()
    faults: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    """What is odd about the record and no fault, such as a clock that went backwards."""
    rank: float | None = None
    """Where it was moved to in the queue (`queue.py`)."""


def fold(record: Record) -> Hypothesis:
    """Return the hypothesis that a record tells of; ToolFailed when its proposal cannot be read.

    What cannot happen in the phase it stands in counts for nothing and is a fault: a prediction that was launched is
    judged as it was then, by whatever line it was to be changed.
    """
    first = record.events[0] if record.events else None
    if first is None or first.event != PROPOSED:
        raise ToolFailed(f"{record.id} does not begin with its proposal", hint="dreamerlab lint")
    try:
        proposal = proposal_from_dict(first.data)
        phase = QUEUED if proposal.queued else OPEN
        state = Hypothesis(
            record.id, proposal, first.time, first.author, phase, faults=record.faults, caveats=record.caveats
        )
        for number, event in enumerate(record.events[1:], start=2):
            if state.phase in POSSIBLE_IN.get(event.event, PHASES):
                state = _after(state, event)
                continue
            impossible = f"'{event.event}' cannot happen to a hypothesis that is {state.phase}"
            state = replace(state, faults=(*state.faults, f"line {number}: {impossible}: it is not counted"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ToolFailed(f"{record.id} cannot be understood: {error!r}", hint="dreamerlab lint") from error
    return state


def hypotheses(registry: Registry) -> Iterator[Hypothesis]:
    """Yield every hypothesis that can be understood, ascending; `lint` names the others."""
    for record in registry.all(HYPOTHESIS):
        try:
            yield fold(record)
        except ToolFailed:
            continue


def _after(state: Hypothesis, event: Event) -> Hypothesis:
    data = event.data
    if event.event == AMENDED:
        amended = proposal_from_dict({**state.proposal.to_dict(), **data["changes"]})
        return replace(state, proposal=amended, amendments=(*state.amendments, event))
    if event.event == OPENED:
        return replace(state, phase=OPEN)
    if event.event == LAUNCHED:
        return replace(
            state,
            phase=RUNNING,
            launched_at=event.time,
            run=data["run"],
            baseline_run=data.get("baseline_run"),
            launch=data,
        )
    if event.event in (TRIAL_FINISHED, TRIAL_KILLED):
        return replace(state, trials=(*state.trials, {"event": event.event, **data}))
    if event.event == LOOK:
        return replace(state, looks=(*state.looks, data))
    if event.event in (JUDGED, MEASURED):
        phase = DONE_JUDGED if event.event == JUDGED else DONE_MEASURED
        return replace(state, phase=phase, verdict=data, ended_at=event.time)
    if event.event == MOVED:
        return replace(state, rank=float(data["rank"]))
    if event.event == ADOPTED:
        return replace(state, adopted_at=event.time)
    if event.event == WITHDRAWN:
        return replace(state, phase=DONE_WITHDRAWN, withdrawn=str(data.get("why", "")), ended_at=event.time)
    return state  # an event of a later version
