"""The wrapper that turns whatever an environment does wrong into one EnvironmentFault with a place and a value.

Sits directly on the environment, under the conversion to vectors, so a message speaks of what the environment's
author wrote. A dead or lying environment always ends a trial: numbers that are not finite would reach every
parameter within one update.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from dreamerlab.envs.faults import EnvironmentFault
from dreamerlab.envs.vectors import PLAIN_KEY, observation_boxes

_LARGEST = float(np.finfo(np.float32).max)


class Guard(gym.Wrapper[Any, Any, Any, Any]):
    """The environment, unchanged, with every return value checked against its own spaces."""

    def __init__(self, env: gym.Env[Any, Any], env_id: str) -> None:
        super().__init__(env)
        self._env_id = env_id
        self._plain = not isinstance(env.observation_space, gym.spaces.Dict)
        self._shapes = {key: box.shape for key, box in observation_boxes(env_id, env.observation_space).items()}
        self._seed: int | None = None
        self._step = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Return the environment's first observation, checked."""
        call, self._seed, self._step = f"reset(seed={seed})", seed, 0
        try:
            obs, info = self.env.reset(seed=seed, options=options)
        except (Exception, SystemExit) as error:
            raise self._raised(call, error) from error
        self._refuse(call, self._observation_problem(obs))
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Return what the environment returns, checked."""
        call = f"step({action})"
        self._step += 1
        try:
            obs, reward, terminated, truncated, info = self.env.step(action)
        except (Exception, SystemExit) as error:
            raise self._raised(call, error) from error
        self._refuse(call, self._observation_problem(obs))
        self._refuse(call, _reward_problem(reward))
        for name, flag in (("terminated", terminated), ("truncated", truncated)):
            if not isinstance(flag, bool | np.bool_):
                self._refuse(call, f"{name} is {_show(flag)}, not true or false")
        return obs, reward, terminated, truncated, info

    def _observation_problem(self, obs: Any) -> str | None:
        if not self._plain and (not isinstance(obs, Mapping) or obs.keys() != self._shapes.keys()):
            got = f"keys {sorted(obs)}" if isinstance(obs, Mapping) else f"{type(obs).__name__} {_show(obs)}"
            return f"the observation has {got}, its space promises keys {sorted(self._shapes)}"
        parts = {PLAIN_KEY: obs} if self._plain else obs
        for key, shape in self._shapes.items():
            name = "the observation" if self._plain else f"observation key '{key}'"
            try:
                array = np.asarray(parts[key])
            except ValueError:  # a ragged list
                return f"{name} is no array: {_show(parts[key])}"
            if array.shape != shape:
                return f"{name} has shape {array.shape}, its space promises {shape}: {_show(parts[key])}"
            if array.dtype.kind not in "biuf":
                return f"{name} is not numeric ({array.dtype}): {_show(parts[key])}"
            with np.errstate(over="ignore"):
                finite = np.isfinite(array.astype(np.float32)).all()
            if not finite:
                return f"{name} is not finite in float32: {_show(parts[key])}"
        return None

    def _raised(self, call: str, error: BaseException) -> EnvironmentFault:
        return self._fault(call, f"{type(error).__name__}: {_show(error)}")

    def _refuse(self, call: str, problem: str | None) -> None:
        if problem is not None:
            raise self._fault(call, problem)

    def _fault(self, call: str, problem: str) -> EnvironmentFault:
        place = f"step {self._step} of the episode with reset seed {self._seed}"
        hint = "mend the environment; the reset seed and the trial's seed lead to the same place again"
        return EnvironmentFault(self._env_id, call, place, problem, hint=hint)


def _reward_problem(reward: Any) -> str | None:
    array = np.asarray(reward) if isinstance(reward, int | float | np.generic | np.ndarray) else None
    if array is None or array.shape != () or array.dtype.kind not in "biuf":
        return f"the reward is {type(reward).__name__} {_show(reward)}, not a number"
    if not abs(float(array)) <= _LARGEST:  # true for nan as well
        return f"the reward is not finite in float32: {_show(reward)}"
    return None


def _show(value: Any) -> str:
    text = " ".join(str(value).split()) or repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
