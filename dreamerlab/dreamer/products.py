"""Matrix products x @ weight + bias and their gradients, each by the fastest library at hand.

On a CPU torch hands float32 products to MKL, which uses half the vector width of processors that are not Intel's;
oneDNN, which torch brings along for convolutions, is more than twice as fast there, and slower on Intel's: up to twice
for 256 rows, 1.4 times for weight gradients (protocol/reference/benchmarks.md). Where it is used it takes products that
are large enough to pay for its call; small ones, other types and other devices go the usual way. The rule looks at the
processor's maker, shapes and types only, so that a run repeats bit for bit.

`computing_in(torch.bfloat16)` rounds the factors of every product here, sums in float32 and returns float32: the rest
of the agent does not know (FACTS A9).
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

LARGE = 1_000_000
"""Multiplications from which on oneDNN's dearer call pays."""
PART = 1024
"""Rows of a weight gradient that oneDNN is given at once; fewer than a quarter of it are left to MKL."""
NARROW = 16
"""Outputs below which, for `MANY` rows, MKL is several times faster on a weight that lies column by column."""
MANY = 64
WIDESPREAD = 2**17
"""Results from which on it is dearer to spread the bias over new memory before the product than to add it after."""


def is_intel(listing: Path = Path("/proc/cpuinfo")) -> bool:
    """Tell whether the processor is Intel's, from the kernel's listing or, elsewhere than on Linux, from its name."""
    try:
        return "GenuineIntel" in listing.read_text(errors="replace")
    except OSError:
        return "GenuineIntel" in platform.processor()


_ONEDNN = (
    torch.backends.mkldnn.is_available()
    and torch.backends.cpu.get_cpu_capability().startswith("AVX")
    and not is_intel()
)
_rounded_to: torch.dtype | None = None


@contextmanager
def computing_in(dtype: torch.dtype) -> Iterator[None]:
    """Round the factors of all products within to `dtype`, if it is narrower than theirs."""
    global _rounded_to
    before, _rounded_to = _rounded_to, dtype if dtype == torch.bfloat16 else None
    try:
        yield
    finally:
        _rounded_to = before


def rounded_to() -> torch.dtype | None:
    """Return what factors are rounded to here, for products that are made elsewhere (convolutions)."""
    return _rounded_to


def affine(x: Float[Tensor, "N I"], weight: Float[Tensor, "I O"], bias: Float[Tensor, "*N O"]) -> Float[Tensor, "N O"]:
    """Return x @ weight + bias, differentiable; the bias may be one for each row."""
    if _rounded_to is None and not _narrow(x, weight) and not _suits(x, weight):
        return torch.addmm(bias, x, weight)
    if torch.is_grad_enabled():
        return _Affine.apply(x, weight, bias)  # type: ignore[no-any-return]
    return product(x, weight, bias)


def product(
    x: Float[Tensor, "N I"], weight: Float[Tensor, "I O"], bias: Float[Tensor, "*N O"] | None = None
) -> Float[Tensor, "N O"]:
    """Return x @ weight, plus bias if given, without gradient."""
    if _rounded_to is not None:
        rounded = (x.to(_rounded_to) @ weight.to(_rounded_to)).to(x.dtype)
        return rounded if bias is None else rounded.add_(bias)
    if _suits(x, weight):
        if bias is not None and bias.ndim == 2:
            return _onednn(x, weight.t(), None).add_(bias)
        return _onednn(x, weight.t(), bias)
    if _narrow(x, weight):
        weight = weight.t().contiguous().t()
    if bias is None:
        return x @ weight
    if bias.ndim == 1 and x.shape[0] * weight.shape[1] >= WIDESPREAD:
        return (x @ weight).add_(bias)
    return torch.addmm(bias, x, weight)


def add_product(
    total: Float[Tensor, "N O"], x: Float[Tensor, "N I"], weight: Float[Tensor, "I O"], bias: Tensor | None = None
) -> Float[Tensor, "N O"]:
    """Return total + x @ weight, plus bias (O,) if given, without gradient; `total` may be overwritten."""
    if _rounded_to is not None or _ONEDNN or _narrow(x, weight):
        return product(x.contiguous(), weight, bias).add_(total)
    total = total.addmm_(x, weight)
    return total if bias is None else total.add_(bias)


def packed(x: Float[Tensor, "N I"]) -> Float[Tensor, "N I"]:
    """Return some columns of a matrix as a matrix of its own if products need that to be fast: MKL's do not."""
    return x.contiguous() if _ONEDNN else x


def weight_gradient(
    x: Float[Tensor, "N I"], grad: Float[Tensor, "N O"], total: Float[Tensor, "I O"] | None = None
) -> Float[Tensor, "I O"]:
    """Return x^T @ grad, the gradient of a weight from its inputs and that of its outputs, in `total` if given, added.

    All rows at once, or some of them after others.
    """
    if total is not None:
        if _rounded_to is not None or _ONEDNN or _narrow(x, grad):
            return total.add_(weight_gradient(x, grad))
        return total.addmm_(x.t(), grad)
    if _rounded_to is not None:
        return (x.t().to(_rounded_to) @ grad.to(_rounded_to)).to(x.dtype)
    if _narrow(x, grad):
        return (grad.t() @ x).t()
    if x.shape[0] < PART // 4 or not _suits(x, grad):
        return x.t() @ grad
    first, *rest = zip(x.split(PART), grad.split(PART), strict=True)
    total = _onednn(first[0].t(), first[1].t(), None)
    for part, grad_part in rest:
        total.add_(_onednn(part.t(), grad_part.t(), None))
    return total


def _narrow(x: Tensor, weight: Tensor) -> bool:
    return 1 < weight.shape[1] < NARROW and x.shape[0] >= MANY and x.is_cpu and not torch.compiler.is_compiling()


def _suits(x: Tensor, weight: Tensor) -> bool:
    """Tell whether oneDNN takes the product: without packed rows or columns it would be hundreds of times slower."""
    if x.numel() * weight.shape[1] < LARGE or not _ONEDNN or not x.is_cpu or x.dtype != torch.float32:
        return False
    packed = x.is_contiguous() and (weight.is_contiguous() or weight.t().is_contiguous())
    return packed and not torch.compiler.is_compiling()


def _onednn(x: Tensor, transposed: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise.default(x, transposed, bias, "none", [], "")


class _Affine(torch.autograd.Function):
    """`affine` with gradients that are computed by the same rule."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.one_bias = bias.ndim == 1
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        grad = grad.contiguous()
        return (
            product(grad, weight.t()) if needs_x else None,
            weight_gradient(x, grad) if needs_weight else None,
            None if not needs_bias else grad.sum(0) if ctx.one_bias else grad,
        )
