"""Arms and proposals in one line, for tests of the rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dreamerlab.protocol.figures import Arm
from dreamerlab.protocol.hypothesis import Base, Change, Expectation, Plan, Proposal

METRIC = "eval/return_mode"


def arm(run: str, *scores: float | None, **special: Any) -> Arm:
    """Return an arm whose seed i has the i-th score."""
    return Arm(run, dict(enumerate(scores)), **special)


def expect(form: Any, amount: float | None = None, **more: Any) -> Expectation:
    return Expectation(METRIC, form, amount, **more)


def proposal(expectation: Expectation | None = None, *, seeds: Sequence[int] = (0, 1, 2), **changes: Any) -> Proposal:
    values: dict[str, Any] = {
        "kind": "config",
        "sentence": "change optimizer.lr_actor=2e-5 -> expect eval/return to rise by 50",
        "reading": "",
        "base": Base("cartpole"),
        "plan": Plan("env_steps", 1000, tuple(seeds), tuple(seeds), fail_score=0.0),
        "family": "cartpole/3f2a",
        "baseline_family": "cartpole/3f2a",
        "changes": (Change("optimizer.lr_actor", 4e-5, 2e-5),),
        "expectation": expect("rise", 50.0) if expectation is None else expectation,
    }
    return Proposal(**{**values, **changes})
