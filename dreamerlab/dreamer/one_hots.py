"""Rows whose last columns are one-hots, told of instead of made, and their products with a weight.

A latent state is mostly zeros. What a weight adds for it is the sum of a few of its rows, and what it adds to the
gradient of a weight goes to these rows only: a fraction of the multiplications of the product with the one-hots.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from dreamerlab.dreamer.products import add_product, product


@dataclass(eq=False)
class OneHots:
    """Where the last columns of some rows are one-hots; then these columns need not be there: rows may end before them.

    Several networks ask about the same rows, some at a time: what has been worked out for one is kept for the others.
    """

    start: int
    """First of these columns."""
    columns: Int[Tensor, "N S"]
    """Which columns are 1: each place along S has a stretch of its own, one behind the other."""
    _cuts: dict[tuple[int, int | None], OneHots] = field(default_factory=dict, repr=False)
    _sorted: tuple[Tensor, Tensor] | None = field(default=None, repr=False)

    def rows(self, start: int, stop: int | None = None) -> OneHots:
        """Return what is known of some rows."""
        if (start, stop) not in self._cuts:
            self._cuts[start, stop] = OneHots(self.start, self.columns[start:stop])
        return self._cuts[start, stop]

    def split(self, rows: int) -> list[OneHots]:
        """Return what is known of so many rows at a time."""
        return [self.rows(cut, cut + rows) for cut in range(0, len(self.columns), rows)]

    def by_column(self, count: int) -> tuple[Int[Tensor, " NS"], Int[Tensor, " {count}"]]:
        """Return the rows in which each of the `count` columns is 1, column after column, and where each begins."""
        if self._sorted is None:
            columns = self.columns - self.start
            # Short integers are what numpy sorts by their digits: ten times as fast as torch does, bytes twenty times.
            digits = columns.numpy().T.astype(np.uint8 if count <= 256 else np.uint16)
            ordered = torch.from_numpy(digits.argsort(axis=1, kind="stable")).flatten()
            each = torch.bincount(columns.flatten(), minlength=count)
            self._sorted = ordered, each.cumsum(0) - each
        assert len(self._sorted[1]) == count, (len(self._sorted[1]), count)
        return self._sorted


def bias_inside(weight: Float[Tensor, "I O"], bias: Float[Tensor, " O"], one_hots: OneHots) -> Float[Tensor, "I O"]:
    """Return a weight whose rows bring the bias: every input picks one of them for each place of its one-hots."""
    weight = weight.clone()
    weight[one_hots.start :] += bias / one_hots.columns.shape[1]
    return weight


def one_hot_product(
    x: Float[Tensor, "N I"], weight: Float[Tensor, "J O"], bias: Float[Tensor, " O"] | None, one_hots: OneHots | None
) -> Float[Tensor, "N O"]:
    """Return x @ weight, plus bias if given, without gradient; rows of the weight are gathered where x is one-hot."""
    if one_hots is None:
        return product(x, weight, bias)
    gathered = functional.embedding_bag(one_hots.columns, weight, mode="sum")
    if start := one_hots.start:
        return add_product(gathered, x[:, :start], weight[:start], bias)
    return gathered if bias is None else gathered.add_(bias)


def one_hot_gradient(one_hots: OneHots, grad: Float[Tensor, "N O"], count: int) -> Float[Tensor, "{count} O"]:
    """Return the gradient of the weight's rows from `start` on, `count` of them: each sums up the rows it was added to.

    A product with the one-hots would make classes times as many multiplications.
    """
    ordered, begins = one_hots.by_column(count)
    return functional.embedding_bag(ordered, grad, begins, mode="sum")
