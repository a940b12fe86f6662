"""What a seed specification means, and what it must never be taken for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.errors import UsageError
from dreamerlab.lab.seeds import LARGEST_SEED, MOST_SEEDS, parse_seeds
from dreamerlab.report.wording import seeds_text


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("1", (0,)),
        ("3", (0, 1, 2)),
        ("100-102", (100, 101, 102)),
        ("7-7", (7,)),
        ("5,7,9", (5, 7, 9)),
        ("9,5", (9, 5)),
        ("0-2, 7", (0, 1, 2, 7)),
    ],
)
def test_a_number_counts_and_everything_else_names(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0", "at least one"),
        ("-1", "negative"),
        ("3,-1", "negative"),
        ("5,5", "more than once"),
        ("0-3,2", "more than once"),
        ("1001", "more than 1000"),
        ("0-1000", "more than 1000"),
        ("0-9999999999", "larger than"),
        ("5-3", "backwards"),
        ("", "not a seed"),
        ("1,,2", "not a seed"),
        ("three", "not a seed"),
        ("1.5", "not a seed"),
        ("²", "not a seed"),
    ],
)
def test_nonsense_is_refused_with_its_reason(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        parse_seeds(text)
    assert caught.value.hint


@given(st.lists(st.integers(0, LARGEST_SEED), min_size=2, max_size=50, unique=True))
def test_the_short_form_reads_back_as_the_same_seeds(seeds: list[int]) -> None:
    text = seeds_text(seeds)
    assert parse_seeds(text) == tuple(seeds)


def test_the_limit_itself_is_allowed() -> None:
    assert len(parse_seeds(str(MOST_SEEDS))) == MOST_SEEDS
