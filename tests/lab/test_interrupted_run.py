"""Ctrl-C, failure and resume with real trainers: what was asked to stop stops whole, and goes on exactly there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.processes import trainers
from dreamerlab.runs.series import read_evals
from dreamerlab.runs.status import read_status
from dreamerlab.runs.store import Workspace
from tests.lab.workspaces import ROOT, TINY, data, dreamerlab, inside, light_workspace, the_run

LEAVES = [
    *(leaf for leaf in TINY if not leaf.startswith(("eval.every", "budget"))),
    "eval.every=40",
    "budget.amount=120",
]
PACED = """
import os, time
from toys import Walk
import gymnasium

class Paced(Walk):
    def step(self, action):
        if os.path.exists("slowly"):
            time.sleep(0.03)
        return super().step(action)

gymnasium.register("Paced-v0", entry_point=Paced, max_episode_steps=50)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace whose environment is the user's own module, slow while the file `slowly` is there."""
    made = light_workspace(tmp_path / "lab")
    made.marker.write_text("code:\n  paths: [paced.py, toys.py]\n")
    (made.path / "paced.py").write_text(PACED)
    shutil.copy(ROOT / "tests" / "toy_envs.py", made.path / "toys.py")
    (made.path / "slowly").touch()
    return made


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dreamerlab", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ctrl_c_keeps_everything_and_resume_goes_on_from_there(workspace: Workspace) -> None:
    folder = workspace.path
    words = ["--env", "acrobot", "env.id=paced:Paced-v0", "--seeds", "2", "--jobs", "1", *LEAVES]
    process = start(folder, "run", "--baseline", *words)
    trial = None

    def under_way() -> bool:
        nonlocal trial
        runs = list(workspace.runs.glob("R*"))
        trial = RunDirectory(runs[0]).trial(0) if runs else None
        return trial is not None and read_status(trial).env_steps > 20

    wait_until(under_way, process)
    assert trial is not None
    run = trial.run

    refused = inside(folder, "resume", run.id)
    assert refused.returncode == 4
    assert f"seed 0 of {run.id} is running (pid " in refused.stderr
    (view,) = data(inside(folder, "status", "--json"))
    assert [seen["state"] for seen in view["trials"]] == ["running", "queued"]
    assert 0 < view["trials"][0]["left_s"] < 60
    follower = start(folder, "status", "--follow")
    assert follower.stderr is not None
    assert follower.stderr.readline().startswith("seed 0: running, ")

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "stopping: waiting for the checkpoint of seed 0" in err
    assert f"error: {run.id} is interrupted (seed 0, 1); nothing is lost\n\nhint: dreamerlab resume {run.id}\n" in err
    assert out.startswith(f"{run.id}\n")
    assert follower.wait(timeout=30) == 0, "a view in another terminal ends with the run"
    follower.communicate()
    assert [read_status(run.trial(seed)).state for seed in (0, 1)] == ["interrupted", "interrupted"]
    assert read_status(run.trial(1)).attempt == 0
    assert not [one for one in trainers() if one.trial and one.trial.is_relative_to(folder)]
    assert not run.trial(0).summary_path.exists()

    # The run's code is its snapshot: what becomes of the tree does not matter while that is there, and only then.
    (folder / "paced.py").write_text("raise RuntimeError('edited while the run was waiting')")
    (folder / "slowly").unlink()
    aside = workspace.snapshots.rename(folder / "aside")
    before = read_status(run.trial(0))
    refused = inside(folder, "resume")
    assert refused.returncode == 3
    assert f"the code of {run.id}" in refused.stderr
    assert read_status(run.trial(0)) == before
    aside.rename(workspace.snapshots)
    done = dreamerlab(folder, "resume", "--jobs", "2", "--json")
    result = data(done)
    assert [one["state"] for one in result["trials"]] == ["finished", "finished"]
    first, second = read_attempts(run.trial(0))
    assert (first["state"], second["state"]) == ("interrupted", "finished")
    assert second["start_env_steps"] == result["trials"][0]["attempts"][1]["start_env_steps"] > 20
    assert [line["env_steps"] for line in read_evals(run.trial(0))[0]] == [40, 80, 120]
    assert run.trial(0).summary_path.exists()


@pytest.mark.slow
def test_a_failing_trainer_is_told_with_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    folder = light_workspace(tmp_path / "lab").path
    leaves = ["env.id=toy_envs:RaiseInStep-v0", *TINY]
    done = dreamerlab(
        folder, "run", "--baseline", "--seeds", "2", "--jobs", "2", *leaves, PYTHONPATH=str(ROOT / "tests")
    )
    assert done.returncode == 7, done.stderr
    run = RunDirectory(the_run(Workspace(folder)))
    for seed in (0, 1):
        status = read_status(run.trial(seed))
        assert status.state == "failed"
        assert "the engine stalled" in (status.reason or "")
        assert f"seed {seed} failed: {status.reason}" in done.stderr
        assert done.stderr.count(status.reason or "") == 1, "a reason is long, and once is enough"
        assert f"see {run.trial(seed).error_path(1)}" in done.stderr
        assert json.loads(run.trial(seed).summary_path.read_text())["state"] == "failed"
    assert f"error: seed 0 of {run.id} failed, and 1 more; why is told above" in done.stderr
    assert done.stderr.rstrip().endswith(f"hint: dreamerlab resume {run.id}")
    assert "Traceback" not in done.stderr
    assert inside(folder, "doctor").returncode == 0


@pytest.mark.slow
def test_killing_the_command_leaves_no_trainer_and_a_resumable_run(workspace: Workspace) -> None:
    folder = workspace.path
    process = start(folder, "run", "--baseline", "env.id=paced:Paced-v0", "--seeds", "2", *LEAVES)
    wait_until(lambda: any(workspace.runs.glob("R*/seed-0/attempts.json")), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 30
    while [one for one in trainers() if one.trial and one.trial.is_relative_to(folder)]:
        assert time.monotonic() < deadline, "a trainer outlived its command"
        time.sleep(0.1)
    (folder / "slowly").unlink()
    assert data(dreamerlab(folder, "resume", "--json"))["complete"] is True


def test_a_folder_python_cannot_import_from_is_refused(tmp_path: Path) -> None:
    folder = light_workspace(tmp_path / "a:b").path
    done = inside(folder, "run", "--baseline", "--env", "cartpole")
    assert done.returncode == 5
    assert "Python cannot import from a folder with ':' in its path" in done.stderr
    assert not (folder / "runs").exists()


@pytest.mark.slow
def test_any_other_folder_will_do(tmp_path: Path) -> None:
    strange = tmp_path / """quote' "double" $HOME 100% #hash?\nnew line"""
    strange.mkdir()
    assert dreamerlab(strange, "init").returncode == 0
    result = data(dreamerlab(strange, "run", "--baseline", "--env", "cartpole", "--seeds", "1", "--json", *TINY))
    assert result["complete"] is True
    assert result["data_state"] == "artifacts here; in DVC, not pushed"
    assert data(dreamerlab(strange, "eval", result["id"], "--json"))["caveats"] == []
    assert dreamerlab(strange, "doctor").returncode == 0
