"""The closed set of questions that rules ask of a course; each answers with what it saw, or None: not measured.

    Level      a value, or the ratio to another metric, is beyond a bound in most of a window
    Stays      a value does not move
    Trend      a value rises or falls between the ends of a window
    Share      the mean over the run of how much of the time something was so
    PeakDrop   the evaluation rose, and fell again, and stays down         (`peaks.py`)
    Relapses   the evaluation fell from near its height again and again    (`peaks.py`)
    AfterPeak  what another metric did while the evaluation fell           (`peaks.py`)
    Progress   the evaluation is above its beginning, or it is not         (`peaks.py`)
    Jump       a value becomes another one from one line to the next       (`peaks.py`)
    Dips       how often a value fell and came back                        (`peaks.py`)
    Configured a leaf of the config has a value, as an exception to a rule
    Diverged   a value stopped being finite

What they answer is the median of what they looked at, so that a figure in a finding can be found in the records.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from dreamerlab.diagnostics.bounds import Bound, OfMetric, bound_value, bound_words
from dreamerlab.diagnostics.series import FEWEST, Course, Series, median, spread


@dataclass(frozen=True)
class Seen:
    """What one condition saw in one seed."""

    holds: bool
    metric: str
    value: float
    wanted: str
    """What the value was held to: `at least 0.9`."""
    since: int
    """First env step that was looked at."""
    until: int


class Condition(Protocol):
    """A question; `look` answers None where what it asks about was not measured, or not often enough."""

    def look(self, course: Course) -> Seen | None:
        """Return what is seen in `course`."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it reads; alternatives are separated by `|`."""
        ...


C = TypeVar("C")


def named(condition: C, metric: str) -> C:
    """Return the condition asked of `metric` where it asks of a whole pattern."""
    pattern = getattr(condition, "metric", "")
    return replace(condition, metric=metric) if "*" in pattern else condition  # type: ignore[type-var]


@dataclass(frozen=True)
class Level:
    """At least `share` of the points in a window are beyond a bound: `above` it, or `below` it.

    `over` divides by the median of another metric in the same window; `size` looks at absolute values; `first` takes
    the window at the beginning of learning instead of the end, `start` the first point, in a run of any length;
    `for_steps` asks for a window at least so long.
    """

    metric: str
    above: Bound | None = None
    below: Bound | None = None
    last: float = 0.5
    share: float = 0.9
    over: str | None = None
    size: bool = False
    first: float | None = None
    for_steps: int = 0
    start: bool = False

    def look(self, course: Course) -> Seen | None:
        """Return the median of the window, held to the bound."""
        name, window = self._window(course, self.metric)
        bound = self.above if self.above is not None else self.below
        assert bound is not None, self
        limit = bound_value(bound, course, self.metric)
        early = self.start or self.first is not None
        if len(window) < (1 if early else FEWEST) or limit is None:
            return None
        if window.steps[-1] - window.steps[0] < self.for_steps:
            return None
        values: Sequence[float] = [abs(value) for value in window.values] if self.size else window.values
        if self.over is not None:
            below_name, other = self._window(course, self.over)
            if len(other) < FEWEST or not (whole := abs(median(other.values))):
                return None
            values, name = [value / whole for value in values], f"{name} / {below_name}"
        met = sum(value >= limit if self.above is not None else value <= limit for value in values)
        side = "at least" if self.above is not None else "at most"
        wanted = f"{side} {bound_words(bound, limit)}"
        return Seen(met >= self.share * len(values), name, median(values), wanted, window.steps[0], window.steps[-1])

    def _window(self, course: Course, metric: str) -> tuple[str, Series]:
        if self.start:
            name, whole = course.of(metric)
            return name, Series(whole.steps[:1], whole.values[:1])
        return course.tail(metric, self.last) if self.first is None else course.head(metric, self.first)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it reads."""
        bound = self.above if self.above is not None else self.below
        against = bound.metric if isinstance(bound, OfMetric) else None
        return tuple(name for name in (self.metric, self.over, against) if name is not None)


@dataclass(frozen=True)
class Stays:
    """At least `share` of the points in a window are within `within` of `at`, by default of their own median.

    `relative` takes `within` as a share of that level.
    """

    metric: str
    within: float
    at: float | None = None
    relative: bool = False
    last: float = 0.5
    share: float = 0.95

    def look(self, course: Course) -> Seen | None:
        """Return the median of the window and how little it moves."""
        name, window = course.tail(self.metric, self.last)
        if len(window) < FEWEST:
            return None
        centre = median(window.values)
        level = centre if self.at is None else self.at
        room = self.within * abs(level) if self.relative else self.within
        met = sum(abs(value - level) <= room for value in window.values)
        moves = f"within {100 * self.within:.3g} %" if self.relative else f"within {self.within:.3g}"
        wanted = f"stays {moves}" if self.at is None else f"stays at {self.at:g}"
        return Seen(met >= self.share * len(window), name, centre, wanted, window.steps[0], window.steps[-1])

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it reads."""
        return (self.metric,)


@dataclass(frozen=True)
class Trend:
    """The median of a window's last third differs from that of its first third by a factor, or by an amount.

    The change must also be three times what the values spread inside the thirds. `factor` above 1 asks for a rise,
    below 1 for a fall; `amount` likewise by its sign.
    """

    metric: str
    factor: float | None = None
    amount: float | None = None
    last: float = 1.0

    def look(self, course: Course) -> Seen | None:
        """Return the level of the last third, held to what the first third had."""
        name, window = course.tail(self.metric, self.last)
        if len(window) < 3 * FEWEST:
            return None
        third = len(window) // 3
        before, after = window.values[:third], window.values[-third:]
        start, end = median(before), median(after)
        if self.factor is not None:
            up = self.factor > 1
            wanted_change = abs(start) * abs(self.factor - 1)
            wanted = f"{'rises' if up else 'falls'} to {self.factor:g} x {short(start)}"
        else:
            assert self.amount is not None, self
            up, wanted_change = self.amount > 0, abs(self.amount)
            wanted = f"{'rises' if up else 'falls'} by {wanted_change:g} from {short(start)}"
        change = end - start if up else start - end
        noise = 3 * max(spread(before), spread(after)) / math.sqrt(third)
        holds = change > 0 and change >= max(wanted_change, noise)
        return Seen(holds, name, end, wanted, window.steps[0], window.steps[-1])

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it reads."""
        return (self.metric,)


@dataclass(frozen=True)
class Share:
    """The mean of a metric that is a share of time, over the whole run since learning began, is beyond a bound."""

    metric: str
    above: float | None = None
    below: float | None = None

    def look(self, course: Course) -> Seen | None:
        """Return the mean share, held to the bound."""
        name, window = course.tail(self.metric, 1.0)
        if len(window) < FEWEST:
            return None
        mean = math.fsum(window.values) / len(window)
        holds = mean >= self.above if self.above is not None else mean <= (self.below or 0.0)
        wanted = f"at least {self.above:g}" if self.above is not None else f"at most {self.below or 0.0:g}"
        return Seen(holds, name, mean, f"{wanted} of the time", window.steps[0], window.steps[-1])

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it reads."""
        return (self.metric,)


@dataclass(frozen=True)
class Configured:
    """A leaf of the recorded config has a value; says nothing where no config is known. Only ever an exception."""

    key: str
    value: object

    def look(self, course: Course) -> Seen | None:
        """Return whether it has."""
        if self.key not in course.config:
            return None
        return Seen(course.config[self.key] == self.value, self.key, math.nan, "", course.first, course.last)

    @property
    def metrics(self) -> tuple[str, ...]:
        """None: the config says so."""
        return ()


@dataclass(frozen=True)
class Diverged:
    """A loss or a parameter stopped being finite, and the trial ended there."""

    def look(self, course: Course) -> Seen | None:
        """Return where it ended."""
        return Seen(course.diverged is not None, "status", math.nan, course.diverged or "", course.last, course.last)

    @property
    def metrics(self) -> tuple[str, ...]:
        """None: the trial's status says so."""
        return ()


def short(value: float) -> str:
    """Return a number in three digits, as findings print it."""
    if value and (abs(value) >= 100_000 or abs(value) < 0.001):
        return f"{value:.2g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
