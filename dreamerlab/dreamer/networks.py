"""Building blocks: initialised Linear, RMSNorm followed by SiLU, MLP, block-diagonal Linear (FACTS A2, A3).

Weights are stored (inputs, outputs), so that a layer is one `addmm`. Modules take any leading axes.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

RMS_EPS = 1e-4


def init_weight(shape: tuple[int, ...], fan_in: int, scale: float = 1.0) -> nn.Parameter:
    """Return a weight drawn from a normal cut at two sigma whose true deviation is scale / sqrt(fan_in).

    Cutting at two sigma shrinks the deviation by 1 / 1.1368 (FACTS A3); drawn from torch's global generator.
    """
    sigma = 1.1368 / math.sqrt(fan_in)
    weight = nn.init.trunc_normal_(torch.empty(shape), std=sigma, a=-2.0 * sigma, b=2.0 * sigma)
    return nn.Parameter(weight * scale)


def rms_silu(x: Float[Tensor, "*rows F"], scale: Float[Tensor, " ..."]) -> Float[Tensor, "*rows F"]:
    """Return silu(scale * x / rms(x)), the root mean square over the last axis with eps 1e-4 inside the root."""
    if torch.is_grad_enabled():
        return _RmsSiLU.apply(x, scale)  # type: ignore[no-any-return]
    return functional.silu((x * _inverse_rms(x)).mul_(scale), inplace=True)


def _inverse_rms(x: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return torch.addcmul(_eps(x.dtype, x.device), norm, norm, value=1.0 / x.shape[-1]).rsqrt_()


@functools.cache
def _eps(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.full((), RMS_EPS, dtype=dtype, device=device)


class _RmsSiLU(torch.autograd.Function):
    """`rms_silu` with its gradient written out: half the operations of the composite (it runs 40 times an update)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor) -> Tensor:
        inverse = _inverse_rms(x)
        normed = x * inverse
        scaled = normed * scale
        ctx.save_for_backward(inverse, normed, scaled, scale)
        return functional.silu(scaled)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        inverse, normed, scaled, scale = ctx.saved_tensors
        # With n = x / rms: dx = (w * d - n * mean(w * d * n)) / rms and dw = d * n, d the gradient before silu.
        before = torch.ops.aten.silu_backward(grad, scaled)
        weighted = before * normed
        grad_scale = weighted.sum(list(range(weighted.ndim - scale.ndim)))
        along = torch.linalg.vecdot(weighted, scale).unsqueeze(-1)
        grad_x = before.mul_(scale).addcmul_(normed, along, value=-1.0 / normed.shape[-1]).mul_(inverse)
        return grad_x, grad_scale


class Linear(nn.Module):
    """x @ weight + bias. `scale` multiplies the initial weight; 0 makes the layer start at exactly 0."""

    def __init__(self, inputs: int, outputs: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = init_weight((inputs, outputs), inputs, scale)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "*rows I"]) -> Float[Tensor, "*rows O"]:
        """Return the affine image of the last axis."""
        if x.ndim == 2:
            return torch.addmm(self.bias, x, self.weight)
        return torch.addmm(self.bias, x.flatten(0, -2), self.weight).unflatten(0, x.shape[:-1])


class NormSiLU(nn.Module):
    """RMSNorm with a learned scale and no shift, then SiLU: follows every hidden Linear (FACTS A2)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))

    def forward(self, x: Float[Tensor, "*rows F"]) -> Float[Tensor, "*rows F"]:
        """Return the normalised activation."""
        return rms_silu(x, self.scale)


class Hidden(nn.Module):
    """One hidden layer: Linear, RMSNorm, SiLU."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.linear = Linear(inputs, units)
        self.norm = NormSiLU(units)

    def forward(self, x: Float[Tensor, "*rows I"]) -> Float[Tensor, "*rows U"]:
        """Return the activation."""
        return self.norm(self.linear(x))


class MLP(nn.Module):
    """`layers` hidden layers, then a Linear to `outputs` if that is given."""

    def __init__(
        self, inputs: int, units: int, layers: int, outputs: int | None = None, *, output_scale: float = 1.0
    ) -> None:
        super().__init__()
        self.first = Hidden(inputs, units)
        self.rest = nn.Sequential(*(Hidden(units, units) for _ in range(layers - 1)))
        if outputs is not None:
            self.rest.append(Linear(units, outputs, scale=output_scale))

    def forward(self, x: Float[Tensor, "*rows I"]) -> Float[Tensor, "*rows O"]:
        """Return the output layer's result, or the last hidden activation when there is none."""
        return self.rest(self.first(x))


class BlockLinear(nn.Module):
    """G independent Linears side by side: group g of the output sees only group g of the input (FACTS A3).

    The initial deviation uses the FULL input width as fan-in, as the reference does: it is sqrt(G) smaller than
    the width of one group would give.
    """

    def __init__(self, groups: int, group_inputs: int, group_outputs: int) -> None:
        super().__init__()
        self.weight = init_weight((groups, group_inputs, group_outputs), groups * group_inputs)
        self.bias = nn.Parameter(torch.zeros(groups * group_outputs))

    def forward(self, x: Float[Tensor, "N GI"]) -> Float[Tensor, "N GO"]:
        """Return the groups' images side by side."""
        return add_blocks(self.bias, x, self.weight.squeeze(0))


def add_blocks(
    base: Float[Tensor, "*N GO"], x: Float[Tensor, "N GI"], weight: Float[Tensor, "*G I O"]
) -> Float[Tensor, "N GO"]:
    """Return base + x @ blockdiag(weight); a weight without its group axis, (I, O), is a single group."""
    if weight.ndim == 2:
        return torch.addmm(base, x, weight)
    groups, inputs, outputs = weight.shape
    grouped_base = base.view(-1, groups, outputs).transpose(0, 1)
    grouped = torch.baddbmm(grouped_base, x.view(-1, groups, inputs).transpose(0, 1), weight)
    return grouped.transpose(0, 1).reshape(-1, groups * outputs)
