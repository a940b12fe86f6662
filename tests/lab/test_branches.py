"""Two branches that each added hypotheses, entries and runs are merged by git alone, and the chain still holds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol import state
from dreamerlab.protocol.entries import entries
from dreamerlab.protocol.registry import ENTRY, HYPOTHESIS
from dreamerlab.runs.scores import write_scores
from dreamerlab.runs.store import Workspace, list_runs
from tests.lab.workspaces import data, git, inside
from tests.runs.records import make_run

SENTENCE = "change train.batch_size={} -> expect eval/return to rise by 20"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    for package in ("dvc", "mlflow"):
        monkeypatch.setitem(__import__("sys").modules, package, None)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    assert inside(tmp_path, "init").returncode == 0
    made = Workspace(tmp_path)
    add_a_run(made)
    return made


def add_a_run(workspace: Workspace) -> str:
    run = make_run(workspace)
    write_scores(workspace)
    git(workspace.path, "add", "runs")
    git(workspace.path, "commit", "--quiet", "-m", f"Record {run.id}")
    return run.id


def propose(workspace: Workspace, size: int, *words: str) -> str:
    made = data(inside(workspace.path, "propose", SENTENCE.format(size), "--env", "cartpole", *words, "--json"))
    return str(made["id"])


@pytest.mark.slow
def test_both_branches_records_are_there_after_a_merge_without_conflict(workspace: Workspace) -> None:
    folder = workspace.path
    queued = propose(workspace, 64, "--queue")
    for branch, size in (("left", 8), ("right", 32)):
        git(folder, "checkout", "--quiet", "-b", branch, "main")
        propose(workspace, size)
        inside(folder, "note", "H1", f"on the {branch}")
        inside(folder, "note", f"on the {branch} as well", "--kind", "idea")
        add_a_run(workspace)
    inside(folder, "queue", "move", queued, "--first")
    git(folder, "checkout", "--quiet", "left")
    (idea,) = (item for item in data(inside(folder, "queue", "--json")) if not item["runnable"])
    inside(folder, "queue", "move", idea["id"], "--first")
    merged = subprocess.run(["git", "merge", "--no-edit", "right"], cwd=folder, capture_output=True, text=True)
    assert merged.returncode == 0, merged.stdout

    registry = registry_of(workspace)
    assert [one.number for one in registry.ids(HYPOTHESIS)] == [1, 2, 2]
    assert [one.number for one in registry.ids(ENTRY)] == [1, 1, 2, 2]
    assert [record.faults for letter in (HYPOTHESIS, ENTRY) for record in registry.all(letter)] == [()] * 7
    assert {one.text for one in entries(registry)} >= {"on the left", "on the right"}
    assert len(data(inside(folder, "queue", "--json"))) == 3
    assert len(list_runs(workspace)) == 3
    assert json.loads(workspace.scores_path.read_text()).keys() == {row.id for row in list_runs(workspace)}

    asked = inside(folder, "note", "H2", "which one?")
    assert asked.returncode == 4
    assert "add the characters after the dash" in asked.stderr
    twins = [str(one) for one in registry.ids(HYPOTHESIS) if one.number == 2]
    assert data(inside(folder, "note", twins[0], "this one", "--json"))["about"] == [twins[0]]
    assert int(propose(workspace, 128)[1:5]) == 3
    assert git(folder, "status", "--porcelain") == ""
    log = (workspace.protocol / "LOG.md").read_text()
    assert [f"on the {branch}" in log for branch in ("left", "right")] == [True, True]
    assert "<<<<" not in log
    found = json.loads(inside(folder, "lint", "--json").stdout)["findings"]
    assert {one["rule"] for one in found} == {"unclaimed"}, "these runs were made without a hypothesis, and no more"
    assert [one.phase for one in state.hypotheses(registry)] == [state.QUEUED, state.OPEN, state.OPEN, state.OPEN]
