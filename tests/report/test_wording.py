"""Quantities in words: right at the borders where the form changes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.report.wording import amount, duration, figure, size, sparkline, state_counts


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (90_000, "1 d 01 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_unknown_duration_is_a_dash() -> None:
    assert duration(None) == duration(math.nan) == duration(-1) == "-"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0.00"),
        (0.00123, "0.00123"),
        (1.5, "1.50"),
        (-200.04, "-200.0"),
        (12345.6, "12,346"),
        (math.inf, "inf"),
    ],
)
def test_figures(value: float | None, text: str) -> None:
    assert figure(value) == text


def test_amounts_carry_their_unit() -> None:
    assert amount(30_000, "env_steps") == "30,000 env steps"
    assert amount(3600, "wall_clock") == "1 h 00 min"
    assert size(812) == "812 B"
    assert size(3_400_000) == "3.4 MB"


def test_states_are_counted_only_when_they_differ() -> None:
    assert state_counts(["finished", "finished"]) == "finished"
    assert state_counts(["failed", "running", "running"]) == "2 running, 1 failed"


@given(st.lists(st.floats(-1e9, 1e9) | st.just(math.nan), min_size=1, max_size=200), st.integers(2, 60))
def test_a_sparkline_fits_and_shows_highest_and_lowest(values: list[float], width: int) -> None:
    known = [value for value in values if value == value] or [0.0]
    chart = sparkline(values, width, min(known), max(known), unicode=False)
    assert len(chart) == min(len(values), width)
    assert set(chart) <= set(" .:-=+*#@")
    if len(values) <= width and max(known) > min(known):
        assert chart[values.index(max(known))] == "@"
        assert chart[values.index(min(known))] == "."
