"""Gymnasium spaces as the vectors and choices of `dreamerlab.spaces`, and the wrapper that converts.

Owns what is supported: observations are a Box of 0 or 1 dimensions, or a flat Dict of such boxes; actions are
Discrete. Everything else is refused by name before a trial starts. Faults at run time are `guard.py`.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Space

from dreamerlab.errors import UsageError

PLAIN_KEY = "vector"
"""Key of an observation that is not a dict."""

_OBSERVATIONS_HINT = (
    "supported observations: Box of 0 or 1 dimensions, or a Dict of such boxes; wrap the environment to give one"
)
_ACTIONS_HINT = "supported actions: Discrete; wrap the environment to offer a fixed list of choices"


def observation_boxes(env_id: str, space: Space[Any]) -> dict[str, Box]:
    """Return the boxes an observation consists of, by key; raise UsageError naming the space that does not fit."""
    if not isinstance(space, Dict):
        return {PLAIN_KEY: _vector_box(env_id, "the observation", space)}
    if not space.spaces:
        raise UsageError(f"environment '{env_id}' observes an empty Dict: nothing to learn from")
    return {key: _vector_box(env_id, f"observation key '{key}'", sub) for key, sub in space.spaces.items()}


def action_choices(env_id: str, space: Space[Any]) -> Discrete:
    """Return the Discrete action space; raise UsageError naming any other."""
    if not isinstance(space, Discrete):
        raise UsageError(f"environment '{env_id}' has unsupported actions: {_short(space)}", hint=_ACTIONS_HINT)
    return space


class VectorEnv(gym.Wrapper[Any, Any, Any, Any]):
    """The environment with observations `{key: (size,) float32}` and actions 0 .. num_actions-1.

    Observations are fresh copies, so an environment may reuse its buffers. Actions of a Discrete space that
    starts elsewhere are shifted, and handed over in the space's own type.
    """

    def __init__(self, env: gym.Env[Any, Any], env_id: str) -> None:
        super().__init__(env)
        self._boxes = observation_boxes(env_id, env.observation_space)
        self._choices = action_choices(env_id, env.action_space)
        self._plain = not isinstance(env.observation_space, Dict)
        sizes = {key: int(np.prod(box.shape, dtype=int)) for key, box in self._boxes.items()}
        self.observation_space = Dict({key: Box(-np.inf, np.inf, (size,), np.float32) for key, size in sizes.items()})
        self.action_space = Discrete(int(self._choices.n))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the first observation of an episode."""
        obs, info = self.env.reset(seed=seed, options=options)
        return self._vectors(obs), info

    def step(self, action: int) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Take choice `action`; return (observation, reward, terminated, truncated, info)."""
        assert 0 <= action < self._choices.n, (action, self._choices)
        chosen = self._choices.dtype.type(self._choices.start + action)
        obs, reward, terminated, truncated, info = self.env.step(chosen)
        return self._vectors(obs), float(reward), bool(terminated), bool(truncated), info

    def _vectors(self, obs: Any) -> dict[str, np.ndarray]:
        parts = {PLAIN_KEY: obs} if self._plain else obs
        return {key: np.array(parts[key], np.float32).reshape(-1) for key in self._boxes}


def _vector_box(env_id: str, where: str, space: Space[Any]) -> Box:
    if not isinstance(space, Box):
        problem = f"{where} is {_short(space)}"
    elif len(space.shape) == 3 and space.dtype == np.uint8:
        problem = f"{where} is an image, {_short(space)}: pixels are not supported"
    elif len(space.shape) > 1:
        problem = f"{where} has {len(space.shape)} dimensions, {_short(space)}"
    elif 0 in space.shape:
        problem = f"{where} is empty, {_short(space)}"
    else:
        return space
    raise UsageError(f"environment '{env_id}' cannot be observed: {problem}", hint=_OBSERVATIONS_HINT)


def _short(space: Space[Any]) -> str:
    if isinstance(space, Box):
        return f"Box(shape={space.shape}, dtype={space.dtype})"
    text = str(space)
    return text if len(text) <= 120 else f"{text[:117]}..."
