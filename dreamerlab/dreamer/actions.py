"""Actions as the networks read them: one-hots of choices side by side, or numbers within [-1, 1] (FACTS A3).

An action array has one entry per component; `none` (no action before the first step of an episode) is -1 for choices
and 0 for numbers, and encodes to zeros either way.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from dreamerlab.spaces import ActionSpec


def one_hot_rows(count: int) -> Float[Tensor, "{count}+1 {count}"]:
    """Return the one-hot of each index, and below them a zero row that index -1 picks."""
    return torch.cat([torch.eye(count), torch.zeros(1, count)])


class ActionCodec(nn.Module):
    """Between action arrays (*, A) and encoded actions (*, E)."""

    rows: Tensor
    offsets: Tensor

    def __init__(self, spec: ActionSpec) -> None:
        super().__init__()
        self.spec, self.size = spec, spec.encoded_size
        self.is_single_choice = len(spec.classes) == 1
        """Whether actions are one choice: everything about an action then is a row of a table."""
        self.register_buffer("rows", one_hot_rows(self.size), persistent=False)
        starts = [sum(spec.classes[:k]) for k in range(len(spec.classes))]
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)

    def none(self, batch: int) -> Shaped[Tensor, "{batch} A"]:
        """Return what stands for no action."""
        dtype = torch.int64 if self.spec.is_discrete else self.rows.dtype
        return torch.full((batch, self.spec.components), self.spec.none, dtype=dtype, device=self.rows.device)

    def encode(self, action: Shaped[Tensor, "*rows A"]) -> Float[Tensor, "*rows E"]:
        """Return the encoding; numbers enter as a / max(1, |a|), the divisor without gradient (FACTS A3)."""
        if not self.spec.is_discrete:
            return action / action.detach().abs().clamp(min=1.0)
        if self.is_single_choice:
            return functional.embedding(action.squeeze(-1) % len(self.rows), self.rows)
        index = torch.where(action < 0, self.size, action + self.offsets)
        return functional.embedding(index, self.rows).sum(-2)
