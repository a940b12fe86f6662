"""What `compare` says of two runs whose code is not the same: which files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.lab.code_differences import source_files
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.code_identity import RECORD, identity_of, snapshot_path

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def run_of(
    workspace: Workspace, name: str, files: dict[str, str] | None, *, commit: str, dirty: bool = False
) -> Manifest:
    """Return a run of this code; `files` None: trained elsewhere, without a snapshot here."""
    versions = {"torch": "2.13.0"}
    identity = identity_of(files or {"elsewhere.py": name}, versions)
    if files is not None:
        folder = snapshot_path(workspace, identity)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD).write_text(json.dumps({"identity": identity, "versions": versions, "files": files}))
    made = read_manifest(PROJECT / "runs" / "R0001-95y" / "manifest.json")
    return replace(made, id=name, code=replace(made.code, identity=identity, commit=commit, dirty=dirty))


def test_files_that_changed_came_and_went_are_named(workspace: Workspace) -> None:
    first = run_of(workspace, "R0001-aaa", {"a.py": "1", "b.py": "1", "c.py": "1"}, commit="1" * 40)
    other = run_of(workspace, "R0002-bbb", {"a.py": "2", "b.py": "1", "d.py": "1"}, commit="2" * 40)
    (row,) = source_files(workspace, [first, other, first])
    assert row.bits
    assert row.values == ["-", "a.py, new d.py, without c.py", "the same"]


def test_many_files_are_counted(workspace: Workspace) -> None:
    first = run_of(workspace, "R0001-aaa", {f"{n}.py": "1" for n in range(9)}, commit="1" * 40)
    other = run_of(workspace, "R0002-bbb", {f"{n}.py": "2" for n in range(9)}, commit="2" * 40)
    assert source_files(workspace, [first, other])[0].values[1] == "0.py, 1.py, 2.py, 3.py, 4.py, 5.py and 3 more"


@pytest.mark.parametrize(
    ("dirty", "said"),
    [
        (False, "not told, a snapshot is not here: git diff 111111111111 222222222222"),
        (True, "not told: a snapshot is not here"),
    ],
)
def test_without_a_snapshot_git_is_asked_where_it_knows(workspace: Workspace, dirty: bool, said: str) -> None:
    first = run_of(workspace, "R0001-aaa", {"a.py": "1"}, commit="1" * 40)
    other = run_of(workspace, "R0002-bbb", None, commit="2" * 40, dirty=dirty)
    assert source_files(workspace, [first, other])[0].values[1] == said


def test_a_record_that_is_not_its_identity_tells_nothing(workspace: Workspace) -> None:
    first = run_of(workspace, "R0001-aaa", {"a.py": "1"}, commit="1" * 40)
    other = run_of(workspace, "R0002-bbb", {"a.py": "2"}, commit="1" * 40)
    record = snapshot_path(workspace, other.code.identity) / RECORD
    record.write_text(record.read_text().replace('"a.py": "2"', '"a.py": "3"'))
    assert source_files(workspace, [first, other])[0].values[1] == "not told: a snapshot is not here"


def test_equal_code_is_no_row(workspace: Workspace) -> None:
    first = run_of(workspace, "R0001-aaa", {"a.py": "1"}, commit="1" * 40)
    assert source_files(workspace, [first, first]) == []
