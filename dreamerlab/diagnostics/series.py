"""What the rules look at: the measured values of one seed, metric by metric, and windows of them.

A `Course` comes from the files of a trial (`lab.diagnose_reading`) or grows while it trains (`live.py`). Its series
hold at most some hundreds of points, evenly spread, so that looking costs the same for a run of any length. Windows
are shares of the run in env steps: `last=0.5` is its second half, counted from where learning begins. Pure Python.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

FEWEST = 4
"""Fewer points than these in a window tell nothing."""
OF_UPDATES = ("wm/", "behavior/", "optim/")
"""Metrics that exist only once something learns."""


@dataclass(frozen=True)
class Series:
    """Finite values of one metric over env steps, oldest first."""

    steps: Sequence[int]
    values: Sequence[float]

    def between(self, first: float, last: float) -> Series:
        """Return the part with `first <= env steps <= last`."""
        low, high = bisect_left(self.steps, first), bisect_right(self.steps, last)
        return Series(self.steps[low:high], self.values[low:high])

    def __len__(self) -> int:
        """Return how many points there are."""
        return len(self.steps)


EMPTY = Series((), ())


@dataclass(frozen=True)
class Course:
    """All series of one seed, how much of its budget is spent, and how it ended."""

    series: Mapping[str, Series]
    spent: float = 1.0
    """Share of the budget, 0 to 1: a young run is not told that it has not learnt."""
    diverged: str | None = None
    """Why a value stopped being finite; None where none did."""
    config: Mapping[str, object] = field(default_factory=dict[str, object])
    """The recorded config, flat; empty where a rule may read metrics only."""

    @cached_property
    def first(self) -> int:
        """Env steps at which learning begins: the first value that an update gave."""
        found = [one.steps[0] for name, one in self.series.items() if len(one) and name.startswith(OF_UPDATES)]
        return min(found, default=min((one.steps[0] for one in self.series.values() if len(one)), default=0))

    @cached_property
    def last(self) -> int:
        """Env steps of the newest point."""
        return max((one.steps[-1] for one in self.series.values() if len(one)), default=0)

    def of(self, names: str) -> tuple[str, Series]:
        """Return the first series of `a|b|c` that is long enough to tell something, else the first there is at all.

        With its name; an empty one under the first name where there is none.
        """
        choices = names.split("|")
        for fewest in (FEWEST, 1):
            for name in choices:
                if len(found := self.series.get(name, EMPTY)) >= fewest:
                    return name, found
        return choices[0], EMPTY

    def tail(self, names: str, share: float) -> tuple[str, Series]:
        """Return the part of a series in the last `share` of the run."""
        name, whole = self.of(names)
        return name, whole.between(self.last - share * (self.last - self.first), self.last)

    def head(self, names: str, share: float) -> tuple[str, Series]:
        """Return the part of a series in the first `share` of the run, from its first update on."""
        name, whole = self.of(names)
        return name, whole.between(self.first, self.first + share * (self.last - self.first))


def make_series(points: Iterable[tuple[int, float]]) -> Series:
    """Return a series of the finite ones of `points`, which are in order."""
    kept = [point for point in points if math.isfinite(point[1])]
    return Series([step for step, _ in kept], [value for _, value in kept])


def median(values: Sequence[float]) -> float:
    """Return the middle of at least one value."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie, between neighbours linearly."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def spread(values: Sequence[float]) -> float:
    """Return a standard deviation that a few outliers do not move: 0.741 of the range between the quartiles."""
    return 0.741 * (quantile(values, 0.75) - quantile(values, 0.25))


def smooth(values: Sequence[float], width: int = 3) -> list[float]:
    """Return running medians over `width` neighbours, shorter at both ends."""
    half = width // 2
    return [median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]
