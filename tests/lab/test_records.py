"""Committing records: the named paths and nothing else, above all nothing of the user's when none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.lab.records import commit
from tests.lab.workspaces import git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "mine.py").write_text("x = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "begin")
    return tmp_path


@pytest.mark.parametrize("paths", [(), ("gone.json",)])
def test_where_no_path_is_named_or_none_is_there_what_the_user_has_staged_stays_staged(
    repository: Path, paths: tuple[str, ...]
) -> None:
    (repository / "mine.py").write_text("x = 2\n")
    git(repository, "add", "mine.py")
    assert not commit(repository, [repository / name for name in paths], "Record nothing")
    assert git(repository, "status", "--porcelain") == "M  mine.py\n"
    assert git(repository, "log", "--format=%s") == "begin\n"


def test_without_a_path_a_changed_file_of_the_user_is_no_reason_to_commit(repository: Path) -> None:
    (repository / "mine.py").write_text("x = 2\n")
    assert not commit(repository, [], "Record nothing")
