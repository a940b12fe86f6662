"""Hypotheses in every phase, made in milliseconds through the real registry: nothing resolved, nothing trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol import state
from dreamerlab.protocol.hypothesis import Base, Change, Expectation, Plan, Proposal
from dreamerlab.protocol.registry import ENTRY, HYPOTHESIS, Event
from dreamerlab.runs.store import Workspace


def a_proposal(**changes: Any) -> Proposal:
    values: dict[str, Any] = {
        "kind": "config",
        "sentence": "change optimizer.lr_actor=2e-5 -> expect eval/return to rise by 20",
        "reading": "change optimizer.lr_actor from 4e-05 to 2e-05 -> expect eval/return_mode to rise by 20",
        "base": Base("cartpole", "nano", ("budget.amount=1000",)),
        "plan": Plan("env_steps", 1000, (0, 1, 2), (100, 101, 102), fail_score=0.0),
        "family": "cartpole-state/3f2a",
        "baseline_family": "cartpole-state/3f2a",
        "changes": (Change("optimizer.lr_actor", 4e-5, 2e-5),),
        "expectation": Expectation("eval/return_mode", "rise", 20.0),
        "why": "half the step may hold what was learned",
    }
    return Proposal(**{**values, **changes})


def an_event(name: str, data: Mapping[str, Any], time: str = "2026-01-02T03:04:05+00:00") -> Event:
    return Event(name, time, "Ada", data)


def propose(workspace: Workspace, **changes: Any) -> str:
    """Add an open hypothesis (queued with `queued=True`) and return its id."""
    return registry_of(workspace).create(HYPOTHESIS, an_event(state.PROPOSED, a_proposal(**changes).to_dict()))


def happened(workspace: Workspace, hypothesis: str, name: str, **data: Any) -> None:
    """Add an event to a hypothesis."""
    registry_of(workspace).append(hypothesis, an_event(name, data, "2026-01-03T03:04:05+00:00"))


def launched(workspace: Workspace, run: str, baseline_run: str | None, **changes: Any) -> str:
    """Add a hypothesis whose runs are on their way and return its id."""
    made = propose(workspace, **changes)
    happened(workspace, made, state.LAUNCHED, run=run, baseline_run=baseline_run, code={}, dirty=False)
    return made


def noted(workspace: Workspace, kind: str, text: str, *about: str) -> str:
    """Add an entry and return its id."""
    data = {"kind": kind, "text": text, "about": list(about), "fields": {}}
    return registry_of(workspace).create(ENTRY, an_event(state.NOTED, data))
