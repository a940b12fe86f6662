"""What running trials look like: a table redrawn in place on a terminal, a line every ten seconds elsewhere.

Reads through `lab.status` only, so that the run's own terminal and `status --follow` in another one show the same.
Rich is imported for the live table alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from dreamerlab.cli import output
from dreamerlab.lab.status import RunView, TrialView
from dreamerlab.report.wording import amount, duration, figure
from dreamerlab.tables import Table

_LINE_EVERY_S = 10.0
_REDRAW_EVERY_S = 0.5
_COLUMNS = ("run", "seed", "state", "spent", "of budget", "left", "eval return", "train return", "updates/s", "note")
_STYLES = {
    "running": "green",
    "finished": "bold",
    "failed": "red",
    "killed": "red",
    "interrupted": "yellow",
    "stopped": "yellow",
}
_RIGHT = frozenset({"seed", "spent", "of budget", "left", "eval return", "train return", "updates/s"})


def status_table(views: Sequence[RunView], *, notes: bool = True) -> Table:
    """Return the trials of several runs as one table; the reason of an end in the last column."""
    table = Table(_COLUMNS if notes else _COLUMNS[:-1], _RIGHT)
    for view in views:
        title = f"{view.run} {view.name}" if view.name else view.run
        title = f"{title} ({view.kind})" if view.kind in ("pilot", "treatment") else title
        for trial in view.trials:
            cells = (title, *_cells(trial), trial.reason or trial.message or "")
            table.add(*(cells if notes else cells[:-1]))
    return table


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
            self._live.update(_rich_table(views), refresh=True)
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
                live.update(_rich_table(self._view()), refresh=True)
                live.stop()

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


def _rich_table(views: Sequence[RunView]) -> Any:
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(box=None, pad_edge=False, title=None)
    plain, first = status_table(views), 0 if len(views) > 1 else 1
    for column in plain.columns[first:]:
        table.add_column(column, justify="right" if column in plain.right else "left", no_wrap=column != "note")
    for row in plain.rows:
        table.add_row(*(Text(output.printable(cell), style=_style(cell)) for cell in row[first:]))
    return table


def _style(cell: str) -> str:
    return _STYLES.get(cell, "")


def _cells(trial: TrialView) -> tuple[str, ...]:
    return (
        str(trial.seed),
        trial.state,
        amount(trial.spent, trial.budget_unit),
        f"{100 * trial.share:.0f} %",
        duration(trial.left_s),
        figure(trial.eval_return),
        figure(trial.train_return),
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
    if trial.updates_per_s is not None and trial.state == "running":
        parts.append(f"{figure(trial.updates_per_s)} updates/s")
    if trial.reason and trial.state not in ("failed", "stopped"):  # the launcher has said why, where to look included
        parts.append(trial.reason)
    return ", ".join(parts)
