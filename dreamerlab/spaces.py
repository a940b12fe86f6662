"""What an environment promises and an agent consumes: shapes and kinds, without gymnasium and without torch.

Environments (`dreamerlab.envs`) build these from gymnasium spaces and refuse what cannot be described here;
networks (`dreamerlab.dreamer`) are sized from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ObsSpec:
    """One observation key: a float32 vector of `size` numbers."""

    size: int


@dataclass(frozen=True)
class ActionSpec:
    """The action: one of `num_actions` choices."""

    num_actions: int


@dataclass(frozen=True)
class EnvSpec:
    """Everything an agent needs to know of an environment before it is built.

    `observations` maps a key to its spec; consumers iterate over it in sorted order, so two environments with the
    same keys give the same network. A plain (non-dict) observation space has the single key `vector`.
    """

    observations: Mapping[str, ObsSpec]
    action: ActionSpec

    @property
    def obs_size(self) -> int:
        """Total number of observed numbers, over all keys."""
        return sum(spec.size for spec in self.observations.values())
