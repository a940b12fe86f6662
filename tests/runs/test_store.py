from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamerlab.atomic import atomic_write_json
from dreamerlab.errors import Conflict, LabError, NotFound, UsageError
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace, find_run, half_made, list_runs, newest_runs, run_row, touched_runs
from tests.runs.records import make_run, make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "lab")


def rename(workspace: Workspace, old: str, new: str) -> None:
    folder = workspace.runs / old
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace(old, new))
    folder.rename(workspace.runs / new)


def test_a_workspace_is_found_from_below(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = workspace.path / "runs" / "R0001-abc" / "seed-1"
    deep.mkdir(parents=True)
    assert Workspace.find(deep) == workspace
    monkeypatch.chdir(deep)
    assert Workspace.find() == workspace


def test_outside_any_workspace_the_hint_is_init(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no dreamerlab workspace") as caught:
        Workspace.find(tmp_path)
    assert "dreamerlab init" in (caught.value.hint or "")


def test_a_run_is_found_by_id_prefix_and_alias(workspace: Workspace) -> None:
    run = make_run(workspace, name="ref")
    other = make_run(workspace)
    rename(workspace, run.id, "R0012-9qd")
    rename(workspace, other.id, "R0120-abc")
    for text in ("R0012-9qd", "R12", "r12", "R0012", "R12-9", "R12-9qd", "R12-", "ref"):
        assert find_run(workspace, text).id == "R0012-9qd", text
    assert find_run(workspace, "R120").id == "R0120-abc"


def test_two_runs_with_one_number_need_the_tail(workspace: Workspace) -> None:
    for tail in ("abc", "xyz"):
        rename(workspace, make_run(workspace).id, f"R0012-{tail}")
    with pytest.raises(Conflict, match="R0012-abc or R0012-xyz"):
        find_run(workspace, "R12")
    assert find_run(workspace, "R12-x").id == "R0012-xyz"


@pytest.mark.parametrize("text", ["R99", "R12-zzz", "reff", "cartpole", "R", "R" + "9" * 60])
def test_an_unknown_run_is_answered_with_the_nearest(workspace: Workspace, text: str) -> None:
    make_run(workspace, name="ref")
    with pytest.raises(NotFound, match=f"no run is called '{text}'") as caught:
        find_run(workspace, text)
    assert ("did you mean 'ref'" in caught.value.message) == (text == "reff")


@pytest.mark.parametrize(
    "text", ["../R0001-abc", "runs/R1", "/etc/passwd", "", ".", "..", "a\0b", "R1\\x", "~/x", "x" * 5000]
)
def test_what_looks_like_a_path_is_refused(workspace: Workspace, text: str) -> None:
    with pytest.raises(UsageError, match="is not a run id"):
        find_run(workspace, text)


@settings(max_examples=30)
@given(st.text(max_size=100))
def test_whatever_is_typed_gets_a_friendly_answer(text: str) -> None:
    with pytest.raises(LabError):
        find_run(Workspace(Path("/nowhere")), text)


def test_a_listing_shows_states_and_scores(workspace: Workspace) -> None:
    run = make_run(workspace, seeds=(1, 2))
    write_status(run.trial(1), replace(read_status(run.trial(1)), state="finished", attempt=1))
    atomic_write_json(run.trial(1).summary_path, {"score": 12.5})
    later = make_run(workspace)
    [first, second] = list_runs(workspace)
    assert (first.id, second.id) == (run.id, later.id)
    assert [(t.state, t.score) for t in first.trials] == [("finished", 12.5), ("waiting", None)]
    assert first == run_row(run)


def test_one_damaged_record_does_not_hide_the_others(workspace: Workspace) -> None:
    runs = [make_run(workspace, seeds=(1,)) for _ in range(4)]
    runs[0].manifest_path.write_text('{"schema"')
    runs[1].manifest_path.unlink()
    runs[2].trial(1).status_path.write_text("")
    (workspace.runs / "notes.txt").write_text("not a run")
    (workspace.runs / "R0099-abc").write_text("not a run either")
    rows = list_runs(workspace)
    assert [row.id for row in rows] == [run.id for run in runs]
    assert rows[0].manifest is None
    assert rows[1].fault == "manifest.json: No such file or directory"
    assert rows[2].trials[0].state == "unreadable"
    assert rows[3].fault is None


def test_the_lock_names_its_holder(workspace: Workspace) -> None:
    with (
        workspace.lock(),
        pytest.raises(Conflict, match=f"the workspace is held by process {os.getpid()} "),
        workspace.lock(timeout_s=0.05),
    ):
        pass


def test_half_made_runs_are_listed_apart(workspace: Workspace) -> None:
    make_run(workspace)
    left = workspace.runs / ".new-R0007-abc"
    left.mkdir()
    assert half_made(workspace) == [left]
    assert len(list_runs(workspace)) == 1


def test_the_newest_runs_come_first_and_silent_ones_are_not_read(workspace: Workspace) -> None:
    runs = [make_run(workspace, seeds=(1,)) for _ in range(3)]
    assert [row.id for row in newest_runs(workspace)] == [run.id for run in reversed(runs)]
    for run in runs:
        os.utime(run.trial(1).path, (1000, 1000))
    assert touched_runs(workspace, since=1001) == []
    write_status(runs[1].trial(1), replace(read_status(runs[1].trial(1)), state="finished", attempt=1))
    assert [row.id for row in touched_runs(workspace, since=1001)] == [runs[1].id]


def test_an_empty_workspace_lists_nothing(workspace: Workspace) -> None:
    assert list_runs(workspace) == []
    assert half_made(workspace) == []


def test_importing_the_records_pulls_in_nothing_heavy() -> None:
    code = (
        "import sys, dreamerlab.runs.store, dreamerlab.runs.summary, dreamerlab.runs.creation, dreamerlab.runs.scores\n"
        "print([m for m in ('numpy', 'pydantic', 'yaml', 'torch', 'rich', 'typer') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
