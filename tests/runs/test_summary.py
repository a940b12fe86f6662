from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.errors import ToolFailed, UsageError
from dreamerlab.runs.curves import read_curves
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.reducers import parse_reducer
from dreamerlab.runs.scores import write_scores
from dreamerlab.runs.series import append_line
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.summary import (
    check_artifacts,
    read_summary,
    summarise,
    write_summary,
)
from tests.runs.records import a_line, make_run, make_workspace, write_metrics


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "lab")


def finish(trial: TrialDirectory, *returns: object, state: str = "finished") -> None:
    for i, value in enumerate(returns):
        append_line(trial.evals_path, a_line(100 * i, 1, eval__return_mode=value, eval__return_sample=0.5))
    write_status(trial, replace(read_status(trial), state=state, attempt=1, env_steps=1000))


def test_a_summary_tells_what_came_out(workspace: Workspace) -> None:
    trial = make_run(workspace).trial(1)
    write_metrics(trial, 1, [a_line(s, 1, wm__loss=1.0 / (s + 1)) for s in range(2000)])
    for n in range(4):
        append_line(trial.episodes_path, {"env_steps": 10 * n, "attempt": 1, "return": float(n)})
    trial.attempts_path.write_text(json.dumps([{"attempt": 1, "start_env_steps": 0}]))
    finish(trial, 1.0, 2.0, 4.0, 6.0)
    written = write_summary(trial)
    assert written == read_summary(trial) == summarise(trial)
    assert written["score"] == 4.0
    assert written["score_from"] == [{"env_steps": 100 * i, "value": v} for i, v in ((1, 2.0), (2, 4.0), (3, 6.0))]
    assert (written["state"], written["seed"], written["attempts"], written["torn"]) == ("finished", 1, 1, [])
    assert written["training_return_mean"] == 1.5
    assert written["final_evaluation"]["values"]["eval/return_mode"] == 6.0
    name = "artifacts/seed-1/attempt-1/metrics.jsonl"
    data = trial.metrics_path(1).read_bytes()
    assert written["files"][name] == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    curves = read_curves(trial)
    assert sorted(curves) == ["eval/return_mode", "eval/return_sample", "wm/loss"]
    assert len(curves["wm/loss"]) == 500
    assert (curves["wm/loss"][0].value, curves["wm/loss"][-1].env_steps) == (1.0, 1999)


def test_too_few_evaluations_give_no_score_and_say_why(workspace: Workspace) -> None:
    trial = make_run(workspace).trial(1)
    finish(trial, 1.0, 2.0)
    summary = summarise(trial)
    assert summary["score"] is None
    assert summary["score_reason"] == "2 of the 3 evaluations of eval/return_mode it needs"


def test_an_evaluation_that_is_not_finite_gives_no_score(workspace: Workspace) -> None:
    trial = make_run(workspace).trial(1)
    finish(trial, 1.0, 2.0, "inf")
    summary = write_summary(trial)
    assert summary["score"] is None
    assert "not finite" in summary["score_reason"]
    assert math.isinf(read_curves(trial)["eval/return_mode"][-1].value)


@pytest.mark.parametrize("state", ["interrupted", "failed"])
def test_an_unfinished_trial_never_reads_as_a_result(workspace: Workspace, state: str) -> None:
    """M-PROT-09."""
    trial = make_run(workspace).trial(1)
    finish(trial, 1.0, 2.0, 3.0, state=state)
    summary = write_summary(trial)
    assert (summary["score"], summary["score_reason"]) == (None, f"the trial is {state}, not finished")
    assert write_scores(workspace)[trial.run.id]["seeds"]["1"] is None


def test_the_reducer_of_the_manifest_decides(workspace: Workspace) -> None:
    trial = make_run(workspace, score="final_mean(2) of eval/return_sample").trial(1)
    finish(trial, 1.0, 2.0)
    assert summarise(trial)["score"] == 0.5


@pytest.mark.parametrize("text", ["", "max of eval/return", "final_mean(0) of eval/return", "final_mean(3)"])
def test_what_is_no_reducer_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no reducer"):
        parse_reducer(text)


def test_an_alias_of_a_metric_is_its_metric() -> None:
    assert parse_reducer("final_mean(5) of eval/return") == ("final_mean", 5, "eval/return_mode")


def test_changed_and_missing_artifacts_are_named(workspace: Workspace) -> None:
    trial = make_run(workspace).trial(1)
    write_metrics(trial, 1, [a_line(1, wm__loss=1.0)])
    trial.episodes_path.write_text("{}\n")
    (trial.artifacts / ".being-written").write_text("half")
    files = summarise(trial)["files"]
    assert len(files) == 2
    assert check_artifacts(trial, files) == []
    append_line(trial.metrics_path(1), {"more": 1})
    trial.episodes_path.unlink()
    assert check_artifacts(trial, files) == [
        "artifacts/seed-1/attempt-1/metrics.jsonl: differs from its recorded sha256",
        "artifacts/seed-1/episodes.jsonl: missing",
    ]


def test_no_summary_is_none_and_a_torn_one_is_a_failure(workspace: Workspace) -> None:
    trial = make_run(workspace).trial(1)
    assert read_summary(trial) is None
    assert read_curves(trial) == {}
    trial.summary_path.write_text('{"score": 1')
    with pytest.raises(ToolFailed, match="damaged"):
        read_summary(trial)


def test_scores_give_a_mean_only_when_every_seed_has_one(workspace: Workspace) -> None:
    run = make_run(workspace, seeds=(1, 2))
    finish(run.trial(1), 1.0, 2.0, 3.0)
    write_summary(run.trial(1))
    first = write_scores(workspace)[run.id]
    assert first == {
        "env": "cartpole",
        "kind": "baseline",
        "score": "final_mean(3) of eval/return_mode",
        "seeds": {"1": 2.0, "2": None},
        "mean": None,
    }
    finish(run.trial(2), 3.0, 4.0, 5.0)
    write_summary(run.trial(2))
    assert write_scores(workspace)[run.id]["mean"] == 3.0
    before = workspace.scores_path.read_bytes()
    write_scores(workspace)
    assert workspace.scores_path.read_bytes() == before
