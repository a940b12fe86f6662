"""What a number of seeds can detect: the published figures, and a simulation of one of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dreamerlab.stats.power import minimum_detectable_effect, power, seeds_needed


@pytest.mark.parametrize(
    ("seeds", "effect"),
    [(3, 3.07), (4, 2.38), (5, 2.02), (6, 1.80), (8, 1.51), (10, 1.32), (15, 1.06), (20, 0.91)],
)
def test_the_smallest_detectable_effects(seeds: int, effect: float) -> None:
    found = minimum_detectable_effect(seeds, seeds)
    assert found == pytest.approx(effect, rel=0.01)
    assert found is not None
    assert power(found, seeds, seeds) == pytest.approx(0.80, abs=1e-9)


def test_power_without_an_effect_is_the_level() -> None:
    assert power(0.0, 4, 7) == pytest.approx(0.05, rel=1e-9)
    assert power(-1.5, 5, 5) == pytest.approx(power(1.5, 5, 5), rel=1e-12)


def test_unequal_arms_cost_power() -> None:
    assert power(1.5, 3, 7) < power(1.5, 5, 5)
    assert minimum_detectable_effect(1, 9) is None


def test_a_simulation_finds_as_often_as_promised() -> None:
    draw = np.random.default_rng(5)
    a, b = draw.normal(0, 1, (20_000, 5)), draw.normal(2.02, 1, (20_000, 5))
    found = np.mean(stats.ttest_ind(a, b, axis=1).pvalue < 0.05)
    assert found == pytest.approx(0.80, abs=0.015)


@pytest.mark.parametrize("effect", [0.4, 0.777, 1.0, 2.02, 3.5])
@pytest.mark.parametrize("alpha", [0.05, 0.0309])
def test_the_seeds_needed_are_the_fewest_that_do(effect: float, alpha: float) -> None:
    seeds = seeds_needed(effect, alpha)
    assert seeds is not None
    assert power(effect, seeds, seeds, alpha) >= 0.8
    assert seeds == 2 or power(effect, seeds - 1, seeds - 1, alpha) < 0.8


def test_no_number_of_seeds_finds_nothing() -> None:
    assert seeds_needed(0.0) is None
    assert seeds_needed(-1.0) is None
    assert seeds_needed(0.01) is None
    assert seeds_needed(float("nan")) is None
