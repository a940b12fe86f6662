"""Small environments with known answers or known faults, registered when imported.

Named `toy_envs:Name-v0` in a config, with this folder on PYTHONPATH, they work in any process.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Walk(gym.Env):
    """A seeded random walk: observation is the position, action 1 pays 1, ends after a seeded number of steps."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, fault: str | None = None, at: int = 20) -> None:
        self._fault, self._at = fault, at
        self._total = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        if self._fault == "raise in reset":
            raise RuntimeError("the engine did not start")
        self._left = int(self.np_random.integers(5, 15))
        self._position = self.np_random.normal(size=3).astype(np.float32)
        return self._position.copy(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._total += 1
        self._left -= 1
        if self._total >= self._at:
            if self._fault == "raise in step":
                raise RuntimeError("the engine stalled")
            if self._fault == "exit":
                raise SystemExit(3)
        self._position += self.np_random.normal(scale=0.1, size=3).astype(np.float32)
        reward = float(action)
        if self._fault == "nan reward" and self._total >= self._at:
            reward = float("nan")
        return self._position.copy(), reward, self._left <= 0, False, {}


for _fault in (None, "raise in reset", "raise in step", "nan reward", "exit"):
    _name = "Walk" if _fault is None else "".join(word.title() for word in _fault.split())
    gym.register(f"{_name}-v0", entry_point=Walk, kwargs={"fault": _fault}, max_episode_steps=50)
