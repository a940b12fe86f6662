"""A reset seed and the actions determine an episode bit for bit, which is what an exact resume rests on (FACTS F20)."""

from __future__ import annotations

import random

import numpy as np
import pytest

from dreamerlab.config.schema_task import Env
from dreamerlab.envs.make import describe, make_env
from dreamerlab.envs.random_play import random_action

EPISODE = list[tuple[dict[str, bytes], float, bool, bool]]


def play(env, seed: int, steps: int) -> EPISODE:
    rng, spec = np.random.default_rng(seed), describe(env).action
    obs, _ = env.reset(seed=seed)
    rows: EPISODE = [({key: value.tobytes() for key, value in obs.items()}, 0.0, False, False)]
    while len(rows) <= steps and not (rows[-1][2] or rows[-1][3]):
        obs, reward, terminated, truncated, _ = env.step(random_action(spec, rng))
        rows.append(({key: value.tobytes() for key, value in obs.items()}, reward, terminated, truncated))
    return rows


@pytest.mark.parametrize(
    "env_id, observe",
    [
        ("CartPole-v1", "pixels"),
        ("LunarLander-v3", "state"),
        ("LunarLander-v3", "both"),
        ("LunarLanderContinuous-v3", "state"),
        ("Pendulum-v1", "state"),
        ("Pendulum-v1", "both"),
        ("MountainCarContinuous-v0", "state"),
        ("tests.toy_envs:Square-v0", "state"),
        ("tests.toy_envs:Echo-v0", "state"),
    ],
)
def test_another_environment_replays_an_episode_bit_for_bit(env_id: str, observe: str) -> None:
    config, steps = Env(id=env_id, observe=observe), 100 if observe == "state" else 20
    env = make_env(config)
    play(env, 1, steps)  # what came before must not matter
    expected = play(env, 7, steps)
    assert play(make_env(config), 7, steps) == expected
    assert play(env, 7, steps) == expected
    assert play(env, 8, steps) != expected


def test_an_environment_may_draw_from_the_global_generators() -> None:
    """It repeats itself where they are set again, and only there: its reset seed is not enough."""
    env = make_env(Env(id="tests.toy_envs:GlobalDice-v0"))

    def seeded() -> EPISODE:
        random.seed(1)
        np.random.seed(1)
        return play(env, 7, 10)

    states = random.getstate(), np.random.get_state()
    try:
        first = seeded()
        assert play(env, 7, 10) != first
        assert seeded() == first
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
