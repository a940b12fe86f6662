"""Trials of hockey with everything against rare goals: what they log, when they warn, and that they repeat exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from dreamerlab.config.schema import Config
from dreamerlab.config.schema_hockey import HOCKEY_ID
from dreamerlab.metrics import CATALOGUE, SOMETIMES
from dreamerlab.runs.status import read_status
from dreamerlab.train import checkpoint
from dreamerlab.train.attempt import execute
from dreamerlab.train.runtime import StopRequest
from dreamerlab.train.session import Session
from dreamerlab.train.sparse import too_few_goals
from tests.train.trials import interrupt, lines, make_trial, timeless, tiny_config

HEADS = ("binary:terminal_within_9", "regression:info/shot_quality", "regression:obs/vector/13")
EVERYTHING: dict[str, dict[str, Any]] = {
    "env": {"id": HOCKEY_ID},
    "hockey": {"mode": "defense", "opponent": ("strong",), "shaping": ("closeness:0.5", "touch:1", "direction:2")},
    "replay": {"event_share": 0.5, "capacity": 280, "online": False},
    "train": {"augment": ("mirror", "swap"), "train_ratio": 2.0, "learning_starts": 170},
    "smooth": {"kernel": "gaussian"},
    "heads": {"auxiliary": HEADS},
    "policy": {"dist": "tanh_normal"},
    "budget": {"amount": 160},
    "log": {"every": 40},
    "eval": {"every": 160, "episodes": 1},
    "checkpoint": {"every": 100, "keep_replay": True},
}


@pytest.fixture(autouse=True)
def _leave_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StopRequest, "listen", lambda self: None)


def test_a_trial_with_everything_resumed_is_the_one_that_never_stopped_F20(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """FACTS F20 with shaping, smoothing, symmetries, events and heads, interrupted in the middle of a game."""
    config = tiny_config(**EVERYTHING)
    whole, parts = (make_trial(tmp_path / name, config) for name in ("whole", "parts"))
    execute(whole.path, None, None)
    assert capsys.readouterr().err.count("warning: learning begins after") == 1, "M-ADD-08: said once"

    interrupt(parts, 131, monkeypatch)
    capsys.readouterr()
    execute(parts.path, None, None)
    assert "warning: learning begins" not in capsys.readouterr().err, "it had begun before"
    for path in ("episodes_path", "evals_path"):
        assert timeless(lines(getattr(whole, path))) == timeless(lines(getattr(parts, path)))
    found = [line for number in (1, 2) for line in timeless(lines(parts.metrics_path(number)))]
    assert found == timeless(lines(whole.metrics_path(1)))
    left, right = (checkpoint.load(trial.checkpoints).state["session"] for trial in (whole, parts))
    for name in ("agent", "replay"):
        torch.testing.assert_close(left[name], right[name], rtol=0, atol=0, equal_nan=True)

    values = lines(whole.metrics_path(1))[-1]["values"]
    new = {
        name for name in CATALOGUE if name.startswith(("train/shaping", "train/poss", "train/other", "train/action"))
    }
    new |= {
        name for name in CATALOGUE if name.startswith(("replay/event", "replay/mirr", "replay/swap", "replay/goals"))
    }
    assert len(new) == 11
    assert new <= values.keys() <= CATALOGUE.keys()
    assert SOMETIMES.keys() >= {"replay/mirrored_frac", "replay/swapped_frac"}
    assert values["replay/mirrored_frac"] == 0.5
    ended = [line["terminated"] for line in lines(whole.episodes_path) if not line["updates"]]
    assert (
        values["replay/goals_before_learning"]
        == sum(ended)
        == read_status(whole).latest["replay/goals_before_learning"]
    )
    assert {"closeness", "touch", "direction"} == lines(whole.episodes_path)[0]["shaping"].keys()


def test_a_trial_of_something_else_has_nothing_of_it() -> None:
    """Not even a stream: the leaves of hockey act in hockey alone."""
    config = tiny_config(train={"augment": ("swap", "mirror")}, hockey={"shaping": ("touch:1",)})
    session = Session(config, seed=0)
    try:
        assert session.replay.streams == 1
        while not session.can_learn:
            session.collector.step(session.policy)
        assert not {name for name in session.update() if name.startswith("replay/")}
        assert "replay/goals_before_learning" not in session.pace_metrics()
    finally:
        session.close()


def test_few_goals_are_warned_about_in_hockey_M_ADD_08() -> None:
    """M-ADD-08: 40 at the least, where nothing is known from before."""
    hockey = tiny_config(env={"id": HOCKEY_ID})
    assert too_few_goals(hockey, 40) is None
    assert "learning begins after 39 goals, below 40" in str(too_few_goals(hockey, 39))
    assert too_few_goals(Config(), 0) is None
    assert too_few_goals(tiny_config(env={"id": HOCKEY_ID}, init={"checkpoint": "R0001"}), 0) is None
