"""What running trials look like: a table redrawn in place on a terminal, a line every ten seconds elsewhere.

Reads through `lab.status` only, so that the run's own terminal and `status --follow` in another one show the same.
Rich is imported for the live table alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from typing import Any

from dreamerlab.cli import output
from dreamerlab.lab.status import RunView, TrialView, time_left
from dreamerlab.report.wording import amount, duration, figure, state_counts
from dreamerlab.tables import Table

_LINE_EVERY_S = 10.0
_REDRAW_EVERY_S = 0.5
_MOST_NOTES = 2
_NUMBERS = ("done", "left", "eval return", "train return", "wm loss", "updates/s")
_DROPPED = ("train return", "name", "spent", "run", "wm loss", "updates/s", "left")
"""What a narrow screen goes without, first to last; `spent` is that column whatever it is called, `name` all of a run's
title but what tells it from the others.
"""
_STYLES = {
    "running": "green",
    "finished": "bold",
    "failed": "red",
    "killed": "red",
    "interrupted": "yellow",
    "stopped": "yellow",
}


def status_table(views: Sequence[RunView], *, runs: bool = True, notes: bool = True, width: int | None = None) -> Table:
    """Return the trials of several runs as one table; the reason of an end in the last column.

    With `width` the table without its notes is no wider: columns are left out, the least telling first.
    """
    units = {trial.budget_unit for view in views for trial in view.trials if trial.budget_unit}
    unit = units.pop() if len(units) == 1 else None
    spent = {None: "spent", "wall_clock": "time"}.get(unit, (unit or "").replace("_", " "))
    columns = ("run", "seed", "state", spent, *_NUMBERS, "note")
    rows = [
        (view, (*_cells(trial, bare=unit is not None), trial.reason or trial.message or ""))
        for view in views
        for trial in view.trials
    ]
    dropped = {name for name, wanted in (("run", runs), ("note", notes)) if not wanted}
    waiting = [name if name != "spent" else spent for name in _DROPPED]
    while True:
        table = Table(columns, frozenset({"seed", spent, *_NUMBERS}))
        for view, cells in rows:
            table.add(_short_title(view, views) if "name" in dropped else _title(view), *cells)
        if width is None or not waiting or _width(_without(table, {*dropped, "note"})) <= width:
            return _without(table, dropped)
        dropped.add(waiting.pop(0))


def _title(view: RunView) -> str:
    title = f"{view.run} {view.name}" if view.name else view.run
    return f"{title} ({view.kind})" if view.kind in ("pilot", "treatment") else title


def _short_title(view: RunView, views: Sequence[RunView]) -> str:
    """Return what tells the arms of a hypothesis apart, or else the id."""
    return view.kind if len({one.kind for one in views}) == len(views) > 1 else view.run


def bounded(views: Sequence[RunView], rows: int) -> tuple[list[RunView], str | None]:
    """Return the views with at most `rows` trials, those at work first to stay, and in words what is left out."""
    order = {"running": 0, "failed": 1, "killed": 1, "unreadable": 1, "interrupted": 2, "stopped": 2, "finished": 3}
    trials = [(order.get(trial.state, 4), place, trial) for view in views for place, trial in enumerate(view.trials)]
    if len(trials) <= rows:
        return list(views), None
    ranked = sorted(trials, key=lambda item: item[0])  # stable: by run and seed within a state
    kept = {id(trial) for _, _, trial in ranked[: max(1, rows)]}
    left_out = [trial.state for _, _, trial in ranked[max(1, rows) :]]
    shown = [replace(view, trials=[trial for trial in view.trials if id(trial) in kept]) for view in views]
    return [view for view in shown if view.trials], f"and {len(left_out)} more: {state_counts(left_out)}"


def _without(table: Table, names: Set[str]) -> Table:
    kept = [place for place, name in enumerate(table.columns) if name not in names]
    smaller = Table([table.columns[place] for place in kept], table.right)
    smaller.rows = [tuple(row[place] for place in kept) for row in table.rows]
    return smaller


def _width(table: Table) -> int:
    return max(map(len, table.to_text().splitlines()))


class Progress:
    """Shows where one or several runs stand each time it is called; `close` leaves the last state on the screen."""

    def __init__(self, view: Callable[[], Sequence[RunView]]) -> None:
        self._view = view
        self._live: Any = _live_display() if output.is_live_terminal(sys.stderr) else None
        self._next_at = 0.0
        self._last: dict[tuple[str, int], str] = {}

    def __call__(self) -> None:
        """Redraw, or print lines, when it is time."""
        now = time.monotonic()
        if now < self._next_at:
            return
        views = self._view()
        if self._live is not None:
            self._next_at = now + _REDRAW_EVERY_S
            self._live.update(self._drawn(views), refresh=True)
        else:
            self._next_at = now + _LINE_EVERY_S
            self._print_lines(views)

    def say(self, text: str) -> None:
        """Print a line of talk, above the table where there is one."""
        if self._live is None:
            output.say(text)
        else:
            with suppress(OSError, ValueError):
                self._live.console.print(output.printable(text), markup=False, highlight=False)

    def warn(self, text: str) -> None:
        """Print a warning, above the table where there is one."""
        if self._live is None:
            output.warn(text)
        else:
            self.say(f"warning: {text}")

    def close(self) -> None:
        """Show the last state and give the screen back; a terminal that is gone is no reason to fail."""
        live, self._live = self._live, None
        with suppress(OSError, ValueError):
            if live is None:
                self._print_lines(self._view())
            else:
                live.update(self._drawn(self._view(), live), refresh=True)
                live.stop()

    def _drawn(self, views: Sequence[RunView], live: Any = None) -> Any:
        screen = (live or self._live).console
        return _rich_table(views, screen.width, screen.height)

    def _print_lines(self, views: Sequence[RunView]) -> None:
        for view in views:
            arm = f"{view.kind} " if len(views) > 1 else ""
            for trial in view.trials:
                line = f"{arm}{_line(trial)}"
                if trial.state != "queued" and line != self._last.get((view.run, trial.seed)):
                    self._last[view.run, trial.seed] = line
                    output.say(line)


def _live_display() -> Any:
    from rich.console import Console
    from rich.live import Live

    live = Live(console=Console(stderr=True), auto_refresh=False, transient=False, redirect_stdout=False)
    live.start()
    return live


def _rich_table(views: Sequence[RunView], width: int, height: int) -> Any:
    """Return the table for a screen of this size, and below it what it leaves out and when all is done."""
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    told = notes(views)[-_MOST_NOTES:]
    shown, more = bounded(views, height - 4 - len(told))
    plain = status_table(shown, runs=len(views) > 1, notes=False, width=width)
    table = RichTable(box=None, pad_edge=False, title=None)
    for column in plain.columns:
        table.add_column(column, justify="right" if column in plain.right else "left", no_wrap=True)
    for row in plain.rows:
        table.add_row(*(Text(output.printable(cell), style=_style(cell)) for cell in row))
    left = time_left(views)
    trials = sum(len(view.trials) for view in views)
    below = [more] if more else []
    below += [f"{duration(left)} left until all {trials} are done"] if left is not None and trials > 1 else []
    below += told
    return Group(table, *(Text(output.printable(line), no_wrap=True, overflow="ellipsis") for line in below))


def notes(views: Sequence[RunView]) -> list[str]:
    """Return why trials ended or what is worth saying of them, and which mirrors fail, a line each."""
    several = len(views) > 1
    failing = [f"{view.run}: {view.mlflow}; training goes on" for view in views if view.mlflow is not None]
    return [
        *failing,
        *(
            f"{f'{view.run} ' if several else ''}seed {trial.seed}: {trial.reason or trial.message}"
            for view in views
            for trial in view.trials
            if trial.reason or trial.message
        ),
        *(
            f"{f'{view.run} ' if several else ''}seed {trial.seed}: {finding}"
            for view in views
            for trial in view.trials
            for finding in trial.findings[:1]
        ),
    ]


def _style(cell: str) -> str:
    return _STYLES.get(cell, "")


def _cells(trial: TrialView, *, bare: bool) -> tuple[str, ...]:
    counted = bare and trial.budget_unit != "wall_clock"
    return (
        str(trial.seed),
        trial.state,
        f"{trial.spent:,.0f}" if counted else amount(trial.spent, trial.budget_unit),
        f"{100 * trial.share:.0f} %",
        duration(trial.left_s),
        figure(trial.eval_return),
        figure(trial.train_return),
        figure(trial.wm_loss),
        figure(trial.updates_per_s) if trial.state == "running" else "-",
    )


def _line(trial: TrialView) -> str:
    parts = [f"seed {trial.seed}: {trial.state}"]
    if trial.budget_amount and trial.attempt:
        parts.append(f"{amount(trial.spent, trial.budget_unit)} of {trial.budget_amount:,} ({100 * trial.share:.0f} %)")
    if trial.left_s is not None:
        parts.append(f"{duration(trial.left_s)} left")
    if trial.eval_return is not None:
        parts.append(f"eval return {figure(trial.eval_return)}")
    if trial.train_return is not None:
        parts.append(f"train return {figure(trial.train_return)}")
    if trial.wm_loss is not None and trial.state == "running":
        parts.append(f"wm loss {figure(trial.wm_loss)}")
    if trial.updates_per_s is not None and trial.state == "running":
        parts.append(f"{figure(trial.updates_per_s)} updates/s")
    if trial.findings:
        parts.append(trial.findings[0])
    if trial.reason and trial.state not in ("failed", "stopped"):  # the launcher has said why, where to look included
        parts.append(trial.reason)
    return ", ".join(parts)
