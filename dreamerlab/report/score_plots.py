"""Pictures of scores, one a seed: every score with mean and interval, the performance profile, what is traded for what.

Draws what it is given; intervals are those a verdict is computed from (`stats.one_sample`, `stats.welch`), profiles
`stats.profiles`. The sheet is `canvas.py`; which runs and quantities, `comparison_plots.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreamerlab.errors import NotFound
from dreamerlab.protocol.figures import figure as shown
from dreamerlab.protocol.figures import signed
from dreamerlab.report.canvas import INK, SOFT, check_target, dashes, looks, name_axis, save, sheet, thousands
from dreamerlab.report.palette import Look
from dreamerlab.stats.one_sample import mean_interval
from dreamerlab.stats.profiles import performance_profile
from dreamerlab.stats.welch import Welch


@dataclass(frozen=True)
class SeedMark:
    """The score of one seed; `special` says what a reader must know of it: failed, cut off, so far."""

    seed: int
    score: float
    special: str = ""


@dataclass(frozen=True)
class ScoreArm:
    """The scores of one run."""

    label: str
    seeds: Sequence[SeedMark]

    @property
    def values(self) -> list[float]:
        """All scores."""
        return [mark.score for mark in self.seeds]


@dataclass(frozen=True)
class ScorePicture:
    """Scores of several runs, in the order of the runs, the first being what others are held against."""

    title: str
    score_label: str
    arms: Sequence[ScoreArm]
    levels: Sequence[tuple[str, float]] = ()
    """What scores mean in the task: `solved`, `random play`."""
    differences: Sequence[tuple[str, int, Welch]] = ()
    """(label, place of the run that is held against another, its difference with interval)."""
    falling: bool = False
    """Whether lower is better."""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Axis:
    """One quantity of a trade; `better` says which way it gains."""

    label: str
    better: str
    """`higher` or `lower`."""


@dataclass(frozen=True)
class Trade:
    """One panel: two quantities of every seed of every run; an infinite value was not reached."""

    across: Axis
    up: Axis
    points: Sequence[Sequence[tuple[float, float]]]
    """Per run, per seed."""


def draw_intervals(picture: ScorePicture, path: Path) -> None:
    """Write every seed's score, the mean and its interval; below, differences of means with theirs.

    Errors as those of `plots.draw_curves`.
    """
    check_target(path)
    chosen = looks(len(picture.arms))
    _refuse_nothing(picture)
    rows, lower = len(picture.arms), len(picture.differences)
    panels = 2 if lower else 1
    height = 1.9 + 0.5 * rows + (0.9 + 0.42 * lower if lower else 0.0)
    spans: dict[str, Any] = {"height_ratios": [rows + 0.6, lower + 0.4]} if lower else {}
    figure, axes = sheet(picture.title, height, panels, **spans)
    _scores(axes[0], picture, chosen)
    if lower:
        _differences(axes[1], picture, chosen)
    special = sorted({mark.special for arm in picture.arms for mark in arm.seeds if mark.special})
    notes = ["open: every seed  ·  filled: their mean, with its 95 % t interval  ·  difference: 95 % Welch interval"]
    notes = notes if lower else [notes[0].rpartition("  ·  ")[0]]
    save(figure, path, [*notes, *([f"crossed out: {', '.join(special)}"] if special else []), *picture.notes])


def draw_profile(picture: ScorePicture, path: Path) -> None:
    """Write the share of seeds beyond every score, with its pointwise band; errors as `plots.draw_curves`."""
    check_target(path)
    chosen = looks(len(picture.arms))
    _refuse_nothing(picture)
    figure, (axes,) = sheet(picture.title, 4.5 + 0.1 * len(picture.arms))
    finite = [value for arm in picture.arms for value in arm.values if math.isfinite(value)] or [0.0]
    room = (max(finite) - min(finite)) * 0.08 or max(1.0, abs(finite[0]) * 0.05)
    left, right = min(finite) - room, max(finite) + room
    for arm, look in zip(picture.arms, chosen, strict=True):
        if not arm.seeds:
            continue
        steps = performance_profile(arm.values, falling=picture.falling)
        starts = [max(left, step.start) for step in steps] + [right]
        lows, highs = ([*ends, ends[-1]] for ends in ([one.low for one in steps], [one.high for one in steps]))
        shares = [*(step.share for step in steps), steps[-1].share]
        axes.fill_between(starts, lows, highs, step="post", color=look.light, alpha=0.12, linewidth=0)
        marks = {"marker": look.marker, "markersize": 5, "markevery": range(1, len(steps))}
        line = {"color": look.light, "linestyle": dashes(look), "linewidth": 2.5}
        axes.plot(starts, shares, drawstyle="steps-post", label=arm.label, **line, **marks)
    for name, level in picture.levels:
        if left <= level <= right:
            axes.axvline(level, color=SOFT, linewidth=1.1, linestyle=_level_line(name), label=f"{name} ({level:g})")
    axes.set_xlim(left, right)
    axes.set_ylim(-0.03, 1.03)
    thousands(axes.xaxis)
    name_axis(axes.xaxis, f"tau: {picture.score_label}", width=80)
    name_axis(axes.yaxis, "share of seeds with score " + ("at or below tau" if picture.falling else "above tau"))
    axes.yaxis.set_major_formatter("{x:.0%}")
    note = "band: exact 95 % binomial interval (Clopper-Pearson), at each tau by itself"
    save(figure, path, [note, *picture.notes])


def draw_tradeoff(title: str, labels: Sequence[str], trades: Sequence[Trade], path: Path, notes: Sequence[str]) -> None:
    """Write each trade as a panel: every seed small, medians large; errors as `plots.draw_curves`."""
    check_target(path)
    chosen = looks(len(labels))
    if not any(points for trade in trades for points in trade.points):
        raise NotFound("there is nothing to draw: no seed has both a score and a pace yet")
    figure, panels = sheet(title, 4.6, 1, len(trades))
    for axes, trade in zip(panels, trades, strict=True):
        _trade(axes, trade, labels, chosen)
    save(figure, path, ["small and open: every seed  ·  large: median of the run in both quantities", *notes])


def _refuse_nothing(picture: ScorePicture) -> None:
    if not any(arm.seeds for arm in picture.arms):
        raise NotFound("there is nothing to draw: no seed has a score yet")


def _level_line(name: str) -> str:
    return "--" if name == "solved" else ":"


def _scores(axes: Any, picture: ScorePicture, chosen: Sequence[Look]) -> None:
    answers: list[str] = []
    for row, (arm, look) in enumerate(zip(picture.arms, chosen, strict=True)):
        values = arm.values
        if not values:
            answers.append("no score")
            continue
        found = mean_interval(values)
        for mark, lift in zip(arm.seeds, _lifted(values), strict=True):
            style = {"marker": look.marker, "markersize": 6, "markerfacecolor": "none", "linestyle": ""}
            axes.plot(mark.score, row + lift, color=look.light, markeredgewidth=1.3, zorder=3, **style)
            if mark.special:
                axes.plot(mark.score, row + lift, marker="x", markersize=6, color=INK, linestyle="", zorder=4)
        answers.append(shown(found.mean))
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [row, row], color=look.light, linewidth=2.2, marker="|", zorder=2)
            answers[-1] = f"{shown(found.mean)} [{shown(found.low)}, {shown(found.high)}]"
        axes.plot(found.mean, row, color=look.light, marker=look.marker, markersize=9, linestyle="", zorder=3.5)
    for name, level in picture.levels:
        low, high = axes.get_xlim()
        if low - (high - low) * 0.3 <= level <= high + (high - low) * 0.3:
            axes.axvline(level, color=SOFT, linewidth=1.1, linestyle=_level_line(name), label=f"{name} ({level:g})")
    _rows(axes, [arm.label for arm in picture.arms], answers)
    name_axis(axes.xaxis, picture.score_label + (" (lower is better)" if picture.falling else ""), width=60)


def _differences(axes: Any, picture: ScorePicture, chosen: Sequence[Look]) -> None:
    answers: list[str] = []
    for row, (_, place, found) in enumerate(picture.differences):
        look, interval = chosen[place], ""
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [row, row], color=look.light, linewidth=2.2, marker="|", zorder=2)
            interval = f" [{signed(found.low)}, {signed(found.high)}]"
        axes.plot(found.difference, row, color=look.light, marker=look.marker, markersize=9, linestyle="", zorder=3)
        answers.append(f"{signed(found.difference)}{interval or ' (no interval)'}")
    axes.axvline(0, color=INK, linewidth=1.2, zorder=1.5)
    _rows(axes, [label for label, _, _ in picture.differences], answers)
    name_axis(axes.xaxis, "difference of mean scores; 0 is no effect")


def _rows(axes: Any, labels: Sequence[str], answers: Sequence[str]) -> None:
    """Name the rows at the left, say their figures at the right; first row on top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.45, -0.55)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    thousands(axes.xaxis)
    for row, words in enumerate(answers):
        axes.text(1.02, row, words, transform=axes.get_yaxis_transform(), va="center", fontsize=9, color=INK)


def _lifted(values: Sequence[float]) -> list[float]:
    """Return how far each mark is moved off its row, so that those that would hide each other stand apart."""
    span = max(values) - min(values) or 1.0
    lifts: list[float] = []
    for index, value in enumerate(values):
        near = {lift for other, lift in zip(values, lifts, strict=False) if abs(other - value) < 0.03 * span}
        choices = (0.2, -0.2, 0.32, -0.32)
        lifts.append(next((one for one in choices if one not in near), choices[index % 4]))
    return lifts


def _trade(axes: Any, trade: Trade, labels: Sequence[str], chosen: Sequence[Look]) -> None:
    finite = [x for points in trade.points for x, _ in points if math.isfinite(x)]
    end = max(finite, default=1.0) * 1.15
    for label, points, look in zip(labels, trade.points, chosen, strict=True):
        if not points:
            continue
        xs, ys = (
            [min(value, end) if axis == 0 else value for value in column]
            for axis, column in enumerate(zip(*points, strict=True))
        )
        style = {"color": look.light, "marker": look.marker, "linestyle": ""}
        axes.plot(xs, ys, markersize=5, markerfacecolor="none", zorder=2, **style)
        axes.plot(_median(xs), _median(ys), markersize=11, label=label, zorder=3, **style)
    if any(x == math.inf for points in trade.points for x, _ in points):
        axes.axvline(end * 0.94, color=SOFT, linewidth=1, linestyle=":")
        axes.text(end, 1.01, "not reached", transform=axes.get_xaxis_transform(), fontsize=8, color=SOFT, ha="center")
    for axis, one in ((axes.xaxis, trade.across), (axes.yaxis, trade.up)):
        thousands(axis)
        name_axis(axis, f"{one.label}\n({one.better} is better)", width=38)
    axes.margins(0.12)


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
