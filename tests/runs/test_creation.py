from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dreamerlab.errors import Conflict, ToolFailed, UsageError
from dreamerlab.runs.creation import RunFiles, complete_run, create_run, discard_run, prepare_run
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.status import effective_state, read_status
from dreamerlab.runs.store import Workspace, half_made, run_ids
from tests.runs.records import a_manifest, make_run, make_workspace

ALLOCATE = """
import sys
from pathlib import Path
from dreamerlab.runs.store import Workspace
from tests.runs.records import make_run
for _ in range(int(sys.argv[2])):
    print(make_run(Workspace(Path(sys.argv[1]))).id)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "lab")


def test_a_run_is_created_whole(workspace: Workspace) -> None:
    run = create_run(
        workspace,
        a_manifest(name="first"),
        config_yaml="a: 1\n",
        origins={"a": "default"},
        patch=b"\xffdiff",
        freeze="x==1\n",
    )
    assert run.id.startswith("R0001-")
    assert read_manifest(run.manifest_path) == a_manifest(id=run.id, name="first")
    assert run.config_path.read_text() == "a: 1\n"
    assert json.loads(run.origins_path.read_text()) == {"a": "default"}
    assert run.patch_path.read_bytes() == b"\xffdiff"
    assert run.freeze_path.read_text() == "x==1\n"
    assert run.gitignore_path.read_text() == "/artifacts\n.*.tmp\n"
    assert [trial.seed for trial in run.trials()] == [1, 2, 3]
    status = read_status(run.trial(2))
    assert (status.state, status.attempt, status.budget_unit, status.budget_amount) == ("queued", 0, "env_steps", 1000)
    assert effective_state(status) == "waiting"
    assert half_made(workspace) == []


def test_without_changes_there_is_no_patch(workspace: Workspace) -> None:
    run = make_run(workspace)
    assert not run.patch_path.exists()
    assert not run.freeze_path.exists()


def test_numbers_go_on_after_deleted_and_half_made_runs(workspace: Workspace) -> None:
    first = make_run(workspace)
    (workspace.runs / ".new-R0041-zzz").mkdir()
    second = make_run(workspace)
    assert second.id.startswith("R0042-")
    for path in sorted(second.path.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    second.path.rmdir()
    (workspace.runs / ".new-R0041-zzz").rmdir()
    assert make_run(workspace).id.startswith("R0043-")
    (workspace.hidden / "highest_run").unlink()
    assert make_run(workspace).id.startswith("R0044-")
    assert first.path.is_dir()


def test_two_processes_never_get_the_same_number(workspace: Workspace) -> None:
    command = [sys.executable, "-c", ALLOCATE, str(workspace.path), "12"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    ids = [line for process in both for line in process.communicate(timeout=60)[0].split()]
    assert sorted(int(run_id[1:5]) for run_id in ids) == list(range(1, 25))
    assert sorted(map(str, run_ids(workspace))) == sorted(ids)
    assert half_made(workspace) == []


@pytest.mark.parametrize("name", ["a b", "ü", "../x", "-x", "", "x" * 65, "R12", "r7", "H3", "R0001-abc", "a\n"])
def test_bad_names_are_refused_before_anything_is_made(workspace: Workspace, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        make_run(workspace, name=name)
    assert not workspace.runs.exists()


def test_a_name_belongs_to_one_run(workspace: Workspace) -> None:
    run = make_run(workspace, name="ref")
    with pytest.raises(Conflict, match=f"'ref' belongs to {run.id}"):
        make_run(workspace, name="ref")
    assert len(run_ids(workspace)) == 1


def test_a_prepared_run_is_no_run_until_it_is_completed(workspace: Workspace) -> None:
    prepared = prepare_run(workspace, RunFiles(a_manifest(), "a: 1\n", {}))
    assert half_made(workspace) == [prepared.path]
    assert run_ids(workspace) == []
    other = make_run(workspace)
    assert (prepared.id[:5], other.id[:5]) == ("R0001", "R0002")
    run = complete_run(workspace, prepared)
    assert read_manifest(run.manifest_path).id == run.id == prepared.id
    assert half_made(workspace) == []


def test_a_prepared_run_that_nobody_wants_leaves_only_its_number_behind(workspace: Workspace) -> None:
    discard_run(prepare_run(workspace, RunFiles(a_manifest(), "a: 1\n", {})))
    assert half_made(workspace) == []
    assert make_run(workspace).id.startswith("R0002-")


def test_a_disk_that_refuses_leaves_nothing(workspace: Workspace) -> None:
    workspace.runs.write_text("a file where the folder should be")
    with pytest.raises(ToolFailed, match="cannot write") as caught:
        make_run(workspace)
    assert "\n" not in caught.value.message
    assert workspace.runs.read_text().startswith("a file")


def test_a_full_disk_leaves_nothing(workspace: Workspace) -> None:
    """The config does not fit: a process that may not write beyond 50,000 bytes stands in for the full disk."""
    make_run(workspace)
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom dreamerlab.errors import ToolFailed\n"
        "from dreamerlab.runs.creation import create_run\nfrom dreamerlab.runs.store import Workspace\n"
        "from tests.runs.records import a_manifest\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n    create_run(Workspace(Path(sys.argv[1])), a_manifest(), config_yaml='#' * 90_000, origins={})\n"
        "except ToolFailed as error:\n    print(error.message)\n"
    )
    command = [sys.executable, "-c", code, str(workspace.path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "config.yaml: File too large" in said
    assert len(said.splitlines()) == 1
    assert half_made(workspace) == []
    assert len(run_ids(workspace)) == 1
