"""Conditions on how the evaluation went: did it rise, did it fall again, and what moved meanwhile.

Everything is measured against the run itself: where its first training episodes were, how high it got, how much it
moves by itself. No level of the task is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dreamerlab.diagnostics.bounds import level_between
from dreamerlab.diagnostics.conditions import Seen, short
from dreamerlab.diagnostics.series import FEWEST, Course, Series, median, smooth, spread

EVALUATION = "eval/return_mode|eval/return_sample|train/return"
_LAST = 0.2
"""Share of the evaluations that say where a run ended up."""
_RISE = 0.2
"""A rise is no rise when it is less than this share of the size of where it began."""
_BEYOND_NOISE = 3.0
"""And when it is less than this many times what one evaluation differs from the next by chance."""


@dataclass(frozen=True)
class Peak:
    """Where the evaluation of a run was highest, and what came after."""

    metric: str
    beginning: float
    height: float
    end: float
    until: int
    """Env steps of the last evaluation near the height."""

    @property
    def lost(self) -> float:
        """Share of the rise that is gone at the end."""
        return (self.height - self.end) / (self.height - self.beginning)


def beginning_of(course: Course) -> float | None:
    """Return the return of the first training episodes, else of the first evaluation."""
    _, trained = course.of("train/return")
    _, evaluated = course.of(EVALUATION)
    first = trained.values[:3] or evaluated.values[:1]
    return median(first) if first else None


def rise_of(evaluations: Series, beginning: float) -> tuple[bool, bool, float]:
    """Tell whether the last third of the evaluations is above the beginning, and whether it is not; and its median.

    Neither is told where it looks higher and moves too much by itself to be sure.
    """
    late = evaluations.values[-max(FEWEST, len(evaluations) // 3) :]
    level, least = median(late), _RISE * abs(beginning)
    noise = 2 * spread(late) / math.sqrt(len(late))
    return level - beginning > max(least, noise), level - beginning <= least, level


def find_peak(course: Course) -> Peak | None:
    """Return the peak of the evaluation; None where there are too few, or it never rose beyond its own noise."""
    metric, found = course.of(EVALUATION)
    beginning = beginning_of(course)
    if len(found) < 2 * FEWEST or beginning is None:
        return None
    heights = smooth(found.values)
    top = max(heights)
    least = max(_RISE * abs(beginning), _BEYOND_NOISE * _noise(found.values))
    if top - beginning <= least or top <= beginning:
        return None
    near = [i for i, value in enumerate(heights) if value >= top - 0.1 * (top - beginning)]
    end = median(found.values[-max(FEWEST, int(_LAST * len(found))) :])
    return Peak(metric, beginning, top, end, found.steps[near[-1]])


def _noise(values: Sequence[float]) -> float:
    """Return the standard deviation of one value beside its neighbours, were it Normal: their mean difference / 1.128.

    Not by quartiles: where most evaluations are alike and some are far off, quartiles see no noise at all.
    """
    steps = [abs(after - before) for before, after in pairwise(values)]
    return math.fsum(steps) / len(steps) * math.sqrt(math.pi) / 2


@dataclass(frozen=True)
class PeakDrop:
    """The evaluation rose, lost at least the share `by` of its rise, and was still down at the end."""

    by: float = 0.5

    def look(self, course: Course) -> Seen | None:
        """Return where the evaluation ended, held to how high it was."""
        peak = find_peak(course)
        if peak is None:
            return None
        wanted = f"was {short(peak.height)} until {peak.until:,} env steps"
        return Seen(peak.lost >= self.by, peak.metric, peak.end, wanted, peak.until, course.last)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it reads."""
        return (EVALUATION, "train/return")


@dataclass(frozen=True)
class Relapses:
    """At least `times` times the evaluation fell from near its height and lost its rise, and lately as well.

    Near is the upper tenth of the rise. It is lost when two evaluations in a row are below half of the rise, or one is
    below a quarter: a single evaluation is a handful of episodes. Where there are many evaluations a twentieth of them
    has to be such a fall. Lately is in the last half of the run. Answers with how many times.
    """

    times: int = 2

    def look(self, course: Course) -> Seen | None:
        """Return the number of falls."""
        peak, (metric, found) = find_peak(course), course.of(EVALUATION)
        if peak is None:
            return None
        rise = peak.height - peak.beginning
        high, half, quarter = (peak.height - share * rise for share in (0.1, 0.5, 0.75))
        falls, is_up, before = list[int](), False, math.inf
        for step, value in zip(found.steps, found.values, strict=True):
            if value >= high:
                is_up = True
            elif is_up and (value <= quarter or max(value, before) <= half):
                falls.append(step)
                is_up = False
            before = value
        lately = bool(falls) and falls[-1] >= (course.first + course.last) / 2
        wanted = f"falls counted from above {short(high)} to below {short(half)}"
        first = falls[0] if falls else found.steps[0]
        often = len(falls) >= max(self.times, len(found) / 20)
        return Seen(often and lately, metric, float(len(falls)), wanted, first, found.steps[-1])

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it reads."""
        return (EVALUATION, "train/return")


@dataclass(frozen=True)
class AfterPeak:
    """The level of a metric after the evaluation fell is at least, or at most, a factor of its level at the peak.

    `stays` instead: it moved by no more than this share.
    """

    metric: str
    above: float | None = None
    below: float | None = None
    stays: float | None = None

    def look(self, course: Course) -> Seen | None:
        """Return the level at the end, held to that at the peak."""
        peak, (name, found) = find_peak(course), course.of(self.metric)
        if peak is None:
            return None
        length = course.last - course.first
        before = found.between(peak.until - 0.1 * length, peak.until)
        after = found.between(max(peak.until, course.last - _LAST * length), course.last)
        if len(before) < 2 or len(after) < 2:
            return None
        old, new = median(before.values), median(after.values)
        if self.stays is not None:
            holds, wanted = abs(new - old) <= self.stays * abs(old), f"unmoved from {short(old)}"
        elif self.above is not None:
            holds, wanted = new >= self.above * old > 0, f"at least {self.above:g} x {short(old)} at the peak"
        else:
            assert self.below is not None, self
            holds, wanted = 0 <= new <= self.below * old, f"at most {self.below:g} x {short(old)} at the peak"
        return Seen(holds, name, new, wanted, after.steps[0], after.steps[-1])

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it reads, with the evaluation that says when the peak was."""
        return (self.metric, EVALUATION)


@dataclass(frozen=True)
class Progress:
    """The evaluation is above the return of the first training episodes (`made`), or it is not.

    `spent`: not before this share of the budget is spent, where the answer is no. A run that went on from another one
    has no beginning of its own, and one that is nearly solved has no room: neither lacks progress, where the config
    says so.
    """

    made: bool
    spent: float = 0.75

    def look(self, course: Course) -> Seen | None:
        """Return the late level of the evaluation, held to the beginning."""
        metric, found = course.of(EVALUATION)
        beginning = beginning_of(course)
        if len(found) < FEWEST or beginning is None or (not self.made and course.spent < self.spent):
            return None
        risen, flat, level = rise_of(found, beginning)
        flat = flat and course.config.get("init.checkpoint") is None and not _is_nearly_solved(course, level)
        wanted = f"{'above' if self.made else 'no better than'} the beginning, {short(beginning)}"
        late = found.steps[-max(FEWEST, len(found) // 3)]
        return Seen(risen if self.made else flat, metric, level, wanted, late, found.steps[-1])

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it reads."""
        return (EVALUATION, "train/return")


def _is_nearly_solved(course: Course, level: float) -> bool:
    """Tell whether a level is three quarters of the way from random play to solved, by the config; unknown is no."""
    nearly = level_between(course.config, 0.75)
    return nearly is not None and level >= nearly


@dataclass(frozen=True)
class Jump:
    """From one line to the next a value changes by at least `by` of the range it has had, and stays there for a while.

    Upwards with `by` above 0, downwards below; `to_zero` asks that hardly anything of it is left. `beside` is a second
    jump that must come within a few lines of the first.
    """

    metric: str
    by: float
    to_zero: bool = False
    beside: Jump | None = None

    def look(self, course: Course) -> Seen | None:
        """Return the value after the jump, held to the value before it."""
        name, found = course.of(self.metric)
        if len(found) < 3 * FEWEST:
            return None
        places = self.places(found)
        if self.beside is not None:
            _, other = course.of(self.beside.metric)
            reach = 3 * (found.steps[-1] - found.steps[0]) / len(found)
            others = [other.steps[i] for i in self.beside.places(other)]
            places = [i for i in places if any(abs(found.steps[i] - step) <= reach for step in others)]
        if not places:
            return Seen(False, name, found.values[-1], "no jump", found.steps[0], found.steps[-1])
        at = places[0]
        before = short(median(found.values[max(0, at - 3) : at]))
        return Seen(True, name, found.values[at], f"was {before} a line before", found.steps[at], found.steps[at])

    def places(self, found: Series) -> list[int]:
        """Return the indices of the first points after a jump; the first tenth of a series is its start, no jump."""
        up = self.by > 0
        values = found.values if up else [-value for value in found.values]
        begin, places = max(3, len(values) // 10), list[int]()
        low, high = min(values[:begin], default=0.0), max(values[:begin], default=0.0)
        for at in range(begin, len(values) - 1):
            new, room = values[at], abs(self.by) * (high - low)
            if new - values[at - 1] > 0.5 * room:  # most lines are no jump, and need no median
                old = median(values[at - 3 : at])
                left = not self.to_zero or abs(new) <= 0.1 * abs(old)
                if new - old > room and values[at + 1] - old >= 0.5 * room and left:
                    places.append(at)
            low, high = min(low, new), max(high, new)
        return places

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it reads."""
        return (self.metric,) if self.beside is None else (self.metric, *self.beside.metrics)


@dataclass(frozen=True)
class Dips:
    """A value fell by a fifth below its own median at least twice in the second half of the run, and came back.

    Answers with how many times.
    """

    metric: str
    by: float = 0.2

    def look(self, course: Course) -> Seen | None:
        """Return the number of dips."""
        name, window = course.tail(self.metric, 0.5)
        if len(window) < 3 * FEWEST:
            return None
        level = median(window.values)
        low, back = level - self.by * abs(level), level - 0.5 * self.by * abs(level)
        dips, down = 0, False
        for value in window.values:
            if not down and value < low:
                down = True
            elif down and value >= back:
                dips, down = dips + 1, False
        return Seen(dips >= 2, name, float(dips), f"dips below {short(low)}", window.steps[0], window.steps[-1])

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it reads."""
        return (self.metric,)
