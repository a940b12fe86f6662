"""The exact permutation test against scipy and against its own definition, ties and unequal arms included."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dreamerlab.stats.permutation import exact_permutation, least_p, rank_permutation

SCORES = st.lists(st.integers(-6, 6).map(lambda n: n / 10), min_size=1, max_size=5)


def by_definition(a: list[float], b: list[float]) -> float:
    """The share of splits at least as far apart, in whole numbers, where ties are exact."""
    pool = [round(10 * x) for x in (*a, *b)]
    total, n = sum(pool), len(a)

    def apart(arm: float) -> float:
        return abs(arm * len(pool) - total * n)

    splits = [sum(pool[i] for i in arm) for arm in combinations(range(len(pool)), n)]
    return sum(apart(arm) >= apart(sum(pool[:n])) for arm in splits) / len(splits)


@given(SCORES, SCORES)
def test_it_is_the_share_of_splits_at_least_as_far_apart(a: list[float], b: list[float]) -> None:
    result = exact_permutation(a, b)
    assert result is not None
    assert result.p == pytest.approx(by_definition(a, b), rel=1e-12)
    assert result.least <= result.p <= 1


@pytest.mark.parametrize("sizes", [(3, 3), (4, 6), (5, 5)])
def test_it_agrees_with_the_oracle(sizes: tuple[int, int]) -> None:
    draw = np.random.default_rng(sizes[0])
    a, b = draw.normal(0, 1, sizes[0]), draw.normal(1, 2, sizes[1])
    oracle = stats.permutation_test(
        (a, b), lambda x, y: abs(np.mean(x) - np.mean(y)), n_resamples=np.inf, alternative="greater"
    )
    result = exact_permutation(a.tolist(), b.tolist())
    assert result is not None
    assert result.p == pytest.approx(float(oracle.pvalue), rel=1e-12)


def test_three_seeds_an_arm_cannot_reach_five_percent() -> None:
    result = exact_permutation([1.0, 2.0, 3.0], [1001.0, 1002.0, 1003.0])
    assert result is not None
    assert (result.p, result.splits, result.least) == (0.1, 20, 0.1)
    assert least_p(4, 4) == pytest.approx(2 / 70)
    assert least_p(3, 4) == pytest.approx(1 / 35)


def test_equal_scores_are_never_extreme() -> None:
    result = exact_permutation([500.0] * 4, [500.0] * 4)
    assert result is not None
    assert result.p == 1.0


def test_too_many_splits_are_not_enumerated() -> None:
    assert exact_permutation([0.0] * 11, [1.0] * 11) is None
    ten = exact_permutation([0.0] * 10, [1.0] * 10)
    assert ten is not None
    assert ten.p == pytest.approx(2 / 184_756)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=5), st.lists(st.integers(0, 9), min_size=2, max_size=5))
def test_the_rank_test_sees_order_only(a: list[int], b: list[int]) -> None:
    stretched = rank_permutation([math.exp(x) for x in a], [math.exp(x) for x in b])
    assert rank_permutation(a, b) == stretched


@pytest.mark.parametrize(("a", "b"), [([1, 2, 3, 4], [5, 6, 7, 8]), ([1, 5, 5, 2], [5, 7, 5, 9, 1]), ([1, 1], [1, 1])])
def test_the_rank_test_agrees_with_scipy(a: list[float], b: list[float]) -> None:

    ranks = stats.rankdata([*a, *b])
    arms = (ranks[: len(a)], ranks[len(a) :])
    exact = stats.permutation_test(arms, lambda x, y: abs(x.mean() - y.mean()), alternative="greater")
    found = rank_permutation(a, b)
    assert found is not None
    assert found.p == pytest.approx(exact.pvalue)
