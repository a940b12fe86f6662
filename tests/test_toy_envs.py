"""The toys keep their word: what they pay to random play and to the best policy, and what can be read off them."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from dreamerlab.config.schema_task import Env
from dreamerlab.envs.make import make_env
from dreamerlab.envs.random_play import random_returns
from tests import toy_envs


def best(name: str, env: gym.Env, obs: dict[str, np.ndarray], memory: dict[str, int]) -> np.ndarray:
    """Return the best action there is."""
    if name == "Memory":
        memory.setdefault("cue", int(obs["vector"][0] > 0))
        return np.array([memory["cue"]])
    if name == "Move":
        return np.clip(obs["vector"][2:] / 0.25, -1, 1).astype(np.float32)
    return {
        "Bandit": np.array([2]),
        "TwoBandits": np.array([1, 2]),
        "Aim": np.float32([0.5]),
        "Echo": obs.get("discrete"),
        "Square": np.array([3]),
    }.get(name, np.array([1]))


@pytest.mark.parametrize("env_id", toy_envs.ANSWERS)
def test_the_answers_are_right(env_id: str) -> None:
    env, name = make_env(Env(id=f"tests.toy_envs:{env_id}")), env_id.partition("-")[0]
    episodes = 150 if name == "Square" else 300
    at_random, at_best = random_returns(env, episodes, seed=0), np.zeros(episodes)
    for episode in range(episodes):
        obs, _ = env.reset(seed=episode)
        over, memory = False, {}
        while not over:
            obs, reward, terminated, truncated, _ = env.step(best(name, env, obs, memory))
            at_best[episode] += reward
            over = terminated or truncated
    for measured, expected in zip((at_random, at_best), toy_envs.ANSWERS[env_id], strict=True):
        error = measured.std(ddof=1) / episodes**0.5
        assert measured.mean() == pytest.approx(expected, abs=4 * error + 1e-6)


def test_the_state_of_the_square_is_read_off_its_picture() -> None:
    env = make_env(Env(id="tests.toy_envs:Square-v0"))
    obs, _ = env.reset(seed=0)
    for action in (0, 1, 2, 3, 3):
        toy = env.unwrapped
        assert toy_envs.Square.cell(obs["image"]) == (toy._row, toy._column)
        obs = env.step(np.array([action]))[0]


def test_the_cue_is_seen_once() -> None:
    env = make_env(Env(id="tests.toy_envs:Memory-v0"))
    obs, _ = env.reset(seed=0)
    seen = [obs["vector"][0]]
    over = False
    while not over:
        obs, _, over, _, _ = env.step(np.array([0]))
        seen.append(obs["vector"][0])
    assert (abs(seen[0]), seen[1:]) == (1, [0] * 11)
