"""Environments whose spaces are unusual, and environments that lie; registered when imported.

Named `tests.envs.odd_envs:odd/Name-v0` in a config, with the checkout on PYTHONPATH, they work in any process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text


class Spaces(gym.Env):
    """An environment of the given spaces; `info["action"]` is the action it received."""

    def __init__(self, obs: Space, action: Space | None = None) -> None:
        self.observation_space = obs
        self.action_space = action or Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 1.0, False, False, {"action": action}


VECTOR = Box(-1, 1, (3,), np.float32)
SUPPORTED: dict[str, tuple[Space, Space]] = {
    "Number": (Box(0, 9, (), np.float64), Discrete(2)),
    "Integers": (Box(0, 255, (5,), np.uint8), Discrete(2)),
    "Keys": (Dict(speed=Box(-1, 1, (2,), np.float64), angle=Box(0, 9, (), np.int32)), Discrete(3)),
    "StartsAtFive": (VECTOR, Discrete(3, start=5)),
}
UNSUPPORTED: dict[str, tuple[Space, Space]] = {
    "Pixels": (Box(0, 255, (8, 8, 3), np.uint8), Discrete(2)),
    "Grid": (Box(0, 1, (4, 4), np.float32), Discrete(2)),
    "Empty": (Box(0, 1, (0,), np.float32), Discrete(2)),
    "EmptyDict": (Dict({}), Discrete(2)),
    "PixelsInDict": (Dict(camera=Box(0, 255, (8, 8, 3), np.uint8), speed=VECTOR), Discrete(2)),
    "Nested": (Dict(arm=Dict(angle=VECTOR)), Discrete(2)),
    "Words": (Text(8), Discrete(2)),
    "Continuous": (VECTOR, Box(-1, 1, (1,), np.float32)),
    "Joint": (VECTOR, MultiDiscrete([2, 3])),
    "Buttons": (VECTOR, MultiBinary(4)),
}


class Liar(gym.Env):
    """Behaves for two steps of every episode; its third step gives what `spoil` makes of the honest answer."""

    observation_space = Box(-np.inf, np.inf, (3,), np.float32)
    action_space = Discrete(2)

    def __init__(self, spoil: Callable[[list[Any]], None] | None = None, first: Any = None) -> None:
        self._spoil, self._first = spoil, first

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self._left = 3
        return np.zeros(3, np.float32) if self._first is None else self._first, {}

    def step(self, action: int) -> Any:
        self._left -= 1
        answer = [np.zeros(3, np.float32), 1.0, False, False, {}]
        if self._left == 0 and self._spoil:
            self._spoil(answer)
        return tuple(answer)


def _put(index: int, value: Any) -> Callable[[list[Any]], None]:
    return lambda answer: answer.__setitem__(index, value)


def _raise(answer: list[Any]) -> None:
    raise ZeroDivisionError("the wheel\ncame off")


LIES: dict[str, tuple[Callable[[list[Any]], None], str]] = {
    "NanObs": (_put(0, np.array([0, np.nan, 0], np.float32)), "the observation is not finite in float32: [ 0. nan 0.]"),
    "HugeObs": (_put(0, np.array([0, 1e300, 0])), "the observation is not finite in float32"),
    "LongObs": (_put(0, np.zeros(4, np.float32)), "the observation has shape (4,), its space promises (3,)"),
    "RaggedObs": (_put(0, [[1.0], [1.0, 2.0]]), "the observation is no array"),
    "WordObs": (_put(0, np.array(["a", "b", "c"])), "the observation is not numeric (<U1): ['a' 'b' 'c']"),
    "NoObs": (_put(0, None), "the observation has shape ()"),
    "NanReward": (_put(1, float("nan")), "the reward is not finite in float32: nan"),
    "InfReward": (_put(1, np.float32("-inf")), "the reward is not finite in float32: -inf"),
    "HugeReward": (_put(1, 1e39), "the reward is not finite in float32: 1e+39"),
    "NoReward": (_put(1, None), "the reward is NoneType None, not a number"),
    "WordReward": (_put(1, "1.0"), "the reward is str 1.0, not a number"),
    "ArrayReward": (_put(1, np.ones(2)), "the reward is ndarray [1. 1.], not a number"),
    "NoFlag": (_put(2, None), "terminated is None, not true or false"),
    "OldStep": (lambda answer: answer.__delitem__(3), "ValueError: not enough values to unpack"),
    "Raises": (_raise, "ZeroDivisionError: the wheel came off"),
}

for _name, (_obs, _action) in {**SUPPORTED, **UNSUPPORTED}.items():
    gym.register(f"odd/{_name}-v0", entry_point=Spaces, kwargs={"obs": _obs, "action": _action}, max_episode_steps=100)
for _name, (_how, _) in LIES.items():
    gym.register(f"odd/{_name}-v0", entry_point=Liar, kwargs={"spoil": _how}, max_episode_steps=100)
gym.register("odd/NanReset-v0", entry_point=Liar, kwargs={"first": np.full(3, np.inf)}, max_episode_steps=100)
gym.register("odd/Honest-v0", entry_point=Liar, max_episode_steps=100)
gym.register("odd/Endless-v0", entry_point=Liar)


def _unbuildable() -> gym.Env:
    raise RuntimeError("the licence\nhas run out")


gym.register("odd/Unbuildable-v0", entry_point=_unbuildable)
