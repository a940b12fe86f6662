"""A weight of the entropy that adapts until the policy has the entropy asked for, SAC's way (M-ADD-13, M-OPT-08)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

LEAST, MOST = 1e-8, 1e3
"""Between these the weight stays, so that a target that cannot be met ends in no infinity."""


class Temperature(nn.Module):
    """eta = exp(l), where l gains rate * (target - entropy) with every update of the actor."""

    log: Tensor

    def __init__(self, start: float, target: float, rate: float) -> None:
        super().__init__()
        self.target, self.rate = target, rate
        self.register_buffer("log", torch.tensor(math.log(max(start, LEAST))))

    def scale(self) -> Float[Tensor, ""]:
        """Return the weight in force."""
        return self.log.exp()

    @torch.no_grad()
    def follow(self, entropy: Float[Tensor, ""]) -> None:
        """Raise the weight while the policy has less entropy than asked for, lower it while it has more."""
        self.log.add_(self.rate * (self.target - entropy)).clamp_(math.log(LEAST), math.log(MOST))
