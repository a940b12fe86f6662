"""A memory task whose world can be learnt from random play: a safe bet, or one that pays if the cue said so.

Registered when imported: `tests.learning.wager:Wager-v0`.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

RECALL = 10
"""Time at which the bet is placed."""


class Wager(gym.Env[np.ndarray, int]):
    """A cue, -1 or 1, is seen at time 0 only. At time 10 action 0 pays 0.5, action 1 pays 1 if the cue was 1.

    The best policy that cannot remember gets 0.5, the best one 0.75.
    """

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._wins, self._time = bool(self.np_random.integers(2)), 0
        return np.array([1 if self._wins else -1, 0], np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        placed = self._time == RECALL
        paid = float(self._wins) if action == 1 else 0.5
        self._time += 1
        shown = np.array([0, min(self._time / RECALL, 1)], np.float32)
        return shown, paid if placed else 0.0, placed, False, {}


gym.register("Wager-v0", entry_point=Wager, max_episode_steps=RECALL + 1)
