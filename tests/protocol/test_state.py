"""What became of a hypothesis: its events folded, and those that can not have happened left out and named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dreamerlab.protocol import state
from dreamerlab.protocol.hypothesis import Change, proposal_from_dict
from dreamerlab.protocol.registry import Event, Record
from dreamerlab.protocol.state import fold
from tests.lab.hypotheses import a_proposal

TIME = "2026-01-02T03:04:05+00:00"
LAUNCH = (state.LAUNCHED, {"run": "R0002-abc", "baseline_run": "R0001-abc"})
VERDICT = {"outcome": "REFUTED"}


def record(*events: tuple[str, dict[str, Any]]) -> Record:
    told = ((state.PROPOSED, a_proposal().to_dict()), *events)
    return Record("H0001-abc", tuple(Event(name, TIME, "Ada", data) for name, data in told))


def test_what_was_launched_is_judged_by_what_it_said_then() -> None:
    """A line added by hand, its checksum right: nothing that is said after the launch moves the goal posts."""
    later = {"changes": {"plan": {**a_proposal().to_dict()["plan"], "seeds": [0]}}, "why": "it looks bad"}
    found = fold(record(LAUNCH, (state.AMENDED, later)))
    assert found.proposal == a_proposal()
    assert found.amendments == ()
    assert found.faults == (
        "line 3: 'amended-before-launch' cannot happen to a hypothesis that is running: it is not counted",
    )


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([LAUNCH, (state.LAUNCHED, {"run": "R0009-abc"})], 3),
        ([LAUNCH, (state.JUDGED, VERDICT), (state.JUDGED, {"outcome": "SUPPORTED"})], 4),
        ([LAUNCH, (state.JUDGED, VERDICT), (state.WITHDRAWN, {"why": "it looks bad"})], 4),
        ([LAUNCH, (state.JUDGED, VERDICT), (state.TRIAL_KILLED, {"run": "R0002-abc", "seed": 0})], 4),
        ([(state.JUDGED, VERDICT)], 2),
        ([LAUNCH, (state.ADOPTED, {})], 3),
        ([LAUNCH, (state.PROPOSED, a_proposal(name="other").to_dict())], 3),
    ],
)
def test_what_cannot_have_happened_counts_for_nothing(events: list[tuple[str, dict[str, Any]]], line: int) -> None:
    found, without = fold(record(*events)), fold(record(*events[:-1]))
    assert [fault.partition(":")[0] for fault in found.faults] == [f"line {line}"]
    assert (found.phase, found.run, found.verdict) == (without.phase, without.run, without.verdict)
    assert (found.trials, found.adopted_at, found.withdrawn) == (without.trials, without.adopted_at, without.withdrawn)
    assert found.proposal == without.proposal


def test_events_of_a_later_version_change_nothing_and_are_no_fault() -> None:
    found = fold(record(("weighed", {"kg": 3}), LAUNCH))
    assert (found.phase, found.faults) == (state.RUNNING, ())


def test_a_change_of_a_list_is_read_as_it_was_proposed() -> None:
    """JSON knows lists only; what is compared with a config are tuples."""
    change = Change("hockey.opponent", ("weak",), ("weak:3", "strong"))
    proposal = replace(a_proposal(), changes=(change,))
    assert proposal_from_dict(json.loads(json.dumps(proposal.to_dict()))).changes == (change,)
