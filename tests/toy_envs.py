"""Small environments with known answers or known faults, registered when imported.

Named `toy_envs:Name-v0` in a config, with this folder on PYTHONPATH, they work in any process. `ANSWERS` says what
random play gets of those that can be learned, and what is the best possible.
"""

from __future__ import annotations

import ctypes
import random
import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

Stepped = tuple[Any, float, bool, bool, dict[str, Any]]


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
        if self._fault == "hang in reset":
            time.sleep(3600)
        self._left = int(self.np_random.integers(5, 15))
        self._position = self.np_random.normal(size=3).astype(np.float32)
        return self._position.copy(), {}

    def step(self, action: int) -> Stepped:
        self._total += 1
        self._left -= 1
        if self._total >= self._at:
            if self._fault == "raise in step":
                raise RuntimeError("the engine stalled")
            if self._fault == "exit":
                raise SystemExit(3)
            if self._fault == "hang in step":
                time.sleep(3600)
            if self._fault == "hang outside python":
                wait_for_itself()
        self._position += self.np_random.normal(scale=0.1, size=3).astype(np.float32)
        reward = float(action)
        if self._fault == "nan reward" and self._total >= self._at:
            reward = float("nan")
        return self._position.copy(), reward, self._left <= 0, False, {}


def wait_for_itself() -> None:
    """Never return, deaf to signals: a C lock taken twice. Other Python threads run on meanwhile."""
    lock = (ctypes.c_char * 128)()
    c = ctypes.CDLL(None)
    c.pthread_mutex_lock(lock)
    c.pthread_mutex_lock(lock)


class Bandit(gym.Env):
    """One step: the last of three actions pays 1, the others nothing."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: int) -> Stepped:
        return np.zeros(1, np.float32), float(action == 2), True, False, {}


class TwoBandits(Bandit):
    """One step, two choices at once: 1 for the first being 1, and 1 for the second being 2."""

    action_space = spaces.MultiDiscrete([2, 3])

    def step(self, action: np.ndarray) -> Stepped:
        return np.zeros(1, np.float32), float(action[0] == 1) + float(action[1] == 2), True, False, {}


class Aim(Bandit):
    """One step, one number from -2 to 2: pays 1 less the squared distance to 1 (which an agent reaches with 0.5)."""

    action_space = spaces.Box(-2, 2, (1,), np.float32)

    def step(self, action: np.ndarray) -> Stepped:
        return np.zeros(1, np.float32), 1.0 - (float(action[0]) - 1.0) ** 2, True, False, {}


class Echo(gym.Env):
    """Ten steps: name the symbol that is shown, one of four; 1 for each right answer."""

    observation_space = spaces.Discrete(4)
    action_space = spaces.Discrete(4)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self._left = 10
        return self._show(), {}

    def step(self, action: int) -> Stepped:
        reward = float(action == self._shown)
        self._left -= 1
        return self._show(), reward, self._left == 0, False, {}

    def _show(self) -> int:
        self._shown = int(self.np_random.integers(4))
        return self._shown


class Chain(gym.Env):
    """Five states in a row, seen as one-hot: action 1 goes right, 0 left; 1 is paid once, for reaching the end."""

    observation_space = spaces.Box(0, 1, (5,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._state = 0
        return self._observe(), {}

    def step(self, action: int) -> Stepped:
        self._state = self._state + 1 if action else max(self._state - 1, 0)
        over = self._state == 4
        return self._observe(), float(over), over, False, {}

    def _observe(self) -> np.ndarray:
        return np.eye(5, dtype=np.float32)[self._state]


class Memory(gym.Env):
    """A cue, -1 or 1, is seen at time 0 only; at time 10 the action that names it (0 or 1) pays 1."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._cue, self._time = int(self.np_random.integers(2)), 0
        return np.array([2 * self._cue - 1, 0], np.float32), {}

    def step(self, action: int) -> Stepped:
        answered = self._time == 10
        self._time += 1
        reward = float(answered and action == self._cue)
        return np.array([0, min(self._time / 10, 1)], np.float32), reward, answered, False, {}


class Constant(gym.Env):
    """Pays 1 at every step, whatever is done; over after `length` steps, or never."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, length: int | None = 10) -> None:
        self._length = length

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._time = 0
        return self._observe(), {}

    def step(self, action: int) -> Stepped:
        self._time += 1
        return self._observe(), 1.0, self._time == self._length, False, {}

    def _observe(self) -> np.ndarray:
        return np.array([1, self._time / self._length if self._length else 0], np.float32)


class Move(gym.Env):
    """Ten steps: go to a target in the plane, at most 0.25 per axis and step; costs the distance that is left."""

    observation_space = spaces.Box(-2, 2, (4,), np.float32)
    action_space = spaces.Box(-0.25, 0.25, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._at, self._target = self.np_random.uniform(-1, 1, (2, 2))
        self._left = 10
        return self._observe(), {}

    def step(self, action: np.ndarray) -> Stepped:
        self._at = np.clip(self._at + action, -1, 1)
        self._left -= 1
        return self._observe(), -float(np.hypot(*(self._target - self._at))), self._left == 0, False, {}

    def _observe(self) -> np.ndarray:
        return np.concatenate([self._at, self._target - self._at]).astype(np.float32)


class Square(gym.Env):
    """A picture with one bright square, in one of 8 x 8 cells; up, down, left, right; 1 per step in the last column.

    Sixteen steps from a random cell. `cell` reads the state off a picture.
    """

    observation_space = spaces.Box(0, 255, (64, 64, 3), np.uint8)
    action_space = spaces.Discrete(4)
    _MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._row, self._column = (int(number) for number in self.np_random.integers(8, size=2))
        self._left = 16
        return self._draw(), {}

    def step(self, action: int) -> Stepped:
        down, right = self._MOVES[action]
        self._row, self._column = min(max(self._row + down, 0), 7), min(max(self._column + right, 0), 7)
        self._left -= 1
        return self._draw(), float(self._column == 7), self._left == 0, False, {}

    def _draw(self) -> np.ndarray:
        picture = np.zeros((64, 64, 3), np.uint8)
        picture[8 * self._row : 8 * self._row + 8, 8 * self._column : 8 * self._column + 8] = 255
        return picture

    @staticmethod
    def cell(picture: np.ndarray) -> tuple[int, int]:
        """Return (row, column) of the brightest cell of a picture (64, 64, C), true or predicted."""
        cells = picture.reshape(8, 8, 8, 8, -1).astype(float).sum((1, 3, 4))
        row, column = np.unravel_index(cells.argmax(), cells.shape)
        return int(row), int(column)


class GlobalDice(gym.Env):
    """Ten steps: shows a die drawn from Python's generator and one from numpy's, both global; ignores its seed."""

    observation_space = spaces.Box(0, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self._left = 10
        return self._roll(), {}

    def step(self, action: int) -> Stepped:
        self._left -= 1
        return self._roll(), float(action), self._left == 0, False, {}

    def _roll(self) -> np.ndarray:
        return np.array([random.random(), np.random.random()], np.float32)


class Grudge(gym.Env):
    """Three steps that pay less with every reset it has seen: it remembers across episodes, which no seed undoes."""

    observation_space = spaces.Box(0, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)
    _resets = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._resets += 1
        self._left = 3
        return np.zeros(1, np.float32), {}

    def step(self, action: int) -> Stepped:
        self._left -= 1
        return np.zeros(1, np.float32), 1.0 / self._resets, self._left == 0, False, {}


def _register(name: str, toy: type[gym.Env[Any, Any]], limit: int, settings: dict[str, Any]) -> None:
    """Make an id known, once: one process may import this file as `toy_envs` and as `tests.toy_envs`."""
    if name not in gym.registry:
        gym.register(name, entry_point=toy, kwargs=settings, max_episode_steps=limit)


_FAULTS = ("raise in reset", "raise in step", "nan reward", "exit", "hang in reset", "hang in step")
for _fault in (None, *_FAULTS, "hang outside python"):
    _name = "Walk" if _fault is None else "".join(word.title() for word in _fault.split())
    _register(f"{_name}-v0", Walk, 50, {"fault": _fault})

ANSWERS: dict[str, tuple[float, float]] = {
    "Bandit-v0": (1 / 3, 1.0),
    "TwoBandits-v0": (1 / 2 + 1 / 3, 2.0),
    "Aim-v0": (-4 / 3, 1.0),
    "Echo-v0": (10 / 4, 10.0),
    "Chain-v0": (1 / 4, 1.0),
    "Memory-v0": (1 / 2, 1.0),
    "Constant-v0": (10.0, 10.0),
    "Endless-v0": (20.0, 20.0),
    "Move-v0": (-10.64, -1.79),
    "Square-v0": (2.0, 13.375),
}
"""Mean return of uniformly random play, and of the best policy."""

for _name, _toy, _limit, _settings in (
    ("Bandit", Bandit, 1, {}),
    ("TwoBandits", TwoBandits, 1, {}),
    ("Aim", Aim, 1, {}),
    ("Echo", Echo, 10, {}),
    ("Chain", Chain, 8, {}),
    ("Memory", Memory, 11, {}),
    ("Constant", Constant, 10, {}),
    ("Endless", Constant, 20, {"length": None}),
    ("Move", Move, 10, {}),
    ("Square", Square, 16, {}),
    ("GlobalDice", GlobalDice, 10, {}),
    ("Grudge", Grudge, 3, {}),
):
    _register(f"{_name}-v0", _toy, _limit, _settings)
