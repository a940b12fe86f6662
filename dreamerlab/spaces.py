"""What an environment promises and an agent consumes: shapes and kinds, without gymnasium and without torch.

Environments (`dreamerlab.envs`) build these from gymnasium spaces and refuse what cannot be described here;
networks (`dreamerlab.dreamer`) are sized from them, replay (`dreamerlab.experience`) is laid out by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class ObsSpec:
    """One observation key."""

    kind: Literal["vector", "image", "discrete"]
    shape: tuple[int, ...]
    """vector: (size,) float32. image: (height, width, channels) uint8. discrete: (components,) int64."""
    classes: tuple[int, ...] = ()
    """Of a discrete observation: how many values each component can take."""

    @classmethod
    def vector(cls, size: int) -> ObsSpec:
        """Return the spec of `size` numbers."""
        return cls("vector", (size,))

    @classmethod
    def image(cls, height: int, width: int, channels: int) -> ObsSpec:
        """Return the spec of a picture of bytes."""
        return cls("image", (height, width, channels))

    @classmethod
    def discrete(cls, *classes: int) -> ObsSpec:
        """Return the spec of one choice, or several, each out of so many."""
        return cls("discrete", (len(classes),), classes)

    @property
    def dtype(self) -> type[np.generic]:
        """How the values are stored and handed over."""
        return {"vector": np.float32, "image": np.uint8, "discrete": np.int64}[self.kind]


@dataclass(frozen=True)
class ActionSpec:
    """The action: choices (`classes`, one entry per component), or `size` numbers within [-1, 1]."""

    classes: tuple[int, ...] = ()
    size: int = 0

    def __post_init__(self) -> None:
        assert bool(self.classes) != bool(self.size), self

    @classmethod
    def discrete(cls, *classes: int) -> ActionSpec:
        """Return the spec of one choice, or several at once, each out of so many."""
        return cls(classes=classes)

    @classmethod
    def continuous(cls, size: int) -> ActionSpec:
        """Return the spec of `size` numbers; the environment's own range is reached by -1 and 1."""
        return cls(size=size)

    @property
    def is_discrete(self) -> bool:
        """Tell choices from numbers."""
        return bool(self.classes)

    @property
    def components(self) -> int:
        """Length of an action array: (components,) int64 for choices, (components,) float32 for numbers."""
        return len(self.classes) or self.size

    @property
    def encoded_size(self) -> int:
        """Length of an action as the networks read it: one-hots side by side, or the numbers themselves."""
        return sum(self.classes) or self.size

    @property
    def dtype(self) -> type[np.generic]:
        """How actions are handed over: int64 or float32."""
        return np.int64 if self.is_discrete else np.float32

    @property
    def none(self) -> int:
        """What stands for "no action" in an action array: -1 for choices, 0 for numbers."""
        return -1 if self.is_discrete else 0


@dataclass(frozen=True)
class EnvSpec:
    """Everything an agent needs to know of an environment before it is built.

    `observations` maps a key to its spec; consumers iterate over it in sorted order, so two environments with the
    same keys give the same network. A plain (non-dict) observation space has the single key `vector`, `image` or
    `discrete`, after its kind.
    """

    observations: Mapping[str, ObsSpec]
    action: ActionSpec

    def of_kind(self, kind: str) -> dict[str, ObsSpec]:
        """Return the observation keys of one kind, sorted."""
        return {key: self.observations[key] for key in sorted(self.observations) if self.observations[key].kind == kind}
