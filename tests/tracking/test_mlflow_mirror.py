"""What MLflow is told of a run's state and config; the copying itself is tested with its process, in tests/lab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dreamerlab.config.record import to_yaml
from dreamerlab.config.schema import Config
from dreamerlab.tracking.mlflow_backend import cut
from dreamerlab.tracking.mlflow_mirror import changed_leaves, run_status


@pytest.mark.parametrize(
    "states, word",
    [
        (["finished", "finished"], "FINISHED"),
        (["finished", "stopped"], "FINISHED"),
        (["finished", "running", "failed"], "RUNNING"),
        (["queued", "finished"], "RUNNING"),
        (["finished", "failed", "killed"], "FAILED"),
        (["finished", "interrupted"], "KILLED"),
        (["finished", "killed"], "KILLED"),
        (["finished", "waiting"], "KILLED"),
        (["unreadable"], "KILLED"),
    ],
)
def test_the_word_for_a_run_follows_from_its_trials(states: list[str], word: str) -> None:
    assert run_status(states) == word


def test_only_leaves_that_differ_are_parameters(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(Config()))
    assert changed_leaves(path) == {}
    path.write_text("schema: 1\nmodel:\n  deter: 32\n  unimix: 0.01\nlater:\n  leaf: [1, 2]\n")
    assert changed_leaves(path) == {"model.deter": "32", "later.leaf": "[1, 2]"}
    assert json.dumps(changed_leaves(path))


def test_what_is_too_long_is_cut_where_everybody_sees_it() -> None:
    assert cut("x" * 5000, 5000) == "x" * 5000
    shown = cut("x" * 12_345, 5000)
    assert len(shown) == 5000
    assert shown.endswith("x... [cut: 12,345 characters]")
