"""Finished tiny trials in a workspace, for tests of whatever looks at stored agents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train.attempt import execute
from dreamerlab.train.runtime import StopRequest
from tests.train.trials import make_trial, tiny_config

SQUARE = {
    "env": {"id": "tests.toy_envs:Square-v0"},
    "model": {"cnn_depth": 2},
    "train": {"train_ratio": 4.0},
    "eval": {"every": 20, "episodes": 1},
    "budget": {"amount": 40},
}
"""A task that is seen in pictures."""
HOCKEY = {
    "env": {"id": "dreamerlab/HockeyOne-v0", "time_limit": 20, "action_repeat": 2},
    "hockey": {"scaling": "divisors"},
    "eval": {"every": 20, "episodes": 1},
    "checkpoint": {"every": 20, "keep_every": 20},
    "budget": {"amount": 40},
}
"""Games of 20 steps, 10 decisions, against the weak bot."""


def finished_trial(workspace: Path, seed: int = 0, run_id: str = "R0001-abc", **sections: Any) -> TrialDirectory:
    """Return a trial of a run in `workspace`, trained to its end in this process."""
    (workspace / "protocol").mkdir(parents=True, exist_ok=True)
    (workspace / "protocol" / "workspace.yaml").touch()
    trial = make_trial(workspace / "runs", tiny_config(**sections), seed, run_id)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(StopRequest, "listen", lambda self: None)
        execute(trial.path, None, None)
    return trial
