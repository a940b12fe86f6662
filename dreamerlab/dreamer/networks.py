"""Building blocks: initialised Linear, RMSNorm followed by SiLU, MLP, block-diagonal Linear (FACTS A2, A3).

Weights are stored (inputs, outputs), so that a layer is one `addmm`. Modules take any leading axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dreamerlab.dreamer.norms import rms_silu
from dreamerlab.dreamer.one_hots import OneHots
from dreamerlab.dreamer.products import affine
from dreamerlab.dreamer.stack import Layer, Tape, evened, read_stack, run_stack, written_out


def init_weight(shape: tuple[int, ...], fan_in: int, scale: float = 1.0) -> nn.Parameter:
    """Return a weight drawn from a normal cut at two sigma whose true deviation is scale / sqrt(fan_in).

    Cutting at two sigma shrinks the deviation by 1 / 1.1368 (FACTS A3); drawn from torch's global generator.
    """
    sigma = 1.1368 / math.sqrt(fan_in)
    weight = nn.init.trunc_normal_(torch.empty(shape), std=sigma, a=-2.0 * sigma, b=2.0 * sigma)
    return nn.Parameter(weight * scale)


class Linear(nn.Module):
    """x @ weight + bias. `scale` multiplies the initial weight; 0 makes the layer start at exactly 0."""

    def __init__(self, inputs: int, outputs: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = init_weight((inputs, outputs), inputs, scale)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "*rows I"]) -> Float[Tensor, "*rows O"]:
        """Return the affine image of the last axis."""
        if x.ndim == 2:
            return affine(x, self.weight, self.bias)
        return affine(x.flatten(0, -2), self.weight, self.bias).unflatten(0, x.shape[:-1])


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
        self._found: list[Layer] | None = None

    def forward(self, x: Float[Tensor, "*rows I"], one_hots: OneHots | None = None) -> Float[Tensor, "*rows O"]:
        """Return the output layer's result, or the last hidden activation when there is none.

        What is known of `x` saves work: `one_hots` names its columns that are 1 among the last ones.
        """
        if not written_out():
            return self.rest(self.first(x))
        rows = x if x.ndim == 2 else x.flatten(0, -2)
        result = run_stack(rows, self._layers(), one_hots)
        return result if x.ndim == 2 else result.unflatten(0, x.shape[:-1])

    def logits(self, x: Float[Tensor, "N I"], one_hots: OneHots | None = None) -> Float[Tensor, "N O"]:
        """Return the outputs for a softmax: columns of -inf may follow, which count for nothing and make rows even."""
        if not written_out():
            return self(x)
        *hidden, last = self._layers()
        return run_stack(x, [*hidden, evened(last)], one_hots)

    def read_out(
        self, x: Float[Tensor, "N I"], one_hots: OneHots | None, read: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, " N"]:
        """Return what `read` makes, row by row, of the `logits`, some rows at a time: the logits are not kept."""
        if torch.is_grad_enabled() or not written_out():
            return read(self.logits(x, one_hots))
        *hidden, last = self._layers()
        return read_stack(x, [*hidden, evened(last)], one_hots, read)

    def tape(self, rows: int) -> Tape:
        """Return what runs `rows` rows one call after the other and has one gradient for all of them."""
        return Tape(self._layers(), rows)

    def _layers(self) -> list[Layer]:
        # Looked up once: acting asks at every step. A conversion that replaces one parameter replaces them all.
        if self._found is None or self._found[0].weight is not self.first.linear.weight:
            self._found = [_as_layer(module) for module in (self.first, *self.rest)]
        return self._found


def _as_layer(module: nn.Module) -> Layer:
    if isinstance(module, Hidden):
        return Layer(module.linear.weight, module.linear.bias, module.norm.scale)
    assert isinstance(module, Linear)
    return Layer(module.weight, module.bias, None)


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
    base: Float[Tensor, "*N GO"] | None, x: Float[Tensor, "N GI"], weight: Float[Tensor, "*G I O"]
) -> Float[Tensor, "N GO"]:
    """Return x @ blockdiag(weight), plus base if given; a weight without its group axis, (I, O), is a single group."""
    if weight.ndim == 2 or len(weight) == 1:
        dense = weight if weight.ndim == 2 else weight[0]
        return x @ dense if base is None else torch.addmm(base, x, dense)
    groups, inputs, outputs = weight.shape
    out = torch.bmm(x.view(-1, groups, inputs).transpose(0, 1), weight).transpose(0, 1)
    if base is not None:  # first, so that the sum lies as it does
        out = base.view(*base.shape[:-1], groups, outputs) + out
    return out.reshape(-1, groups * outputs)


def add_blocks_(
    total: Float[Tensor, "N GO"], x: Float[Tensor, "N GI"], weight: Float[Tensor, "*G I O"]
) -> Float[Tensor, "N GO"]:
    """Return `add_blocks` in the memory of total, without gradient."""
    if weight.ndim == 2:
        return total.addmm_(x, weight)
    groups, inputs, outputs = weight.shape
    blocks = total.view(-1, groups, outputs).transpose(0, 1)
    blocks.baddbmm_(x.view(-1, groups, inputs).transpose(0, 1), weight)
    return total
