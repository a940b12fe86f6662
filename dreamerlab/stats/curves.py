"""What the course of one seed's evaluations was: when it reached a level, and which pattern it followed.

Patterns are computed by the rules below, never typed (M-PROT-17). Heights are shares of the span from random play (0)
to solved (1), so the rules mean the same in every task and for tasks in which lower is better. In this order:

    too short                         fewer than 4 evaluations
    stuck                             never a tenth of the span above random play
    collapse without recovery         fell below half of its high, a quarter of the evaluations ago or more
    peak-then-collapse                the same, but so recently that a recovery cannot be excluded
    collapse then recovery            fell below half of its high, and came back to four fifths of it
    stable plateau                    the second half varies by at most a fifth of the peak, and is near it
    oscillating without catastrophic collapse     lost a fifth of the peak and won a fifth back, at least once
    peak-then-decline                 lost a fifth of the peak and did not win it back
    slow improvement                  none of these: still rising when the budget ended

A fall counts as a collapse from a high of half the overall peak and a quarter of the span on: wobbles of a beginner
are none. Which evaluations count, and the levels of the task, are the caller's business.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

FEWEST = 4
_STUCK = 0.1
_LEAST_HIGH = 0.25
_COLLAPSED, _RECOVERED = 0.5, 0.8
_SWING = 0.2


class Course(NamedTuple):
    """Peak, deepest value after it, and last value of a curve, with the index of the peak."""

    peak: float
    peak_index: int
    lowest_after: float
    last: float


def first_reached(values: Sequence[float], level: float, *, falling: bool = False) -> int | None:
    """Return the index of the first value at or beyond `level`, None when none is: nothing is interpolated."""
    return next((i for i, value in enumerate(values) if (value <= level if falling else value >= level)), None)


def course(values: Sequence[float], *, falling: bool = False) -> Course:
    """Return the course of at least one value; with `falling`, lower is better and the peak is the lowest."""
    best, worst = (min, max) if falling else (max, min)
    peak = best(values)
    index = values.index(peak)
    return Course(peak, index, worst(values[index:]), values[-1])


def pattern(values: Sequence[float], random: float, solved: float) -> str:
    """Return the label of one seed's finite evaluations, oldest first; `random` and `solved` must differ."""
    assert random != solved, random
    if len(values) < FEWEST:
        return "too short"
    heights = [(value - random) / (solved - random) for value in values]
    peak = max(heights)
    if peak < _STUCK:
        return "stuck"
    down_for, ever_down = _collapse(heights, peak)
    if down_for:
        return "collapse without recovery" if 4 * down_for >= len(heights) else "peak-then-collapse"
    if ever_down:
        return "collapse then recovery"
    late = heights[len(heights) // 2 :]
    if max(late) - min(late) <= _SWING * peak and math.fsum(late) / len(late) >= (1 - _SWING) * peak:
        return "stable plateau"
    falls, rises = _swings(heights, _SWING * peak)
    if falls and rises:
        return "oscillating without catastrophic collapse"
    return "peak-then-decline" if falls else "slow improvement"


def _collapse(heights: Sequence[float], peak: float) -> tuple[int, bool]:
    """Return for how many evaluations the curve has been collapsed at its end, and whether it ever was."""
    least, high, since, ever = max(_LEAST_HIGH, _COLLAPSED * peak), heights[0], None, False
    for index, height in enumerate(heights):
        high = max(high, height)
        if since is None and high >= least and height < _COLLAPSED * high:
            since, ever = index, True
        elif since is not None and height >= _RECOVERED * high:
            since = None
    return (0 if since is None else len(heights) - since), ever


def _swings(heights: Sequence[float], size: float) -> tuple[int, int]:
    """Return how many falls of at least `size` there are, and how many rises of at least `size` follow a fall."""
    falls, rises, high, low = 0, 0, heights[0], None
    for height in heights:
        if low is None:
            high = max(high, height)
            if high - height >= size:
                falls, low = falls + 1, height
        else:
            low = min(low, height)
            if height - low >= size:
                rises, high, low = rises + 1, height, None
    return falls, rises
