"""The performance profile of a few seeds: which share of them scores beyond tau, for every tau at once.

    share(tau) = number of seeds with score > tau / number of seeds         (Agarwal et al. 2021, section 4.2)

A profile hides nothing that a mean hides: two runs of one mean differ in it when one of them sometimes fails. Its band
is the exact binomial interval of Clopper and Pearson at every tau by itself: never narrower than its level says, which
a bootstrap of three or five seeds is. Where lower is better, the share of seeds below tau.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from dreamerlab.stats.student import bisect
from dreamerlab.stats.welch import LEVEL


class Step(NamedTuple):
    """One level of the profile: it holds from `start` to the next step's start."""

    start: float
    """-inf for the first."""
    share: float
    low: float
    high: float


def performance_profile(scores: Sequence[float], level: float = LEVEL, *, falling: bool = False) -> list[Step]:
    """Return the steps of the profile of at least one score, tau ascending.

    An infinite score is one that no tau reaches: with `falling` a time that was cut off.
    """
    assert scores, "no seed"
    assert not any(map(math.isnan, scores)), scores
    ends = [score for score in sorted(set(scores)) if math.isfinite(score)]
    steps: list[Step] = []
    for start in (-math.inf, *ends):
        count = sum(score <= start if falling else score > start for score in scores)
        steps.append(Step(start, count / len(scores), *binomial_interval(count, len(scores), level)))
    return steps


def binomial_interval(count: int, num: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact two-sided interval of a share of which `count` of `num` were seen."""
    assert 0 <= count <= num, (count, num)
    rest = (1 - level) / 2
    low = 0.0 if count == 0 else bisect(lambda p: _at_least(count, num, p) < rest, 0.0, 1.0)
    high = 1.0 if count == num else bisect(lambda p: _at_least(count + 1, num, p) < 1 - rest, 0.0, 1.0)
    return low, high


def _at_least(count: int, num: int, p: float) -> float:
    """Return P(X >= count) of a binomial of `num` trials with chance `p`."""
    return math.fsum(math.comb(num, k) * p**k * (1 - p) ** (num - k) for k in range(count, num + 1))
