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


def power(effect_sd: float, num_a: int, num_b: int, alpha: float = ALPHA) -> float:
    """Return the probability that the two-sided test at `alpha` finds a true difference of `effect_sd` deviations."""
    dof = num_a + num_b - 2
    assert dof > 0, (num_a, num_b)
    shift = effect_sd * math.sqrt(num_a * num_b / (num_a + num_b))
    return exceedance(quantile(1 - alpha / 2, dof), dof, shift)


@lru_cache(maxsize=64)
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
