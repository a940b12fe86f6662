"""Products with one-hots that are told of, against products with one-hots that are made."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamerlab.dreamer.one_hots import OneHots, bias_inside, one_hot_gradient, one_hot_product

START = 3


def drawn(rows: int, places: int, classes: int, seed: int) -> tuple[OneHots, torch.Tensor]:
    """Return what is known of random rows, and the rows whole: `START` numbers, then a one-hot for each place."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(classes, (rows, places), generator=generator) + classes * torch.arange(places)
    ones = torch.zeros(rows, places * classes, dtype=torch.float64).scatter_(1, chosen, 1.0)
    numbers = torch.randn(rows, START, generator=generator, dtype=torch.float64)
    return OneHots(START, chosen + START), torch.cat([numbers, ones], 1)


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_they_are_the_plain_products(rows: int, places: int, classes: int, seed: int) -> None:
    known, whole = drawn(rows, places, classes, seed)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(whole.shape[1], 2, generator=generator, dtype=torch.float64)
    bias = torch.randn(2, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(one_hot_product(whole[:, :START], weight, None, known), whole @ weight)
    torch.testing.assert_close(one_hot_product(whole, weight, bias, known), whole @ weight + bias)
    torch.testing.assert_close(
        one_hot_product(whole, bias_inside(weight, bias, known), None, known), whole @ weight + bias
    )
    grad = torch.randn(rows, 2, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(one_hot_gradient(known, grad, places * classes), whole[:, START:].T @ grad)


@pytest.mark.parametrize("classes", [128, 200])
def test_columns_beyond_a_byte_are_sorted_too(classes: int) -> None:
    known, whole = drawn(500, 2, classes, seed=0)
    grad = torch.randn(500, 2, dtype=torch.float64)
    torch.testing.assert_close(one_hot_gradient(known, grad, 2 * classes), whole[:, START:].T @ grad)


def test_what_is_worked_out_for_one_network_is_kept_for_the_next() -> None:
    known, _ = drawn(5, 2, 3, seed=1)
    first, second = known.rows(0, 4).split(3)
    assert torch.equal(torch.cat([first.columns, second.columns]), known.columns[:4])
    again, _ = known.rows(0, 4).split(3)
    assert again is first
    assert again.by_column(6) is first.by_column(6)


def test_rows_column_after_column_by_hand() -> None:
    ordered, begins = OneHots(1, torch.tensor([[3, 4], [1, 5], [3, 5]])).by_column(5)
    # Column 0 of the first place in row 1, column 2 in rows 0 and 2; of the second place 3 in row 0, 4 in rows 1 and 2.
    assert ordered.tolist() == [1, 0, 2, 0, 1, 2]
    assert begins.tolist() == [0, 1, 1, 3, 4]
