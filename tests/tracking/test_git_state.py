"""Commit and patch rebuild the code exactly; whatever git cannot say becomes a note."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from dreamerlab.tracking import git_state
from dreamerlab.tracking.git_state import capture
from tests.tracking.repositories import commit_all, git, make_repository


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = make_repository(tmp_path / "repo")
    (folder / "code").mkdir()
    for name, text in (("code/a.py", "one\n"), ("code/b.py", "two\n"), ("code/ä.py", "three\n"), ("notes.md", "x\n")):
        (folder / name).write_text(text)
    (folder / ".gitignore").write_text("*.log\n")
    commit_all(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in (folder / "code").rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if path.suffix != ".log"}


def test_a_clean_tree(repository: Path) -> None:
    state = capture(repository, ["code"])
    assert state.commit == git(repository, "rev-parse", "HEAD").strip()
    assert (state.branch, state.dirty, state.patch, state.untracked, state.note) == ("main", False, b"", (), None)


def test_only_the_scope_counts(repository: Path) -> None:
    (repository / "notes.md").write_text("changed\n")
    (repository / "new.md").write_text("new\n")
    assert capture(repository, ["code"]).dirty is False
    assert capture(repository, ["code", "notes.md"]).dirty is True


def test_commit_and_patch_rebuild_the_code(repository: Path, tmp_path: Path) -> None:
    """Staged, unstaged, deleted, renamed, executable, binary, empty, untracked, not UTF-8: all of it."""
    code = repository / "code"
    (code / "a.py").write_bytes(b"one\nlatin \xe9\n")
    git(repository, "add", "code/a.py")
    (code / "a.py").write_bytes(b"one\nlatin \xe9\nand more, without newline")
    git(repository, "mv", "code/b.py", "code/c d.py")
    (code / "ä.py").unlink()
    (code / "data.bin").write_bytes(bytes(range(256)) * 20)
    (code / "deep").mkdir()
    (code / "deep" / "new 'file'.py").write_text("new\n")
    (code / "deep" / "run.sh").write_text("#!/bin/sh\n")
    (code / "deep" / "run.sh").chmod(0o755)
    (code / "empty.py").touch()
    (code / "debug.log").write_text("ignored by git")
    state = capture(repository, ["code"])
    assert state.dirty is True
    assert state.untracked == ("code/data.bin", "code/deep/new 'file'.py", "code/deep/run.sh", "code/empty.py")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repository), str(clone))
    patch = tmp_path / "code.patch"
    patch.write_bytes(state.patch)
    git(clone, "apply", str(patch))
    assert contents(clone) == contents(repository)
    assert os.access(clone / "code" / "deep" / "run.sh", os.X_OK)


def test_asking_changes_nothing(repository: Path) -> None:
    (repository / "code" / "a.py").write_text("changed\n")
    git(repository, "add", "code/a.py")
    before = (git(repository, "status", "--porcelain"), (repository / ".git" / "index").read_bytes())
    capture(repository, ["code"])
    assert (git(repository, "status", "--porcelain"), (repository / ".git" / "index").read_bytes()) == before


def test_a_workspace_below_the_top_of_the_repository(repository: Path, tmp_path: Path) -> None:
    (repository / "code" / "a.py").write_text("changed\n")
    (repository / "code" / "n.py").write_text("new\n")
    state = capture(repository / "code", ["a.py", "n.py"])
    assert state.untracked == ("code/n.py",)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repository), str(clone))
    (tmp_path / "p").write_bytes(state.patch)
    git(clone, "apply", str(tmp_path / "p"))
    assert contents(clone) == contents(repository)


def test_a_large_untracked_file_is_listed_but_not_copied(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_state, "LARGEST_UNTRACKED", 100)
    (repository / "code" / "big.bin").write_bytes(bytes(101))
    state = capture(repository, ["code"])
    assert (state.untracked, state.patch, state.dirty) == (("code/big.bin",), b"", True)
    assert state.note == "too large for the patch: code/big.bin"


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "--detach")
    assert capture(repository, ["code"]).branch is None


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "new")
    (folder / "a.py").write_text("1\n")
    git(folder, "add", "a.py")
    state = capture(folder, ["a.py"])
    assert (state.commit, state.branch, state.dirty) == (None, "main", True)
    assert state.note == "the repository has no commit yet"
    assert b"+1" in state.patch


def test_outside_git_everything_is_none(tmp_path: Path) -> None:
    state = capture(tmp_path, ["code"])
    assert (state.commit, state.branch, state.dirty, state.patch) == (None, None, None, b"")
    assert "not a git repository" in (state.note or "")


def test_without_git_installed(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert capture(repository, ["code"]).note == "git is not installed"


def test_a_git_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(git_state, "TIMEOUT_S", 0.2)
    assert capture(tmp_path, ["code"]).note == "git rev-parse did not answer within 0.2 s"


def test_inside_a_git_hook_we_still_ask_the_right_repository(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    state = capture(repository, ["code"])
    expected = subprocess.run(
        ["git", "--git-dir", str(repository / ".git"), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert state.commit == expected.stdout.strip()
