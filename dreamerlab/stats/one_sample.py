"""The mean of one arm with its t interval, and how far it lies from a level.

The unit is the training seed. As in `welch.py` an interval is never made up: seeds that all score alike have no
spread, and then there is none. For such seeds the exact sign test says how many of them it takes: n seeds that all lie
on one side of a level have p = 2 / 2^n, so 5% needs six.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dreamerlab.stats.student import quantile, two_sided_p
from dreamerlab.stats.welch import LEVEL

# Scores that differ by rounding alone have no spread.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Mean:
    """The mean of a sample, its standard deviation (None for one value) and its interval where there is one."""

    mean: float
    sd: float | None
    num: int
    level: float
    low: float | None = None
    high: float | None = None

    @property
    def standard_error(self) -> float | None:
        """Standard deviation of the mean."""
        return None if self.sd is None else self.sd / math.sqrt(self.num)

    def p_at(self, value: float) -> float | None:
        """Return the two-sided p of the hypothesis that the true mean is `value`; None without spread."""
        error = self.standard_error
        return two_sided_p((self.mean - value) / error, self.num - 1) if error else None


def mean_interval(sample: Sequence[float], level: float = LEVEL) -> Mean:
    """Return the mean of finite numbers, at least one, with its two-sided t interval."""
    assert sample, "no value"
    assert all(map(math.isfinite, sample)), sample
    # A power of two near the largest value: squares can neither overflow nor vanish, and nothing is rounded by it.
    scale = math.ldexp(1.0, math.frexp(max(map(abs, sample)))[1] - 1)
    values = [value / scale for value in sample]
    num, mean = len(values), math.fsum(values) / len(values)
    if num < 2:
        return Mean(mean * scale, None, num, level)
    if max(values) - min(values) <= _ROUNDING:
        return Mean(mean * scale, 0.0, num, level)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (num - 1))
    reach = quantile(0.5 + level / 2, num - 1) * sd / math.sqrt(num)
    return Mean(mean * scale, sd * scale, num, level, (mean - reach) * scale, (mean + reach) * scale)


def sign_test_seeds(alpha: float) -> int:
    """Return how many seeds, all on one side of a level, make the two-sided exact sign test pass at `alpha`."""
    return math.ceil(round(1 + math.log2(1 / alpha), 9))
