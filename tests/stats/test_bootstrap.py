"""Descriptions of few seeds: right by definition, repeatable by their generator."""

from __future__ import annotations

from random import Random
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dreamerlab.stats.bootstrap import interquartile_mean, percentile, percentile_bootstrap, probability_of_improvement

SCORES = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=12)


@given(SCORES)
def test_the_interquartile_mean_is_the_oracles_trimmed_mean(scores: list[float]) -> None:
    assert interquartile_mean(scores) == pytest.approx(float(stats.trim_mean(scores, 0.25)), abs=1e-9)


def test_of_three_seeds_it_is_the_mean_and_of_four_it_is_not() -> None:
    assert interquartile_mean([0.0, 1.0, 8.0]) == 3.0
    assert interquartile_mean([0.0, 1.0, 2.0, 100.0]) == 1.5


@given(SCORES, SCORES)
def test_improvement_is_what_the_rank_test_counts(a: list[float], b: list[float]) -> None:
    wins = stats.mannwhitneyu(b, a).statistic / (len(a) * len(b))
    assert probability_of_improvement(a, b) == pytest.approx(float(wins))
    assert probability_of_improvement(a, b, lower_is_better=True) == pytest.approx(1 - float(wins))


@given(SCORES, st.floats(0, 1))
def test_percentiles_are_numpys(scores: list[float], share: float) -> None:
    assert percentile(sorted(scores), share) == pytest.approx(float(np.quantile(scores, share)), abs=1e-9)


def test_the_bootstrap_repeats_and_covers_where_it_should() -> None:
    draw = np.random.default_rng(0)
    a, b = draw.normal(0, 1, 60).tolist(), draw.normal(2, 1, 60).tolist()
    low, high = percentile_bootstrap(a, b, fmean, Random(1))
    assert (low, high) == percentile_bootstrap(a, b, fmean, Random(1))
    assert (low, high) != percentile_bootstrap(a, b, fmean, Random(2))
    # With sixty seeds it agrees with the t interval to a few percent of its width.
    expected = stats.ttest_ind(b, a, equal_var=False).confidence_interval()
    assert abs(low - expected.low) < 0.1
    assert abs(high - expected.high) < 0.1


def test_resampling_one_value_gives_that_value() -> None:
    assert percentile_bootstrap([1.0], [3.0], fmean, Random(0), resamples=10) == (2.0, 2.0)
