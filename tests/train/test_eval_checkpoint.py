"""A stored agent measured again: the same figure, and only of the trial it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.errors import Conflict
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train.attempt import execute
from dreamerlab.train.eval_checkpoint import evaluate_newest
from dreamerlab.train.runtime import StopRequest
from tests.train.trials import lines, make_trial, tiny_config


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrialDirectory:
    monkeypatch.setattr(StopRequest, "listen", lambda self: None)
    trial = make_trial(tmp_path, tiny_config())
    execute(trial.path, None, None)
    return trial


def test_the_last_evaluation_is_repeated_exactly(finished: TrialDirectory) -> None:
    last, again = lines(finished.evals_path)[-1], evaluate_newest(finished, None)
    assert (again["env_steps"], again["values"], again["returns"]) == (60, last["values"], last["returns"])


def test_the_agent_of_another_trial_is_not_passed_off_as_this_ones(finished: TrialDirectory, tmp_path: Path) -> None:
    other = make_trial(tmp_path, tiny_config(), seed=1, run_id="R0002-xyz")
    other.artifacts.mkdir(parents=True)
    finished.checkpoints.rename(other.checkpoints)
    with pytest.raises(Conflict, match="belongs to R0001-abc seed 0, not to R0002-xyz seed 1"):
        evaluate_newest(other, None)
