"""What the rules find while a trial runs: in its status, where everybody looks, and the same after a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dreamerlab.runs.status import read_status
from dreamerlab.train.attempt import execute
from dreamerlab.train.findings import LiveRules
from dreamerlab.train.runtime import StopRequest
from tests.train.trials import interrupt, make_trial, tiny_config

ILL: dict[str, Any] = {
    "budget": {"amount": 400},
    "twohot": {"support": (-0.5, 0.5), "bins": 15},
    "train": {"train_ratio": 20.0},
    "optimizer": {"lr_critic": 1e-2},
    "eval": {"every": 100, "episodes": 1},
    "checkpoint": {"every": 100, "keep_replay": True},
}
"""A reward of 1 at every step, and bins that end at 0.65."""


@pytest.fixture(autouse=True)
def _leave_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StopRequest, "listen", lambda self: None)


@pytest.mark.slow
def test_what_is_found_at_an_evaluation_is_in_the_status_and_after_a_resume_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = (make_trial(tmp_path / name, tiny_config(**ILL)) for name in ("whole", "parts"))
    execute(whole.path, None, None)
    found = read_status(whole).findings
    assert any("value-at-ceiling" in line for line in found), found

    interrupt(parts, 250, monkeypatch)
    execute(parts.path, None, None)
    assert read_status(parts).findings == found


def test_a_young_trial_has_no_findings(tmp_path: Path) -> None:
    rules = LiveRules(tiny_config())
    assert rules.look(0.0) == ()
    rules.add(10, {"behavior/value": float("nan"), "wm/loss": 3.0, "unknown/metric": 1.0})
    assert rules.look(6.0) == ()
