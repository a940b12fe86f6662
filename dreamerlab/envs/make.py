"""Environments from their gymnasium ids: built, given their time limit, guarded and converted to arrays.

`make_env` is the only way the trainer gets an environment, `describe` tells what an agent needs to know of it.
A time limit is a truncation: the final row of the episode is `is_last` without `is_terminal` (FACTS A1, F18).
Ids are exact and versioned, so that a recorded config means the same task later; `module:Id-v0` imports a module
first, which is how third-party environments register themselves. The game of hockey is our own (`hockey/`); it alone
has settings of its own and opponents that come from elsewhere.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec as Registered
from gymnasium.error import DependencyNotInstalled
from gymnasium.spaces import Box, Dict, MultiDiscrete, Space

from dreamerlab.config.schema_hockey import HOCKEY_ID, TWO_PLAYERS_ID, Hockey
from dreamerlab.config.schema_task import Env
from dreamerlab.envs.action_repeat import ActionRepeat
from dreamerlab.envs.guard import Guard
from dreamerlab.envs.hockey.registration import register
from dreamerlab.errors import LabError, UsageError, did_you_mean
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec

if TYPE_CHECKING:
    from dreamerlab.envs.hockey.opponents import OpponentSource

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def make_env(
    env: Env,
    *,
    hockey: Hockey | None = None,
    opponents: OpponentSource | None = None,
    step_timeout_s: float | None = None,
    render: bool = False,
) -> gym.Env[dict[str, np.ndarray], np.ndarray]:
    """Return the environment with observations `{key: array}` and actions (components,), as `describe` tells.

    `env.time_limit` replaces the limit the environment was registered with; null keeps that one. It counts steps of the
    environment, of which `env.action_repeat` are one step here (`action_repeat.py`). `env.observe` adds or
    substitutes what the environment renders (M-CP-02, M-CP-04); with `state` nothing is ever rendered, but `render`
    makes it ready for whoever wants to look (`env.render()`). A step or reset that takes longer than `step_timeout_s`
    is a fault (`watchdog.py`); None waits for ever. `hockey` are the settings of that game and `opponents` where its
    players come from, by default the built-in ones. Raises UsageError for an unknown id, a missing package, a space
    that is not supported, an environment that cannot render where it has to, or no limit at all; what goes wrong later
    is an EnvironmentFault.
    """
    raw = _build(env, hockey, render=render or env.observe != "state")
    if opponents is not None and env.id == HOCKEY_ID:
        unwrapped: Any = raw.unwrapped
        unwrapped.opponents = opponents
    try:
        if time_limit(raw) is None:
            raise UsageError(
                f"environment '{env.id}' has no time limit: an episode, and with it an evaluation, might never end",
                hint="give it one: env.time_limit=1000",
            )
        return Guard(
            raw if env.action_repeat == 1 else ActionRepeat(raw, env.action_repeat),
            env.id,
            image_size=env.image_size,
            state=env.observe != "pixels",
            picture=None if env.observe == "state" else _picture_shape(raw, env.id),
            limit_s=step_timeout_s,
        )
    except UsageError:
        raw.close()
        raise


def describe(env: gym.Env[Any, Any]) -> EnvSpec:
    """Return what an agent must know of an environment from `make_env`."""
    assert isinstance(env.observation_space, Dict), env.observation_space
    return EnvSpec(
        {key: _observation(space) for key, space in env.observation_space.spaces.items()},
        _action(env.action_space),
    )


def _observation(space: Space[Any]) -> ObsSpec:
    if isinstance(space, MultiDiscrete):
        return ObsSpec.discrete(*space.nvec.tolist())
    assert isinstance(space, Box), space
    return ObsSpec.image(*space.shape) if space.dtype == np.uint8 else ObsSpec.vector(*space.shape)


def _action(space: Space[Any]) -> ActionSpec:
    if isinstance(space, MultiDiscrete):
        return ActionSpec.discrete(*space.nvec.tolist())
    assert isinstance(space, Box), space
    return ActionSpec.continuous(*space.shape)


def time_limit(env: gym.Env[Any, Any]) -> int | None:
    """Return the longest episode in env steps, or None when gymnasium knows of no limit."""
    return None if env.spec is None else env.spec.max_episode_steps


def _build(env: Env, hockey: Hockey | None, *, render: bool) -> gym.Env[Any, Any]:
    env_id, limit = env.id, env.time_limit
    spec = _find(env_id)
    settings: dict[str, Any] = {"render_mode": "rgb_array"} if render else {}
    if env_id in (HOCKEY_ID, TWO_PLAYERS_ID):
        settings["backend"] = env.backend
    if env_id == HOCKEY_ID:
        settings |= {"settings": hockey, "longest": limit}
    if render:
        _draw_in_memory()
    try:
        with _quiet(Warning if render else DeprecationWarning):
            # gymnasium's own checker warns at the first steps; Guard refuses, at every step.
            raw = gym.make(spec, max_episode_steps=limit, disable_env_checker=True, **settings)
    except LabError:
        raise
    except (ImportError, DependencyNotInstalled) as error:
        raise UsageError(
            f"environment '{env_id}' needs a package that is missing: {_one_line(error)}", hint=_install(error)
        ) from error
    except (Exception, SystemExit) as error:
        if render and isinstance(error, TypeError) and "render_mode" in str(error):
            raise _cannot_render(env_id, "it takes no render_mode") from error
        raise UsageError(
            f"environment '{env_id}' cannot be built: {type(error).__name__}: {_one_line(error)}",
            hint=f"gymnasium.make('{env_id}') fails in the same way without dreamerlab",
        ) from error
    modes = raw.metadata.get("render_modes") or []
    if render and "rgb_array" not in modes:
        raw.close()
        raise _cannot_render(env_id, f"its render modes are {modes}, without rgb_array")
    return raw


def _draw_in_memory() -> None:
    """Keep pygame from opening a window or a sound device, and from greeting."""
    for name, value in (
        ("PYGAME_HIDE_SUPPORT_PROMPT", "1"),
        ("SDL_VIDEODRIVER", "dummy"),
        ("SDL_AUDIODRIVER", "dummy"),
    ):
        os.environ.setdefault(name, value)


def _picture_shape(raw: gym.Env[Any, Any], env_id: str) -> tuple[int, ...]:
    """Return the shape of what the environment renders, by letting it; raise UsageError when it cannot."""
    try:
        # An opponent that has to come from elsewhere may not be at hand yet, and is not needed for a look.
        raw.reset(seed=0, options={"opponent": "weak"} if env_id == HOCKEY_ID else None)
        frame: Any = raw.render()
    except (ImportError, DependencyNotInstalled) as error:
        raise UsageError(
            f"environment '{env_id}' cannot be observed in pixels, a package is missing: {_one_line(error)}",
            hint=_install(error),
        ) from error
    except (Exception, SystemExit) as error:
        raise _cannot_render(env_id, f"{type(error).__name__}: {_one_line(error)}") from error
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim not in (2, 3) or 0 in frame.shape:
        got = f"{frame.dtype} of shape {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise _cannot_render(env_id, f"render() gives {got}, not uint8 of shape (height, width, 3)")
    return frame.shape


def _cannot_render(env_id: str, problem: str) -> UsageError:
    return UsageError(
        f"environment '{env_id}' cannot be observed in pixels: {problem}",
        hint="env.observe=state needs no pictures",
    )


def _find(env_id: str) -> Registered:
    register()
    module, colon, name = env_id.rpartition(":")
    if colon:
        _import(env_id, module)
    spec = gym.registry.get(name)
    if spec is None:
        near = did_you_mean(env_id, [f"{module}{colon}{known}" for known in gym.registry])
        raise UsageError(
            f"no environment is called '{env_id}'{near}",
            hint="ids are exact, version included (CartPole-v1); one from another package is 'module:Id-v0'",
        )
    return spec


def _import(env_id: str, module: str) -> None:
    if not _MODULE.fullmatch(module):
        raise UsageError(f"'{module}' in environment id '{env_id}' is no module name", hint="write 'module:Id-v0'")
    try:
        with _quiet(DeprecationWarning):
            importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"environment '{env_id}': importing module '{module}' failed: {type(error).__name__}: {_one_line(error)}",
            hint=f"install the package that has '{module}', or put its folder on PYTHONPATH",
        ) from error


@contextlib.contextmanager
def _quiet(category: type[Warning]) -> Iterator[None]:
    """Drop warnings of a category: deprecations are for the authors of environments, and Box2D's binding crashes where
    they are errors; of a render mode that is missing we speak ourselves.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _install(error: Exception) -> str:
    """Return the pip command for what `error` misses; gymnasium's messages carry it in backquotes."""
    if re.search("box2d|pygame", str(error), re.IGNORECASE):
        return "pip install 'dreamerlab[env]'"
    extra = re.search(r"gymnasium\[[\w-]+\]", str(error))
    if extra:
        return f'pip install "{extra.group()}"'
    if isinstance(error, ImportError) and error.name:
        return f"pip install {error.name.partition('.')[0]}"
    return "install the package named above"
