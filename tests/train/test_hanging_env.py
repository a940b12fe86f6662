"""A trial whose environment hangs ends as failed, with the environment named, whatever the environment does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dreamerlab.errors import TrialFailed
from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.status import read_status
from dreamerlab.train.attempt import execute
from tests.train.trials import make_trial, tiny_config

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name, call", [("HangInStep", "step("), ("HangInReset", "reset(seed=")])
def test_an_environment_that_hangs_fails_the_trial_by_name(tmp_path: Path, name: str, call: str) -> None:
    config = tiny_config(env={"id": f"tests.toy_envs:{name}-v0"}, execution={"step_timeout_s": 0.5})
    trial = make_trial(tmp_path, config)
    with pytest.raises(TrialFailed, match=f"{name}-v0' failed in .*: it did not come back within 0.5 s"):
        execute(trial.path, None, None)
    status = read_status(trial)
    assert status.state == "failed"
    assert f"failed in {call}" in (status.reason or "")
    assert "time.sleep(3600)" in trial.error_path(1).read_text(), "the traceback leads into the environment"


@pytest.mark.slow
def test_one_that_cannot_be_interrupted_ends_the_process_with_everything_written(tmp_path: Path) -> None:
    config = tiny_config(env={"id": "tests.toy_envs:HangOutsidePython-v0"}, execution={"step_timeout_s": 0.5})
    trial = make_trial(tmp_path, config)
    command = [sys.executable, "-m", "dreamerlab.train", str(trial.path)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == TrialFailed.exit_code
    status = read_status(trial)
    said = "failed in step("
    assert status.state == "failed"
    assert said in (status.reason or "")
    assert "it did not come back within 0.5 s" in (status.reason or "")
    assert status.env_steps == 19, "the step that hangs is the twentieth"
    attempt = read_attempts(trial)[-1]
    assert (attempt["state"], attempt["reason"]) == ("failed", status.reason)
    assert "wait_for_itself" in trial.error_path(1).read_text(), "where it hangs"
    assert said in done.stderr
