"""The sheet that plots are drawn on: its format, its axes, its legend below, the file that appears whole.

Matplotlib is imported when something is drawn, and needs no display. Equal pictures give equal bytes with one version
of it: no date, no random id. What is drawn is decided by `plots.py` and its neighbours, in the colours of `palette.py`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from dreamerlab.errors import NotFound, ToolFailed, UsageError, did_you_mean
from dreamerlab.report.palette import LOOKS, SHADES, Look, alone

FORMATS = (".png", ".svg", ".pdf")
_DATES = {".png": "Creation Time", ".svg": "Date", ".pdf": "CreationDate"}
INK, SOFT, GRID = (SHADES[name][0] for name in ("ink", "soft", "grid"))
WIDTH = 7.6
"""Of every picture, in inches; 150 dots each."""


def check_target(path: Path) -> None:
    """Refuse a file that cannot be drawn into: UsageError for its format, NotFound for its folder."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        near = did_you_mean(suffix, FORMATS)
        raise UsageError(
            f"cannot draw into '{path.name}'{near}", hint=f"name a file that ends in {' or '.join(FORMATS)}"
        )
    if not path.absolute().parent.is_dir():
        raise NotFound(f"cannot draw '{path}': there is no folder {path.absolute().parent}")


def looks(count: int) -> Sequence[Look]:
    """Return how `count` runs are drawn; UsageError for more than can be told apart."""
    if count > len(LOOKS):
        raise UsageError(f"{count} runs in one picture cannot be told apart", hint=f"draw at most {len(LOOKS)}")
    return [alone()] if count == 1 else LOOKS[:count]


def dashes(look: Look) -> Any:
    """Return a look's dash as matplotlib takes it: lengths in widths of the line."""
    return (0, tuple(part / 2.5 for part in look.dash)) if look.dash else "-"


def sheet(title: str, height: float, rows: int = 1, columns: int = 1, **spans: Any) -> tuple[Any, Sequence[Any]]:
    """Return a figure of `rows` x `columns` axes, upper left first, `height` in inches; ToolFailed without matplotlib.

    `spans` goes to matplotlib's grid (`height_ratios`, `sharex`).
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ToolFailed(f"matplotlib is not usable: {error}", hint="pip install 'dreamerlab[track]'") from error
    figure: Any = Figure(figsize=(WIDTH, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left", color=INK)
    grid = figure.subplots(rows, columns, squeeze=False, **spans)
    found = [axes for row in grid for axes in row]
    for axes in found:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(SOFT)
        axes.tick_params(colors=SOFT, labelcolor=INK, labelsize=9)
        axes.grid(color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, found


def thousands(axis: Any) -> None:
    """Label an axis of counts: with commas, few enough to stand apart, decimals only where it needs them."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(_tick))


def _tick(value: float, _: object) -> str:
    words = f"{value:,.0f}" if value == round(value) else f"{value:g}"
    return words.replace("-", "−")  # the minus that matplotlib writes on all other axes


def name_axis(axis: Any, label: str, width: int = 44) -> None:
    """Label an axis, in lines that fit it."""
    axis.set_label_text("\n".join(line for part in label.split("\n") for line in wrap(part, width)), color=INK)


def save(figure: Any, path: Path, notes: Sequence[str] = (), *, columns: int = 2) -> None:
    """Write the figure, legend and notes below its axes where they can cover nothing, replacing a file at once."""
    from matplotlib import rc_context  # pyright: ignore[reportUnknownVariableType]

    handles = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        if not label.startswith("_")
    }
    legend = figure.legend(
        list(handles.values()),
        list(handles),
        frameon=False,
        fontsize=9,
        loc="outside lower left",
        ncols=columns,
        handlelength=3.6,
        title="\n".join(notes) or None,
        title_fontsize=8,
        alignment="left",
    )
    legend.get_title().set_color(SOFT)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with rc_context({"svg.hashsalt": "dreamerlab"}):
            figure.savefig(temporary, metadata={_DATES[path.suffix.lower()]: None})
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
