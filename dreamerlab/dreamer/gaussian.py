"""Normal distributions of the modular learner: likelihood, squared error, and the head that predicts one per number.

A predicted deviation is softplus(raw) above a least one: without that a quantity which never varies would draw it to 0,
where the likelihood has no upper end and the gradient no bound (M-ML-02).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dreamerlab.dreamer.networks import MLP

HALF_LN_TWO_PI = 0.5 * math.log(2.0 * math.pi)


class Normal(NamedTuple):
    """Independent Normals; without `std` only their means are known."""

    mean: Float[Tensor, "*rows D"]
    std: Float[Tensor, "*rows D"] | None = None

    def draw(self, noise: Float[Tensor, "*rows D"] | None) -> Float[Tensor, "*rows D"]:
        """Return mean + std * noise, with gradient to both; the mean where there is no std."""
        if self.std is None:
            return self.mean
        assert noise is not None
        return torch.addcmul(self.mean, self.std, noise)


def squared_error(prediction: Float[Tensor, "*rows"], target: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows"]:
    """Return (f - s)^2, element by element; its gradient to the prediction is 2 (f - s) (M-ML-01, M-ML-09)."""
    return (prediction - target).square()


def gaussian_nll(normal: Normal, target: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows"]:
    """Return -ln N(target) = 0.5 ln(2 pi s^2) + (x - m)^2 / (2 s^2), element by element, in nats (M-ML-02)."""
    assert normal.std is not None
    return normal.std.log() + HALF_LN_TWO_PI + 0.5 * ((target - normal.mean) / normal.std).square()


def least_nll(min_std: float) -> float:
    """Return the least value `gaussian_nll` can have where no deviation is below `min_std`; it may be negative."""
    return math.log(min_std) + HALF_LN_TWO_PI


class GaussianHead(nn.Module):
    """State to a Normal of `outputs` numbers with a learned deviation, which begins at about 1."""

    def __init__(self, inputs: int, units: int, layers: int, outputs: int, min_std: float) -> None:
        super().__init__()
        self.min_std = min_std
        self.network = MLP(inputs, units, layers, 2 * outputs, output_scale=0.0)

    def forward(self, state: Float[Tensor, "N D"]) -> Normal:
        """Return the predicted distribution."""
        mean, raw = self.network(state).chunk(2, -1)
        # softplus(0.5413) = 1
        return Normal(mean, functional.softplus(raw + 0.5413) + self.min_std)
