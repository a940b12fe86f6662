"""Claiming trials: all or none, by one process at a time, and never one that is under way or done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.errors import Conflict
from dreamerlab.lab.execute import claim
from dreamerlab.runs.processes import boot_id, hostname, own_identity
from dreamerlab.runs.status import effective_state, read_status, write_status
from tests.runs.records import make_run, make_workspace

DEAD = 2**22 + 1


def test_fresh_and_abandoned_trials_are_claimed_once(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "lab")
    trials = make_run(workspace, seeds=(1, 2, 3)).trials()
    gone = {"pid": DEAD, "pid_start": 1, "boot_id": boot_id(), "host": hostname()}
    write_status(trials[1], replace(read_status(trials[1]), state="running", attempt=1, **gone))
    write_status(trials[2], replace(read_status(trials[2]), state="failed", attempt=2, reason="divergence"))
    claim(workspace, trials)
    assert [effective_state(read_status(trial)) for trial in trials] == ["queued"] * 3
    assert {read_status(trial).pid for trial in trials} == {own_identity().pid}
    assert [read_status(trial).attempt for trial in trials] == [0, 1, 2]
    with pytest.raises(Conflict, match=f"seed 1 of R0001-... is queued .pid {own_identity().pid} on "):
        claim(workspace, trials)


@pytest.mark.parametrize("state, complaint", [("running", "is running"), ("finished", "has just finished")])
def test_one_trial_that_cannot_be_had_leaves_the_others_alone(tmp_path: Path, state: str, complaint: str) -> None:
    workspace = make_workspace(tmp_path / "lab")
    trials = make_run(workspace, seeds=(1, 2)).trials()
    me = own_identity()
    mine = {"pid": me.pid, "pid_start": me.start_ticks, "boot_id": me.boot_id, "host": me.host}
    write_status(trials[1], replace(read_status(trials[1]), state=state, attempt=1, **mine))
    before = [trial.status_path.read_bytes() for trial in trials]
    with pytest.raises(Conflict, match=f"seed 2 of R0001-... {complaint}"):
        claim(workspace, trials)
    assert [trial.status_path.read_bytes() for trial in trials] == before
