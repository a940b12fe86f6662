"""The modular learner in whole trials: the same loop, replay, resume, evaluation, films and policies."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dreamerlab import load_policy
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train.eval_checkpoint import measure
from dreamerlab.train.session import Session
from dreamerlab.train.stored import open_agent
from dreamerlab.train.watch import record
from tests.train.stored import SQUARE, finished_trial
from tests.train.test_exact import MOVE, flat, kill_and_compare, session_state
from tests.train.trials import lines, tiny_config

MLP: dict[str, dict[str, Any]] = {
    "world_model": {"family": "mlp"},
    "mlp": {"state": 8, "multi_step": 2},
    "optimizer": {"name": "adam_clip", "max_norm": 1.0, "eps": 1e-8},
}
VARIANTS: list[dict[str, dict[str, Any]]] = [
    {},
    {"env": {"id": MOVE}, "mlp": {"state": 8, "dynamics_loss": "gaussian", "world_updates": 2, "critic_updates": 3}},
    {"train": {"model_only_updates": 4, "actor_every": 2}, "replay": {"mixture": (0.5, 0.5, 0.0)}},
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrialDirectory:
    return finished_trial(tmp_path_factory.mktemp("lab"), **MLP)


def go(session: Session, rounds: int) -> list[dict[str, float]]:
    metrics: list[dict[str, float]] = []
    for _ in range(rounds):
        session.collector.step(session.policy)
        session.counters.env_steps = session.collector.env_steps
        for _ in range(session.updates_due()):
            metrics.append({name: float(value) for name, value in session.update().items()})
    return metrics


@pytest.mark.parametrize("sections", VARIANTS)
def test_a_trial_in_two_parts_is_the_trial_in_one_F20(tmp_path: Path, sections: dict[str, Any]) -> None:
    """Bit for bit: parameters, moments, counts, replay, generators and every metric."""
    config = tiny_config(**{**MLP, **sections})
    whole = Session(config, 3)
    go(whole, 30)
    saved = session_state(whole, tmp_path)
    later = go(whole, 30)
    parts = Session(config, 3)
    parts.load_state_dict(saved)
    assert go(parts, 30) == later
    assert len(later) >= 10
    assert flat(session_state(parts, tmp_path)) == flat(session_state(whole, tmp_path))


def test_replay_keeps_nothing_that_is_not_needed() -> None:
    ours, theirs = Session(tiny_config(**MLP), 0), Session(tiny_config(), 0)
    assert theirs.replay.row_bytes - ours.replay.row_bytes == 4 * 8 + 2 * 3
    go(ours, 20)
    assert not {"deter", "stoch"} & ours.replay.state_dict()["rows"].keys()
    assert (ours.agent.initial_carry(1).deter.shape, ours.agent.initial_carry(1).stoch.shape) == ((1, 0), (1, 0))


def test_replay_in_files_works_without_latents(tmp_path: Path) -> None:
    session = Session(tiny_config(**MLP, replay={"memory_bytes": 1_000_000, "capacity": 200_000}), 0, tmp_path)
    assert go(session, 30)


def test_actor_updates_are_counted_one_by_one_M_ML_23() -> None:
    session = Session(tiny_config(**{**MLP, "mlp": {"actor_updates": 3}}), 0)
    go(session, 30)
    assert session.counters.actor_updates == 3 * session.counters.updates
    assert session.counters.actor_updates == session.agent.optimizer.made("actor")


def test_the_world_model_warms_up_alone_M_ML_24() -> None:
    session = Session(tiny_config(**MLP, train={"model_only_updates": 3}), 0)
    go(session, 30)
    assert session.counters.updates > 3
    made = session.agent.optimizer.updates.tolist()
    assert made == [session.counters.updates, session.counters.updates - 3, session.counters.updates - 3]


def test_its_agent_is_measured_again_exactly(finished: TrialDirectory) -> None:
    last, again = lines(finished.evals_path)[-1], measure(finished, None)
    assert (again["env_steps"], again["values"], again["returns"]) == (60, last["values"], last["returns"])


def test_its_agent_plays_in_somebody_elses_code(finished: TrialDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.path.parents[2])
    policy = load_policy("R1", seed=0)
    assert policy(np.zeros(4, np.float32)) in (0, 1)


def test_it_is_filmed_in_pictures_and_with_what_it_foresees(tmp_path: Path) -> None:
    trial = finished_trial(tmp_path / "lab", **{**SQUARE, **{key: MLP[key] for key in ("world_model", "mlp")}})
    asked = {"format": "gif", "episodes": 1, "policy": "mode", "fps": None, "every": None, "prediction": False}
    shown = record(open_agent(trial), argparse.Namespace(out=tmp_path / "film.gif", **asked))
    assert shown["frames"] > 1
    seen = record(open_agent(trial), argparse.Namespace(out=tmp_path / "ahead.gif", **{**asked, "prediction": True}))
    assert seen["frames"] > 1


def test_nothing_is_drawn_from_the_global_generators() -> None:
    session = Session(tiny_config(**MLP), 0)
    go(session, 15)
    before = torch.get_rng_state()
    go(session, 10)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
@pytest.mark.parametrize("sections", VARIANTS)
def test_killed_and_resumed_it_is_the_trial_that_never_was_F20(tmp_path: Path, sections: dict[str, Any]) -> None:
    kill_and_compare(tmp_path, 2, **{**MLP, **sections})
