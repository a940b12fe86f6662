"""A run's folder copied from another machine: host, pids and artifacts are not here, its records speak alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.status import effective_state, read_status, write_status
from dreamerlab.runs.store import Workspace
from tests.lab.arms import flat, make_arm
from tests.lab.workspaces import data, inside, light_workspace

ELSEWHERE = {"host": "node7", "pid": 4711, "pid_start": 12, "boot_id": "another-boot"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, str]:
    """A workspace with a run of its own, and one copied while it was being trained on another machine."""
    tmp_path = tmp_path_factory.mktemp("machines")
    there = light_workspace(tmp_path / "there")
    make_arm(there, "other", flat(1.0))
    run = make_arm(there, "far", flat(200.0, 230.0, 260.0, 240.0))
    ago = time.time() - 3 * 86_400
    for seed, state in ((2, "running"), (3, "queued")):
        trial = run.trial(seed)
        trial.summary_path.unlink()
        write_status(trial, replace(read_status(trial), state=state, heartbeat_at=ago, **ELSEWHERE))
    mine = light_workspace(tmp_path / "here")
    make_arm(mine, "near", flat(100.0, 130.0, 160.0))
    shutil.copytree(run.path, mine.run(run.id).path, ignore=shutil.ignore_patterns("artifacts", "artifacts.dvc"))
    return mine, run.id


@pytest.fixture
def here(made: tuple[Workspace, str], tmp_path: Path) -> tuple[Workspace, RunDirectory]:
    mine = Workspace(shutil.copytree(made[0].path, tmp_path / "here"))
    return mine, mine.run(made[1])


def said(workspace: Workspace, *words: str) -> subprocess.CompletedProcess[str]:
    done = inside(workspace.path, *words)
    assert done.returncode == 0, done.stderr
    assert "running" not in done.stdout
    return done


def test_it_is_listed_shown_and_compared_and_never_called_running(here: tuple[Workspace, RunDirectory]) -> None:
    workspace, run = here
    listed = said(workspace, "list").stdout
    assert f"{run.id}  far" in listed
    assert "2 finished, 1 killed, 1 queued" in listed
    assert "seed 2 is killed" in said(workspace, "show", "far").stdout
    compared = said(workspace, "compare", "near", "far", "--no-log").stdout
    assert f"- {run.id}: not finished (2 finished, 1 killed, 1 queued); scores are so far" in compared
    assert "0: 200.0, 1: 230.0" in compared
    (view,) = data(said(workspace, "status", "far", "--json"))
    assert [trial["state"] for trial in view["trials"]] == ["finished", "finished", "killed", "queued"]
    assert "Traceback" not in inside(workspace.path, "lint").stderr


def test_doctor_sets_its_states_right_and_what_is_not_here_is_named(here: tuple[Workspace, RunDirectory]) -> None:
    workspace, run = here
    found = json.loads(inside(workspace.path, "doctor", "--json").stdout)["findings"]
    told = {one["where"]: one["message"] for one in found if one["kind"] == "false status"}
    assert told == {
        f"{run.id} seed 2": "it says running, but its process (pid 4711 on node7) died without a word",
        f"{run.id} seed 3": "it says queued, but node7, where it was to be trained, has not been heard of for 3 d 00 h",
    }
    assert not [one for one in found if "artifact" in one["kind"] or "checkpoint" in one["kind"]], "absent, not damaged"
    assert inside(workspace.path, "doctor", "--fix", "--yes").returncode == 0
    assert [read_status(run.trial(seed)).state for seed in (2, 3)] == ["interrupted"] * 2
    assert inside(workspace.path, "doctor").returncode == 0
    resumed = inside(workspace.path, "resume", "far")
    assert resumed.returncode in (3, 4), resumed.stderr
    assert "hint: " in resumed.stderr, "its code is not here, or its checkpoints are not"


def test_a_queue_of_another_host_is_believed_while_anything_there_gives_a_sign(
    here: tuple[Workspace, RunDirectory],
) -> None:
    workspace, run = here
    other = make_arm(workspace, "alive", flat(1.0)).trial(0)
    write_status(other, replace(read_status(other), state="running", heartbeat_at=time.time(), **ELSEWHERE))
    found = json.loads(inside(workspace.path, "doctor", "--json").stdout)["findings"]
    assert [one["where"] for one in found] == [f"{run.id} seed 2"]


def test_a_copy_of_a_moment_ago_stops_running_with_its_last_sign_of_life() -> None:
    """Whether a sign of life comes from a shared disk or was copied cannot be told: it is worth a minute either way."""
    from dreamerlab.runs.status import Status

    status = Status("running", 0, 1, heartbeat_at=1000.0, **ELSEWHERE)
    assert effective_state(status, 1059.0) == "running"
    assert effective_state(status, 1061.0) == "killed"


def test_a_folder_under_another_runs_name_is_told(here: tuple[Workspace, RunDirectory]) -> None:
    workspace, run = here
    shutil.copytree(run.path, workspace.runs / "R0009-zzz")
    found = json.loads(inside(workspace.path, "doctor", "--json").stdout)["findings"]
    (one,) = [each for each in found if each["kind"] == "misnamed run"]
    assert one["message"] == f"its manifest says it is {run.id}: a folder that was copied or renamed"
    assert inside(workspace.path, "list").returncode == 0
