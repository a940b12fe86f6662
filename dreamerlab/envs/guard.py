"""The wrapper between an environment and an agent: converts both ways and checks every value that comes back.

Whatever an environment does wrong becomes one EnvironmentFault with a place and a value, in terms of what its author
wrote. A dead or lying environment always ends a trial: numbers that are not finite would reach every parameter within
one update. How values are read is `observing.py`, how actions are given `acting.py`.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, MultiDiscrete

from dreamerlab.envs.acting import actor_for
from dreamerlab.envs.faults import EnvironmentFault
from dreamerlab.envs.observing import Misfit, Observer, show
from dreamerlab.spaces import ActionSpec, ObsSpec

_LARGEST = float(np.finfo(np.float32).max)


class Guard(gym.Wrapper[Any, Any, Any, Any]):
    """The environment with observations `{key: array}` and array actions, as `describe` says.

    Observations are fresh arrays, so an environment may reuse its buffers.
    """

    def __init__(self, env: gym.Env[Any, Any], env_id: str, *, image_size: int = 64) -> None:
        super().__init__(env)
        self._env_id = env_id
        self._observer = Observer(env_id, env.observation_space, image_size)
        self._actor = actor_for(env_id, env.action_space)
        self.observation_space = Dict({key: _observation_space(spec) for key, spec in self._observer.specs.items()})
        self.action_space = _action_space(self._actor.spec)
        self._seed: int | None = None
        self._step = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the first observation of an episode."""
        call = ("reset", f"seed={seed}")
        self._seed, self._step = seed, 0
        try:
            obs, info = self.env.reset(seed=seed, options=options)
            return self._observer.read(obs), info
        except Misfit as misfit:
            raise self._fault(call, str(misfit)) from None
        except (Exception, SystemExit) as error:
            raise self._raised(call, error) from error

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Take `action` (components,); return (observation, reward, terminated, truncated, info)."""
        given = self._actor.act(action)
        call = ("step", given)
        self._step += 1
        try:
            obs, reward, terminated, truncated, info = self.env.step(given)
            read = self._observer.read(obs)
            if not (type(reward) is float and -_LARGEST <= reward <= _LARGEST):
                reward = _reward(reward)
            if type(terminated) is not bool or type(truncated) is not bool:
                terminated, truncated = _flag("terminated", terminated), _flag("truncated", truncated)
            return read, reward, terminated, truncated, info
        except Misfit as misfit:
            raise self._fault(call, str(misfit)) from None
        except (Exception, SystemExit) as error:
            raise self._raised(call, error) from error

    def _raised(self, call: tuple[str, Any], error: BaseException) -> EnvironmentFault:
        return self._fault(call, f"{type(error).__name__}: {show(error)}")

    def _fault(self, call: tuple[str, Any], problem: str) -> EnvironmentFault:
        name, argument = call
        place = f"step {self._step} of the episode with reset seed {self._seed}"
        hint = "mend the environment; the reset seed and the trial's seed lead to the same place again"
        return EnvironmentFault(self._env_id, f"{name}({show(argument)})", place, problem, hint=hint)


def _reward(reward: Any) -> float:
    array = np.asarray(reward) if isinstance(reward, int | float | np.generic | np.ndarray) else None
    if array is None or array.shape != () or array.dtype.kind not in "biuf":
        raise Misfit(f"the reward is {type(reward).__name__} {show(reward)}, not a number")
    if not abs(float(array)) <= _LARGEST:  # true for nan as well
        raise Misfit(f"the reward is not finite in float32: {show(reward)}")
    return float(array)


def _flag(name: str, flag: Any) -> bool:
    if not isinstance(flag, bool | np.bool_):
        raise Misfit(f"{name} is {show(flag)}, not true or false")
    return bool(flag)


def _observation_space(spec: ObsSpec) -> gym.Space[Any]:
    if spec.kind == "discrete":
        return MultiDiscrete(list(spec.classes))
    return Box(0, 255, spec.shape, np.uint8) if spec.kind == "image" else Box(-np.inf, np.inf, spec.shape, np.float32)


def _action_space(spec: ActionSpec) -> gym.Space[Any]:
    return MultiDiscrete(list(spec.classes)) if spec.is_discrete else Box(-1, 1, (spec.size,), np.float32)
