"""The courses that rules are asked about, read from the files of a run.

From the metric lines where they are, some hundreds of them a seed however many there are; in a clone without the
artifacts from the committed curves, and that is said. A later attempt counts from where it began, as everywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast

from dreamerlab.atomic import number
from dreamerlab.diagnostics.series import Course, make_series
from dreamerlab.diagnostics.table import watched
from dreamerlab.runs.curves import read_thinned
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.sampled import Sample, sample_metrics
from dreamerlab.runs.series import Line, read_evals
from dreamerlab.runs.status import effective_state, read_status

LINES = 600
"""Metric lines that are looked at in each seed: windows and shares of a run are known to a percent."""
_PROBES = b'"probe/'
_Points = dict[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class Reading:
    """What was read of one seed."""

    seed: int
    course: Course
    state: str
    """The trial's state that is true now."""
    source: str
    """`metrics`, `curves` (the committed ones, thinned), `evaluations`, or `none`."""
    damaged: int
    """Lines that could not be read, of those that were looked at."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing a rule could be asked about."""
        return not self.course.series


def read_trial(trial: TrialDirectory, config: Mapping[str, object], *, most_bytes: int | None = None) -> Reading:
    """Return the course of one seed, as far as it has come; nothing in it when nothing was written yet.

    `most_bytes`: where there are more bytes of metric lines than that, they are left to the committed curves.
    """
    status = read_status(trial)
    points: _Points = defaultdict(list)
    wanted = _chooser()
    lean = most_bytes is not None and _metrics_bytes(trial) > most_bytes
    sample = Sample() if lean else sample_metrics(trial, LINES, fewest=100, rare=_PROBES)
    for line in sample.lines:
        _take(line, points, wanted)
    source = "metrics" if points else "none"
    evals, torn = read_evals(trial)
    if not points:
        thinned = read_thinned(trial)
        torn += thinned.torn
        for name, curve in thinned.points.items():
            if wanted(name):
                points[name] = [(point.env_steps, point.value) for point in curve]
        source = "curves" if points else source
    from_curves = frozenset(points) if source == "curves" else frozenset[str]()
    for line in evals:
        _take(line, points, lambda name: wanted(name) and name not in from_curves)
    if evals and source == "none":
        source = "evaluations"
    state = effective_state(status, None)
    over = state == "finished" or not status.budget_amount
    spent = 1.0 if over else min(1.0, status.spent / (status.budget_amount or 1))
    diverged = (status.reason or "a value was not finite") if status.diverged else None
    series = {name: made for name, found in points.items() if len(made := make_series(sorted(found, key=_by_step)))}
    return Reading(trial.seed, Course(series, spent, diverged, config), state, source, sample.damaged + len(torn))


def _metrics_bytes(trial: TrialDirectory) -> int:
    paths = [trial.metrics_path(attempt) for attempt in trial.attempts()]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _take(line: Line, points: _Points, wanted: Callable[[str], bool]) -> None:
    """Add the values of a line that are wanted."""
    values, steps = line.get("values"), _steps(line)
    if isinstance(values, dict):
        for name, item in cast("dict[str, object]", values).items():
            if wanted(name) and (value := item if type(item) is float else number(item)) is not None:
                points[name].append((steps, value))


def _chooser() -> Callable[[str], bool]:
    names = watched()
    patterns = [name for name in names if "*" in name]
    known: dict[str, bool] = dict.fromkeys(names, True)

    def wanted(name: str) -> bool:
        answer = known.get(name)
        if answer is None:
            answer = known[name] = any(fnmatchcase(name, one) for one in patterns)
        return answer

    return wanted


def _steps(line: Line) -> int:
    value = line.get("env_steps", 0)
    return value if isinstance(value, int) else 0


def _by_step(point: tuple[int, float]) -> int:
    return point[0]
