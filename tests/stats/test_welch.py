"""Welch's interval: equal to scipy's where scipy has one, and defined where scipy divides by zero."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dreamerlab.stats.welch import welch

SCORES = st.lists(st.floats(-1e4, 1e4).map(lambda x: round(x, 3)), min_size=2, max_size=12)


@pytest.mark.parametrize("sizes", [(3, 3), (5, 5), (3, 7), (10, 10), (2, 40)])
@pytest.mark.parametrize("level", [0.90, 0.95])
def test_interval_and_p_agree_with_the_oracle(sizes: tuple[int, int], level: float) -> None:
    draw = np.random.default_rng(sizes[0] * 100 + sizes[1])
    a, b = draw.normal(200, 40, sizes[0]).tolist(), draw.normal(260, 90, sizes[1]).tolist()
    ours, oracle = welch(a, b, level), stats.ttest_ind(b, a, equal_var=False)
    expected = oracle.confidence_interval(level)
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), rel=1e-10)
    assert (ours.p, ours.dof) == pytest.approx((oracle.pvalue, oracle.df), rel=1e-10)
    assert ours.difference == pytest.approx(np.mean(b) - np.mean(a), rel=1e-12)
    pooled = math.sqrt(((len(a) - 1) * np.var(a, ddof=1) + (len(b) - 1) * np.var(b, ddof=1)) / (len(a) + len(b) - 2))
    assert ours.pooled_sd == pytest.approx(pooled, rel=1e-12)


@given(SCORES, SCORES)
def test_exchanging_the_arms_mirrors_the_interval(a: list[float], b: list[float]) -> None:
    one, other = welch(a, b), welch(b, a)
    assert one.difference == -other.difference
    assert (one.low is None) == (other.low is None)
    if one.low is not None and one.high is not None and other.low is not None and one.p is not None:
        assert one.high == pytest.approx(-other.low, rel=1e-9, abs=1e-9)
        assert one.low <= one.difference <= one.high
        if abs(one.p - 0.05) > 1e-9:
            assert (one.p < 0.05) == (not one.low <= 0 <= one.high)


@given(SCORES, SCORES, st.sampled_from([1e-200, 1e-3, 7.0, 1e150]))
def test_the_unit_of_the_score_does_not_matter(a: list[float], b: list[float], unit: float) -> None:
    plain, scaled = welch(a, b), welch([x * unit for x in a], [x * unit for x in b])
    assert (plain.p is None) == (scaled.p is None)
    if plain.p is not None and plain.low is not None and plain.high is not None:
        assert scaled.p == pytest.approx(plain.p, rel=1e-6)
        assert scaled.low == pytest.approx(plain.low * unit, rel=1e-6, abs=1e-9 * (plain.high - plain.low) * unit)


def test_no_spread_in_both_arms_gives_a_difference_and_no_interval() -> None:
    same = welch([500.0] * 3, [500.0] * 5)
    assert (same.difference, same.low, same.high, same.p, same.pooled_sd) == (0.0, None, None, None, 0.0)
    assert "no spread" in (same.reason or "")
    apart = welch([100.0] * 3, [500.0] * 3)
    assert (apart.difference, apart.low, apart.p) == (400.0, None, None)


def test_rounding_is_no_spread() -> None:
    assert welch([0.1 + 0.2] * 2 + [0.3], [0.3, 0.3]).low is None
    assert welch([437.6, 437.59999999999997], [437.6, 437.6]).low is None


def test_one_arm_without_spread_rests_on_the_other() -> None:
    result = welch([500.0] * 3, [450.0, 470.0, 490.0, 480.0])
    oracle = stats.ttest_1samp([450.0, 470.0, 490.0, 480.0], 500.0)
    assert result.dof == pytest.approx(3.0)
    assert result.p == pytest.approx(oracle.pvalue, rel=1e-10)


def test_one_seed_has_no_interval() -> None:
    alone = welch([1.0], [2.0])
    assert (alone.difference, alone.low, alone.pooled_sd, alone.reason) == (1.0, None, None, "one seed has no spread")
    beside = welch([1.0], [2.0, 4.0])
    assert (beside.low, beside.reason) == (None, "one seed has no spread")
    assert beside.pooled_sd == pytest.approx(math.sqrt(2.0))
