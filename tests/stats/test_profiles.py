"""Performance profiles: shares by counting, bands against scipy and by simulation."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.stats.profiles import binomial_interval, performance_profile

SCORES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8)


@given(SCORES, st.floats(-2e6, 2e6), st.booleans())
def test_a_profile_says_which_share_of_seeds_lies_beyond_any_level(
    scores: list[float], tau: float, falling: bool
) -> None:
    steps = performance_profile(scores, falling=falling)
    step = [one for one in steps if one.start <= tau][-1]
    beyond = sum(score <= tau if falling else score > tau for score in scores)
    assert step.share == pytest.approx(beyond / len(scores))
    assert step.low <= step.share <= step.high


def test_a_time_that_was_cut_off_is_never_reached() -> None:
    assert [step.share for step in performance_profile([100.0, math.inf], falling=True)] == [0.0, 0.5]


@pytest.mark.slow
@pytest.mark.parametrize("num", [1, 3, 5, 10])
def test_the_band_is_that_of_clopper_and_pearson(num: int) -> None:
    from scipy.stats import binomtest

    for count in range(num + 1):
        known = binomtest(count, num).proportion_ci(0.95, method="exact")
        assert binomial_interval(count, num) == pytest.approx((known.low, known.high), abs=1e-9)


def test_three_of_three_seeds_prove_little() -> None:
    low, high = binomial_interval(3, 3)
    assert (low, high) == (pytest.approx(0.025 ** (1 / 3)), 1.0)
    assert binomial_interval(0, 3) == (0.0, pytest.approx(1 - 0.025 ** (1 / 3)))


def test_the_band_leaves_out_the_truth_at_most_as_often_as_it_says() -> None:
    generator = random.Random(0)
    bands = [binomial_interval(count, 5) for count in range(6)]
    for truth in (0.2, 0.5, 0.9):
        missed = 0
        for _ in range(2000):
            low, high = bands[sum(generator.random() < truth for _ in range(5))]
            missed += not low <= truth <= high
        assert missed / 2000 <= 0.05
