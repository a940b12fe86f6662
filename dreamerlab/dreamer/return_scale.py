"""The range that advantages are divided by, followed over training (FACTS A6, A13.4; M-CP-54)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.maths import percentiles


class ReturnScale(nn.Module):
    """Running percentiles of imagined returns; their distance is the scale, never below `limit`.

    Exponential averages that start at 0, so the scale is small at first. With `debias` they are divided by the weight
    gathered so far, 1 - (1 - rate)^k after k updates, so that the first ones count in full.
    """

    low: Tensor
    high: Tensor
    gathered: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        norm = config.return_norm
        self.rate, self.limit, self.shares = norm.rate, norm.limit, (norm.low, norm.high)
        self.debias = norm.debias
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        if self.debias:
            self.register_buffer("gathered", torch.zeros(()))

    @torch.no_grad()
    def update(self, returns: Float[Tensor, "H N"]) -> Float[Tensor, ""]:
        """Move the averages towards the percentiles of `returns`, then return the scale."""
        low, high = percentiles(returns, self.shares).unbind()
        self.low.lerp_(low, self.rate)
        self.high.lerp_(high, self.rate)
        if self.debias:
            self.gathered.lerp_(torch.ones_like(self.gathered), self.rate)
        low, high = self.ends()
        return (high - low).clamp(min=self.limit)

    def ends(self) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return the lower and the upper end of the range, in tensors of their own."""
        if self.debias:
            return self.low / self.gathered, self.high / self.gathered
        return self.low.clone(), self.high.clone()
