"""Progress: a table redrawn on a terminal, lines elsewhere, and no display can harm a run."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import sys
from dataclasses import replace

import pytest

from dreamerlab.cli.progress import Progress, bounded, status_table
from dreamerlab.lab.status import RunView, TrialView, time_left

RUNNING = TrialView(
    seed=3,
    state="running",
    attempt=1,
    spent=250.0,
    budget_amount=1000,
    budget_unit="env_steps",
    env_steps=250,
    updates=60,
    episodes=9,
    wall_s=5.0,
    left_s=75.0,
    eval_return=41.5,
    train_return=22.0,
    updates_per_s=12.0,
    reason=None,
    message=None,
)
QUEUED = replace(
    RUNNING, seed=4, state="queued", attempt=0, spent=0.0, left_s=None, eval_return=None, updates_per_s=None
)
FAILED = replace(RUNNING, seed=5, state="failed", left_s=None, reason="the engine \x1b[31mstalled")


MEASURED = replace(RUNNING, wm_loss=3.21)


def read_all(terminal: int) -> str:
    """Return everything that was written to a terminal whose other side is closed."""
    seen = b""
    with contextlib.suppress(OSError):  # how Linux says that there is no more
        while piece := os.read(terminal, 65536):
            seen += piece
    os.close(terminal)
    return seen.decode()


def view_of(*trials: TrialView) -> RunView:
    return RunView("R0001-abc", None, "pilot", "cartpole", trials, 0.0)


def test_elsewhere_each_change_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    shown = [view_of(RUNNING, QUEUED)]
    progress = Progress(lambda: [shown[-1]])
    progress()
    progress()  # too early for another look
    shown.append(view_of(replace(RUNNING, state="finished", spent=1000.0, left_s=None), FAILED))
    progress.close()
    assert stream.getvalue().splitlines() == [
        "seed 3: running, 250 env steps of 1,000 (25 %), 1 min 15 s left, eval return 41.5, train return 22.0, "
        "12.0 updates/s",
        "seed 3: finished, 1,000 env steps of 1,000 (100 %), eval return 41.5, train return 22.0",
        "seed 5: failed, 250 env steps of 1,000 (25 %), eval return 41.5, train return 22.0",
    ]


def test_the_arms_of_a_hypothesis_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    done = replace(RUNNING, state="finished", spent=1000.0, left_s=None)
    arms = [replace(view_of(done, QUEUED), kind="treatment"), replace(view_of(done), run="R0002-xyz", kind="baseline")]
    Progress(lambda: arms).close()
    assert [line.partition(",")[0] for line in stream.getvalue().splitlines()] == [
        "treatment seed 3: finished",
        "baseline seed 3: finished",
    ]
    assert "R0001-abc (treatment)" in status_table(arms).to_text()


def test_on_a_terminal_a_table_is_redrawn_and_talk_stands_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    main, terminal = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        progress = Progress(lambda: [view_of(RUNNING, FAILED)])
        progress()
        progress.say("a line of [talk]")
        progress.warn("and a warning")
        progress.close()
    seen = read_all(main)
    assert "updates/s" in seen
    assert "1 min 15 s" in seen
    assert "a line of [talk]" in seen
    assert "warning: and a warning" in seen
    assert r"the engine \x1b[31mstalled" in seen, "no text of a run may drive the terminal"
    assert "\x1b[?25h" in seen, "the cursor is given back"


def test_a_terminal_that_goes_away_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    main, terminal = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    stream = os.fdopen(terminal, "w")
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress(lambda: [view_of(RUNNING)])
    os.close(main)
    progress.say("nobody hears this")
    progress.close()
    progress.say("nor this")
    monkeypatch.undo()
    with contextlib.suppress(OSError):
        stream.close()


def test_the_table_marks_pilots_and_gives_reasons() -> None:
    text = status_table([view_of(RUNNING, FAILED)]).to_text()
    assert "R0001-abc (pilot)" in text
    assert text.splitlines()[2].endswith("the engine \x1b[31mstalled")
    assert "note" not in status_table([view_of(RUNNING)], notes=False).to_text()


def test_a_screen_of_80_columns_shows_what_tells_most() -> None:
    """Time left, evaluations, the loss and the pace stay; one run's name is left out, two arms are told apart."""
    alone = status_table([view_of(MEASURED, QUEUED)], runs=False, notes=False, width=80)
    assert tuple(alone.columns) == ("seed", "state", "env steps", "done", "left", "eval return", "wm loss", "updates/s")
    assert alone.rows[0] == ("3", "running", "250", "25 %", "1 min 15 s", "41.5", "3.21", "12.0")
    named = [replace(view_of(MEASURED), run=run, name="a-long-name", kind=kind) for run, kind in ARMS]
    both = status_table(named, notes=False, width=80)
    assert [row[0] for row in both.rows] == ["treatment", "baseline"]
    assert max(map(len, both.to_text().splitlines())) <= 80
    assert {"left", "eval return", "wm loss", "updates/s"} <= set(both.columns)
    assert "train return" in status_table(named, notes=False, width=130).columns


ARMS = (("R0001-abc", "treatment"), ("R0002-xyz", "baseline"))


def test_units_stand_in_the_head_where_they_agree_and_with_the_figures_where_they_do_not() -> None:
    timed = replace(RUNNING, budget_unit="wall_clock", spent=75.0)
    assert status_table([view_of(RUNNING)]).columns[3] == "env steps"
    assert status_table([view_of(timed)]).rows[0][3] == "1 min 15 s"
    mixed = status_table([view_of(RUNNING, timed)])
    assert (mixed.columns[3], [row[3] for row in mixed.rows]) == ("spent", ["250 env steps", "1 min 15 s"])


def test_a_screen_too_low_for_all_trials_shows_those_at_work_and_counts_the_others() -> None:
    waiting = [replace(QUEUED, seed=seed) for seed in range(10, 16)]
    done = replace(RUNNING, seed=1, state="finished")
    (shown,), more = bounded([view_of(done, *waiting, RUNNING, FAILED)], 3)
    assert [trial.seed for trial in shown.trials] == [1, 3, 5]
    assert more == "and 6 more: queued"
    assert bounded([view_of(done, RUNNING)], 3)[1] is None


def test_the_time_until_all_are_done_counts_those_that_wait() -> None:
    """Two run, 75 s and 25 s are left; two wait, each as long as those take on average: (80 + 30) / 2 = 55 s."""
    faster = replace(RUNNING, seed=6, left_s=25.0)
    assert time_left([view_of(RUNNING, faster, QUEUED, QUEUED)]) == (75 + 25 + 2 * 55) / 2
    assert time_left([view_of(RUNNING, faster)]) == 75.0, "the last one to end"
    assert time_left([view_of(RUNNING, replace(faster, left_s=None))]) is None
    assert time_left([view_of(QUEUED)]) is None
