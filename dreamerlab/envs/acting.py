"""Actions: an agent's array as what a gymnasium action space takes.

Discrete, MultiDiscrete and MultiBinary are choices counted from 0. A Box, of any shape, is numbers in [-1, 1] per
dimension: clipped, then stretched to the environment's own bounds where both are finite (FACTS A2, A8). A dimension
without two finite bounds gets the number as it is, within whatever single bound there is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space

from dreamerlab.envs.faults import ActionNotFinite
from dreamerlab.envs.observing import choices_of, short, show
from dreamerlab.errors import UsageError
from dreamerlab.spaces import ActionSpec

CHOICE_LIMIT = 4096
"""Most choices of an action, over all its components: each is an input and an output of the networks."""
_HINT = (
    "supported actions: Discrete, MultiDiscrete, MultiBinary, and a Box of real numbers; "
    "wrap the environment to offer one"
)


class Actor(ABC):
    """Turns an action array (components,) into what the environment takes."""

    spec: ActionSpec

    @abstractmethod
    def act(self, action: np.ndarray) -> Any:
        """Return an element of the environment's action space."""


class Chooser(Actor):
    """Choices, in the type and from the first number of the space."""

    def __init__(self, space: Discrete | MultiDiscrete | MultiBinary) -> None:
        self._shape, classes, start = choices_of(space)
        self._start, self._first = np.array(start, np.int64), start[0]
        self._classes = np.array(classes, np.int64)
        assert space.dtype is not None, space
        self._type = space.dtype
        self.spec = ActionSpec.discrete(*classes)

    def act(self, action: np.ndarray) -> Any:
        """Return the choices `action`, each from 0."""
        assert action.shape == self._start.shape, (action, self.spec)
        if not self._shape:  # the common case, several times faster in plain numbers
            choice = int(action[0])
            assert 0 <= choice < self.spec.classes[0], (action, self.spec)
            return self._type.type(self._first + choice)
        assert ((action >= 0) & (action < self._classes)).all(), (action, self.spec)
        chosen = (action + self._start).astype(self._type)
        return chosen.reshape(self._shape)


class Mover(Actor):
    """Numbers: clipped to [-1, 1], then -1 and 1 reach the bounds of the space."""

    def __init__(self, env_id: str, space: Box) -> None:
        low, high = space.low.reshape(-1).astype(np.float64), space.high.reshape(-1).astype(np.float64)
        bounded = np.isfinite(low) & np.isfinite(high)
        low, high = np.where(bounded, low, np.maximum(low, -1.0)), np.where(bounded, high, np.minimum(high, 1.0))
        closed = np.flatnonzero(~bounded & (low >= high))
        if len(closed):
            raise UsageError(
                f"environment '{env_id}' has unsupported actions: dimension {closed[0]} of {short(space)} has one "
                "bound only, and nothing of [-1, 1] lies within it",
                hint="give the dimension two finite bounds; wrap the environment to do so",
            )
        self._middle, self._half = np.where(bounded, (high + low) / 2, 0.0), np.where(bounded, (high - low) / 2, 1.0)
        self._shape, self._type = space.shape, space.dtype
        # Rounding may leave the space by the last bit.
        self._low, self._high = low.astype(space.dtype), high.astype(space.dtype)
        self.spec = ActionSpec.continuous(len(low))

    def act(self, action: np.ndarray) -> Any:
        """Return the point that `action` stands for; raise ActionNotFinite."""
        assert action.shape == self._low.shape, (action, self.spec)
        if np.count_nonzero(np.isfinite(action)) < action.size:
            raise ActionNotFinite(f"the agent's action is not finite: {show(action)}")
        point = np.minimum(np.maximum(action, -1.0), 1.0) * self._half + self._middle
        return np.minimum(np.maximum(point.astype(self._type), self._low), self._high).reshape(self._shape)


def actor_for(env_id: str, space: Space[Any]) -> Actor:
    """Return what acts in `space`; raise UsageError naming one that is not supported."""
    if isinstance(space, Discrete | MultiDiscrete | MultiBinary):
        if (choices := sum(choices_of(space)[1])) <= CHOICE_LIMIT:
            return Chooser(space)
        problem = f"{short(space)} has {choices:,} choices, more than the {CHOICE_LIMIT:,} that can be learnt"
    elif not isinstance(space, Box):
        problem = short(space)
    elif space.dtype.kind != "f":
        problem = f"{short(space)} is whole numbers"
    elif 0 in space.shape:
        problem = f"{short(space)} is empty"
    else:
        return Mover(env_id, space)
    raise UsageError(f"environment '{env_id}' has unsupported actions: {problem}", hint=_HINT)
