"""Learning curves of one run or several: every seed, their mean, how sure that mean is, what returns mean in the task.

Draws what it is given and computes only mean, interval and range of the seeds; which points those are is the caller's
business. The sheet is `canvas.py`; other pictures of a comparison are `score_plots.py` and `lag_plots.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreamerlab.errors import NotFound
from dreamerlab.report.canvas import SOFT, check_target, dashes, looks, name_axis, save, sheet, thousands
from dreamerlab.report.palette import Look
from dreamerlab.report.svg import drawable, widened
from dreamerlab.stats.one_sample import mean_interval

FEWEST = 3
"""With fewer seeds no interval is drawn: it would cover everything."""


@dataclass(frozen=True)
class Curve:
    """Evaluations of one seed: returns `ys` at env steps (or on another clock) `xs`, ascending."""

    seed: int
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True)
class Arm:
    """One of the runs in a picture."""

    label: str
    curves: Sequence[Curve]


@dataclass(frozen=True)
class Picture:
    """Everything a figure of learning curves shows; the first of several runs is what the others are held against."""

    title: str
    arms: Sequence[Arm]
    x_label: str = "env steps"
    y_label: str = "eval/return_mode"
    random: float | None = None
    """Return of random actions, drawn as a line."""
    solved: float | None = None
    """Return at which the task counts as solved, drawn as a line."""
    same_positions: bool = True
    """Whether seeds are evaluated at the same places; elsewhere the mean is taken of straight lines between them."""
    notes: Sequence[str] = ()


def mean_and_range(curves: Sequence[Curve]) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return (x, mean, lowest, highest) over all seeds, at the positions every seed was evaluated at.

    Where a seed is missing the mean would be one of fewer seeds, and jump: such positions are left out.
    """
    shared, columns = _columns(curves)
    means = [math.fsum(column) / len(column) for column in columns]
    return shared, means, [min(column) for column in columns], [max(column) for column in columns]


def mean_and_interval(curves: Sequence[Curve]) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return (x, mean, low, high): the 95 % t interval of the mean at each position by itself, unit the seed.

    As everywhere an interval is never made up: where all seeds agree to the digit, or there are fewer than three, low
    and high are NaN.
    """
    shared, columns = _columns(curves)
    found = [mean_interval(column) for column in columns]
    known = [one.num >= FEWEST and one.low is not None for one in found]
    lows = [one.low if good and one.low is not None else math.nan for one, good in zip(found, known, strict=True)]
    highs = [one.high if good and one.high is not None else math.nan for one, good in zip(found, known, strict=True)]
    return shared, [one.mean for one in found], lows, highs


def resampled(curves: Sequence[Curve]) -> list[Curve]:
    """Return the curves on one grid, straight lines between their points, over the stretch that all of them cover."""
    first, last = max(curve.xs[0] for curve in curves), min(curve.xs[-1] for curve in curves)
    count = max(len(curve.xs) for curve in curves)
    if first >= last or count < 2:
        return []
    grid = [first + (last - first) * index / (count - 1) for index in range(count)]
    return [Curve(curve.seed, grid, [_between(curve, x) for x in grid]) for curve in curves]


def draw_curves(picture: Picture, path: Path) -> None:
    """Write the curves to `path`, whose suffix names the format, replacing an earlier file at once.

    UsageError for an unknown format or more runs than can be told apart, NotFound when no seed has a point, ToolFailed
    without matplotlib.
    """
    check_target(path)
    arms = [Arm(arm.label, [kept for curve in arm.curves if (kept := _finite(curve)).xs]) for arm in picture.arms]
    chosen = looks(len(arms))
    values = [y for arm in arms for curve in arm.curves for y in curve.ys]
    if not values:
        raise NotFound("there is nothing to draw: no seed has an evaluation yet")
    figure, (axes,) = sheet(picture.title, 4.5 + 0.1 * len(arms))
    name_axis(axes.xaxis, picture.x_label)
    name_axis(axes.yaxis, picture.y_label)
    axes.margins(x=0.02)
    thousands(axes.xaxis)
    # Intervals of three seeds may be wider than anything that was seen: the seeds decide what is shown.
    axes.set_ylim(*widened([*values, *(level for level in (picture.random, picture.solved) if level is not None)]))
    for arm, look in zip(arms, chosen, strict=True):
        _draw_arm(axes, arm, look, same_positions=picture.same_positions)
    for name, level, line in (("solved", picture.solved, "--"), ("random play", picture.random, ":")):
        if level is not None:
            axes.axhline(level, color=SOFT, linewidth=1.1, linestyle=line, label=f"{name} ({level:g})", zorder=1.5)
    save(figure, path, [*_explained(arms, same_positions=picture.same_positions), *picture.notes])


def _columns(curves: Sequence[Curve]) -> tuple[list[float], list[list[float]]]:
    by_seed = [dict(zip(curve.xs, curve.ys, strict=True)) for curve in curves]
    first, rest = (by_seed[0], by_seed[1:]) if by_seed else ({}, [])
    shared = sorted(x for x in first if all(x in points for points in rest))
    return shared, [[points[x] for points in by_seed] for x in shared]


def _finite(curve: Curve) -> Curve:
    kept = [(x, y) for x, y in zip(curve.xs, curve.ys, strict=True) if drawable(x) and drawable(y)]
    return Curve(curve.seed, [x for x, _ in kept], [y for _, y in kept])


def _between(curve: Curve, x: float) -> float:
    after = next((i for i, at in enumerate(curve.xs) if at >= x), len(curve.xs) - 1)
    if after == 0 or curve.xs[after] <= x:
        return curve.ys[after]
    left, right = curve.xs[after - 1], curve.xs[after]
    return curve.ys[after - 1] + (x - left) / (right - left) * (curve.ys[after] - curve.ys[after - 1])


def _draw_arm(axes: Any, arm: Arm, look: Look, *, same_positions: bool) -> None:
    """Every seed thin, the interval of the mean shaded, the mean thick; a lone point gets a mark: it has no line."""
    for curve in arm.curves:
        mark = look.marker if len(curve.xs) == 1 else None
        axes.plot(curve.xs, curve.ys, color=look.light, linewidth=0.8, alpha=0.5, marker=mark, markersize=3, zorder=2)
    alike = arm.curves if same_positions or len(arm.curves) < 2 else resampled(arm.curves)
    xs, means, lows, highs = mean_and_interval(alike)
    axes.fill_between(xs, lows, highs, color=look.light, alpha=0.12, linewidth=0, zorder=1)
    marks = {"marker": look.marker, "markersize": 5, "markevery": max(1, len(xs) // 8)}
    axes.plot(xs, means, color=look.light, linestyle=dashes(look), linewidth=2.5, label=arm.label, zorder=3, **marks)


def _explained(arms: Sequence[Arm], *, same_positions: bool) -> list[str]:
    """Return what lines and bands are, for those that are there."""
    most = max(len(arm.curves) for arm in arms)
    if most < 2:
        return []
    how = "" if same_positions else " (of straight lines between evaluations)"
    lines = [f"thin: every seed  ·  thick: their mean{how}"]
    return lines + ["band: 95 % t interval of the mean, at each place by itself"] * (most >= FEWEST)
