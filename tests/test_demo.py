"""The demo learns: the preset's honest bar, on seeds that were never used while its settings were chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.workspaces import data, dreamerlab, light_workspace


@pytest.mark.slow
def test_nano_learns_cartpole_on_unseen_seeds(tmp_path: Path) -> None:
    workspace = light_workspace(tmp_path / "lab")
    words = ("run", "--baseline", "--env", "cartpole", "--experiment", "nano", "--seeds", "100-102", "--json")
    result = data(dreamerlab(workspace.path, *words, timeout=900))
    scores = [trial["score"] for trial in result["trials"]]
    assert len(scores) == 3
    assert result["mean_score"] >= 200, scores
    assert min(scores) >= 100, scores
