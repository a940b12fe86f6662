"""Returns of uniformly random actions: the floor that `reference.random` of an environment stands for.

Owns the measurement only; `python -m dreamerlab.envs.check ID --random-episodes N` prints it.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dreamerlab.envs.make import describe
from dreamerlab.spaces import ActionSpec


def random_action(spec: ActionSpec, rng: np.random.Generator) -> np.ndarray:
    """Return a uniformly random action: any choice, or any number in [-1, 1], of each component alike."""
    if spec.is_discrete:
        return np.array([rng.integers(classes) for classes in spec.classes])
    return rng.uniform(-1, 1, spec.size).astype(np.float32)


def random_returns(env: gym.Env[Any, Any], episodes: int, seed: int) -> np.ndarray:
    """Return the returns (episodes,) of random play; start states and actions follow from `seed` alone."""
    rng = np.random.default_rng(seed)
    spec = describe(env).action
    returns = np.zeros(episodes)
    for episode in range(episodes):
        env.reset(seed=int(rng.integers(2**31)))
        over = False
        while not over:
            _, reward, terminated, truncated, _ = env.step(random_action(spec, rng))
            returns[episode] += float(reward)
            over = terminated or truncated
    return returns
