"""The scores of all runs in one file."""

from __future__ import annotations

import json
from pathlib import Path

from dreamerlab.runs.scores import write_scores
from tests.runs.records import make_run, make_workspace


def test_a_run_with_a_damaged_manifest_is_named_and_not_dropped(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "lab")
    whole, damaged = make_run(workspace), make_run(workspace)
    damaged.manifest_path.write_text('{"id": "R0002')
    scores = write_scores(workspace)
    assert list(scores) == [whole.id, damaged.id]
    assert scores[damaged.id].keys() == {"fault"}
    assert scores[damaged.id]["fault"].startswith("manifest.json: ")
    assert json.loads(workspace.scores_path.read_text()) == scores
