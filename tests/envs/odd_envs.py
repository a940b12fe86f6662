"""Environments whose spaces are unusual, and environments that lie; registered when imported.

Named `tests.envs.odd_envs:odd/Name-v0` in a config, with the checkout on PYTHONPATH, they work in any process.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, Sequence, Space, Text, Tuple

from tests.toy_envs import wait_for_itself


class Spaces(gym.Env):
    """An environment of the given spaces; `info` has the action it received and the observation it gave."""

    def __init__(self, obs: Space, action: Space | None = None) -> None:
        self.observation_space = obs
        self.action_space = action or Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.observation_space.seed(seed)
        obs = self.observation_space.sample()
        return obs, {"obs": obs}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        obs = self.observation_space.sample()
        return obs, 1.0, False, False, {"action": action, "obs": obs}


VECTOR = Box(-1, 1, (3,), np.float32)
PICTURE = Box(0, 255, (8, 6, 3), np.uint8)
SUPPORTED: dict[str, tuple[Space, Space]] = {
    "Number": (Box(0, 9, (), np.float64), Discrete(2)),
    "Integers": (Box(0, 255, (5,), np.uint8), Discrete(2)),
    "Switches": (Box(0, 1, (3,), np.bool_), Discrete(2)),
    "Keys": (Dict(speed=Box(-1, 1, (2,), np.float64), angle=Box(0, 9, (), np.int32)), Discrete(3)),
    "Nested": (Dict(arm=Dict(angle=VECTOR, grip=Discrete(2)), camera=PICTURE), Discrete(2)),
    "Parts": (Tuple((Discrete(3), Dict(speed=VECTOR))), Discrete(2)),
    "StartsAtFive": (VECTOR, Discrete(3, start=5)),
    "Table": (Box(0, 1, (4, 5), np.float32), Discrete(2)),
    "Pixels": (PICTURE, Discrete(2)),
    "Grey": (Box(0, 255, (100, 80), np.uint8), Discrete(2)),
    "ChannelsFirst": (Box(0, 255, (3, 20, 30), np.uint8), Discrete(2)),
    "State": (Discrete(7, start=-3), Discrete(2)),
    "States": (MultiDiscrete([[2, 3], [4, 5]], start=[[0, 1], [2, -3]]), Discrete(2)),
    "Bits": (MultiBinary([2, 2]), Discrete(2)),
    "Torque": (VECTOR, Box(-2, 2, (1,), np.float32)),
    "Torques": (VECTOR, Box(np.float32([[0, -1], [-5, 2]]), np.float32([[1, 3], [5, 2]]), (2, 2), np.float32)),
    "Unbounded": (VECTOR, Box(-np.inf, np.inf, (2,), np.float64)),
    "HalfBounded": (VECTOR, Box(np.array([0, -np.inf, -1]), np.array([np.inf, 0.5, 3]), (3,), np.float64)),
    "Joint": (VECTOR, MultiDiscrete([2, 3], start=[1, -1])),
    "Buttons": (VECTOR, MultiBinary(4)),
}
UNSUPPORTED: dict[str, tuple[Space, Space]] = {
    "FloatPixels": (Box(0, 1, (8, 8, 3), np.float32), Discrete(2)),
    "BigTable": (Box(0, 1, (40, 40), np.float32), Discrete(2)),
    "Film": (Box(0, 255, (4, 8, 8, 3), np.uint8), Discrete(2)),
    "Dark": (Box(0, 1, (8, 8, 3), np.uint8), Discrete(2)),
    "Empty": (Box(0, 1, (0,), np.float32), Discrete(2)),
    "EmptyDict": (Dict({}), Discrete(2)),
    "EmptyWithin": (Dict(arm=Dict({}), speed=VECTOR), Discrete(2)),
    "TwoOfOneName": (Dict({"arm/angle": VECTOR, "arm": Dict(angle=VECTOR)}), Discrete(2)),
    "FloatPixelsInDict": (Dict(camera=Box(0, 1, (8, 8, 3), np.float32), speed=VECTOR), Discrete(2)),
    "Words": (Text(8), Discrete(2)),
    "Many": (Sequence(VECTOR), Discrete(2)),
    "Net": (Graph(VECTOR, None), Discrete(2)),
    "WholeNumbers": (VECTOR, Box(0, 9, (2,), np.int64)),
    "NoActions": (VECTOR, Box(-1, 1, (0,), np.float32)),
    "OutOfReach": (VECTOR, Box(5, np.inf, (2,), np.float32)),
    "DictActions": (VECTOR, Dict(left=Discrete(2))),
    "TooManyActions": (VECTOR, MultiDiscrete([4000, 97])),
    "TooManyStates": (Dict(cell=Discrete(65_537), speed=VECTOR), Discrete(2)),
}


class Liar(gym.Env):
    """Behaves for two steps of every episode; its third step gives what `spoil` makes of the honest answer."""

    action_space = Discrete(2)

    def __init__(
        self, spoil: Callable[[list[Any]], None] | None = None, first: Any = None, space: Space | None = None
    ) -> None:
        self.observation_space = space or Box(-np.inf, np.inf, (3,), np.float32)
        self._spoil, self._first = spoil, first

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self._left = 3
        return self._honest() if self._first is None else self._first, {}

    def step(self, action: int) -> Any:
        self._left -= 1
        answer = [self._honest(), 1.0, False, False, {}]
        if self._left == 0 and self._spoil:
            self._spoil(answer)
        return tuple(answer)

    def _honest(self) -> Any:
        space = self.observation_space
        return np.zeros(space.shape, space.dtype) if space.shape else space.dtype.type(space.start)


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
MORE_LIES: dict[str, tuple[Space, Any, str]] = {
    "SmallPicture": (PICTURE, np.zeros((8, 5, 3), np.uint8), "has shape (8, 5, 3), its space promises (8, 6, 3)"),
    "FloatPicture": (PICTURE, np.zeros((8, 6, 3)), "the observation has dtype float64, not uint8"),
    "TooHigh": (Discrete(4), 4, "the observation is outside 0 .. 3: 4"),
    "TooLow": (Discrete(4, start=2), np.int64(1), "the observation is outside 2 .. 5: 1"),
    "Half": (Discrete(4), 1.5, "the observation is not whole numbers (float64): 1.5"),
    "Huge": (Discrete(4), 10**30, "the observation is not whole numbers (object)"),
    "OneTooHigh": (MultiDiscrete([3, 2]), np.array([0, 2]), "is outside 0 .. 1 in component 1: [0 2]"),
    "OneTooLow": (MultiDiscrete([3, 2]), np.array([-1, 1]), "is outside 0 .. 2 in component 0: [-1 1]"),
    "NotBinary": (MultiBinary(2), np.array([0, 2]), "is outside 0 .. 1 in component 1: [0 2]"),
    "MoreChoices": (MultiDiscrete([3, 2]), np.array([0, 1, 0]), "has shape (3,), its space promises (2,)"),
}
LIES |= {name: (_put(0, value), said) for name, (_, value, said) in MORE_LIES.items()}

for _name, (_obs, _action) in {**SUPPORTED, **UNSUPPORTED}.items():
    gym.register(f"odd/{_name}-v0", entry_point=Spaces, kwargs={"obs": _obs, "action": _action}, max_episode_steps=100)
for _name, (_how, _) in LIES.items():
    _lie = {"spoil": _how, "space": MORE_LIES[_name][0] if _name in MORE_LIES else None}
    gym.register(f"odd/{_name}-v0", entry_point=Liar, kwargs=_lie, max_episode_steps=100)
gym.register("odd/NanReset-v0", entry_point=Liar, kwargs={"first": np.full(3, np.inf)}, max_episode_steps=100)
gym.register("odd/Honest-v0", entry_point=Liar, max_episode_steps=100)
gym.register("odd/Endless-v0", entry_point=Liar)


def _unbuildable() -> gym.Env:
    raise RuntimeError("the licence\nhas run out")


gym.register("odd/Unbuildable-v0", entry_point=_unbuildable)


class Painter(gym.Env):
    """Renders what it is told to: frame 0 at the first picture, and the next one at every further; counts them."""

    observation_space: Space = Text(8)
    action_space = Discrete(2)
    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, frames: list[Any], render_mode: str | None = None, space: Space | None = None) -> None:
        self._frames, self.render_mode, self.rendered = frames, render_mode, 0
        self.observation_space = space or self.observation_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return self.observation_space.sample(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 0.0, False, False, {}

    def render(self) -> Any:
        frame = self._frames[min(self.rendered, len(self._frames) - 1)]
        self.rendered += 1
        if isinstance(frame, Exception):
            raise frame
        return frame


class TextPainter(Painter):
    """Knows only how to print."""

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012


class Slow(Liar):
    """Takes its time at the third step of an episode, in one of several ways."""

    def __init__(self, how: str, seconds: float = 3600) -> None:
        super().__init__()
        self._how, self._seconds = how, seconds

    def step(self, action: int) -> Any:
        answer = super().step(action)
        if self._left == 0:
            if self._how == "sleep":
                time.sleep(self._seconds)
            elif self._how == "loop":
                while True:
                    pass
            elif self._how == "swallow":
                while True:
                    with contextlib.suppress(BaseException):
                        time.sleep(self._seconds)
            elif self._how == "foreign":
                wait_for_itself()
            else:
                sum(range(10**13))  # C code that lets no other thread run
        return answer


def noise(*shape: int) -> np.ndarray:
    """Return a picture that looks the same nowhere."""
    return np.random.default_rng(8).integers(0, 256, shape, np.uint8)


PAINTERS: dict[str, tuple[list[Any], type[Painter], Space | None]] = {
    "Painter": ([noise(40, 60, 3)], Painter, None),
    "PainterOfState": ([noise(40, 60, 3)], Painter, VECTOR),
    "PainterOfImages": ([noise(40, 60, 3)], Painter, Dict(image=PICTURE)),
    "Printer": (["..."], TextPainter, VECTOR),
    "NothingToSee": ([None], Painter, VECTOR),
    "FloatFrames": ([np.zeros((4, 4, 3))], Painter, VECTOR),
    "NoPygame": ([gym.error.DependencyNotInstalled("pygame is not installed")], Painter, VECTOR),
    "Breaks": ([RuntimeError("no\ndisplay")], Painter, VECTOR),
    "BreaksLater": ([noise(4, 4, 3), noise(4, 4, 3), RuntimeError("no\ndisplay")], Painter, VECTOR),
    "Shrinks": ([noise(4, 4, 3), noise(4, 4, 3), noise(4, 3, 3)], Painter, VECTOR),
}
for _name, (_frames, _kind, _space) in PAINTERS.items():
    _what = {"frames": _frames, "space": _space}
    gym.register(f"odd/{_name}-v0", entry_point=_kind, kwargs=_what, max_episode_steps=100)
for _name, _settings in {
    "Sleeps": {"how": "sleep"},
    "Loops": {"how": "loop"},
    "Swallows": {"how": "swallow"},
    "Foreign": {"how": "foreign"},
    "HoldsOn": {"how": "hold on"},
    "TakesASecond": {"how": "sleep", "seconds": 1.0},
}.items():
    gym.register(f"odd/{_name}-v0", entry_point=Slow, kwargs=_settings, max_episode_steps=100)
