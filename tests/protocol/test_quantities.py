"""Numbers and amounts as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.protocol.quantities import Amount, number_text, parse_amount, parse_count, parse_number

READ = {
    "30k": 30_000,
    "1.5M": 1_500_000,
    "3e-4": 3e-4,
    "-0.5": -0.5,
    "+2": 2,
    ".5": 0.5,
    "1,000": 1000,
    "12,345,678": 12_345_678,
    "1_000": 1000,
    "450.": 450,
}
NOT_READ = [
    "",
    "k",
    ".",
    "-",
    "abc",
    "1,00",
    "0,5",
    "1e999",
    "nan",
    "inf",
    "1 000",
    "3x",
    "0x10",
    "--1",
    "5kk",
    "1e5000",
]


@pytest.mark.parametrize("text", READ)
def test_a_number_is_read(text: str) -> None:
    assert parse_number(text) == READ[text]


@pytest.mark.parametrize("text", NOT_READ)
def test_what_is_no_number_is_none(text: str) -> None:
    assert parse_number(text) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_spelled_so_that_it_is_read_back(value: float) -> None:
    assert parse_number(number_text(value)) == value


@pytest.mark.parametrize(("text", "count"), [("30k", 30_000), ("1.5k", 1500), ("1.5", None), ("0", None), ("-3", None)])
def test_a_count_is_whole_and_above_zero(text: str, count: int | None) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("20", Amount(20)),
        ("20%", Amount(20, "%")),
        ("20 %", Amount(20, "%")),
        ("20% of span", Amount(20, "% of span")),
        ("2.5 % of the span", Amount(2.5, "% of span")),
        ("5 pp", Amount(5, "pp")),
        ("5pp", Amount(5, "pp")),
        ("30k", Amount(30_000)),
        ("20 points", None),
        ("%", None),
        ("20%%", None),
    ],
)
def test_an_amount_is_read(text: str, amount: Amount | None) -> None:
    assert parse_amount(text) == amount


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "%", "% of span", "pp"]),
)
def test_an_amount_is_spelled_so_that_it_is_read_back(value: float, share: str) -> None:
    amount = Amount(value, share)  # pyright: ignore[reportArgumentType]
    assert parse_amount(str(amount)) == amount
