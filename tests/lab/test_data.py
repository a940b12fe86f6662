"""`data push` and `data pull`: what is refused before DVC is asked."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from dreamerlab.runs.processes import own_identity
from dreamerlab.runs.status import read_status, write_status
from tests.lab.conftest import Ran
from tests.lab.workspaces import inside


def test_artifacts_that_a_trainer_is_writing_are_not_moved(ran: Ran, tmp_path: Path) -> None:
    busy = ran.copy(tmp_path / "lab")
    trial, me = busy.run.trial(1), own_identity()
    running = replace(read_status(trial), state="running", pid=os.getpid(), pid_start=me.start_ticks)
    write_status(trial, replace(running, boot_id=me.boot_id, host=me.host))
    (busy.run.path / "artifacts.dvc").write_text("outs:\n- md5: 0.dir\n")
    for verb in ("push", "pull"):
        done = inside(busy.workspace.path, "data", verb, "first")
        assert done.returncode == 4
        assert f"seed 1 of {busy.run.id} is still at work" in done.stderr


def test_a_missing_name_is_answered_with_the_same_verb(ran: Ran) -> None:
    done = inside(ran.workspace.path, "data", "pull")
    assert done.returncode == 2
    assert "hint: dreamerlab data pull R12" in done.stderr
