"""`compare --lag METRIC`: does a metric move before the score's metric or after it, run by run (M-PROT-20).

Collects from committed text: the thinned curves of every trial, of one still at work what it has written so far. The
value of the metric that belongs to an evaluation is its mean since the evaluation before. The arithmetic is
`stats.lagged`; what may be said of it `report.lag_table`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dreamerlab.errors import NotFound, UsageError, did_you_mean
from dreamerlab.metrics import ALIASES, CATALOGUE
from dreamerlab.report.evidence import Evidence, RunEvidence
from dreamerlab.report.lag_evidence import LagEvidence, RunLag
from dreamerlab.runs.curves import read_curves
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.series import Point, read_series
from dreamerlab.runs.store import Workspace
from dreamerlab.stats.lagged import Samples, autocorrelation, changes, independent_pairs, lagged

_MOST_LAGS = 6


def lags_of(workspace: Workspace, evidence: Evidence, metric: str) -> LagEvidence:
    """Return the lagged correlations of `metric` with the metric that each run is scored by.

    UsageError for an unknown metric, for the score's own, for runs scored by different metrics; NotFound when no run
    has logged it.
    """
    name = ALIASES.get(metric, metric)
    performance = {run.metric for run in evidence.runs}
    if len(performance) > 1:
        raise UsageError(
            f"the runs are scored by different metrics: {', '.join(sorted(performance))}",
            hint="score all by one: --reducer 'final_mean(3) of eval/return_mode'",
        )
    against = performance.pop()
    if name == against:
        raise UsageError(f"'{metric}' is what the runs are scored by", hint="name another metric")
    curves = {
        run.id: {seed: _curves(workspace.run(run.id).trial(seed)) for seed in _seeds(run)} for run in evidence.runs
    }
    logged = {key for seeds in curves.values() for points in seeds.values() for key in points}
    if name not in logged:
        near = did_you_mean(metric, logged or CATALOGUE)
        if name not in CATALOGUE:
            raise UsageError(f"no metric is called '{metric}'{near}", hint="see protocol/reference/metrics.md")
        raise NotFound(f"'{metric}' was not logged by {', '.join(curves)}{near}", hint="name one that was")
    return LagEvidence(name, against, [_run(run, curves[run.id], name) for run in evidence.runs])


def _seeds(run: RunEvidence) -> list[int]:
    return [seed.seed for seed in run.seeds]


def _curves(trial: TrialDirectory) -> dict[str, list[Point]]:
    return read_curves(trial) or read_series(trial).points


def _run(run: RunEvidence, curves: Mapping[int, Mapping[str, Sequence[Point]]], metric: str) -> RunLag:
    spacing = _spacing(run)
    signal: dict[int, Samples] = {}
    score: dict[int, Samples] = {}
    lacking: dict[int, str] = {}
    for seed in run.seeds:
        known = {round(p.env_steps / spacing): p.value for p in seed.evaluations} if spacing else {}
        beside = _since_last(curves[seed.seed].get(metric, ()), [p.env_steps for p in seed.evaluations], spacing)
        if known and beside:
            signal[seed.seed], score[seed.seed] = beside, known
        else:
            lacking[seed.seed] = f"{metric} was not logged" if known else "it has fewer than two evaluations"
    most = min(_MOST_LAGS, max((len(one) for one in score.values()), default=0) // 3)
    moved = {seed: changes(one) for seed, one in signal.items()}, {seed: changes(one) for seed, one in score.items()}
    return RunLag(
        run.id,
        run.label,
        sorted(signal),
        spacing,
        lagged(*moved, most),
        lagged(signal, score, most),
        {seed: len(one.keys() & score[seed].keys()) for seed, one in signal.items()},
        {seed: independent_pairs(one, score[seed]) for seed, one in signal.items()},
        {seed: (autocorrelation(one), autocorrelation(score[seed])) for seed, one in signal.items()},
        lacking,
    )


def _spacing(run: RunEvidence) -> int:
    """Return the env steps between evaluations that most of them have; 0 without any."""
    steps = [
        after.env_steps - before.env_steps
        for seed in run.seeds
        for before, after in zip(seed.evaluations, seed.evaluations[1:], strict=False)
        if after.env_steps > before.env_steps
    ]
    return max(set(steps), key=lambda step: (steps.count(step), -step), default=0)


def _since_last(points: Sequence[Point], positions: Sequence[int], spacing: int) -> dict[int, float]:
    """Return number of the evaluation -> mean of the metric's finite values since the evaluation before."""
    found: dict[int, float] = {}
    start = 0
    for position in positions:
        values: list[float] = []
        while start < len(points) and points[start].env_steps <= position:
            if points[start].env_steps > position - spacing and math.isfinite(points[start].value):
                values.append(points[start].value)
            start += 1
        if values:
            found[round(position / spacing)] = math.fsum(values) / len(values)
    return found
