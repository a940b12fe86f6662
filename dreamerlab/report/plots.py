"""Pictures of runs: learning curves of every seed, their mean, and what returns mean in the task.

Draws what it is given and computes only the mean and range of the seeds; which points those are is the caller's
business. Matplotlib is imported when something is drawn, and needs no display.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreamerlab.errors import NotFound, ToolFailed, UsageError

FORMATS = (".png", ".svg", ".pdf")
# Okabe and Ito's palette, picked so that darkness alone tells the parts apart in a grey print.
_MEAN, _SEED, _SOLVED, _RANDOM = "#0072B2", "#56B4E9", "#009E73", "#555555"
# Of several runs each has a colour of its own darkness and a line of its own kind: either alone tells them apart.
_ARMS = (("#0072B2", "-"), ("#E69F00", "--"), ("#000000", "-."), ("#CC79A7", ":"), ("#009E73", (0, (6, 1, 1, 1, 1, 1))))


@dataclass(frozen=True)
class Curve:
    """Evaluations of one seed: returns `ys` at env steps `xs`, ascending."""

    seed: int
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True)
class Picture:
    """Everything a learning-curve figure shows."""

    title: str
    curves: Sequence[Curve]
    x_label: str = "env steps"
    y_label: str = "eval/return_mode"
    random: float | None = None
    """Return of random actions, drawn as a line."""
    solved: float | None = None
    """Return at which the task counts as solved, drawn as a line."""


@dataclass(frozen=True)
class Arm:
    """One of several runs in a picture."""

    label: str
    curves: Sequence[Curve]


@dataclass(frozen=True)
class ManyRuns:
    """Everything a figure of several runs shows; at most five can be told apart."""

    title: str
    arms: Sequence[Arm]
    x_label: str = "env steps"
    y_label: str = "eval/return_mode"
    random: float | None = None
    """Return of random actions, drawn as a line."""
    solved: float | None = None
    """Return at which the task counts as solved, drawn as a line."""


def mean_and_range(curves: Sequence[Curve]) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return (x, mean, lowest, highest) over all seeds, at the positions every seed was evaluated at.

    Where a seed is missing the mean would be one of fewer seeds, and jump: such positions are left out.
    """
    by_seed = [dict(zip(curve.xs, curve.ys, strict=True)) for curve in curves]
    first, rest = (by_seed[0], by_seed[1:]) if by_seed else ({}, [])
    shared = sorted(x for x in first if all(x in points for points in rest))
    columns = [[points[x] for points in by_seed] for x in shared]
    means = [sum(column) / len(column) for column in columns]
    return shared, means, [min(column) for column in columns], [max(column) for column in columns]


def draw_learning_curves(picture: Picture, path: Path) -> None:
    """Write the figure to `path`, whose suffix names the format, replacing an earlier one at once.

    Raises UsageError for an unknown format, NotFound when no seed has a point, ToolFailed without matplotlib.
    """
    _check_target(path)
    curves = [curve for curve in picture.curves if curve.xs]
    if not curves:
        raise NotFound("there is nothing to draw: no seed has an evaluation yet")
    figure, axes = _blank(picture)
    _draw_reference(axes, picture)
    _draw_seeds(axes, curves)
    _save(figure, path)


def draw_comparison(picture: ManyRuns, path: Path) -> None:
    """Write the curves of several runs to `path`: every seed thin, mean thick and range shaded per run.

    Errors as those of `draw_learning_curves`; more runs than can be told apart are a UsageError.
    """
    _check_target(path)
    if len(picture.arms) > len(_ARMS):
        raise UsageError(
            f"{len(picture.arms)} runs in one picture cannot be told apart", hint=f"draw at most {len(_ARMS)}"
        )
    if not any(curve.xs for arm in picture.arms for curve in arm.curves):
        raise NotFound("there is nothing to draw: no seed has an evaluation yet")
    figure, axes = _blank(picture)
    for arm, (colour, line) in zip(picture.arms, _ARMS, strict=False):
        _draw_arm(axes, arm, colour, line)
    _draw_reference(axes, picture)
    _save(figure, path, ncols=2)


def _check_target(path: Path) -> None:
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"cannot draw into '{path.name}'", hint=f"name a file that ends in {' or '.join(FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise NotFound(f"cannot draw '{path}': there is no folder {path.absolute().parent}")


def _blank(picture: Picture | ManyRuns) -> tuple[Any, Any]:
    """Return a figure with labelled axes and nothing in them."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ToolFailed(f"matplotlib is not usable: {error}", hint="pip install 'dreamerlab[track]'") from error
    figure: Any = Figure(figsize=(7.2, 4.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(picture.title, fontsize=11, loc="left")
    axes.set_xlabel(picture.x_label)
    axes.set_ylabel(picture.y_label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.margins(x=0.02)
    return figure, axes


def _save(figure: Any, path: Path, ncols: int = 5) -> None:
    # The legend goes below the axes, where it can cover neither a curve nor a reference line.
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=ncols, handlelength=3)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        figure.savefig(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _draw_arm(axes: Any, arm: Arm, colour: str, line: Any) -> None:
    """One run among several; a lone point gets a mark, since it has no line."""
    curves = [curve for curve in arm.curves if curve.xs]
    for curve in curves:
        mark = "o" if len(curve.xs) == 1 else None
        axes.plot(curve.xs, curve.ys, color=colour, linewidth=0.8, alpha=0.55, marker=mark, markersize=3, zorder=2)
    xs, means, lowest, highest = mean_and_range(curves)
    axes.fill_between(xs, lowest, highest, color=colour, alpha=0.15, linewidth=0, zorder=1)
    mark = "o" if len(xs) == 1 else None
    label = f"{arm.label}: mean, range, seeds" if len(curves) > 1 else arm.label
    axes.plot(xs, means, color=colour, linestyle=line, linewidth=2.6, marker=mark, label=label, zorder=3)


def _draw_seeds(axes: Any, curves: Sequence[Curve]) -> None:
    """Every seed thin, their mean thick, their range shaded; a lone point gets a mark, since it has no line."""
    for index, curve in enumerate(curves):
        name = "one seed" if index == 0 and len(curves) > 1 else f"seed {curve.seed}" if len(curves) == 1 else None
        mark = "o" if len(curve.xs) == 1 else None
        axes.plot(curve.xs, curve.ys, color=_SEED, linewidth=0.9, marker=mark, markersize=3, label=name, zorder=2)
    if len(curves) == 1:
        return
    xs, means, lowest, highest = mean_and_range(curves)
    if xs:
        axes.fill_between(xs, lowest, highest, color=_SEED, alpha=0.22, linewidth=0, label="range", zorder=1)
        mark = "o" if len(xs) == 1 else None
        label = f"mean of {len(curves)} seeds"
        axes.plot(xs, means, color=_MEAN, linewidth=2.4, marker=mark, label=label, zorder=3)


def _draw_reference(axes: Any, picture: Picture | ManyRuns) -> None:
    if picture.solved is not None:
        axes.axhline(picture.solved, color=_SOLVED, linewidth=1.2, linestyle="--", label=f"solved ({picture.solved:g})")
    if picture.random is not None:
        axes.axhline(picture.random, color=_RANDOM, linewidth=1.2, linestyle=":", label=f"random ({picture.random:g})")
