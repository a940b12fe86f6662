"""What trains now, for the report: states and findings from status files, curves from a sample of metric lines."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from dreamerlab.diagnostics.series import Series, make_series
from dreamerlab.errors import LabError
from dreamerlab.lab.run_findings import roots_said
from dreamerlab.lab.status import RunView, TrialView, view_recent
from dreamerlab.report.live_page import TILES, Live, LiveTrial
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.sampled import sample_metrics
from dreamerlab.runs.series import line_values, read_evals
from dreamerlab.runs.store import Workspace

LINES = 120
"""Metric lines that are looked at in each trial: a small curve shows no more."""
TRIALS = 32
"""At most so many trials are shown."""
_ACTIVE = "control/*_active_frac"
_WANTED = frozenset(name for _, metrics in TILES for names in metrics for name in names.split("|"))


def what_trains(workspace: Workspace, every_s: int | None = None) -> Live:
    """Return every trial that trains now, newest run first, and how many wait."""
    now = time.time()
    views = [view for view in view_recent(workspace, now) if view.active]
    running = [(view, one) for view in reversed(views) for one in view.trials if one.state == "running"]
    queued = sum(one.state == "queued" for view in views for one in view.trials)
    shown = [_trial(workspace, view, one) for view, one in running[:TRIALS]]
    as_of = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Live(as_of, shown, queued, max(0, len(running) - TRIALS), every_s)


def _trial(workspace: Workspace, view: RunView, one: TrialView) -> LiveTrial:
    return LiveTrial(
        run=view.run,
        name=view.name,
        env=view.env,
        kind=view.kind,
        seed=one.seed,
        spent=one.spent,
        budget_amount=one.budget_amount,
        budget_unit=one.budget_unit,
        wall_s=one.wall_s,
        left_s=one.left_s,
        updates_per_s=one.updates_per_s,
        series=_readable(workspace.run(view.run).trial(one.seed)),
        findings=[(root.severity, f"{root.symptom} ({root.key})") for root in roots_said({one.seed: one.findings})],
    )


def _readable(trial: TrialDirectory) -> Mapping[str, Series]:
    try:
        return _series(trial)
    except (OSError, LabError, TypeError, ValueError):
        return {}  # lint and doctor say what is wrong; what trains is shown all the same


def _series(trial: TrialDirectory) -> Mapping[str, Series]:
    """Return the metrics that are drawn, over env steps; a later attempt counts from where it began."""
    points: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for line in [*sample_metrics(trial, LINES, fewest=20).lines, *read_evals(trial)[0]]:
        _take(line, points)
    return {
        name: made
        for name, found in points.items()
        if len(made := make_series(sorted(found, key=lambda point: point[0])))
    }


def _take(line: dict[str, object], points: dict[str, list[tuple[int, float]]]) -> None:
    steps = line.get("env_steps")
    for name, value in line_values(line).items():
        if isinstance(steps, int) and (name in _WANTED or fnmatchcase(name, _ACTIVE)):
            points[name].append((steps, value))
