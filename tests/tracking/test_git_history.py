"""What git remembers: every commit once, both sides of a merge, any name, any folder; and what a text hashes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.tracking.git_history import blob_id, contents, history, is_shallow
from dreamerlab.tracking.git_state import GitSilent
from tests.tracking.repositories import commit_all, git, make_repository


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder inside a larger repository, with two branches that were merged."""
    top = make_repository(tmp_path / "top")
    inner = top / "deep er"
    write(inner / "kept/one.txt", "a\n")
    write(inner / "kept/löschen.txt", "b\n")
    write(top / "kept/elsewhere.txt", "not asked about\n")
    commit_all(top)
    git(top, "checkout", "-q", "-b", "side")
    write(inner / "kept/side.txt", "s\n")
    commit_all(top)
    git(top, "checkout", "-q", "main")
    write(inner / "kept/one.txt", "a\nb\n")
    (inner / "kept/löschen.txt").unlink()
    commit_all(top)
    write(top / "unrelated.txt", "x")
    commit_all(top)
    git(top, "merge", "-q", "--no-edit", "side")
    return inner


def test_every_commit_that_touched_the_paths_is_there_once_after_its_ancestors(folder: Path) -> None:
    commits = history(folder, ["kept"])
    assert len(commits) == len({commit.id for commit in commits}) == 4
    seen: set[str] = set()
    for commit in commits:
        assert set(commit.parents) <= seen
        seen.add(commit.id)
    assert [len(commit.parents) for commit in commits] == [0, 1, 1, 2]
    root, merge = commits[0], commits[-1]
    assert {(change.path, change.kind) for change in root.changes} == {("kept/one.txt", "A"), ("kept/löschen.txt", "A")}
    changed = {(change.path, change.kind) for commit in commits[1:3] for change in commit.changes}
    assert changed == {("kept/one.txt", "M"), ("kept/löschen.txt", "D"), ("kept/side.txt", "A")}
    assert ("kept/side.txt", "A") in {(change.path, change.kind) for change in merge.changes}


def test_a_text_is_found_by_its_hash_and_fetched_by_it(folder: Path) -> None:
    blobs = {change.blob for commit in history(folder, ["kept/one.txt"]) for change in commit.changes}
    assert blobs == {blob_id(b"a\n", 40), blob_id(b"a\nb\n", 40)}
    found = contents(folder, [blob_id(b"a\nb\n", 40), blob_id(b"never\n", 40), blob_id(b"a\n", 40)])
    assert found == {blob_id(b"a\nb\n", 40): b"a\nb\n", blob_id(b"a\n", 40): b"a\n"}
    assert contents(folder, []) == {}


def test_a_replaced_commit_deceives_nobody(folder: Path) -> None:
    honest = history(folder, ["kept"])
    git(folder, "replace", honest[1].id, honest[0].id)
    assert history(folder, ["kept"]) == honest


def test_no_commit_no_repository_and_a_shallow_clone_are_told_apart(folder: Path, tmp_path: Path) -> None:
    empty = make_repository(tmp_path / "empty")
    assert history(empty, ["kept"]) == []
    (tmp_path / "plain").mkdir()
    with pytest.raises(GitSilent):
        history(tmp_path / "plain", ["kept"])
    git(tmp_path, "clone", "-q", "--depth", "1", (tmp_path / "top").as_uri(), "shallow")
    assert is_shallow(tmp_path / "shallow")
    assert not is_shallow(folder)
