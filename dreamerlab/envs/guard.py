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
from dreamerlab.envs.observing import ImageReader, Misfit, Observer, show
from dreamerlab.envs.watchdog import Hung, watchdog
from dreamerlab.errors import UsageError
from dreamerlab.spaces import ActionSpec, ObsSpec

PICTURE_KEY = "image"
"""Key of the rendered picture."""
_LARGEST = float(np.finfo(np.float32).max)


class Guard(gym.Wrapper[Any, Any, Any, Any]):
    """The environment with observations `{key: array}` and array actions, as `describe` says.

    Observations are fresh arrays, so an environment may reuse its buffers. `state` says whether the environment's own
    observation is seen, `picture` the shape of what it renders where that is to be seen (key `image`); without, it is
    never asked to render. A call that takes longer than `limit_s` seconds is a fault (`watchdog.py`).
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        env_id: str,
        *,
        image_size: int = 64,
        state: bool = True,
        picture: tuple[int, ...] | None = None,
        limit_s: float | None = None,
    ) -> None:
        super().__init__(env)
        self._env_id = env_id
        self._observer = Observer(env_id, env.observation_space, image_size) if state else None
        self._picture = (
            ImageReader("the rendered picture", picture, image_size, "the first one had") if picture else None
        )
        specs = self._observer.specs if self._observer else {}
        if self._picture:
            if PICTURE_KEY in specs:
                raise UsageError(
                    f"environment '{env_id}' observes '{PICTURE_KEY}' already, the key of its rendered picture",
                    hint="env.observe=state shows that one, env.observe=pixels the rendered one",
                )
            specs |= {PICTURE_KEY: self._picture.spec}
        self._actor = actor_for(env_id, env.action_space)
        self.observation_space = Dict({key: _observation_space(spec) for key, spec in specs.items()})
        self.action_space = _action_space(self._actor.spec)
        self._seed: int | None = None
        self._step = 0
        self._call: tuple[str, Any] = ("reset", "")
        self.limit_s = limit_s
        if limit_s is not None:
            watchdog.watch(self)

    @property
    def given(self) -> Any:
        """The last action as the environment got it; None after a reset."""
        name, argument = self._call
        return argument if name == "step" else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the first observation of an episode."""
        self._call = ("reset", f"seed={seed}")
        self._seed, self._step = seed, 0
        watchdog.call = (self,)
        try:
            obs, info = self.env.reset(seed=seed, options=options)
            return self._read(obs), info
        except Misfit as misfit:
            raise self._fault(str(misfit)) from misfit.__cause__
        except (Exception, SystemExit) as error:
            raise self._raised(error) from error
        except Hung as hung:
            raise self.hanging() from hung
        finally:
            watchdog.call = None

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Take `action` (components,); return (observation, reward, terminated, truncated, info)."""
        given = self._actor.act(action)
        self._call = ("step", given)
        self._step += 1
        watchdog.call = (self,)
        try:
            obs, reward, terminated, truncated, info = self.env.step(given)
            read = self._read(obs)
            if not (type(reward) is float and -_LARGEST <= reward <= _LARGEST):
                reward = number_of_reward(reward)
            if type(terminated) is not bool or type(truncated) is not bool:
                terminated, truncated = flag_of("terminated", terminated), flag_of("truncated", truncated)
            return read, reward, terminated, truncated, info
        except Misfit as misfit:
            raise self._fault(str(misfit)) from misfit.__cause__
        except (Exception, SystemExit) as error:
            raise self._raised(error) from error
        except Hung as hung:
            raise self.hanging() from hung
        finally:
            watchdog.call = None

    def close(self) -> None:
        """Release the environment; only hanging is a fault of its own here."""
        self._call = ("close", "")
        watchdog.call = (self,)
        try:
            self.env.close()
        except Hung as hung:
            raise self.hanging() from hung
        finally:
            watchdog.call = None

    def hanging(self) -> EnvironmentFault:
        """Return the fault of the call under way taking too long."""
        hint = "mend the environment, or allow it more with execution.step_timeout_s"
        return self._fault(f"it did not come back within {self.limit_s:g} s", hint)

    def _read(self, obs: Any) -> dict[str, np.ndarray]:
        seen = self._observer.read(obs) if self._observer else {}
        if self._picture:
            try:
                frame = self.env.render()
            except (Exception, SystemExit) as error:
                raise Misfit(f"render() raised {type(error).__name__}: {show(error)}") from error
            seen[PICTURE_KEY] = self._picture.read(frame)
        return seen

    def _raised(self, error: BaseException) -> EnvironmentFault:
        return self._fault(f"{type(error).__name__}: {show(error)}")

    def _fault(self, problem: str, hint: str | None = None) -> EnvironmentFault:
        name, argument = self._call
        place = f"step {self._step} of the episode with reset seed {self._seed}"
        hint = hint or "mend the environment; the reset seed and the trial's seed lead to the same place again"
        return EnvironmentFault(self._env_id, f"{name}({show(argument)})", place, problem, hint=hint)


def number_of_reward(reward: Any) -> float:
    """Return a reward as a number; raise Misfit where it is none, or not finite in float32."""
    array = np.asarray(reward) if isinstance(reward, int | float | np.generic | np.ndarray) else None
    if array is None or array.shape != () or array.dtype.kind not in "biuf":
        raise Misfit(f"the reward is {type(reward).__name__} {show(reward)}, not a number")
    if not abs(float(array)) <= _LARGEST:  # true for nan as well
        raise Misfit(f"the reward is not finite in float32: {show(reward)}")
    return float(array)


def flag_of(name: str, flag: Any) -> bool:
    """Return a flag as true or false; raise Misfit where it is neither."""
    if not isinstance(flag, bool | np.bool_):
        raise Misfit(f"{name} is {show(flag)}, not true or false")
    return bool(flag)


def _observation_space(spec: ObsSpec) -> gym.Space[Any]:
    if spec.kind == "discrete":
        return MultiDiscrete(list(spec.classes))
    return Box(0, 255, spec.shape, np.uint8) if spec.kind == "image" else Box(-np.inf, np.inf, spec.shape, np.float32)


def _action_space(spec: ActionSpec) -> gym.Space[Any]:
    return MultiDiscrete(list(spec.classes)) if spec.is_discrete else Box(-1, 1, (spec.size,), np.float32)
