"""Trials with the options of collection and replay: the same twice, and the same in one go or in parts (FACTS F20)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dreamerlab.errors import ConfigError
from dreamerlab.train import checkpoint
from dreamerlab.train.session import Session
from tests.train.test_attempt import flat
from tests.train.trials import tiny_config

WIDE = {"deter": 2048, "blocks": 128}
"""So much latent state in a row that 150 rows do not fit into the smallest `replay.memory_bytes`."""

OPTIONS: dict[str, dict[str, Any]] = {
    "several environments": {"collect": {"envs": 3, "random_steps": 31}},
    "all at once": {
        "collect": {"envs": 2, "random_steps": 31},
        "replay": {"capacity": 150, "mixture": (0.4, 0.3, 0.3), "memory_bytes": 1_000_000},
        "smooth": {"kernel": "gaussian", "width": 1.0},
        "heads": {"auxiliary": ("binary:reward_within_3", "regression:obs/vector/1")},
        "model": WIDE,
    },
    "in files": {"replay": {"capacity": 400, "memory_bytes": 1_000_000}, "model": WIDE},
}


def advance(session: Session, env_steps: int) -> None:
    at = session.counters
    while at.env_steps < env_steps:
        session.collector.step(session.policy)
        at.env_steps, at.episodes = session.collector.env_steps, session.collector.episodes
        for _ in range(session.updates_due()):
            session.update()


def result(session: Session) -> object:
    """All that a trial has come to, however its replay is kept."""
    state = session.state_dict(with_replay=False)
    state["counters"].pop("wall_s")
    return flat({**state, "replay": session.replay.state_dict()})


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(OPTIONS[name], id=name, marks=[] if name == "all at once" else [pytest.mark.slow])
        for name in OPTIONS
    ],
)
def test_parts_equal_one_go(options: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """Saved to disk, lost with the process, restored into a new one: nothing differs."""
    config, folder = tiny_config(**options), tmp_path / "replay"
    whole = Session(config, seed=4)
    advance(whole, 96)
    parts = Session(config, seed=4, replay_folder=folder)
    for env_steps in (48, 80):
        advance(parts, env_steps)
        state = parts.state_dict()
        assert ("files" in state["replay"]) == ("memory_bytes" in options.get("replay", {}))
        checkpoint.save(
            tmp_path, {"session": state}, 2, run="R0001-abc", seed=4, family="f", env_steps=env_steps,
            updates=0, episodes=0, wall_s=0.0, has_replay=True,
        )  # fmt: skip
        advance(parts, env_steps + 12)  # work that is lost
        parts.close()
        parts = Session(config, seed=4, replay_folder=folder)
        parts.load_state_dict(checkpoint.load_newest(tmp_path).state["session"])
    advance(parts, 96)
    assert result(parts) == result(whole)
    assert parts.counters.updates > 15


def test_bytes_that_can_never_hold_a_batch_are_refused() -> None:
    config = tiny_config(replay={"max_bytes": 1_000_000}, collect={"envs": 30}, model=WIDE)
    with pytest.raises(ConfigError, match=r"max_bytes=1000000 holds 4 steps of \d+ bytes for each of 30 environments"):
        Session(config, seed=0)
