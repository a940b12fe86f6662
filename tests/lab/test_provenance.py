"""What git does not give back is copied into the run, hashed, and checked again when it is shown."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from dreamerlab.lab.provenance import code_state, copies, manifest_code
from dreamerlab.runs.directory import PATCH, UNTRACKED
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking import git_state
from dreamerlab.tracking.code_identity import compute, snapshot
from tests.lab.conftest import Ran
from tests.lab.workspaces import data, inside, light_workspace
from tests.tracking.repositories import commit_all, make_repository


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace in git with code of its own."""
    workspace = light_workspace(tmp_path / "lab")
    workspace.marker.write_text("code:\n  paths: [mine]\n")
    (workspace.path / "mine").mkdir()
    (workspace.path / "mine" / "known.py").write_text("a = 1\n")
    (workspace.path / ".gitignore").write_text("*_local.py\n.dreamerlab/\n")
    make_repository(workspace.path)
    commit_all(workspace.path)
    return workspace


def test_untracked_ignored_and_large_files_of_the_code_are_kept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that git ignores makes no tree dirty, and is imported all the same (ANCHORS 4: untracked files lost)."""
    monkeypatch.setattr(git_state, "LARGEST_UNTRACKED", 1000)
    mine = workspace.path / "mine"
    for name, text in (("new.py", "b = 2\n"), ("paths_local.py", "c = 3\n"), ("table.bin", "x" * 2000)):
        (mine / name).write_text(text)
    identity = compute(workspace)
    kept_in = snapshot(workspace, identity)
    state = code_state(workspace)
    copied = copies(workspace, identity, state)
    own = {name: path for name, path in copied.items() if name.startswith("mine/")}
    assert own == {name: kept_in / name for name in ("mine/paths_local.py", "mine/table.bin")}
    kept = manifest_code(identity, state, copied).kept
    assert {name: one.where for name, one in kept.items() if name.startswith("mine/")} == {
        "mine/new.py": PATCH,
        "mine/paths_local.py": f"{UNTRACKED}/mine/paths_local.py",
        "mine/table.bin": f"{UNTRACKED}/mine/table.bin",
    }
    for name in ("mine/new.py", "mine/table.bin"):
        assert kept[name].sha256 == hashlib.sha256((workspace.path / name).read_bytes()).hexdigest()


def test_what_is_committed_is_not_kept_twice(workspace: Workspace) -> None:
    identity = compute(workspace)
    snapshot(workspace, identity)
    state = code_state(workspace)
    assert not [name for name in copies(workspace, identity, state) if name.startswith("mine/")]


def test_outside_git_all_own_code_is_kept(tmp_path: Path) -> None:
    workspace = light_workspace(tmp_path / "lab")
    workspace.marker.write_text("code:\n  paths: [mine.py]\n")
    (workspace.path / "mine.py").write_text("a = 1\n")
    identity = compute(workspace)
    assert "mine.py" in copies(workspace, identity, code_state(workspace))


def test_the_page_has_every_section_in_order_and_notices_what_was_altered(ran: Ran, tmp_path: Path) -> None:
    copied = ran.copy(tmp_path / "lab")
    text = inside(copied.workspace.path, "show", "first", "--provenance").stdout
    sections = ("Code", "Machine", "Software", "Threads", "Environment variables", "Load", "Command")
    places = [text.index(f"\n{name}\n") for name in sections]
    assert places == sorted(places)
    assert "the run  dreamerlab run --baseline --env cartpole --seeds 2 --name first --json" in text
    assert "$OMP_NUM_THREADS *" in text
    manifest = json.loads(copied.run.manifest_path.read_text())
    secret = {"sha256": hashlib.sha256(b"old").hexdigest(), "size_bytes": 3, "where": f"{UNTRACKED}/mine.py"}
    manifest["code"] |= {"patch_sha256": "0" * 64, "kept": {"mine.py": secret}}
    copied.run.manifest_path.write_text(json.dumps(manifest))
    copied.run.patch_path.write_text("altered")
    copied.run.untracked.mkdir(exist_ok=True)
    (copied.run.untracked / "mine.py").write_bytes(b"old")
    code = data(inside(copied.workspace.path, "show", "first", "--provenance", "--json"))["provenance"]["code"]
    assert (code["patch"]["state"], code["kept"]["mine.py"]["state"]) == ("ALTERED since", "as recorded")
    (copied.run.untracked / "mine.py").write_bytes(b"new")
    page = inside(copied.workspace.path, "show", "first", "--provenance").stdout
    assert page.count("ALTERED since") == 2
    assert "1 files of its code are in no commit (mine.py)" in inside(copied.workspace.path, "show", "first").stdout


def test_load_is_on_record_at_both_ends_of_every_attempt(ran: Ran) -> None:
    """M-PROT-21, by the trainers themselves: siblings of the same launch are no others."""
    load = data(inside(ran.workspace.path, "show", "first", "--provenance", "--json"))["provenance"]["load"]
    assert [(row["seed"], row["attempt"]) for row in load] == [(0, 1), (1, 1)]
    for row in load:
        assert len(row["start"]["load"]) == len(row["end"]["load"]) == 3
        assert row["end"]["siblings"] <= 1
