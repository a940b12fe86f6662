"""What is shown of runs in every state they can be in: never better than it is."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.cli.run_page import page
from dreamerlab.errors import NotFound
from dreamerlab.lab.listing import run_table, select, to_data
from dreamerlab.lab.show import choose_run, collect, draw
from dreamerlab.lab.status import view_recent, view_run
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.processes import boot_id, hostname, own_identity
from dreamerlab.runs.series import append_line
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.summary import write_summary
from tests.runs.records import a_line, a_manifest, make_run, make_workspace

GONE = {"pid": 2**22 + 1, "pid_start": 1, "boot_id": boot_id(), "host": hostname()}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "lab")


def set_state(run: RunDirectory, seed: int, state: str, returns: tuple[float, ...] = (), **changes: Any) -> None:
    """Give one trial a state and evaluations, as its trainer would."""
    trial = run.trial(seed)
    for index, value in enumerate(returns, start=1):
        append_line(trial.evals_path, a_line(100 * index, eval__return_mode=value, eval__return_sample=value / 2))
    facts = {"attempt": 1, "env_steps": 100 * len(returns), "spent": 100.0 * len(returns), "heartbeat_at": time.time()}
    write_status(trial, replace(read_status(trial), state=state, **{**facts, **changes}))


def test_a_score_before_the_end_is_marked_so_far_and_no_mean_is_given_while_one_is_missing(
    workspace: Workspace,
) -> None:
    run = make_run(workspace, seeds=(1, 2))
    set_state(run, 1, "finished", (10.0, 20.0, 30.0))
    set_state(run, 2, "interrupted", (10.0,), reason="stopped by SIGTERM")
    write_summary(run.trial(1))
    details = collect(workspace, run)
    assert [(one.score, one.so_far) for one in details.trials] == [(20.0, False), (None, True)]
    assert details.mean_score is None
    assert "seed 2 is interrupted (stopped by SIGTERM)" in details.caveats
    text = page(details)
    assert "score so far" in text
    assert "mean so far" not in text
    set_state(run, 2, "interrupted", (10.0, 40.0, 70.0))
    assert "mean so far 30.0 over n=2, lowest 20.0, highest 40.0" in page(collect(workspace, run))


def test_a_summary_older_than_the_last_attempt_is_not_taken_for_the_result(workspace: Workspace) -> None:
    run = make_run(workspace, seeds=(1,))
    set_state(run, 1, "failed", (10.0, 20.0, 30.0), reason="divergence")
    write_summary(run.trial(1))
    assert collect(workspace, run).trials[0].so_far is False
    set_state(run, 1, "interrupted", (), env_steps=500)
    assert collect(workspace, run).trials[0].so_far is True


def test_every_weakness_of_a_run_is_a_caveat(workspace: Workspace) -> None:
    run = make_run(workspace, seeds=(1,), kind="pilot", code=replace(a_manifest().code, dirty=True))
    set_state(run, 1, "running", (1.0,), **GONE)
    with run.trial(1).evals_path.open("a") as file:
        file.write('{"env_steps":')
    caveats = "\n".join(collect(workspace, run).caveats)
    for piece in ("pilot", "n=1: fewer than 3 seeds", "differed from its commit", "seed 1 is killed", "torn line"):
        assert piece in caveats
    assert page(collect(workspace, run)).splitlines()[2].split(None, 1) == ["kind", "PILOT (can never carry a verdict)"]


def test_a_result_below_random_is_called_out(workspace: Workspace) -> None:
    runs = [make_run(workspace, seeds=(1,)) for _ in range(2)]
    for run, value in zip(runs, (9.0, 475.0), strict=True):
        run.config_path.write_text("schema: 1\nreference:\n  random: 22.5\n  solved: 475.0\n")
        set_state(run, 1, "finished", (value, value, value))
    assert "BELOW RANDOM (22.5)" in page(collect(workspace, runs[0]))
    assert "100 % of the span from random to solved" in page(collect(workspace, runs[1]))
    timed = replace(collect(workspace, runs[1]).manifest, score="env_steps_to(475) of eval/return_mode")
    assert "of the span" not in page(replace(collect(workspace, runs[1]), manifest=timed)), "steps are no return"


def test_only_what_lives_is_running_and_has_time_left(workspace: Workspace) -> None:
    run = make_run(workspace, seeds=(1, 2, 3))
    me = own_identity()
    alive = {"pid": me.pid, "pid_start": me.start_ticks, "boot_id": me.boot_id, "host": me.host}
    pace = {"pace/env_steps_per_s": 10.0}
    set_state(run, 1, "running", env_steps=400, spent=400.0, latest=pace, **alive)
    set_state(run, 2, "running", env_steps=400, spent=400.0, latest=pace, **GONE)
    view = view_run(run)
    assert [trial.state for trial in view.trials] == ["running", "killed", "waiting"]
    assert [trial.left_s for trial in view.trials] == [60.0, None, None]
    assert view.trials[0].share == 0.4
    assert view.active


def test_status_forgets_what_ended_long_ago_but_never_what_is_active(workspace: Workspace) -> None:
    run = make_run(workspace, seeds=(1,))
    later = time.time() + 2 * 86_400
    set_state(run, 1, "finished", (1.0,))
    assert [view.run for view in view_recent(workspace)] == [run.id]
    assert view_recent(workspace, now=later) == []


def test_an_unreadable_run_is_a_row_like_any_other(workspace: Workspace) -> None:
    run, other = make_run(workspace), make_run(workspace)
    run.manifest_path.write_text("[]")
    listing = select(workspace, hypotheses=False, env=None)
    assert [row["run"] for row in to_data(listing)["runs"]] == [other.id, run.id]
    assert listing.runs is not None
    assert "unreadable" in run_table(listing.runs).to_text().splitlines()[2]


def test_the_newest_run_is_meant_when_none_is_named(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no run in"):
        choose_run(workspace, None)
    make_run(workspace)
    newest = make_run(workspace, name="second")
    assert choose_run(workspace, None) == newest == choose_run(workspace, "second")
    with pytest.raises(NotFound, match="no seed has an evaluation yet"):
        draw(collect(workspace, newest), tmp_path / "curve.png")
