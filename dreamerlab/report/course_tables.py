"""What a comparison shows of the way there: times to reach levels, returns along training, courses of the curves.

Counts and medians only; a seed that never reached a level counts as later than all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from dreamerlab.report.comparison_data import course_values, threshold_names
from dreamerlab.report.comparison_section import Section
from dreamerlab.report.evidence import Evidence, RunEvidence, Threshold
from dreamerlab.report.wording import duration, figure
from dreamerlab.runs.series import Point
from dreamerlab.tables import Table

NOT_REACHED = "not reached"
PACE, NOT_DECISIVE = "env steps per second", "(not decisive)"
"""Pace alone misleads: what counts is the time to reach a level (M-PROT-19)."""
_MOST_POSITIONS = 6
_MOST_SETTINGS = 3


def times(evidence: Evidence) -> Section:
    """Return the times to reach each level in env steps, updates and training time (M-PROT-19)."""
    columns = ("env steps", "updates", "training time")
    table = Table(("level", "run", "seed", *columns), frozenset({"seed", *columns}))
    lines: list[str] = []
    for wanted in threshold_names(evidence):
        levels = [(run, each) for run in evidence.runs for each in run.thresholds if each.name == wanted]
        for run, threshold in levels:
            name = level_name(threshold)
            for seed in run.seeds:
                point = seed.reached[threshold.name]
                cells = (
                    (f"{NOT_REACHED} in {seed.env_steps:,}", None, None)
                    if point is None
                    else (f"{point.env_steps:,}", f"{point.updates:,}", duration(point.wall_s))
                )
                table.add(name, run.id, seed.seed, *cells)
            lines.append(f"{name}, {run.id}: {_reached_by(run, threshold)}")
    paces = [
        (run.id, [each for seed in run.seeds if (each := seed.env_steps_per_s) is not None]) for run in evidence.runs
    ]
    if any(values for _, values in paces):
        known = ", ".join(f"{run} {figure(median(values))}" for run, values in paces if values)
        lines.append(f"{PACE} {NOT_DECISIVE}: {known}; pace says nothing of what is learnt in a step")
    lines.append(
        "reached: the first evaluation at or beyond the level, not interpolated; training time includes evaluations"
    )
    return Section("Time to reach a level", lines, table)


def along_training(evidence: Evidence) -> Section | None:
    """Return the runs' means at the same env steps (M-PROT-14); None where they share none, or are different tasks."""
    seeds = [seed for run in evidence.runs for seed in run.seeds if seed.evaluations]
    alike = len({(run.env_id, run.metric) for run in evidence.runs}) == 1
    if not seeds or not alike or any(not any(seed.evaluations for seed in run.seeds) for run in evidence.runs):
        return None
    shared = {point.env_steps for point in seeds[0].evaluations}
    for seed in seeds[1:]:
        shared &= {point.env_steps for point in seed.evaluations}
    if len(shared) < 2:
        return None
    positions = _spread(sorted(shared))
    columns = [f"{position:,}" for position in positions]
    table = Table(("run", "n", *columns), frozenset({"n", *columns}))
    for run in evidence.runs:
        curves = [{p.env_steps: p.value for p in seed.evaluations} for seed in run.seeds if seed.evaluations]
        means = [math.fsum(curve[at] for curve in curves) / len(curves) for at in positions]
        table.add(run.id, len(curves), *map(figure, means))
    metric = evidence.runs[0].metric
    lines = [f"mean of {metric} over the seeds at that env step, where every seed of every run was evaluated"]
    return Section("Along training, at env steps", lines, table)


def courses(evidence: Evidence) -> Section:
    """Return the courses of all curves, each beside what its run has of its own (M-PROT-16)."""
    numbers = ("seed", "peak", "at env step", "lowest after it", "last", "actor loss")
    table = Table(("run", "config", *numbers, "pattern"), frozenset(numbers))
    for place, run in enumerate(evidence.runs):
        for seed in run.seeds:
            peak, at, lowest, last, loss, pattern = course_values(seed)
            at_text = None if at is None else f"{at:,}"
            values = (figure(peak), at_text, figure(lowest), figure(last), None if loss is None else f"{loss:.3g}")
            table.add(run.id, own_settings(evidence, place), seed.seed, *values, pattern)
    lines = ["a peak is a maximum over training: optimistic by construction, and no score"]
    if any(seed.pattern is None for run in evidence.runs for seed in run.seeds):
        lines.append("no pattern without evaluations, or where random and solved returns of the task are not known")
    return Section("Courses of the curves", lines, table)


def own_settings(evidence: Evidence, place: int) -> str | None:
    """Return what one run has set otherwise than another, `lr_actor=0.0001`; None where nothing that acts differs."""
    acting = [leaf for leaf in evidence.leaves if any(leaf.acts)]
    shown = [f"{leaf.key.rpartition('.')[2]}={leaf.values[place]}" for leaf in acting[:_MOST_SETTINGS]]
    more = len(acting) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more else [])]) or None


def level_name(threshold: Threshold) -> str:
    """Return a level with its value, `solved (475.0)`."""
    return threshold.name if threshold.name.startswith("level ") else f"{threshold.name} ({figure(threshold.level)})"


def _reached_by(run: RunEvidence, threshold: Threshold) -> str:
    """Return how many seeds reached a level, and the medians over all seeds on every clock."""
    points = [seed.reached[threshold.name] for seed in run.seeds]
    reached = sum(point is not None for point in points)
    steps = _median_of(points, lambda point: point.env_steps)
    if not math.isfinite(steps):
        return f"{reached} of {len(points)} seeds, median {NOT_REACHED}"
    updates = _median_of(points, lambda point: point.updates)
    clocks = f"{steps:,.0f} env steps, {updates:,.0f} updates, {duration(_median_of(points, lambda p: p.wall_s))}"
    return f"{reached} of {len(points)} seeds, median {clocks}"


def _median_of(points: Sequence[Point | None], clock: Callable[[Point], float]) -> float:
    return median([math.inf if point is None else clock(point) for point in points])


def median(values: Sequence[float]) -> float:
    """Return the median; infinite when it falls on a seed that never got there."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _spread(positions: Sequence[int]) -> list[int]:
    """Return at most a handful of the positions, evenly spread, the last among them."""
    if len(positions) <= _MOST_POSITIONS:
        return list(positions)
    step = len(positions) / _MOST_POSITIONS
    return [positions[round((index + 1) * step) - 1] for index in range(_MOST_POSITIONS)]
