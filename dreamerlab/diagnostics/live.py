"""The rules on a trial that is still training: lines go in as they are written, findings come out when asked for.

A series keeps at most 2 * `LIMIT` points: when it is full every second one is let go, so that a line costs the same
after a day as in the first minute, and asking costs the same at any time.

    watch = Watch(config)
    watch.add(env_steps, values)            # each metric line, each evaluation: O(number of values)
    for finding in watch.findings(spent):   # as often as evaluations come: some milliseconds
        ...
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from dreamerlab.diagnostics.engine import Finding, diagnose
from dreamerlab.diagnostics.series import Course, Series
from dreamerlab.diagnostics.table import watched

LIMIT = 400


@dataclass
class Growing:
    """A series that grows and thins itself: the points kept are `stride` lines apart.

    In plain arrays, 16 bytes a point: as numbers of Python a hundred series would add up while a trial goes on.
    """

    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    stride: int = 1
    seen: int = 0

    def add(self, step: int, value: float) -> None:
        """Take the next value; every `stride`-th one is kept."""
        self.seen += 1
        if (self.seen - 1) % self.stride:
            return
        self.steps.append(step)
        self.values.append(value)
        if len(self.steps) >= 2 * LIMIT:
            self.steps, self.values = self.steps[::2], self.values[::2]
            self.stride *= 2


class Watch:
    """The growing course of one trial."""

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        names = watched()
        self._config = dict(config or {})
        self._exact = frozenset(name for name in names if "*" not in name)
        self._patterns = tuple(name for name in names if "*" in name)
        self._known: dict[str, bool] = {}
        self._grown: dict[str, Growing] = {}

    def add(self, env_steps: int, values: Mapping[str, float]) -> None:
        """Take the values of one line; what no rule watches, and what is not finite, is left out."""
        for name, value in values.items():
            wanted = self._known.get(name)
            if wanted is None:
                wanted = name in self._exact or any(fnmatchcase(name, one) for one in self._patterns)
                self._known[name] = wanted
            if wanted and math.isfinite(value):
                grown = self._grown.get(name)
                if grown is None:
                    grown = self._grown[name] = Growing()
                grown.add(env_steps, value)

    def course(self, spent: float = 1.0, diverged: str | None = None) -> Course:
        """Return what there is, for the rules; `spent` is the share of the budget that is gone."""
        series = {name: Series(one.steps, one.values) for name, one in self._grown.items()}
        return Course(series, spent, diverged, self._config)

    def findings(self, spent: float, seed: int = 0) -> list[Finding]:
        """Return what the rules find now, causes first."""
        return list(diagnose({seed: self.course(spent)}).findings)
