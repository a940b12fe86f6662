"""RMSNorm followed by SiLU, with its gradient written out: it follows every hidden layer (FACTS A2).

Plain functions for those who walk backwards themselves (`scan`, `stack`), and `rms_silu` for everybody else.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

RMS_EPS = 1e-4


def rms_silu(x: Float[Tensor, "*rows F"], scale: Float[Tensor, " ..."]) -> Float[Tensor, "*rows F"]:
    """Return silu(scale * x / rms(x)), the root mean square over the last axis with eps 1e-4 inside the root."""
    if torch.is_grad_enabled():
        return _RmsSiLU.apply(x, scale)  # type: ignore[no-any-return]
    return _scaled_silu_(x * _inverse_rms(x), scale)


def rms_silu_(x: Float[Tensor, "*rows F"], scale: Float[Tensor, " ..."]) -> Float[Tensor, "*rows F"]:
    """Return `rms_silu` in the memory of x, without gradient: fresh memory costs more than the arithmetic."""
    return _scaled_silu_(x.mul_(_inverse_rms(x)), scale)


class Normed(NamedTuple):
    """What the gradient of norm and SiLU needs."""

    inverse: Float[Tensor, "*rows 1"]
    normed: Float[Tensor, "*rows F"]


def norm_silu(
    x: Float[Tensor, "*rows F"], scale: Float[Tensor, " ..."], out: tuple[Tensor, Normed] | None = None
) -> tuple[Float[Tensor, "*rows F"], Normed]:
    """Return `rms_silu` and what its gradient needs, written into `out`; without it x is overwritten."""
    result, (inverse, normed) = out or (None, (None, x))
    inverse = _inverse_rms(x, inverse)
    normed = torch.mul(x, inverse, out=normed)
    return functional.silu(torch.mul(normed, scale, out=result), inplace=True), Normed(inverse, normed)


class Activated(NamedTuple):
    """What SiLU returned, and its slope there."""

    output: Float[Tensor, "*rows F"]
    slope: Float[Tensor, "*rows F"]


def activated(normed: Float[Tensor, "*rows F"], scale: Float[Tensor, " ..."]) -> Activated:
    """Return SiLU of normed rows times scale once more: as cheap as to have kept it, in half the memory.

    Whoever walks backwards wants both: what the next layer read, and the slope there.
    y = v * s with s = sigmoid(v); dy/dv = s + y * (1 - s) = y + s * (1 - y).
    """
    scaled = normed * scale
    share = torch.sigmoid(scaled)
    output = scaled.mul_(share)
    return Activated(output, torch.lerp(output, output.new_ones(()), share, out=share))


def norm_silu_gradient(
    grad: Float[Tensor, "*rows F"],
    saved: Normed,
    scale: Float[Tensor, " ..."],
    slope: Float[Tensor, "*rows F"],
    spare: Float[Tensor, "*rows F"] | None = None,
) -> tuple[Float[Tensor, "*rows F"], Float[Tensor, "*rows F"]]:
    """Return the gradient of x and, row by row, that of scale, the latter in `spare`, which may be `grad` itself.

    With n = x / rms: dx = (w * d - n * mean(w * d * n)) / rms and dw = d * n, d the gradient before SiLU. `slope` is
    that of `activated` and lost.
    """
    before = slope.mul_(grad)
    weighted = torch.mul(before, saved.normed, out=spare)
    along = (weighted @ scale if scale.ndim == 1 else torch.linalg.vecdot(weighted, scale)).unsqueeze(-1)
    before = before.mul_(scale).addcmul_(saved.normed, along, value=-1.0 / saved.normed.shape[-1])
    return before.mul_(saved.inverse), weighted


class Slopes(NamedTuple):
    """What norm and SiLU returned, and what its gradient is multiplied with."""

    output: Float[Tensor, "*rows F"]
    to_x: Float[Tensor, "*rows F"]
    """On its way to `norm_gradient`."""
    to_scale: Float[Tensor, "*rows F"]
    """To be, row by row, that of scale."""


def slopes(saved: Normed, scale: Float[Tensor, " ..."]) -> Slopes:
    """Return what can be known before the gradient is, for those to whom it comes a few rows at a time."""
    output, slope = activated(saved.normed, scale)
    return Slopes(output, (slope * scale).mul_(saved.inverse), slope.mul_(saved.normed))


def norm_gradient(
    pulled: Float[Tensor, "*rows F"], normed: Float[Tensor, "*rows F"], out: Float[Tensor, "*rows F"]
) -> Float[Tensor, "*rows F"]:
    """Return in `out` the gradient of x, given that of norm and SiLU times `Slopes.to_x`."""
    along = (pulled * normed).sum(-1, keepdim=True)
    return torch.addcmul(pulled, normed, along, value=-1.0 / normed.shape[-1], out=out)


def _scaled_silu_(normed: Tensor, scale: Tensor) -> Tensor:
    return functional.silu(normed.mul_(scale), inplace=True)


def _inverse_rms(x: Tensor, out: Tensor | None = None) -> Tensor:
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return torch.addcmul(_eps(x.dtype, x.device), norm, norm, value=1.0 / x.shape[-1], out=out).rsqrt_()


@functools.cache
def _eps(dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # acting may ask first, and learning has to differentiate with it
        return torch.full((), RMS_EPS, dtype=dtype, device=device)


class _RmsSiLU(torch.autograd.Function):
    """`rms_silu` for autograd: half the operations of the composite."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor) -> Tensor:
        fresh = torch.empty_like(x), Normed(x.new_empty(*x.shape[:-1], 1), torch.empty_like(x))
        result, saved = norm_silu(x, scale, fresh)
        ctx.save_for_backward(*saved, scale)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        *kept, scale = ctx.saved_tensors
        saved = Normed(*kept)
        to_x, to_scale = norm_silu_gradient(grad, saved, scale, activated(saved.normed, scale).slope)
        return to_x, to_scale.sum(list(range(to_scale.ndim - scale.ndim)))
