"""Lagged correlation: it finds a lead that is there, and names none where two curves merely share a trend."""

from __future__ import annotations

import math
import random

import pytest

from dreamerlab.stats.lagged import (
    Samples,
    autocorrelation,
    changes,
    clearest,
    correlation,
    independent_pairs,
    lagged,
)

EVALUATIONS = 20


def noise(generator: random.Random, memory: float = 0.0) -> dict[int, float]:
    """A series whose neighbours correlate by `memory`."""
    values, last = {}, generator.gauss(0, 1)
    for at in range(EVALUATIONS):
        last = memory * last + math.sqrt(1 - memory**2) * generator.gauss(0, 1)
        values[at] = last
    return values


def shifted(values: Samples, by: int) -> dict[int, float]:
    return {at + by: value for at, value in values.items()}


def blurred(values: Samples, generator: random.Random) -> dict[int, float]:
    return {at: value + 0.2 * generator.gauss(0, 1) for at, value in values.items()}


def test_a_signal_that_comes_first_is_found_at_its_lag_M_PROT_20() -> None:
    generator = random.Random(1)
    signal = {seed: noise(generator) for seed in range(4)}
    performance = {seed: shifted(blurred(values, generator), 2) for seed, values in signal.items()}
    best = clearest(lagged(signal, performance, 5))
    assert best is not None
    assert (best.lag, best.median) == (2, pytest.approx(1.0, abs=0.1))
    behind = clearest(lagged(performance, signal, 5))
    assert behind is not None
    assert behind.lag == -2


def test_the_correlation_is_that_of_the_textbook() -> None:
    pairs = [(1.0, 2.0), (2.0, 1.0), (3.0, 4.0), (4.0, 3.0), (5.0, 6.0), (6.0, 5.0)]
    assert correlation(pairs) == pytest.approx(29 / 35)
    assert correlation([(1e200 * x, 1e-200 * y) for x, y in pairs]) == pytest.approx(29 / 35)


def test_what_is_too_little_or_never_changes_has_no_correlation() -> None:
    assert correlation([(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 4.0), (5.0, 5.0)]) is None
    assert correlation([(0.3, float(i)) for i in range(9)]) is None
    assert lagged({0: dict.fromkeys(range(9), 1.0)}, {0: noise(random.Random(0))}, 3) == []


def test_of_two_seeds_nothing_is_clear() -> None:
    signal = {seed: noise(random.Random(seed)) for seed in range(2)}
    found = lagged(signal, signal, 2)
    assert {one.lag: one.median for one in found}[0] == pytest.approx(1.0)
    assert clearest(found) is None


def test_a_shared_trend_correlates_at_every_lag_and_its_changes_do_not() -> None:
    generator = random.Random(2)
    rising = {s: {at: at + v for at, v in noise(generator).items()} for s in range(5)}
    falling = {s: {at: 9 - at + v for at, v in noise(generator).items()} for s in range(5)}
    assert all(one.clear and (one.median or 0) < -0.5 for one in lagged(rising, falling, 3))
    moved = {s: changes(v) for s, v in rising.items()}, {s: changes(v) for s, v in falling.items()}
    assert clearest(lagged(*moved, 3)) is None


@pytest.mark.parametrize(("seeds", "memory"), [(3, 0.0), (5, 0.8)])
def test_unrelated_series_are_called_related_in_at_most_one_of_twenty_searches(seeds: int, memory: float) -> None:
    generator, found = random.Random(3), 0
    for _ in range(200):
        signal = {seed: noise(generator, memory) for seed in range(seeds)}
        performance = {seed: noise(generator, memory) for seed in range(seeds)}
        found += clearest(lagged(signal, performance, 4)) is not None
    assert found / 200 <= 0.08, "5 % and what 200 searches leave to chance"


def test_series_that_remember_are_worth_fewer_pairs() -> None:
    generator = random.Random(4)
    fresh = [independent_pairs(noise(generator), noise(generator)) for _ in range(50)]
    slow = [independent_pairs(noise(generator, 0.9), noise(generator, 0.9)) for _ in range(50)]
    assert sum(fresh) / 50 > 17
    assert sum(slow) / 50 < 13
    remembered = [autocorrelation(noise(generator, 0.9)) or 0.0 for _ in range(50)]
    assert sum(remembered) / 50 > 0.5


def test_gaps_in_a_series_are_no_changes() -> None:
    assert changes({1: 1.0, 2: 4.0, 5: 9.0, 6: 7.0}) == {2: 3.0, 6: -2.0}
