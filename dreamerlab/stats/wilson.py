"""The interval of a share: how many of n games are won, and what that says of the next ones (Wilson's score interval).

Unlike the mean with its standard error it stays within 0 and 1 and has a width where all games ended alike. Games are
taken as independent; how far trainings differ from each other is in none of it, that is asked over seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from dreamerlab.stats.welch import LEVEL

FEWEST_GAMES = 100
"""Fewer games are no result: 95 % intervals around one half are then more than 19 points wide."""


@dataclass(frozen=True)
class Share:
    """A share of `num` cases with its interval."""

    count: int
    num: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share itself."""
        return self.count / self.num

    def to_data(self) -> dict[str, float | int]:
        """Return everything as JSON-ready values."""
        return {"count": self.count, "n": self.num, "share": self.value, "low": self.low, "high": self.high}


def share_interval(count: int, num: int, level: float = LEVEL) -> Share:
    """Return the share `count` of `num`, at least one, with Wilson's two-sided interval.

    Its ends are the true shares under which so extreme a count is just not refused: with z the normal quantile,
    (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    """
    assert 0 <= count <= num, (count, num)
    assert num > 0, num
    z = NormalDist().inv_cdf(0.5 + level / 2)
    p, square = count / num, z * z / num
    middle, reach = p + square / 2, z * math.sqrt(p * (1 - p) / num + square / (4 * num))
    low, high = ((middle + sign * reach) / (1 + square) for sign in (-1, 1))
    # Exactly 0 and 1 at the ends, where rounding would leave a speck.
    return Share(count, num, 0.0 if count == 0 else low, 1.0 if count == num else high)
