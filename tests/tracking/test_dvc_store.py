"""The real DVC on a real folder: added, pushed, lost, pulled, resumed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.atomic import atomic_write_json
from dreamerlab.errors import NotFound, ToolFailed
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.scores import write_scores
from dreamerlab.runs.series import append_line
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking import dvc_project, dvc_store
from tests.runs.records import make_run, make_workspace
from tests.tracking.repositories import commit_all, git, make_repository

pytest.importorskip("dvc.__main__", reason="DVC is not installed")
ADD = """
import sys
from pathlib import Path
from dreamerlab.runs.store import Workspace, find_run
from dreamerlab.tracking import dvc_project, dvc_store
w = Workspace(Path(sys.argv[1]))
for name in sys.argv[2:]:
    dvc_store.add(w, find_run(w, name))
"""


@pytest.fixture(scope="session")
def empty_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with DVC set up, outside git; copied by each test."""
    workspace = make_workspace(tmp_path_factory.mktemp("dvc") / "lab")
    dvc_project.init(workspace)
    return workspace.path


@pytest.fixture
def workspace(empty_project: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(empty_project, tmp_path / "lab")
    copied = Workspace(tmp_path / "lab")
    local = copied.path / ".dvc" / "config.local"
    local.write_text(local.read_text().replace(str(empty_project), str(copied.path)))
    return copied


def fill(run: RunDirectory, text: str = "weights") -> None:
    trial = run.trial(1)
    trial.checkpoints.mkdir(parents=True, exist_ok=True)
    (trial.checkpoints / "0001.pt").write_text(text)
    append_line(trial.episodes_path, {"episode": 1})


def test_artifacts_go_out_and_come_back_writable(workspace: Workspace) -> None:
    run = make_run(workspace, seeds=(1,))
    fill(run)
    assert dvc_store.state(workspace, run) == "local"
    dvc_store.add(workspace, run)
    assert dvc_store.state(workspace, run) == "cached"
    dvc_store.push(workspace, run)
    assert dvc_store.state(workspace, run) == "pushed"
    shutil.rmtree(run.artifacts)
    shutil.rmtree(workspace.path / ".dvc" / "cache")
    assert dvc_store.state(workspace, run) == "absent"
    dvc_store.pull(workspace, run)
    assert (run.trial(1).checkpoints / "0001.pt").read_text() == "weights"
    assert dvc_store.state(workspace, run) == "pushed"
    assert all(path.stat().st_mode & 0o200 for path in run.artifacts.rglob("*"))


def test_a_trial_that_goes_on_makes_its_stored_artifacts_old(workspace: Workspace) -> None:
    run = make_run(workspace, seeds=(1,))
    fill(run)
    dvc_store.add(workspace, run)
    write_status(run.trial(1), replace(read_status(run.trial(1)), attempt=2, env_steps=50))
    assert dvc_store.state(workspace, run) == "local"
    fill(run, "more weights")
    dvc_store.add(workspace, run)
    assert dvc_store.state(workspace, run) == "cached"


def test_setting_up_twice_changes_nothing(workspace: Workspace) -> None:
    before = {path: path.read_bytes() for path in (workspace.path / ".dvc").rglob("config*")}
    dvc_project.init(workspace)
    assert {path: path.read_bytes() for path in (workspace.path / ".dvc").rglob("config*")} == before
    text = (workspace.path / ".dvc" / "config").read_text()
    assert "autostage = false" in text
    assert str(workspace.path) not in text, "a path of this machine would be committed"
    assert dvc_project.remote(workspace).url == "../.dreamerlab/dvc-remote"
    assert "/.dreamerlab/" in (workspace.path / ".dvcignore").read_text().split()


@pytest.mark.slow
def test_a_workspace_whose_path_is_not_ascii_can_be_moved_with_its_remote(tmp_path: Path) -> None:
    made = make_workspace(tmp_path / "we ird ü" / "lab")
    dvc_project.init(made)
    made.path.rename(tmp_path / "moved ü")
    moved = Workspace(tmp_path / "moved ü")
    run = make_run(moved, seeds=(1,))
    fill(run)
    dvc_store.add(moved, run)
    dvc_store.push(moved, run)
    assert any(path.is_file() for path in moved.dvc_remote.rglob("*"))


def test_changed_artifacts_are_not_overwritten_and_the_way_out_is_named(workspace: Workspace) -> None:
    run = make_run(workspace, seeds=(1,))
    fill(run)
    dvc_store.add(workspace, run)
    dvc_store.push(workspace, run)
    fill(run, "edited")
    with pytest.raises(ToolFailed, match="have changed since they were stored") as caught:
        dvc_store.pull(workspace, run)
    assert "--force" not in f"{caught.value.message} {caught.value.hint}"
    assert (run.trial(1).checkpoints / "0001.pt").read_text() == "edited"


def test_what_is_not_there_is_said_with_a_hint(workspace: Workspace) -> None:
    run = make_run(workspace)
    with pytest.raises(NotFound, match="never added"):
        dvc_store.push(workspace, run)
    with pytest.raises(NotFound, match="never added"):
        dvc_store.pull(workspace, run)
    shutil.rmtree(run.artifacts)
    with pytest.raises(NotFound, match="has no artifacts"):
        dvc_store.add(workspace, run)
    shutil.rmtree(workspace.path / ".dvc")
    assert dvc_store.state(workspace, run) == "no dvc"
    with pytest.raises(ToolFailed, match="not set up") as caught:
        dvc_store.add(workspace, run)
    assert caught.value.hint == "dreamerlab init"


def test_without_the_package_only_explicit_verbs_fail(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(workspace)
    monkeypatch.setattr(dvc_project, "find_spec", lambda name: None)
    assert dvc_store.state(workspace, run) == "no dvc"
    for verb in (dvc_store.add, dvc_store.push, dvc_store.pull):
        with pytest.raises(ToolFailed, match="DVC is not installed") as caught:
            verb(workspace, run)
        assert "dreamerlab[track]" in (caught.value.hint or "")


@pytest.mark.slow
def test_two_processes_add_at_once(workspace: Workspace) -> None:
    runs = [make_run(workspace, seeds=(1,)) for _ in range(4)]
    for i, run in enumerate(runs):
        fill(run, f"weights {i}")
    ids = [run.id for run in runs]
    both = [
        subprocess.Popen([sys.executable, "-c", ADD, str(workspace.path), *part], stderr=subprocess.PIPE, text=True)
        for part in (ids[:2], ids[2:])
    ]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert [dvc_store.state(workspace, run) for run in runs] == ["cached"] * 4


@pytest.mark.slow
def test_a_lost_remote_is_retried_then_reported_and_resumed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dvc_store, "PUSH_PAUSES_S", (0.0, 0.0))
    run = make_run(workspace, seeds=(1,))
    fill(run)
    dvc_store.add(workspace, run)
    shutil.rmtree(workspace.dvc_remote)
    workspace.dvc_remote.write_text("a file where the folder was")
    with pytest.raises(ToolFailed, match="dvc push: ") as caught:
        dvc_store.push(workspace, run)
    assert "\n" not in caught.value.message
    assert dvc_store.state(workspace, run) == "cached"
    workspace.dvc_remote.unlink()
    dvc_store.push(workspace, run)
    assert dvc_store.state(workspace, run) == "pushed"
    local = workspace.path / ".dvc" / "config.local"
    local.unlink()
    with pytest.raises(ToolFailed, match="no DVC remote") as caught:
        dvc_store.push(workspace, run)
    assert "dreamerlab data remote URL" in (caught.value.hint or "")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_linked_files_become_copies_so_that_writing_never_reaches_the_cache(workspace: Workspace, kind: str) -> None:
    config = workspace.path / ".dvc" / "config"
    config.write_text(f"{config.read_text()}[cache]\n    type = {kind}\n")
    run = make_run(workspace, seeds=(1,))
    fill(run)
    dvc_store.add(workspace, run)
    dvc_store.push(workspace, run)
    for _ in range(2):
        checkpoint = run.trial(1).checkpoints / "0001.pt"
        assert not checkpoint.is_symlink()
        assert (checkpoint.stat().st_nlink, checkpoint.stat().st_mode & 0o200) == (1, 0o200)
        checkpoint.write_text("trained on")
        shutil.rmtree(run.artifacts)
        dvc_store.pull(workspace, run)
    assert (run.trial(1).checkpoints / "0001.pt").read_text() == "weights"


@pytest.mark.slow
@pytest.mark.parametrize("below", [".", "deep/lab"])
def test_inside_git_artifacts_stay_out_of_it(tmp_path: Path, below: str) -> None:
    top = make_repository(tmp_path / "repo")
    workspace = make_workspace(top / below)
    (workspace.path / ".gitignore").write_text(".dreamerlab/\n")
    dvc_project.init(workspace)
    run = make_run(workspace, seeds=(1,))
    fill(run)
    run.gitignore_path.unlink()
    dvc_store.add(workspace, run)
    assert run.gitignore_path.read_text().split() == ["/artifacts"]
    commit_all(top)
    tracked = git(top, "ls-files")
    assert "artifacts.dvc" in tracked
    assert "0001.pt" not in tracked
    assert ".dreamerlab" not in tracked
    assert git(top, "status", "--porcelain") == ""
    dvc_store.push(workspace, run)
    assert git(top, "status", "--porcelain") == ""


@pytest.mark.slow
def test_artifacts_that_git_tracks_are_refused_with_the_cure(tmp_path: Path) -> None:
    workspace = make_workspace(make_repository(tmp_path / "repo") / ".")
    dvc_project.init(workspace)
    run = make_run(workspace, seeds=(1,))
    fill(run)
    run.gitignore_path.unlink()
    commit_all(workspace.path)
    with pytest.raises(ToolFailed, match="dvc add") as caught:
        dvc_store.add(workspace, run)
    assert "git rm -r --cached" in (caught.value.hint or "")


@pytest.mark.slow
def test_a_process_killed_while_it_adds_blocks_nobody(workspace: Workspace) -> None:
    run = make_run(workspace, seeds=(1,))
    fill(run)
    process = subprocess.Popen([sys.executable, "-c", ADD, str(workspace.path), run.id], start_new_session=True)
    while not (workspace.hidden / "dvc.lock").exists():
        assert process.poll() is None
    process.kill()
    process.wait()
    dvc_store.add(workspace, run)
    assert dvc_store.state(workspace, run) == "cached"


@pytest.mark.slow
def test_the_scores_file_is_one_that_dvc_can_show(workspace: Workspace) -> None:
    run = make_run(workspace, seeds=(1, 2))
    write_status(run.trial(1), replace(read_status(run.trial(1)), state="finished", attempt=1))
    atomic_write_json(run.trial(1).summary_path, {"score": 12.5})
    write_scores(workspace)
    (workspace.path / "dvc.yaml").write_text("metrics:\n  - runs/scores.json\n")
    command = [sys.executable, "-P", "-m", "dvc", "metrics", "show", "--json"]
    shown = subprocess.run(command, cwd=workspace.path, capture_output=True, text=True, check=True).stdout
    assert json.loads(shown)[""]["data"]["runs/scores.json"]["data"][run.id]["seeds"] == {"1": 12.5}


@pytest.mark.slow
def test_a_workspace_within_a_repository_finds_the_remote_of_its_original(tmp_path: Path) -> None:
    outer = make_repository(tmp_path / "outer")
    first = make_workspace(outer / "lab")
    dvc_project.init(first)
    run = make_run(first)
    fill(run)
    dvc_store.add(first, run)
    dvc_store.push(first, run)
    commit_all(outer)
    git(tmp_path, "clone", "-q", str(outer), str(tmp_path / "second"))
    second = Workspace(tmp_path / "second" / "lab")
    copy = second.run(run.id)
    assert not copy.artifacts.exists()
    dvc_store.pull(second, copy)
    assert (copy.trial(1).checkpoints / "0001.pt").read_text() == "weights"
