"""What two arms of given sizes can detect at all: said before a run is paid for, and beside every difference.

The minimum detectable effect is the true difference of means, in standard deviations of one seed, that a two-sided t
test finds with the wanted probability (noncentral t with na + nb - 2 degrees of freedom: both arms equally spread).
Three seeds an arm: 3.07; five: 2.02; ten: 1.32.
"""

from __future__ import annotations

import math
from functools import lru_cache

from dreamerlab.stats.student import bisect, exceedance, quantile

ALPHA, POWER = 0.05, 0.80
MOST_SEEDS = 1000
"""Beyond this many seeds an arm nothing is counted: no training run would have them."""


def power(effect_sd: float, num_a: int, num_b: int, alpha: float = ALPHA) -> float:
    """Return the probability that the two-sided test at `alpha` finds a true difference of `effect_sd` deviations."""
    dof = num_a + num_b - 2
    assert dof > 0, (num_a, num_b)
    shift = effect_sd * math.sqrt(num_a * num_b / (num_a + num_b))
    return exceedance(quantile(1 - alpha / 2, dof), dof, shift)


@lru_cache(maxsize=1024)
def minimum_detectable_effect(
    num_a: int, num_b: int, alpha: float = ALPHA, wanted_power: float = POWER
) -> float | None:
    """Return the smallest detectable effect in standard deviations of one seed; None when an arm has one seed."""
    if min(num_a, num_b) < 2:
        return None
    high = 1.0
    while power(high, num_a, num_b, alpha) < wanted_power:
        high *= 2.0
    return bisect(lambda effect: power(effect, num_a, num_b, alpha) < wanted_power, 0.0, high)


def seeds_needed(effect_sd: float, alpha: float = ALPHA, wanted_power: float = POWER) -> int | None:
    """Return the fewest seeds an arm, both alike, that find a true difference of `effect_sd` deviations.

    None beyond `MOST_SEEDS`, and for an effect that is none.
    """

    def finds(seeds: int) -> bool:
        return power(effect_sd, seeds, seeds, alpha) >= wanted_power

    if not effect_sd > 0 or not math.isfinite(effect_sd):
        return None
    low, high = 1, 2
    while not finds(high):
        if high >= MOST_SEEDS:
            return None
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if finds(middle) else (middle, high)
    return high
