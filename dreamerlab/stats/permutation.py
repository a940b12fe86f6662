"""The exact two-sided permutation test of a difference of means: every split of the seeds is tried.

p = share of all splits into arms of these sizes whose means differ at least as much as the real ones. It assumes
nothing of the scores' distribution, and its smallest possible value is known beforehand: with three seeds an arm it
is 0.10, so 5% cannot be reached. It cross-checks the Welch interval (`welch.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

MOST_SPLITS = 200_000
"""Beyond this many splits (more than ten seeds an arm) nothing is enumerated."""
# Sums of the same numbers in another order differ by rounding; ties must not be decided by it.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Permutation:
    """The exact p value, of how many splits, and the least p that arms of these sizes can give."""

    p: float
    splits: int
    least: float


def least_p(num_a: int, num_b: int) -> float:
    """Return the smallest two-sided p that arms of these sizes can reach, whatever the scores.

    Equal arms come in mirrored pairs of splits, so the most extreme one is never alone.
    """
    return (2 if num_a == num_b else 1) / math.comb(num_a + num_b, num_a)


def exact_permutation(a: Sequence[float], b: Sequence[float]) -> Permutation | None:
    """Return the exact test of two samples of finite numbers; None when there are too many splits to enumerate."""
    assert a, "no seed in arm a"
    assert b, "no seed in arm b"
    splits = math.comb(len(a) + len(b), len(a))
    if splits > MOST_SPLITS:
        return None
    scale = max(map(abs, [*a, *b])) or 1.0
    pool = [value / scale for value in (*a, *b)]
    expected = math.fsum(pool) * len(a) / len(pool)
    # The difference of means is proportional to how far the sum of one arm lies from its expectation.
    needed = abs(sum(pool[: len(a)]) - expected) - _ROUNDING * len(pool)
    if len(a) == len(b):  # the mirror image of a split is as extreme: those with the first seed in arm a are enough
        first = pool[0] - expected
        extreme = 2 * sum(abs(sum(rest) + first) >= needed for rest in combinations(pool[1:], len(a) - 1))
    else:
        extreme = sum(abs(sum(arm) - expected) >= needed for arm in combinations(pool, len(a)))
    return Permutation(extreme / splits, splits, least_p(len(a), len(b)))


def rank_permutation(a: Sequence[float], b: Sequence[float]) -> Permutation | None:
    """Return the exact test on the ranks of the values, ties sharing the middle one: for times cut off at a budget."""
    pool = sorted([*a, *b])
    middle = {value: (pool.index(value) + len(pool) - 1 - pool[::-1].index(value)) / 2 for value in pool}
    return exact_permutation([middle[value] for value in a], [middle[value] for value in b])
