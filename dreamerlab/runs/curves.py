"""curves.jsonl: every metric of a trial, thinned to a few hundred points, one line a metric, small enough for git.

Written once from the lines the trainer left (`series.py`), read in any clone, with the artifacts or without.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from typing import Any

from dreamerlab.atomic import atomic_write_text, number, to_json
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.series import Point, Series, read_lines, read_series, thin


def write_curves(trial: TrialDirectory) -> None:
    """Write every metric of a trial, attempts joined and thinned, one line a metric, names ascending."""
    series = read_series(trial)
    lines = [to_json(_curve(name, series.points[name])) for name in sorted(series.points)]
    atomic_write_text(trial.curves_path, "".join(line + "\n" for line in lines))


def read_curves(trial: TrialDirectory, only: Collection[str] = ()) -> dict[str, list[Point]]:
    """Return the thinned curves by metric, readable in any clone; none when they were not written yet.

    `only` names the metrics that are wanted, several times faster than all of them.
    """
    return read_thinned(trial, only).points


def read_thinned(trial: TrialDirectory, only: Collection[str] = ()) -> Series:
    """Return what `read_curves` does, with the reports of unreadable lines."""
    lines, torn = read_lines(trial.curves_path, tuple(f'{{"metric": {json.dumps(name)},'.encode() for name in only))
    curves: dict[str, list[Point]] = {}
    for line in lines:
        columns = [line.get(key, []) for key in ("env_steps", "updates", "wall_s", "time", "attempt", "values")]
        rows = zip(*columns, strict=False)
        curves[str(line.get("metric"))] = [Point(*row[:5], value=_float(row[5])) for row in rows]
    return Series(curves, torn)


def _curve(name: str, points: Sequence[Point]) -> dict[str, Any]:
    kept = thin(points)
    return {
        "metric": name,
        "of": len(points),
        "env_steps": [point.env_steps for point in kept],
        "updates": [point.updates for point in kept],
        "wall_s": [round(point.wall_s, 3) for point in kept],
        "time": [round(point.time, 3) for point in kept],
        "attempt": [point.attempt for point in kept],
        "values": [point.value for point in kept],
    }


def _float(value: object) -> float:
    known = number(value)
    return math.nan if known is None else known
