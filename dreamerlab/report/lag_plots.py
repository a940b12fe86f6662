"""The picture of a lagged correlation: every seed over the lags, their median, the interval that decides.

Two panels a run: changes, which decide, and levels, in which shared trends are still contained. What is correlated and
what may be said of it: `stats.lagged`, `lag_table.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dreamerlab.errors import NotFound
from dreamerlab.report.canvas import INK, SOFT, check_target, dashes, looks, name_axis, save, sheet, thousands
from dreamerlab.report.lag_evidence import LagEvidence, RunLag
from dreamerlab.report.palette import Look
from dreamerlab.stats.lagged import Lag


def draw_lags(evidence: LagEvidence, path: Path) -> None:
    """Write the correlations over lags, a row a run; errors as `plots.draw_curves`."""
    check_target(path)
    chosen = looks(len(evidence.runs))
    if not any(run.changes or run.levels for run in evidence.runs):
        raise NotFound(
            "there is nothing to draw: no seed has enough evaluations beside this metric",
            hint="the table says how many there are: leave --plot out",
        )
    rows = len(evidence.runs)
    title = f"{evidence.signal} against {evidence.performance}"
    figure, panels = sheet(title, 1.5 + 2.9 * rows, rows, 2, sharex=True, sharey=True)
    for row, (run, look) in enumerate(zip(evidence.runs, chosen, strict=True)):
        for column, (words, lags) in enumerate((("changes", run.changes), ("levels", run.levels))):
            axes = panels[2 * row + column]
            _panel(axes, run, lags, look)
            axes.set_title(f"{run.label}: {words}", fontsize=9, loc="left", color=INK)
            if row == rows - 1:
                name_axis(axes.xaxis, "lag in env steps\n← score first | metric first →")
        name_axis(panels[2 * row].yaxis, "correlation")
    notes = [
        "thin: every seed  ·  thick: median  ·  bars: interval of the mean over seeds, widened for the number of lags",
        "bars that leave out 0 in the panel of changes are what may be called a lead or a lag; levels contain trends",
    ]
    save(figure, path, notes)


def _panel(axes: Any, run: RunLag, lags: Sequence[Lag], look: Look) -> None:
    axes.axhline(0, color=INK, linewidth=1)
    axes.axvline(0, color=SOFT, linewidth=1, linestyle=":")
    axes.set_ylim(-1.05, 1.05)
    axes.margins(x=0.09)
    thousands(axes.xaxis)
    for seed in run.seeds:
        at = [(one.lag * run.spacing, one.by_seed[seed]) for one in lags if seed in one.by_seed]
        axes.plot([x for x, _ in at], [r for _, r in at], color=look.light, linewidth=0.8, alpha=0.5, zorder=2)
    middle = [(one.lag * run.spacing, one.median) for one in lags if one.median is not None]
    style = {"color": look.light, "marker": look.marker, "markersize": 4}
    line = {"linestyle": dashes(look), "linewidth": 2.2, "label": f"{run.label} (n={len(run.seeds)})"}
    axes.plot([x for x, _ in middle], [r for _, r in middle], zorder=4, **style, **line)
    for one in lags:
        if one.low is not None and one.high is not None:
            heavy = {"linewidth": 5, "alpha": 0.55} if one.clear else {"linewidth": 3, "alpha": 0.25}
            axes.plot([one.lag * run.spacing] * 2, [one.low, one.high], color=look.light, zorder=1, **heavy)
