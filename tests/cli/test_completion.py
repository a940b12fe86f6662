"""What the shell offers after a Tab."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.cli import completion
from tests.lab.hypotheses import propose
from tests.lab.workspaces import light_workspace
from tests.runs.records import make_run


def test_ids_and_names_of_hypotheses_and_runs_are_offered_newest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = light_workspace(tmp_path / "lab")
    monkeypatch.chdir(workspace.path)
    first, second = propose(workspace, name="slow"), propose(workspace)
    run = make_run(workspace, name="slower")
    assert completion.hypothesis_ids("") == [second, first, "slow"]
    assert completion.hypothesis_ids("H0001") == [first]
    assert completion.run_ids("") == [run.id, "slower"]
    assert completion.record_ids("slo") == ["slow", "slower"]
    assert completion.record_ids("H") == [second, first]


def test_a_name_shared_by_a_hypothesis_and_its_run_is_offered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = light_workspace(tmp_path / "lab")
    monkeypatch.chdir(workspace.path)
    propose(workspace, name="slow")
    make_run(workspace, name="slow")
    assert completion.record_ids("slow") == ["slow"]


def test_completion_outside_a_workspace_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert completion.record_ids("") == completion.hypothesis_ids("") == []
