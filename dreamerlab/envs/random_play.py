"""Returns of uniformly random actions: the floor that `reference.random` of an environment stands for.

Owns the measurement only; `python -m dreamerlab.envs.check ID --random-episodes N` prints it.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np


def random_returns(env: gym.Env[Any, Any], episodes: int, seed: int) -> np.ndarray:
    """Return the returns (episodes,) of random play; start states and actions follow from `seed` alone."""
    rng = np.random.default_rng(seed)
    assert isinstance(env.action_space, gym.spaces.Discrete), env.action_space
    num_actions = int(env.action_space.n)
    returns = np.zeros(episodes)
    for episode in range(episodes):
        env.reset(seed=int(rng.integers(2**31)))
        over = False
        while not over:
            _, reward, terminated, truncated, _ = env.step(int(rng.integers(num_actions)))
            returns[episode] += float(reward)
            over = terminated or truncated
    return returns
