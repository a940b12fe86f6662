"""CartPole behind wrappers that lose what matters, as wrappers people write do; registered when imported.

`tests.diagnostics.broken_envs:Endless-v0` pays 1 at every step and swallows the fall, so that nothing is ever lost.
`tests.diagnostics.broken_envs:Unpaid-v0` ends where CartPole ends, and its reward is lost on the way: 0 at every step.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

_LIMIT = 100
Stepped = tuple[np.ndarray, float, bool, bool, dict[str, Any]]


class Endless(gym.Wrapper[np.ndarray, int, np.ndarray, int]):
    """The pole lies on the ground and the reward goes on; over after 100 steps, by the time limit."""

    def __init__(self, **_: Any) -> None:
        super().__init__(gym.make("CartPole-v1").unwrapped)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self._fallen: np.ndarray | None = None
        return super().reset(seed=seed, options=options)

    def step(self, action: int) -> Stepped:
        if self._fallen is None:
            observation, _, fell, _, _ = super().step(action)
            self._fallen = observation if fell else None
            return observation, 1.0, False, False, {}
        return self._fallen.copy(), 1.0, False, False, {}


class Unpaid(gym.Wrapper[np.ndarray, int, np.ndarray, int]):
    """Every reward is 0."""

    def __init__(self, **_: Any) -> None:
        super().__init__(gym.make("CartPole-v1").unwrapped)

    def step(self, action: int) -> Stepped:
        observation, _, fell, cut, info = super().step(action)
        return observation, 0.0, fell, cut, info


for _name, _env in (("Endless", Endless), ("Unpaid", Unpaid)):
    if f"{_name}-v0" not in gym.registry:
        gym.register(f"{_name}-v0", entry_point=_env, max_episode_steps=_LIMIT)
