"""`init`: everything that is missing, nothing twice, and never a user's file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.workspaces import data, dreamerlab, git, without


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """DVC and MLflow hidden: they take half a minute, and have a slow test of their own."""
    return without(tmp_path / "blocked", "dvc", "mlflow")


def state_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_folder_becomes_a_committed_workspace_and_a_second_time_changes_nothing(
    tmp_path: Path, bare: dict[str, str]
) -> None:
    folder = tmp_path / "a b" / "lab"
    made = data(dreamerlab(tmp_path, "init", str(folder), "--json", **bare))
    assert made["workspace"] == str(folder)
    assert [line.split(":")[0] for line in made["skipped"]] == ["DVC", "MLflow"]
    tracked = git(folder, "ls-files").split()
    assert {"protocol/workspace.yaml", "env_configs/cartpole.yaml", "dvc.yaml", "runs/scores.json"} <= set(tracked)
    assert git(folder, "status", "--porcelain") == ""
    before = state_of(folder)
    again = dreamerlab(folder, "init", **bare)
    assert again.returncode == 0
    assert again.stdout == ""
    assert f"{folder} is a workspace already; nothing was changed" in again.stderr
    assert state_of(folder) == before


def test_files_of_the_user_stay_as_they_are(tmp_path: Path, bare: dict[str, str]) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "env_configs").mkdir()
    own = {"env_configs/cartpole.yaml": "env:\n  id: CartPole-v0\n", "dvc.yaml": "stages: {}\n", "notes.txt": "mine\n"}
    for name, text in own.items():
        (tmp_path / name).write_text(text)
    (tmp_path / ".gitignore").write_text("*.log")
    git(tmp_path, "add", "notes.txt")
    assert dreamerlab(tmp_path, "init", **bare).returncode == 0
    assert {name: (tmp_path / name).read_text() for name in own} == own
    assert (tmp_path / ".gitignore").read_text().splitlines()[:3] == ["*.log", ".dreamerlab/", "runs/.new-*"]
    committed = git(tmp_path, "show", "--name-only", "--format=").split()
    assert "protocol/workspace.yaml" in committed
    assert not {*own, ".gitignore"} & set(committed)
    assert git(tmp_path, "diff", "--cached", "--name-only").split() == ["notes.txt"]


def test_edits_after_init_are_not_swept_into_a_commit_by_a_second_init(tmp_path: Path, bare: dict[str, str]) -> None:
    dreamerlab(tmp_path, "init", **bare)
    (tmp_path / "env_configs/cartpole.yaml").write_text("budget:\n  amount: 7\n")
    (tmp_path / "env_configs/acrobot.yaml").unlink()
    dreamerlab(tmp_path, "init", **bare)
    assert git(tmp_path, "diff", "--name-only").split() == ["env_configs/cartpole.yaml"]


def test_git_is_told_how_to_treat_records_and_what_is_rendered(tmp_path: Path, bare: dict[str, str]) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitattributes").write_text("*.png binary")
    dreamerlab(tmp_path, "init", **bare)
    assert (tmp_path / ".gitattributes").read_text().splitlines()[0] == "*.png binary"
    assert (tmp_path / "protocol/registry").is_dir()
    asked = {
        "protocol/LOG.md": "union",
        "protocol/hypotheses/H0001-abc.md": "union",
        "protocol/PROTOCOL.md": "unspecified",
    }
    for path, merge in asked.items():
        assert git(tmp_path, "check-attr", "merge", path) == f"{path}: merge: {merge}\n"
    for path in ("protocol/registry/H0001-abc.jsonl", "runs/R0001-abc/seed-0/status.json"):
        assert git(tmp_path, "check-attr", "text", path) == f"{path}: text: unset\n"


def test_without_git_there_is_no_repository(tmp_path: Path, bare: dict[str, str]) -> None:
    made = data(dreamerlab(tmp_path, "init", "--no-git", "--json", **bare))
    assert not (tmp_path / ".git").exists()
    assert any(line.startswith("git: not wanted") for line in made["skipped"])


def test_a_folder_that_the_outer_repository_ignores_gets_its_own(tmp_path: Path, bare: dict[str, str]) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("/demo/\n")
    dreamerlab(tmp_path, "init", "demo", **bare)
    dreamerlab(tmp_path, "init", "inner", **bare)
    assert (tmp_path / "demo" / ".git").is_dir()
    assert not (tmp_path / "inner" / ".git").exists()
    assert "inner/protocol/workspace.yaml" in git(tmp_path, "ls-files").split()


def test_a_git_that_refuses_to_commit_is_one_line(tmp_path: Path, bare: dict[str, str]) -> None:
    nobody = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    unknown = {f"GIT_{role}_{part}": "" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    done = dreamerlab(tmp_path, "init", "lab", **bare, **nobody, **unknown)
    assert done.returncode == 0
    assert "skipped git: the first commit was not made" in done.stderr
    assert (tmp_path / "lab/protocol/workspace.yaml").exists()
    (tmp_path / "lab/env_configs/cartpole.yaml").write_text("budget:\n  amount: 7\n")
    again = data(dreamerlab(tmp_path / "lab", "init", "--json", **bare))
    assert again["created"] == ["a commit of these files"], "a clone would be no workspace"
    tracked = git(tmp_path / "lab", "ls-tree", "-r", "--name-only", "HEAD").split()
    assert {"protocol/workspace.yaml", "dvc.yaml", ".gitignore", "env_configs/acrobot.yaml"} <= set(tracked)
    assert "env_configs/cartpole.yaml" not in tracked, "edited since: the user's to commit"


def test_two_at_once_make_one_workspace(tmp_path: Path, bare: dict[str, str]) -> None:
    command = [sys.executable, "-m", "dreamerlab", "init", "lab", "--json"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **bare}, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    made = [json.loads(process.communicate(timeout=60)[0])["created"] for process in both]
    assert sorted(map(bool, made)) == [False, True], "the second one finds everything made"
    assert git(tmp_path / "lab", "rev-list", "--count", "HEAD") == "1\n"
    assert git(tmp_path / "lab", "status", "--porcelain") == ""


@pytest.mark.slow
def test_two_at_once_set_up_one_dvc_and_one_database(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dreamerlab", "init", "lab", "--json"]
    both = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    made = [json.loads(process.communicate(timeout=200)[0]) for process in both]
    assert [one["skipped"] for one in made] == [[], []]
    assert sum(any(".dvc (" in line for line in one["created"]) for one in made) == 1
    assert (tmp_path / "lab/.dvc/config.local").read_text().count("url =") == 1
    assert git(tmp_path / "lab", "status", "--porcelain") == ""


@pytest.mark.slow
def test_with_dvc_and_mlflow_everything_is_prepared_once(tmp_path: Path) -> None:
    made = data(dreamerlab(tmp_path, "init", "--json"))
    assert made["skipped"] == []
    assert (tmp_path / ".dreamerlab/mlflow.db").stat().st_size > 0
    assert {".dvc/config", ".dvcignore"} <= set(git(tmp_path, "ls-files").split())
    assert git(tmp_path, "status", "--porcelain") == ""
    before = state_of(tmp_path)
    assert data(dreamerlab(tmp_path, "init", "--json"))["created"] == []
    assert state_of(tmp_path) == before


@pytest.mark.slow
def test_a_remote_of_ones_own_is_shared_through_git(tmp_path: Path) -> None:
    dreamerlab(tmp_path, "init", "lab", "--remote", str(tmp_path / "store"))
    assert str(tmp_path / "store") in (tmp_path / "lab/.dvc/config").read_text()
    assert ".dvc/config" in git(tmp_path / "lab", "ls-files").split()
