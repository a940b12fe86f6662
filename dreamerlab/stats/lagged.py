"""Whether a signal moves before or after the performance: correlation of the two over lags, one training seed a unit.

    r(lag) = correlation of signal(t) with performance(t + lag)        lag > 0: the signal comes first (M-PROT-20)

Both are given once an evaluation, evenly spaced. Two curves that both rise are correlated at every lag without any
cause, so what decides are *changes*, from one evaluation to the next; *levels* are beside them. Neighbours in time
resemble each other, so that n pairs carry less than n facts: `independent_pairs` says how many (Pyper and Peterman
1998), and no interval is built on pairs. What decides is agreement between seeds, which know nothing of each other:

    z = atanh(r) of each seed;  interval = t interval of the mean of z over seeds, at 1 - 0.05 / number of lags

A relation is named only where that interval leaves out 0 at some lag. That all runs of one task take a similar course
still can bring it about: a lead is a hint of where to look, never a cause.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dreamerlab.stats.bootstrap import percentile
from dreamerlab.stats.one_sample import mean_interval
from dreamerlab.stats.welch import LEVEL

FEWEST_PAIRS = 6
"""With fewer pairs of values no correlation is given."""
FEWEST_SEEDS = 3
_MOST_Z = 7.0  # atanh of a correlation of 1 - 2e-6: a perfect one must not be infinite

Samples = Mapping[int, float]
"""Number of the evaluation -> value; gaps are allowed."""


@dataclass(frozen=True)
class Lag:
    """The correlation at one lag, in evaluations."""

    lag: int
    pairs: Mapping[int, int]
    """Seed -> how many pairs of values there are."""
    by_seed: Mapping[int, float]
    """Seed -> correlation; none of a seed with too few pairs, or with one value that never changes."""
    low: float | None = None
    """Interval of the mean correlation over seeds, widened for the number of lags; None below three seeds."""
    high: float | None = None

    @property
    def median(self) -> float | None:
        """Median over seeds."""
        return percentile(sorted(self.by_seed.values()), 0.5) if self.by_seed else None

    @property
    def clear(self) -> bool:
        """Whether the seeds agree beyond chance."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def lagged(signal: Mapping[int, Samples], performance: Mapping[int, Samples], most: int) -> list[Lag]:
    """Return the correlations of lags -`most` .. `most`, those that any seed has enough pairs for; by seed."""
    found: list[tuple[int, dict[int, int], dict[int, float]]] = []
    for lag in range(-most, most + 1):
        pairs = {
            seed: [(x, performance[seed][at + lag]) for at, x in values.items() if at + lag in performance[seed]]
            for seed, values in signal.items()
        }
        known = {seed: r for seed, both in pairs.items() if (r := correlation(both)) is not None}
        if known:
            found.append((lag, {seed: len(both) for seed, both in pairs.items()}, known))
    level = 1 - (1 - LEVEL) / max(1, len(found))
    return [Lag(lag, pairs, known, *_interval(list(known.values()), level)) for lag, pairs, known in found]


def changes(values: Samples) -> dict[int, float]:
    """Return what each value differs by from the one an evaluation before it."""
    return {at: value - values[at - 1] for at, value in sorted(values.items()) if at - 1 in values}


def clearest(lags: Sequence[Lag]) -> Lag | None:
    """Return the lag at which the seeds agree on the strongest relation; None where they agree on none."""
    agreed = [one for one in lags if one.clear]
    return max(agreed, key=lambda one: (abs(one.median or 0.0), -abs(one.lag)), default=None)


def correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Pearson's correlation; None for too few pairs, or where one side does not vary."""
    if len(pairs) < FEWEST_PAIRS:
        return None
    xs, ys = _centred([x for x, _ in pairs]), _centred([y for _, y in pairs])
    spread = math.sqrt(math.fsum(x * x for x in xs) * math.fsum(y * y for y in ys))
    if spread == 0.0:
        return None
    return max(-1.0, min(1.0, math.fsum(x * y for x, y in zip(xs, ys, strict=True)) / spread))


def autocorrelation(values: Samples, lag: int = 1) -> float | None:
    """Return the correlation of a series with itself `lag` evaluations later."""
    return correlation([(value, values[at + lag]) for at, value in values.items() if at + lag in values])


def independent_pairs(signal: Samples, performance: Samples) -> float:
    """Return how many independent pairs two series of one grid are worth at lag 0, between 2 and their number.

    1 / worth = 1 / n + 2 / n * sum over k < n / 5 of (1 - k / n) * rxx(k) * ryy(k)
    """
    shared = [at for at in signal if at in performance]
    n = len(shared)
    if n < FEWEST_PAIRS:
        return float(n)
    xs, ys = {at: signal[at] for at in shared}, {at: performance[at] for at in shared}
    total = 0.0
    for k in range(1, max(2, n // 5 + 1)):
        total += (1 - k / n) * (autocorrelation(xs, k) or 0.0) * (autocorrelation(ys, k) or 0.0)
    return min(float(n), max(2.0, n / max(1e-9, 1 + 2 * total)))


def _interval(correlations: Sequence[float], level: float) -> tuple[float | None, float | None]:
    if len(correlations) < FEWEST_SEEDS:
        return None, None
    found = mean_interval([max(-_MOST_Z, min(_MOST_Z, _atanh(r))) for r in correlations], level)
    return (None, None) if found.low is None or found.high is None else (math.tanh(found.low), math.tanh(found.high))


def _atanh(r: float) -> float:
    return math.copysign(_MOST_Z, r) if abs(r) >= 1.0 else math.atanh(r)


def _centred(values: Sequence[float]) -> list[float]:
    """Return the values without their mean, in units of the largest: squares can neither overflow nor vanish."""
    mean = math.fsum(values) / len(values)
    apart = [value - mean for value in values]
    most = max(map(abs, apart))
    # What differs by rounding alone does not vary.
    return [one / most for one in apart] if most > 1e-12 * max(1e-300, *map(abs, values)) else [0.0] * len(apart)
