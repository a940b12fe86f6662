"""A stack of hidden layers and an output layer with its gradient written out, some rows at a time.

Imagination asks every head about tens of thousands of rows. Layer by layer over all rows, each intermediate result is
larger than the cache and its memory new to the process; part by part, everything stays at hand. Same formulas as
`networks.Hidden` and `networks.Linear`, which remain the plain path: the test of this module holds one against the
other. A whole stack is a single node for autograd, which is what counts where rows are few.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from dreamerlab.dreamer.maths import LANES
from dreamerlab.dreamer.norms import Normed, activated, norm_silu, norm_silu_gradient, rms_silu_
from dreamerlab.dreamer.one_hots import OneHots, bias_inside, one_hot_gradient, one_hot_product
from dreamerlab.dreamer.products import packed, product, weight_gradient


def rows_at_once(width: int) -> int:
    """Return how many rows are taken through layers of this width at once: their results fit a cache of a megabyte."""
    return min(max(2**18 // width, 512), 4096)


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
    bias: Float[Tensor, " O"] | None
    """None where it is part of the weight (see `_with_bias_inside`)."""
    scale: Float[Tensor, " O"] | None


def run_stack(
    x: Float[Tensor, "N I"], layers: Sequence[Layer], one_hots: OneHots | None = None
) -> Float[Tensor, "N O"]:
    """Return x taken through all layers, differentiable; `one_hots` says what is known of x."""
    if not torch.is_grad_enabled():
        return read_stack(x, layers, one_hots, lambda outputs: outputs)
    return _differentiable(x, layers, one_hots)


def read_stack(
    x: Float[Tensor, "N I"],
    layers: Sequence[Layer],
    one_hots: OneHots | None,
    read: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return what `read` makes, row by row, of x taken through all layers, some rows at a time, without gradient."""
    ready = _with_bias_inside(layers, one_hots, len(x))
    parts = [read(_forward(part, ready, known, None)[0]) for part, known in _parts(x, one_hots, layers)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def evened(layer: Layer) -> Layer:
    """Return a last layer with outputs of -inf behind its own, so that rows have no ragged end: their softmax is 0.

    At the 255 bins of a two-hot head a product is a fifth slower than at 256.
    """
    assert layer.bias is not None
    more = (0, -layer.weight.shape[1] % LANES)
    return Layer(functional.pad(layer.weight, more), functional.pad(layer.bias, more, value=-math.inf), None)


def _with_bias_inside(layers: Sequence[Layer], one_hots: OneHots | None, rows: int) -> Sequence[Layer]:
    """Return layers for so many rows; if they come in parts, the first one's bias need not be added to each."""
    first, *rest = layers
    if one_hots is None or first.bias is None or rows <= _rows_at_once(layers):
        return layers
    inside = bias_inside(first.weight, first.bias, one_hots)
    return [first._replace(weight=inside, bias=None), *rest]


class Tape:
    """A stack that is run on some rows at a time, without gradient, and differentiated later on all of them at once.

    For a rollout, whose every step asks for an output before the next rows exist.
    """

    def __init__(self, layers: Sequence[Layer], rows: int) -> None:
        self._layers = layers
        self._ready: Sequence[Layer] | None = None
        self._rows = rows
        self._hidden = [_room(rows, layer.weight) for layer in layers if layer.scale is not None]
        self._outputs: list[Tensor] = []
        self._made = 0

    @torch.no_grad()
    def run(self, x: Float[Tensor, "N I"], one_hots: OneHots | None = None) -> Float[Tensor, "N O"]:
        """Return the next rows taken through all layers, without gradient."""
        before, self._made = self._made, self._made + len(x)
        room = [_rows(kept, before, self._made) for kept in self._hidden]
        if self._ready is None:
            self._ready = _with_bias_inside(self._layers, one_hots, self._rows)
        self._outputs.append(_forward(x, self._ready, one_hots, room)[0])
        return self._outputs[-1]

    def outputs(self, x: Float[Tensor, "rows I"], one_hots: OneHots | None = None) -> Float[Tensor, "rows O"]:
        """Return the outputs of all rows, differentiable, given all inputs as they were."""
        rows = _rows_at_once(self._layers)
        kept = [[_rows(layer, cut, cut + rows) for layer in self._hidden] for cut in range(0, len(x), rows)]
        return _differentiable(x, self._layers, one_hots, (torch.cat(self._outputs), kept))


def _differentiable(
    x: Tensor,
    layers: Sequence[Layer],
    one_hots: OneHots | None,
    done: tuple[Tensor, list[list[Normed]]] | None = None,
) -> Tensor:
    """Return x taken through all layers with gradient; `done` holds the output and what is kept, if that is known."""
    normed = tuple(layer.scale is not None for layer in layers)
    tensors = [tensor for layer in layers for tensor in layer if tensor is not None]
    return _Stack.apply(x, one_hots, done, normed, *tensors)  # type: ignore[no-any-return]


def _parts(x: Tensor, one_hots: OneHots | None, layers: Sequence[Layer]) -> Iterator[tuple[Tensor, OneHots | None]]:
    rows = _rows_at_once(layers)
    parts = x.split(rows)
    return zip(parts, [None] * len(parts) if one_hots is None else one_hots.split(rows), strict=True)


def _rows_at_once(layers: Sequence[Layer]) -> int:
    return rows_at_once(layers[0].weight.shape[1])


class _Stack(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        one_hots: OneHots | None,
        done: tuple[Tensor, list[list[Normed]]] | None,
        normed: tuple[bool, ...],
        *tensors: Tensor,
    ) -> Tensor:
        ctx.normed, ctx.one_hots = normed, one_hots
        ctx.save_for_backward(x, *tensors)
        if done is not None:
            output, ctx.kept = done
            return output
        layers = _layers(normed, tensors)
        ready = _with_bias_inside(layers, one_hots, len(x))
        results = [_forward(part, ready, known, ()) for part, known in _parts(x, one_hots, layers)]
        outputs, ctx.kept = zip(*results, strict=True)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, *tensors = ctx.saved_tensors
        layers = _layers(ctx.normed, tensors)
        needs_x, needs_weights = ctx.needs_input_grad[0], any(ctx.needs_input_grad[4:])
        totals: list[Tensor | None] = [None] * len(tensors)
        inputs: list[Tensor] = []
        rows = _rows_at_once(layers)
        for (part, known), grad_part, kept in zip(
            _parts(x, ctx.one_hots, layers), grad.split(rows), ctx.kept, strict=True
        ):
            wanted = totals if needs_weights else None
            to_input = _backward(part, known, grad_part.contiguous(), kept, layers, wanted, needs_x=needs_x)
            if to_input is not None:
                inputs.append(to_input)
        to_x = None if not needs_x else inputs[0] if len(inputs) == 1 else torch.cat(inputs)
        return (to_x, None, None, None, *totals)


def _room(rows: int, weight: Tensor) -> Normed:
    """Return memory for what the gradient of a hidden layer needs of `rows` rows beside its input."""
    return Normed(weight.new_empty(rows, 1), weight.new_empty(rows, weight.shape[1]))


def _rows(kept: Normed, start: int, stop: int) -> Normed:
    """Return the part for some rows."""
    return Normed(*(tensor[start:stop] for tensor in kept))


def _layers(normed: tuple[bool, ...], tensors: Sequence[Tensor]) -> list[Layer]:
    rest = iter(tensors)
    return [Layer(next(rest), next(rest), next(rest) if has_norm else None) for has_norm in normed]


def _forward(
    x: Tensor, layers: Sequence[Layer], one_hots: OneHots | None, room: Sequence[Normed] | None
) -> tuple[Tensor, list[Normed]]:
    """Return the output, and what the gradient needs of every hidden layer, in `room` if given; None: nothing."""
    kept: list[Normed] = []
    for number, (weight, bias, scale) in enumerate(layers):
        x = product(x, weight, bias) if number else one_hot_product(x, weight, bias, one_hots)
        if scale is None:
            continue
        if room is None:
            x = rms_silu_(x, scale)
            continue
        x, normed = norm_silu(x, scale, (x, room[number]) if room else None)
        kept.append(normed)
    return x, kept


def _backward(
    x: Tensor,
    one_hots: OneHots | None,
    grad: Tensor,
    kept: Sequence[Normed],
    layers: Sequence[Layer],
    totals: list[Tensor | None] | None,
    *,
    needs_x: bool,
) -> Tensor | None:
    """Return the gradient of x, if it is needed; add that of every tensor of every layer to `totals`, if there are."""
    place = 0 if totals is None else len(totals)
    slope: Tensor | None = None
    for number in reversed(range(len(layers))):
        weight, _, scale = layers[number]
        if scale is not None:
            # What came from the layer behind is not asked for again; what came from outside may be.
            spare = None if slope is None else grad
            slope = activated(kept[number].normed, scale).slope if slope is None else slope
            grad, to_scale = norm_silu_gradient(grad, kept[number], scale, slope, spare)
            if totals is not None:
                place -= 1
                _add(totals, place, to_scale.sum(0))
        below = layers[number - 1].scale if number else None
        before, slope = (x, None) if below is None else activated(kept[number - 1].normed, below)
        if totals is not None:
            place -= 2
            known = None if number else one_hots
            totals[place] = _weight_gradient(before, grad, known, len(weight), totals[place])
            _add(totals, place + 1, grad.sum(0))
        if number or needs_x:
            grad = product(grad, weight.t())
    return grad if needs_x else None


def _add(totals: list[Tensor | None], place: int, summand: Tensor) -> None:
    total = totals[place]
    totals[place] = summand if total is None else total.add_(summand)


def _weight_gradient(x: Tensor, grad: Tensor, one_hots: OneHots | None, inputs: int, total: Tensor | None) -> Tensor:
    if one_hots is None:
        return weight_gradient(x, grad, total)
    start = one_hots.start
    if total is None:
        total = grad.new_zeros(inputs, grad.shape[1])
    if start:
        weight_gradient(packed(x[:, :start]), grad, total[:start])
    total[start:].add_(one_hot_gradient(one_hots, grad, inputs - start))
    return total
