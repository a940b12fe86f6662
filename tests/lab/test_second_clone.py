"""A second clone gets the artifacts from DVC and measures the stored agent again, to the same figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.runs.series import read_evals
from tests.lab.conftest import Ran
from tests.lab.workspaces import data, dreamerlab, git, without


def stored_and_cloned(ran: Ran, tmp_path: Path) -> tuple[Ran, Path]:
    """Return a workspace whose run is stored in its local DVC remote, and a clone of it."""
    first, second = ran.copy(tmp_path / "first"), tmp_path / "second"
    bare = without(tmp_path / "blocked", "mlflow")  # its database takes seconds, and is not what this is about
    assert dreamerlab(first.workspace.path, "init", **bare).returncode == 0
    pushed = dreamerlab(first.workspace.path, "data", "push", "first")
    assert pushed.returncode == 0, pushed.stderr
    git(first.workspace.path, "add", "runs", ".dvc", ".dvcignore")
    git(first.workspace.path, "commit", "--allow-empty", "-qm", "Store artifacts")
    git(tmp_path, "clone", "-q", str(first.workspace.path), str(second))
    return first, second


@pytest.mark.slow
def test_a_clone_pulls_a_checkpoint_and_evaluates_it_to_the_same_figures(ran: Ran, tmp_path: Path) -> None:
    first, second = stored_and_cloned(ran, tmp_path)
    absent = dreamerlab(second, "eval", "first")
    assert absent.returncode == 4
    assert "dreamerlab data pull" in absent.stderr
    pulled = dreamerlab(second, "data", "pull", "first")
    assert pulled.returncode == 0, pulled.stderr
    measured = data(dreamerlab(second, "eval", "first", "--json"))
    for trial, again in zip(first.run.trials(), measured["trials"], strict=True):
        recorded = read_evals(trial)[0][-1]
        assert again["seed"] == trial.seed
        assert again["returns"] == recorded["returns"]


@pytest.mark.slow
def test_a_clone_pulls_and_reproduces_bit_for_bit(ran: Ran, tmp_path: Path) -> None:
    """On the same host: every metric, evaluation, episode and parameter, from what git and DVC carry alone."""
    _, second = stored_and_cloned(ran, tmp_path)
    pulled = dreamerlab(second, "data", "pull", "first")
    assert pulled.returncode == 0, pulled.stderr
    found = data(dreamerlab(second, "reproduce", "first", "--seed", "1", "--json"))
    assert found["surroundings"] == []
    assert (found["equal"], found["agent"], found["divergences"]) == (True, "equal", [])
    assert found["compared"] == {"metrics": 6, "evaluations": 3, "episodes": 3}


@pytest.mark.slow
def test_a_clone_whose_origin_has_no_data_is_told_what_to_name(ran: Ran, tmp_path: Path) -> None:
    _, second = stored_and_cloned(ran, tmp_path)
    git(second, "remote", "set-url", "origin", str(tmp_path / "gone"))
    pulled = dreamerlab(second, "data", "pull", "first")
    assert pulled.returncode == 5
    assert "knows no DVC remote" in pulled.stderr
    assert "hint: name the place" in pulled.stderr
