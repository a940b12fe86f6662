"""What goes into an update and what comes out: windows of replay as tensors, and the results of one update.

Mirrors `dreamerlab.experience.replay.Sample`; the trainer converts. How the rows of a window line up (reward on
arrival, action chosen at the observation) is drawn once in `dreamerlab.experience.episode`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B windows of T consecutive steps, and the state each window continues from (FACTS A1, A10)."""

    obs: dict[str, Shaped[Tensor, "B T *shape"]]
    """float32 vectors, uint8 images, int64 choices."""
    action: Shaped[Tensor, "B T A"]
    """Action chosen at the observation of the same row: int64 choices, or float32 numbers."""
    reward: Float[Tensor, "B T"]
    """Reward received on arriving at the observation of the same row."""
    is_first: Bool[Tensor, "B T"]
    is_last: Bool[Tensor, "B T"]
    is_terminal: Bool[Tensor, "B T"]
    prev_action: Shaped[Tensor, "B A"]
    """Action of the row before the window; -1 (choices) or 0 (numbers) stands for none."""
    context_deter: Float[Tensor, "B D"]
    context_stoch: Int[Tensor, "B S"]
    """Class of each latent on the row before the window; -1 stands for the zero vector."""
    targets: dict[str, Float[Tensor, "B T"]] = field(default_factory=dict)
    """What each auxiliary head predicts, by its name; nan where it is unknown."""

    def in_type(self, dtype: torch.dtype) -> Batch:
        """Return the same batch with all its numbers of this floating-point type; itself if they are already."""
        if self.reward.dtype == self.context_deter.dtype == dtype:
            return self
        return self.map(lambda tensor: in_type(tensor, dtype))

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return a batch of what `change` makes of every tensor."""
        changed: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, dict):
                changed[name] = {key: change(tensor) for key, tensor in value.items()}
            else:
                changed[name] = change(value)
        return Batch(**changed)

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor by its name, `reward` or `obs/KEY`."""
        found: dict[str, Tensor] = {}
        for name, value in vars(self).items():
            inner = {f"{name}/{key}": tensor for key, tensor in value.items()} if isinstance(value, dict) else {}
            found |= inner if isinstance(value, dict) else {name: value}
        return found


def in_type(x: Shaped[Tensor, "*shape"], dtype: torch.dtype) -> Shaped[Tensor, "*shape"]:
    """Return numbers in this floating-point type; bytes, choices and flags as they are."""
    return x.to(dtype) if x.is_floating_point() else x


class Carry(NamedTuple):
    """What acting remembers from one step to the next."""

    deter: Float[Tensor, "B D"]
    stoch: Int[Tensor, "B S"]
    """Class of each latent; -1 stands for the zero vector."""
    prev_action: Shaped[Tensor, "B A"]
    """The action just chosen; -1 (choices) or 0 (numbers) stands for none."""


class Update(NamedTuple):
    """The results of one update: metrics as 0-dim tensors, and fresh latents to write back into replay."""

    metrics: dict[str, Tensor]
    deter: Float[Tensor, "B T D"]
    stoch: Int[Tensor, "B T S"]
    model_loss: Float[Tensor, "B T"]
    """The world model's loss on every row."""
    rank: Float[Tensor, "B T"]
    """By which prioritised replay ranks every row: that loss, or what `replay.priority` says."""
