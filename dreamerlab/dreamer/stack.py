"""A stack of hidden layers and an output layer with its gradient written out, some rows at a time.

Imagination asks every head about tens of thousands of rows. Layer by layer over all rows, each intermediate result is
larger than the cache and its memory new to the process; part by part, everything stays at hand. Same formulas as
`networks.Hidden` and `networks.Linear`, which remain the plain path: the test of this module holds one against the
other. A whole stack is a single node for autograd, which is what counts where rows are few.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from dreamerlab.dreamer.norms import Normed, norm_silu, norm_silu_gradient, rms_silu_
from dreamerlab.dreamer.products import add_product, packed, product, weight_gradient

EVEN = 16
"""Numbers that the widest instructions take at once: rows of a multiple of them have no ragged end."""


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
    bias: Float[Tensor, " O"]
    scale: Float[Tensor, " O"] | None


class OneHots(NamedTuple):
    """Where the last columns of some rows are one-hots: their product with a weight is a sum of a few of its rows.

    Then these columns need not be there: rows may end before them.
    """

    start: int
    """First of these columns."""
    columns: Int[Tensor, "N S"]
    """Which columns are 1: each place along S has a stretch of its own, one behind the other."""

    def rows(self, start: int, stop: int | None = None) -> OneHots:
        """Return what is known of some rows."""
        return OneHots(self.start, self.columns[start:stop])

    def split(self, rows: int) -> list[OneHots]:
        """Return what is known of so many rows at a time."""
        return [OneHots(self.start, columns) for columns in self.columns.split(rows)]


def run_stack(
    x: Float[Tensor, "N I"], layers: Sequence[Layer], one_hots: OneHots | None = None
) -> Float[Tensor, "N O"]:
    """Return x taken through all layers, differentiable; `one_hots` says what is known of x."""
    if not torch.is_grad_enabled():
        parts = [_forward(part, layers, known, None)[0] for part, known in _parts(x, one_hots, layers)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)
    return _differentiable(x, layers, one_hots)


def evened(layer: Layer) -> Layer:
    """Return a last layer with outputs of -inf behind its own, so that rows have no ragged end: their softmax is 0.

    At the 255 bins of a two-hot head a product is a fifth slower than at 256.
    """
    more = (0, -layer.weight.shape[1] % EVEN)
    return Layer(functional.pad(layer.weight, more), functional.pad(layer.bias, more, value=-math.inf), None)


class Tape:
    """A stack that is run on some rows at a time, without gradient, and differentiated later on all of them at once.

    For a rollout, whose every step asks for an output before the next rows exist.
    """

    def __init__(self, layers: Sequence[Layer], rows: int) -> None:
        self._layers = layers
        self._hidden = [_room(rows, layer.weight) for layer in layers if layer.scale is not None]
        self._outputs: list[Tensor] = []
        self._made = 0

    @torch.no_grad()
    def run(self, x: Float[Tensor, "N I"], one_hots: OneHots | None = None) -> Float[Tensor, "N O"]:
        """Return the next rows taken through all layers, without gradient."""
        before, self._made = self._made, self._made + len(x)
        room = [kept.rows(before, self._made) for kept in self._hidden]
        self._outputs.append(_forward(x, self._layers, one_hots, room)[0])
        return self._outputs[-1]

    def outputs(self, x: Float[Tensor, "rows I"], one_hots: OneHots | None = None) -> Float[Tensor, "rows O"]:
        """Return the outputs of all rows, differentiable, given all inputs as they were."""
        rows = _rows_at_once(self._layers)
        kept = [[_Kept(*layer.rows(cut, cut + rows)) for layer in self._hidden] for cut in range(0, len(x), rows)]
        return _differentiable(x, self._layers, one_hots, (torch.cat(self._outputs), kept))


def _differentiable(
    x: Tensor,
    layers: Sequence[Layer],
    one_hots: OneHots | None,
    done: tuple[Tensor, list[list[_Kept]]] | None = None,
) -> Tensor:
    """Return x taken through all layers with gradient; `done` holds the output and what is kept, if that is known."""
    normed = tuple(layer.scale is not None for layer in layers)
    tensors = [tensor for layer in layers for tensor in layer if tensor is not None]
    return _Stack.apply(x, one_hots, done, normed, *tensors)  # type: ignore[no-any-return]


def one_hot_product(
    x: Float[Tensor, "N I"], weight: Float[Tensor, "J O"], bias: Float[Tensor, " O"], one_hots: OneHots | None
) -> Float[Tensor, "N O"]:
    """Return x @ weight + bias without gradient, by gathering rows of the weight where x is known to be one-hot."""
    if one_hots is None:
        return product(x, weight, bias)
    start, columns = one_hots
    gathered = functional.embedding_bag(columns, weight, mode="sum")
    return add_product(gathered, x[:, :start], weight[:start], bias) if start else gathered.add_(bias)


def one_hot_gradient(one_hots: OneHots, grad: Float[Tensor, "N O"], count: int) -> Float[Tensor, "{count} O"]:
    """Return the gradient of the weight's rows from `start` on, `count` of them: each sums up the rows it was added to.

    A product with the one-hots would make classes times as many multiplications.
    """
    columns = one_hots.columns - one_hots.start
    # Short integers are what numpy sorts by their digits: ten times as fast as torch does.
    ordered = torch.from_numpy(columns.numpy().T.astype(np.uint16).argsort(axis=1, kind="stable")).flatten()
    each = torch.bincount(columns.flatten(), minlength=count)
    return functional.embedding_bag(ordered, grad, each.cumsum(0) - each, mode="sum")


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
        done: tuple[Tensor, list[list[_Kept]]] | None,
        normed: tuple[bool, ...],
        *tensors: Tensor,
    ) -> Tensor:
        ctx.normed, ctx.one_hots = normed, one_hots
        ctx.save_for_backward(x, *tensors)
        if done is not None:
            output, ctx.kept = done
            return output
        layers = _layers(normed, tensors)
        results = [_forward(part, layers, known, ()) for part, known in _parts(x, one_hots, layers)]
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


class _Kept(NamedTuple):
    """What the gradient of a hidden layer needs beside its input."""

    output: Tensor | None
    """What the next layer reads; None behind the last: an output that is kept by what made it is never let go."""
    normed: Normed


class _Room(NamedTuple):
    """Memory for what a hidden layer keeps."""

    output: Tensor
    normed: Normed

    def rows(self, start: int, stop: int) -> _Room:
        """Return the part for some rows."""
        return _Room(self.output[start:stop], Normed(*(tensor[start:stop] for tensor in self.normed)))


def _room(rows: int, weight: Tensor) -> _Room:
    """Return memory for `rows` rows of a layer."""
    output, normed = weight.new_empty(2, rows, weight.shape[1]).unbind()
    return _Room(output, Normed(weight.new_empty(rows, 1), normed))


def _layers(normed: tuple[bool, ...], tensors: Sequence[Tensor]) -> list[Layer]:
    rest = iter(tensors)
    return [Layer(next(rest), next(rest), next(rest) if has_norm else None) for has_norm in normed]


def _forward(
    x: Tensor, layers: Sequence[Layer], one_hots: OneHots | None, room: Sequence[_Room] | None
) -> tuple[Tensor, list[_Kept]]:
    """Return the output, and what the gradient needs of every hidden layer, in `room` if given; None: nothing."""
    kept: list[_Kept] = []
    for number, (weight, bias, scale) in enumerate(layers):
        x = product(x, weight, bias) if number else one_hot_product(x, weight, bias, one_hots)
        if scale is None:
            continue
        if room is None:
            x = rms_silu_(x, scale)
            continue
        x, normed = norm_silu(x, scale, room[number] if room else None)
        kept.append(_Kept(x if number + 1 < len(layers) else None, normed))
    return x, kept


def _backward(
    x: Tensor,
    one_hots: OneHots | None,
    grad: Tensor,
    kept: Sequence[_Kept],
    layers: Sequence[Layer],
    totals: list[Tensor | None] | None,
    *,
    needs_x: bool,
) -> Tensor | None:
    """Return the gradient of x, if it is needed; add that of every tensor of every layer to `totals`, if there are."""
    place = 0 if totals is None else len(totals)
    for number in reversed(range(len(layers))):
        weight, _, scale = layers[number]
        before = kept[number - 1].output if number else x
        assert before is not None
        if scale is not None:
            # What came from the layer behind is not asked for again; what came from outside may be.
            spare = grad if number + 1 < len(layers) else None
            grad, to_scale = norm_silu_gradient(grad, kept[number].normed, scale, spare)
            if totals is not None:
                place -= 1
                _add(totals, place, to_scale.sum(0))
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
