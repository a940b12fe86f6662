"""Maps of games of hockey: where shots came from, which of them went in, and where the puck was.

A row for each opponent; the field as the agent sees it, its own goal on the left, 10 by 8 metres with the walls and
goals the game has. What was seen is collected where games are played (`train/hockey_games.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dreamerlab.report.canvas import GRID, INK, SOFT, save, sheet
from dreamerlab.report.palette import SHADES

_GOAL_LINE, _GOAL, _WALL = 245 / 60, 75 / 60, 200 / 60
"""Metres from the middle: to the goal line, from the middle of a goal to its posts, to the long walls."""
_MISSED, _SCORED = SHADES["treatment"][0], SHADES["control"][0]
_FIELD = (10.0, 8.0)


def draw_maps(
    path: Path,
    title: str,
    shots: Mapping[str, Sequence[Mapping[str, Any]]],
    heat: Mapping[str, Sequence[Sequence[int]]],
) -> None:
    """Draw the maps of one agent and policy into `path`, PNG or SVG, replacing it at once.

    `shots` and `heat` by opponent: shots with x, y (metres from the middle), own and goal; steps with the puck in each
    square of an even grid over the field, columns first. ToolFailed without matplotlib.
    """
    figure, axes = sheet(title, 0.9 + 2.15 * len(heat), len(heat), 3)
    for row, (opponent, grid) in enumerate(heat.items()):
        own, other, puck = axes[3 * row : 3 * row + 3]
        for side, place, name in ((True, own, "own shots"), (False, other, f"shots of {opponent}")):
            some = [shot for shot in shots.get(opponent, ()) if bool(shot["own"]) is side]
            goals = [shot for shot in some if shot["goal"]]
            _field(place, f"{name}: {len(goals)} of {len(some)} in")
            missed = [shot for shot in some if not shot["goal"]]
            _points(
                place, missed, "a shot that did not go in", color=_MISSED, marker="o", s=9, alpha=0.45, linewidths=0
            )
            _points(place, goals, "a goal", color=_SCORED, marker="D", s=16, edgecolors="white", linewidths=0.5)
        _field(puck, f"the puck against {opponent}")
        _heat(figure, puck, grid)
    save(
        figure,
        path,
        (
            "The agent's own goal is on the left. Where nobody made a shot and the puck was pushed in, the "
            "goal is marked where that began.",
        ),
    )


def _points(axes: Any, shots: Sequence[Mapping[str, Any]], label: str, **how: Any) -> None:
    axes.scatter([shot["x"] for shot in shots], [shot["y"] for shot in shots], label=label, zorder=3, **how)


def _heat(figure: Any, axes: Any, grid: Sequence[Sequence[int]]) -> None:
    """Draw the share of time the puck was in each square, in percent; a square root shows what is rare as well."""
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    colors = LinearSegmentedColormap.from_list("puck", ["#ffffff", SHADES["treatment"][0], SHADES["ink"][0]])
    whole = sum(map(sum, grid)) or 1
    rows = [[100 * column[y] / whole for column in grid] for y in range(len(grid[0]))]
    wide, high = (half / 2 for half in _FIELD)
    shown = axes.imshow(
        rows, origin="lower", extent=(-wide, wide, -high, high), cmap=colors, norm=PowerNorm(0.5), zorder=1
    )
    bar = figure.colorbar(shown, ax=axes, shrink=0.75, pad=0.02)
    bar.ax.tick_params(labelsize=7, colors=SOFT, labelcolor=INK)
    bar.ax.set_title("% of time", fontsize=7, color=SOFT)
    bar.outline.set_visible(False)


def _field(axes: Any, title: str) -> None:
    from matplotlib.patches import Rectangle

    axes.set_title(title, fontsize=9, color=INK)
    axes.set(xlim=(-4.75, 4.75), ylim=(-3.7, 3.7), aspect="equal", xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    line: dict[str, Any] = {"color": SOFT, "linewidth": 1.0, "zorder": 2}
    for end in (-1, 1):
        x = end * _GOAL_LINE
        axes.plot([-_GOAL_LINE, _GOAL_LINE], [end * _WALL] * 2, **line)
        for half in (-1, 1):
            axes.plot([x, x], [half * _GOAL, half * _WALL], **line)
        axes.add_patch(Rectangle((min(x, x + end * 0.4), -_GOAL), 0.4, 2 * _GOAL, color=GRID, zorder=0))
    axes.plot([0, 0], [-_WALL, _WALL], color=GRID, linewidth=0.8, zorder=2)
