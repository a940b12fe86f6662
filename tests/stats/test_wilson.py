"""Intervals of shares against figures worked out elsewhere, and against how often they hold (hockey's win rates)."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from dreamerlab.stats.wilson import share_interval


@pytest.mark.parametrize(("count", "num"), [(41, 600), (0, 12), (12, 12), (1, 1), (87, 100), (5000, 10000)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_intervals_are_those_of_a_statistics_library(count: int, num: int, level: float) -> None:
    found, known = share_interval(count, num, level), stats.binomtest(count, num).proportion_ci(level, method="wilson")
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-12)
    assert found.value == count / num
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_the_ends_are_the_shares_that_are_just_not_refused() -> None:
    found = share_interval(41, 600)
    for end in (found.low, found.high):
        assert abs(found.value - end) / math.sqrt(end * (1 - end) / 600) == pytest.approx(1.959964, abs=1e-6)


def test_games_that_all_ended_alike_leave_doubt_on_one_side() -> None:
    none, every = share_interval(0, 20), share_interval(20, 20)
    assert (none.low, every.high) == (0.0, 1.0)
    assert [none.high, 1 - every.low] == pytest.approx([0.161, 0.161], abs=1e-3)
