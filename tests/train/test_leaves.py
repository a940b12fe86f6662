"""Every leaf of collecting and replaying acts: another value changes what a short trial comes to (M-CFG-01, M-GATE-01).

`ACTS` names for each leaf another value and the leaves it needs beside it. Leaves that shape the agent alone are turned
in `tests/dreamer/test_options.py`, which also says that none is forgotten.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dreamerlab.config.diff import canonical
from dreamerlab.config.schema_hockey import HOCKEY_ID
from dreamerlab.config.validation import flatten, from_flat
from dreamerlab.train.opponents import Company
from dreamerlab.train.session import Session
from tests.train.trials import tiny_config

BASE: dict[str, Any] = {
    **flatten(tiny_config()),
    **{"env.id": "Pendulum-v1", "env.time_limit": 6, "train.train_ratio": 2.0, "train.learning_starts": 30},
}
"""Rewards that differ from step to step, in many short episodes."""
ENV_STEPS = 100
TRIAL = {"run": "R0001-abc", "seed": 0, "family": "f"}

SMOOTHED: dict[str, Any] = {"smooth.kernel": "gaussian", "smooth.width": 1.0}
RANKED: dict[str, Any] = {
    **{"replay.mixture": (0.0, 1.0, 0.0), "replay.online": False},
    **{"train.batch_size": 16, "train.train_ratio": 8.0},
}
"""Rows are drawn again soon after their losses are known."""
WIDE: dict[str, Any] = {"model.deter": 2304, "model.blocks": 128}
"""So much latent state in a row that a million bytes hold no more than 110 of them."""
EVENTS: dict[str, Any] = {"env.id": "CartPole-v1", "env.time_limit": 30, "replay.online": False}
"""Some episodes end by themselves, others at the limit."""
HOCKEY: dict[str, Any] = {"env.id": HOCKEY_ID, "hockey.mode": "shooting"}
"""Very short games, that say the more of who meets whom."""
SELF: dict[str, Any] = {**HOCKEY, "hockey.opponent": ("self",), "hockey.pool_every": 10}

BUSY: dict[str, Any] = {"train.train_ratio": 20.0, "control.surprise_beta": 0.0}
"""Every second loss is a surprise, measured against the one before."""
FOCUS: dict[str, Any] = {"control.focus_threshold": 0.0, "control.focus_duration": 6, "control.focus_cooldown": 5}

ACTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "collect.envs": (2, {}),
    "collect.random_steps": (20, {}),
    "replay.capacity": (100, {}),
    "replay.online": (False, {}),
    "replay.latent_context": (False, {}),
    "replay.max_bytes": (1_000_000, WIDE),
    "replay.mixture": ((0.0, 0.0, 1.0), {"replay.online": False}),
    "replay.priority_exponent": (0.2, RANKED),
    "replay.priority": ("xp", RANKED),
    "replay.event_share": (0.5, EVENTS),
    "hockey.shaping": (("closeness:1",), HOCKEY),
    "hockey.pool_every": (20, SELF),
    "hockey.pool_size": (2, SELF),
    "hockey.pool_sampling": ("uniform", SELF),
    "smooth.kernel": ("ema", {}),
    "smooth.width": (2.0, SMOOTHED),
    "smooth.edge": ("zero", SMOOTHED),
    "train.train_ratio": (4.0, {}),
    "train.learning_starts": (60, {}),
    "train.augment": (("mirror",), HOCKEY),
    **{
        f"control.{name}": (value, {**BUSY, **beside})
        for name, value, beside in (
            ("surprise_gain", 10.0, {}),
            ("surprise_beta", 0.9, {"control.surprise_gain": 10.0}),
            ("surprise_decay", 0.1, {"control.surprise_gain": 10.0}),
            ("focus_threshold", 0.0, {}),
            ("focus_duration", 2, FOCUS),
            ("focus_cooldown", 1, FOCUS),
            ("focus_actor_every", None, FOCUS),
            ("camp_threshold", 0.0, {"control.camp_patience": 1}),
            ("camp_patience", 2, {"control.camp_threshold": 0.0}),
            ("kl_pause_factor", 1.001, {}),
            ("kl_pause_updates", 1, {"control.kl_pause_factor": 1.001}),
            ("adaptive_ratio", (1, 3), {}),
            ("actor_every_schedule", "linear to 0.25x over 5 updates", {"train.actor_every": 4}),
        )
    },
}


def course(flat: dict[str, Any]) -> Iterator[list[Tensor]]:
    """What every update of a short trial measured and left behind, and how many env steps there were until then."""
    with tempfile.TemporaryDirectory() as pool:
        session = Session(from_flat(flat), seed=0, company=Company(pool=Path(pool), belongs=TRIAL))
        at = session.counters
        while at.env_steps < ENV_STEPS:
            session.collector.step(session.policy)
            at.env_steps = session.collector.env_steps
            for _ in range(session.updates_due()):
                metrics = session.update()
                # What an option chose, or said of itself, is no proof that it did something.
                told = ("replay/", "control/", "surprise/")
                measured = [metrics[name] for name in sorted(metrics) if not name.startswith(told)]
                seen = [torch.tensor(at.env_steps), *measured]
                yield [*seen, *(p.detach().clone() for p in session.agent.parameters())]
        session.close()


def same(one: Iterable[list[Tensor]], two: Iterable[list[Tensor]]) -> bool:
    """Tell whether two trials agree to the end; the first difference ends both."""
    return all(
        a is not None
        and b is not None
        and len(a) == len(b)
        and all(x.shape == y.shape and torch.equal(x, y) for x, y in zip(a, b, strict=True))
        for a, b in itertools.zip_longest(one, two)
    )


@pytest.fixture(scope="module")
def usual() -> dict[str, list[list[Tensor]]]:
    """Courses under the usual values, by what is needed beside."""
    return {}


@pytest.mark.parametrize("key", ACTS)
def test_another_value_of_the_leaf_changes_what_comes_out(key: str, usual: dict[str, list[list[Tensor]]]) -> None:
    value, beside = ACTS[key]
    flat = {**BASE, **beside}
    assert canonical(flatten(from_flat(flat))[key]) != canonical(value), "no other value than the usual one"
    name = str(sorted(beside.items()))
    if name not in usual:
        usual[name] = list(course(flat))
    assert not same(usual[name], course({**flat, key: value}))


@pytest.mark.usefixtures("checked_shapes")
def test_what_is_compared_repeats() -> None:
    """Else everything would seem to act; what is inert changes nothing."""
    once = list(course(BASE))
    assert len(once) >= 7
    assert same(once, course({**BASE, "log.every": 7, "replay.priority_exponent": 0.2, "smooth.edge": "zero"}))
    assert same(course({**BASE, **SELF}), course({**BASE, **SELF}))
