"""Every leaf of collecting and replaying acts: another value changes what a short trial comes to (M-CFG-01, M-GATE-01).

`ACTS` names for each leaf another value and the leaves it needs beside it. Leaves that shape the agent alone are turned
in `tests/dreamer/test_options.py`, which also says that none is forgotten.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dreamerlab.config.diff import canonical
from dreamerlab.config.validation import flatten, from_flat
from dreamerlab.train.session import Session
from tests.train.trials import tiny_config

BASE: dict[str, Any] = {
    **flatten(tiny_config()),
    **{"env.id": "Pendulum-v1", "env.time_limit": 6, "train.train_ratio": 2.0, "train.learning_starts": 30},
}
"""Rewards that differ from step to step, in many short episodes."""
ENV_STEPS = 100

SMOOTHED: dict[str, Any] = {"smooth.kernel": "gaussian", "smooth.width": 1.0}
RANKED: dict[str, Any] = {
    **{"replay.mixture": (0.0, 1.0, 0.0), "replay.online": False},
    **{"train.batch_size": 16, "train.train_ratio": 8.0},
}
"""Rows are drawn again soon after their losses are known."""
WIDE: dict[str, Any] = {"model.deter": 2304, "model.blocks": 128}
"""So much latent state in a row that a million bytes hold no more than 110 of them."""

ACTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "collect.envs": (2, {}),
    "collect.random_steps": (20, {}),
    "replay.capacity": (100, {}),
    "replay.online": (False, {}),
    "replay.latent_context": (False, {}),
    "replay.max_bytes": (1_000_000, WIDE),
    "replay.mixture": ((0.0, 0.0, 1.0), {"replay.online": False}),
    "replay.priority_exponent": (0.2, RANKED),
    "smooth.kernel": ("ema", {}),
    "smooth.width": (2.0, SMOOTHED),
    "smooth.edge": ("zero", SMOOTHED),
    "train.train_ratio": (4.0, {}),
    "train.learning_starts": (60, {}),
}


def outcome(flat: dict[str, Any]) -> list[Tensor]:
    """The parameters after a short trial, and how many steps and updates there were."""
    session = Session(from_flat(flat), seed=0)
    at = session.counters
    while at.env_steps < ENV_STEPS:
        session.collector.step(session.policy)
        at.env_steps = session.collector.env_steps
        for _ in range(session.updates_due()):
            session.update()
    session.close()
    assert at.updates >= 4
    return [torch.tensor([at.env_steps, at.updates]), *(p.detach().flatten() for p in session.agent.parameters())]


def same(one: list[Tensor], two: list[Tensor]) -> bool:
    return len(one) == len(two) and all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list[Tensor]]:
    return {}


@pytest.mark.parametrize("key", ACTS)
def test_another_value_of_the_leaf_changes_what_comes_out(key: str, outcomes: dict[str, list[Tensor]]) -> None:
    value, beside = ACTS[key]
    flat = {**BASE, **beside}
    assert canonical(flatten(from_flat(flat))[key]) != canonical(value), "no other value than the usual one"
    name = str(sorted(beside.items()))
    if name not in outcomes:
        outcomes[name] = outcome(flat)
    assert not same(outcomes[name], outcome({**flat, key: value}))


def test_what_is_compared_repeats() -> None:
    """Else everything would seem to act; what is inert changes nothing."""
    assert same(
        outcome(BASE), outcome({**BASE, "log.every": 7, "replay.priority_exponent": 0.2, "smooth.edge": "zero"})
    )
