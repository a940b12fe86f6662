"""The t distribution of our own against scipy's, over every size that a comparison can meet and far beyond."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dreamerlab.stats.student import exceedance, quantile, two_sided_p, upper_tail

DOFS = [1.0, 1.37, 2.0, 2.9, 4.0, 7.61, 8.0, 18.0, 19.9, 20.1, 38.0, 39.9, 40.1, 99.5, 1000.0, 123_456.7]


@pytest.mark.parametrize("dof", DOFS)
def test_the_tail_agrees_with_the_oracle_to_ten_digits(dof: float) -> None:
    ts = np.concatenate([[0.0, 1e-4], np.linspace(0.01, 12, 60), [40.0, 1e3, 1e6]])
    expected = stats.t.sf(ts, dof)
    ours = np.array([upper_tail(float(t), dof) for t in ts])
    seen = expected > 1e-250
    np.testing.assert_allclose(ours[seen], expected[seen], rtol=1e-10)
    np.testing.assert_allclose([upper_tail(-float(t), dof) for t in ts], stats.t.cdf(ts, dof), rtol=1e-10)


@pytest.mark.parametrize("dof", DOFS)
@pytest.mark.parametrize("probability", [0.001, 0.05, 0.4, 0.6, 0.9, 0.95, 0.975, 0.995, 0.999999])
def test_the_quantile_agrees_with_the_oracle_to_ten_digits(dof: float, probability: float) -> None:
    assert quantile(probability, dof) == pytest.approx(stats.t.ppf(probability, dof), rel=1e-10)


@given(st.floats(1.0, 500.0), st.floats(0.51, 0.9999))
def test_the_quantile_undoes_the_tail(dof: float, probability: float) -> None:
    assert 1 - upper_tail(quantile(probability, dof), dof) == pytest.approx(probability, rel=1e-12)


@given(st.floats(1.0, 500.0), st.floats(0, 50), st.floats(0, 50))
def test_a_larger_t_is_never_more_probable(dof: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= two_sided_p(high, dof) <= two_sided_p(-low, dof) * (1 + 1e-12) <= 1 + 1e-11


def test_one_degree_of_freedom_is_the_cauchy_distribution() -> None:
    for t in (1e-12, 1e-9, 0.3, 1.0, 77.0, 1e9):
        assert upper_tail(t, 1.0) == pytest.approx(math.atan2(1.0, t) / math.pi, rel=1e-13)


def test_half_of_everything_lies_above_the_middle() -> None:
    assert quantile(0.5, 3.0) == pytest.approx(0.0, abs=1e-15)
    assert upper_tail(0.0, 3.0) == 0.5
    assert upper_tail(1e200, 2.0) == 0.0


@pytest.mark.parametrize("dof", [2.0, 4.0, 8.0, 18.0, 50.0, 400.0])
@pytest.mark.parametrize("shift", [0.0, 0.7, 3.2, 9.0])
def test_the_tail_under_an_alternative_agrees_with_the_oracle(dof: float, shift: float) -> None:
    threshold = stats.t.ppf(0.975, dof)
    # The oracle has no value for a lower tail that is as good as zero.
    expected = stats.nct.sf(threshold, dof, shift) + np.nan_to_num(stats.nct.cdf(-threshold, dof, shift))
    assert exceedance(threshold, dof, shift) == pytest.approx(expected, rel=1e-8)
