from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dreamerlab.stats.one_sample import mean_interval, sign_test_seeds

samples = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12)


@given(samples, st.sampled_from([0.9, 0.95, 0.9944]))
def test_the_interval_agrees_with_scipy(sample: list[float], level: float) -> None:
    from scipy import stats

    found = mean_interval(sample, level)
    assume(found.low is not None and found.standard_error is not None and found.standard_error > 1e-6)
    low, high = stats.t.interval(level, len(sample) - 1, loc=found.mean, scale=stats.sem(sample))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)
    value = found.mean + (found.standard_error or 0) * 2
    assert found.p_at(value) == pytest.approx(stats.ttest_1samp(sample, value).pvalue, rel=1e-6)


@given(samples)
def test_a_level_at_the_end_of_the_interval_has_the_p_of_the_interval(sample: list[float]) -> None:
    found = mean_interval(sample)
    assume(found.low is not None and found.standard_error is not None and found.standard_error > 1e-6)
    assert found.p_at(found.low or 0.0) == pytest.approx(0.05, rel=1e-4)


def test_without_spread_there_is_no_interval() -> None:
    one, alike = mean_interval([7.0]), mean_interval([0.1 + 0.2, 0.3])
    assert (one.mean, one.sd, one.low, one.standard_error) == (7.0, None, None, None)
    assert (alike.sd, alike.low, alike.high, alike.p_at(0.0)) == (0.0, None, None, None)


def test_numbers_near_the_limits_of_a_float() -> None:
    found = mean_interval([1e308, -1e308, 1e307])
    assert found.low is not None
    assert math.isfinite(found.mean)


@pytest.mark.parametrize(("alpha", "seeds"), [(0.05, 6), (0.0309, 7), (0.0625, 5), (0.0056, 9), (0.5, 2)])
def test_so_many_seeds_on_one_side_pass_the_sign_test(alpha: float, seeds: int) -> None:
    from scipy.stats import binomtest

    assert sign_test_seeds(alpha) == seeds
    assert binomtest(seeds, seeds).pvalue <= alpha < binomtest(seeds - 1, seeds - 1).pvalue
