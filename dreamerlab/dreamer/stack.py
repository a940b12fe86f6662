"""A stack of hidden layers and an output layer with its gradient written out, some rows at a time.

Imagination asks every head about tens of thousands of rows. Layer by layer over all rows, each intermediate result is
larger than the cache and its memory new to the process; part by part, everything stays at hand. Same formulas as
`networks.Hidden` and `networks.Linear`, which remain the plain path: the test of this module holds one against the
other. A whole stack is a single node for autograd, which is what counts where rows are few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from dreamerlab.dreamer.norms import Normed, norm_silu, norm_silu_gradient, rms_silu
from dreamerlab.dreamer.products import product, weight_gradient

PART = 1024
"""Rows that are taken through the stack at once."""


_plain = False


@contextmanager
def plain_gradients() -> Iterator[None]:
    """Leave every gradient to autograd within: slower, and what the written-out ones are tested against."""
    global _plain
    before, _plain = _plain, True
    try:
        yield
    finally:
        _plain = before


def written_out() -> bool:
    """Tell whether gradients are to be written out: not when asked for plain ones, nor for a compiler to read."""
    return not (_plain or torch.compiler.is_compiling())


class Layer(NamedTuple):
    """A Linear, followed by norm and SiLU if it has a `scale`."""

    weight: Float[Tensor, "I O"]
    bias: Float[Tensor, " O"]
    scale: Float[Tensor, " O"] | None


def run_stack(x: Float[Tensor, "N I"], layers: Sequence[Layer]) -> Float[Tensor, "N O"]:
    """Return x taken through all layers, differentiable."""
    if not torch.is_grad_enabled():
        parts = [_forward(part, layers, keep=False)[0] for part in x.split(PART)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)
    normed = tuple(layer.scale is not None for layer in layers)
    tensors = [tensor for layer in layers for tensor in layer if tensor is not None]
    return _Stack.apply(x, normed, *tensors)  # type: ignore[no-any-return]


class _Stack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, normed: tuple[bool, ...], *tensors: Tensor) -> Tensor:
        layers = _layers(normed, tensors)
        outputs, ctx.kept = [], []
        for part in x.split(PART):
            output, kept = _forward(part, layers, keep=True)
            outputs.append(output)
            ctx.kept.append(kept)
        ctx.normed = normed
        ctx.save_for_backward(x, *tensors)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, *tensors = ctx.saved_tensors
        layers = _layers(ctx.normed, tensors)
        needs_x = ctx.needs_input_grad[0]
        totals: list[Tensor] = []
        inputs: list[Tensor] = []
        for part, grad_part, kept in zip(x.split(PART), grad.split(PART), ctx.kept, strict=True):
            to_input, grads = _backward(part, grad_part.contiguous(), kept, layers, needs_x=needs_x)
            if to_input is not None:
                inputs.append(to_input)
            totals = grads if not totals else [total.add_(g) for total, g in zip(totals, grads, strict=True)]
        to_x = None if not needs_x else inputs[0] if len(inputs) == 1 else torch.cat(inputs)
        return (to_x, None, *totals)


class _Kept(NamedTuple):
    """What the gradient of a hidden layer needs beside its input."""

    output: Tensor
    normed: Normed


def _layers(normed: tuple[bool, ...], tensors: Sequence[Tensor]) -> list[Layer]:
    rest = iter(tensors)
    return [Layer(next(rest), next(rest), next(rest) if has_norm else None) for has_norm in normed]


def _forward(x: Tensor, layers: Sequence[Layer], *, keep: bool) -> tuple[Tensor, list[_Kept]]:
    """Return the output, and what the gradient needs of every hidden layer if that is to be kept."""
    kept: list[_Kept] = []
    for weight, bias, scale in layers:
        x = product(x, weight, bias)
        if scale is None:
            continue
        if not keep:
            x = rms_silu(x, scale)
            continue
        x, normed = norm_silu(x, scale)
        kept.append(_Kept(x, normed))
    return x, kept


def _backward(
    x: Tensor, grad: Tensor, kept: Sequence[_Kept], layers: Sequence[Layer], *, needs_x: bool
) -> tuple[Tensor | None, list[Tensor]]:
    """Return the gradient of x, if it is needed, and of every tensor of every layer, in order."""
    grads: list[Tensor] = []
    for number in reversed(range(len(layers))):
        weight, _, scale = layers[number]
        before = kept[number - 1].output if number else x
        if scale is not None:
            grad, to_scale = norm_silu_gradient(grad, kept[number].normed, scale)
            grads.append(to_scale.sum(0))
        grads += [grad.sum(0), weight_gradient(before, grad)]
        if number or needs_x:
            grad = product(grad, weight.t())
    grads.reverse()
    return grad if needs_x else None, grads
