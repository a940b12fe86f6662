"""What a trial wrote down over time: reading its lines, joining its attempts, thinning and reducing its curves.

A resumed trial replays the stretch after its checkpoint. The lines of the earlier attempt stay in the files for ever;
when attempts are joined, the later attempt wins from the env steps at which it started:

    attempt 1   0 . . . . 5000 . . . 7300 killed          started from 0
    attempt 2              5000 . . . . . . . 12000       started from the checkpoint at 5000
    joined      0 . . . . 5000 . . . . . . . . 12000      up to 5000 from attempt 1, after it from attempt 2

Pure reading. Writing a line is `atomic.append_line`; the result of a trial is `summary.py`.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from dreamerlab.atomic import append_line, number, read_small
from dreamerlab.runs.attempts import read_attempts, read_starts
from dreamerlab.runs.directory import TrialDirectory

__all__ = [
    "Line",
    "Point",
    "Series",
    "append_line",
    "join_attempts",
    "line_values",
    "read_attempts",
    "read_episodes",
    "read_evals",
    "read_lines",
    "read_series",
    "reduce_final_mean",
    "thin",
]

Line = dict[str, Any]
THIN_LIMIT = 500


class Point(NamedTuple):
    """One value of one metric, with every clock it can be plotted against."""

    env_steps: int
    updates: int
    wall_s: float
    time: float
    attempt: int
    value: float


@dataclass(frozen=True)
class Series:
    """The joined curves of a trial: points by metric name, in the order they were written, and what was unreadable."""

    points: dict[str, list[Point]] = field(default_factory=dict[str, list[Point]])
    torn: list[str] = field(default_factory=list[str])
    superseded: int = 0
    """Lines of earlier attempts that a later attempt replaced."""

    def values(self, metric: str) -> list[float]:
        """Return the values of one metric, oldest first; none when it was never written."""
        return [point.value for point in self.points.get(metric, [])]


def read_lines(path: Path, beginnings: tuple[bytes, ...] = ()) -> tuple[list[Line], list[str]]:
    """Return the objects in a JSONL file, and one report `file:line: reason` for each line that is none.

    A file that is not there holds no lines. Blank lines are nothing; a torn line never hides those after it. With
    `beginnings` only lines that begin with one of them are looked at: parsing is what takes the time.
    """
    try:
        data = read_small(str(path))
    except FileNotFoundError:
        return [], []
    lines: list[Line] = []
    torn: list[str] = []
    for index, raw in enumerate(data.split(b"\n"), start=1):
        if not raw.strip() or (beginnings and not raw.startswith(beginnings)):
            continue
        try:
            value = json.loads(raw)
        except ValueError:
            torn.append(f"{path}:{index}: torn line, set aside ({len(raw)} bytes)")
            continue
        if isinstance(value, dict):
            lines.append(cast("Line", value))
        else:
            torn.append(f"{path}:{index}: not a JSON object, set aside")
    return lines, torn


def join_attempts(lines: Sequence[Line], starts: Mapping[int, int] | None = None) -> list[Line]:
    """Return the lines that count, in order: each later attempt wins from the env steps at which it started.

    `starts` gives these per attempt; an attempt without an entry starts at its first line. The line of an earlier
    attempt exactly at the start of a later one stays, unless the later one has a line there too.
    """
    own: dict[int, set[int]] = defaultdict(set)
    for line in lines:
        own[_attempt(line)].add(_steps(line))
    begins = {attempt: min(steps) for attempt, steps in own.items()} | dict(starts or {})

    def counts(line: Line) -> bool:
        attempt, steps = _attempt(line), _steps(line)
        later = (other for other in begins if other > attempt)
        return not any(steps > begins[b] or (steps == begins[b] and steps in own[b]) for b in later)

    kept = [line for line in lines if counts(line)]
    return sorted(kept, key=lambda line: (_attempt(line), _steps(line)))


def read_series(trial: TrialDirectory) -> Series:
    """Return all curves of a trial, training metrics and evaluations, with its attempts joined.

    Without the artifacts (a clone that has not pulled them) only the evaluations are there.
    """
    metrics: list[Line] = []
    torn: list[str] = []
    for attempt in trial.attempts():
        lines, bad = read_lines(trial.metrics_path(attempt))
        metrics += lines
        torn += bad
    evals, bad = read_lines(trial.evals_path)
    torn += bad
    starts = read_starts(trial)
    points: dict[str, list[Point]] = defaultdict(list)
    kept = [*join_attempts(metrics, starts), *join_attempts(evals, starts)]
    for line in kept:
        for name, value in line_values(line).items():
            points[name].append(_point(line, value))
    return Series(dict(points), torn, superseded=len(metrics) + len(evals) - len(kept))


def read_evals(trial: TrialDirectory) -> tuple[list[Line], list[str]]:
    """Return the evaluations that count, attempts joined, and the reports of unreadable lines."""
    lines, torn = read_lines(trial.evals_path)
    return join_attempts(lines, read_starts(trial)), torn


def read_episodes(trial: TrialDirectory) -> tuple[list[Line], list[str]]:
    """Return the training episodes that count, attempts joined, and the reports of unreadable lines."""
    lines, torn = read_lines(trial.episodes_path)
    return join_attempts(lines, read_starts(trial)), torn


def thin(points: Sequence[Point], limit: int = THIN_LIMIT) -> list[Point]:
    """Return at most `limit` of the points, in order, always the same choice for the same points.

    The first, the last, the lowest, the highest and the first non-finite one are among them; the rest is evenly spread.
    """
    assert limit >= 5, limit
    count = len(points)
    if count <= limit:
        return list(points)
    finite = [i for i, point in enumerate(points) if math.isfinite(point.value)]
    chosen = {0, count - 1}
    if finite:
        chosen |= {min(finite, key=lambda i: points[i].value), max(finite, key=lambda i: points[i].value)}
    if len(finite) < count:
        chosen.add(next(i for i, point in enumerate(points) if not math.isfinite(point.value)))
    room = limit - len(chosen)
    chosen |= {round((i + 1) * (count - 1) / (room + 1)) for i in range(room)}
    return [points[i] for i in sorted(chosen)]


def reduce_final_mean(values: Sequence[float], k: int) -> float | None:
    """Return the mean of the last `k` values, or None when there are fewer than `k` or one of those is not finite."""
    assert k >= 1, k
    last = values[-k:]
    if len(last) < k or not all(math.isfinite(value) for value in last):
        return None
    return math.fsum(last) / k


def line_values(line: Line) -> dict[str, float]:
    """Return the values of one line by metric name; what is no number is left out."""
    values = line.get("values")
    if not isinstance(values, dict):
        return {}
    items = cast("dict[str, Any]", values).items()
    return {name: value for name, item in items if (value := number(item)) is not None}


def _attempt(line: Line) -> int:
    value = line.get("attempt", 1)
    return value if isinstance(value, int) else 1


def _steps(line: Line) -> int:
    value = line.get("env_steps", 0)
    return value if isinstance(value, int) else 0


def _point(line: Line, value: float) -> Point:
    return Point(
        env_steps=_steps(line),
        updates=int(line.get("updates") or 0),
        wall_s=number(line.get("wall_s")) or 0.0,
        time=number(line.get("time")) or 0.0,
        attempt=_attempt(line),
        value=value,
    )
