"""Environments that draw from the global generators: their episodes follow from their reset seeds all the same."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from dreamerlab.train.attempt import execute
from dreamerlab.train.generators import (
    OwnGenerators,
    globals_state,
    seed_globals,
    set_globals,
    undisturbed_globals,
)
from dreamerlab.train.runtime import StopRequest
from tests.train.trials import lines, make_trial, timeless, tiny_config


def draw() -> list[float]:
    return [random.random(), random.gauss(0, 1), np.random.random(), np.random.normal(), float(torch.rand(()))]


class Dice(gym.Env[Any, Any]):
    """Draws from all three global generators, and from numpy's in pairs, of which it keeps one back."""

    observation_space, action_space = spaces.Box(-9, 9, (5,)), spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[list[float], dict[str, Any]]:
        return draw(), {}

    def step(self, action: int) -> tuple[list[float], float, bool, bool, dict[str, Any]]:
        return draw(), 0.0, False, False, {}


def test_seeds_and_states_of_the_global_generators() -> None:
    with undisturbed_globals():
        seed_globals(3)
        draw()  # leaves half of a pair of normal numbers behind
        state = globals_state()
        first = draw()
        seed_globals(4)
        assert draw() != first
        set_globals(state)
        assert draw() == first


def test_a_block_leaves_them_as_they_were() -> None:
    seed_globals(1)
    expected = draw()
    seed_globals(1)
    with undisturbed_globals():
        seed_globals(2)
        draw()
    assert draw() == expected


@pytest.mark.parametrize("alternating", [True, False])
def test_an_episode_follows_from_its_seed(alternating: bool) -> None:
    env = OwnGenerators(Dice(), alternating=alternating)

    def episode(seed: int) -> list[list[float]]:
        return [env.reset(seed=seed)[0], *(env.step(0)[0] for _ in range(3))]

    first = episode(7)
    draw()
    assert episode(8) != first
    assert episode(7) == first


def test_environments_that_take_turns_do_not_hear_of_each_other() -> None:
    alone = OwnGenerators(Dice(), alternating=True)
    expected = [alone.reset(seed=7)[0], *(alone.step(0)[0] for _ in range(3))]
    one, other = OwnGenerators(Dice(), alternating=True), OwnGenerators(Dice(), alternating=True)
    seen = [one.reset(seed=7)[0]]
    other.reset(seed=8)
    for _ in range(3):
        seen.append(one.step(0)[0])
        other.step(0)
        draw()
    assert seen == expected


def _unprobed(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what is measured at evaluations, which are more in one trial than in the other."""
    kept = []
    for record in records:
        values = {name: value for name, value in record["values"].items() if not name.startswith("probe/")}
        kept += [{**record, "values": values}] if values else []
    return kept


def test_evaluating_leaves_an_environment_alone_that_draws_from_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FACTS F24, where training and evaluation share numpy's global generator."""
    monkeypatch.setattr(StopRequest, "listen", lambda self: None)
    env = {"id": "tests.toy_envs:GlobalDice-v0"}
    trials = [
        make_trial(tmp_path / str(n), tiny_config(env=env, budget={"amount": 30}, eval={"every": every, "episodes": 2}))
        for n, every in enumerate((30, 7))
    ]
    for trial in trials:
        execute(trial.path, None, None)
    rare, often = (_unprobed(timeless(lines(trial.metrics_path(1)))) for trial in trials)
    assert len(rare) >= 3
    assert rare == often
    assert lines(trials[0].evals_path)[-1]["returns"] == lines(trials[1].evals_path)[-1]["returns"]
