"""When things happen in training: at multiples that are reached or passed, and at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.envs.make import make_env
from dreamerlab.errors import TrialFailed
from dreamerlab.runs.status import read_status
from dreamerlab.train.attempt import execute
from dreamerlab.train.evaluate import Evaluator
from dreamerlab.train.runtime import StopRequest
from dreamerlab.train.session import Session
from tests.train.trials import lines, make_trial, tiny_config


@pytest.fixture(autouse=True)
def _leave_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StopRequest, "listen", lambda self: None)


def test_several_environments_pass_multiples_without_meeting_them(tmp_path: Path) -> None:
    """Three at once make 3, 6, 9, 12 env steps: what is due at 10 comes at 12; the budget is passed by at most 2."""
    trial = make_trial(
        tmp_path,
        tiny_config(
            collect={"envs": 3}, budget={"amount": 40}, eval={"every": 20, "episodes": 1}, checkpoint={"keep_every": 16}
        ),
    )
    execute(trial.path, None, None)
    assert [line["env_steps"] for line in lines(trial.metrics_path(1))] == [12, 21, 30, 42]
    assert [line["env_steps"] for line in lines(trial.evals_path)] == [21, 42]
    kept = sorted(path.stem for path in trial.checkpoints.glob("kept-*.pt"))
    assert kept == ["kept-000000018", "kept-000000033"]
    status = read_status(trial)
    assert (status.env_steps, status.spent) == (42, 42)


def test_lines_by_updates_beside_those_by_env_steps_M_CP_23(tmp_path: Path) -> None:
    """M-CP-23: a line every 3 updates, several within one env step if it comes to that; none is written twice."""
    trial = make_trial(tmp_path, tiny_config(train={"train_ratio": 40.0}, log={"every": 10, "every_updates": 3}))
    execute(trial.path, None, None)
    at = [(line["env_steps"], line["updates"]) for line in lines(trial.metrics_path(1))]
    assert at == sorted(set(at))
    updates = [line["updates"] for line in lines(trial.metrics_path(1)) if "wm/loss" in line["values"]]
    assert set(range(3, read_status(trial).updates + 1, 3)) <= set(updates)
    assert {10, 20, 30, 40, 50, 60} <= {env_steps for env_steps, _ in at}


@pytest.mark.usefixtures("checked_shapes")
def test_updates_of_the_actor_are_counted_apart_and_budgets_are_met_exactly(tmp_path: Path) -> None:
    settings = {"train_ratio": 100.0, "actor_every": 3, "model_only_updates": 4}
    trial = make_trial(tmp_path, tiny_config(train=settings, budget={"unit": "actor_updates", "amount": 5}))
    execute(trial.path, None, None)
    status, last = read_status(trial), lines(trial.metrics_path(1))[-1]
    assert status.spent == status.actor_updates == last["actor_updates"] == 5
    assert status.updates == last["updates"] > 15
    trial = make_trial(
        tmp_path / "b", tiny_config(train={"train_ratio": 100.0}, budget={"unit": "updates", "amount": 7})
    )
    execute(trial.path, None, None)
    assert (read_status(trial).updates, read_status(trial).actor_updates) == (7, 7)


def test_an_environment_that_remembers_resets_is_evaluated_alike_however_often() -> None:
    """Evaluation is a function of agent and seed: it cannot tell how often it was made before."""
    config = tiny_config(env={"id": "tests.toy_envs:Grudge-v0"})
    session = Session(config, seed=0)
    evaluator = Evaluator(lambda: make_env(config.env), 3, seed=0)
    first = evaluator.evaluate(session.agent)
    assert evaluator.evaluate(session.agent) == first
    assert evaluator.evaluate(session.agent, policies=("sample",)).keys() == {"sample"}


@pytest.mark.parametrize(
    "sections, said",
    [
        (
            {"replay": {"capacity": 100}, "train": {"batch_size": 99, "batch_length": 5}},
            "=99 windows of 5 steps, and replay.capacity=100 holds only 96",
        ),
        ({"replay": {"capacity": 100}, "train": {"learning_starts": 101}}, "train.learning_starts=101"),
        (
            {"replay": {"capacity": 100}, "train": {"learning_starts": None, "batch_size": 20}},
            "waits for 105 steps, and",
        ),
        (
            {"replay": {"capacity": 100}, "train": {"learning_starts": 100}, "collect": {"envs": 3}},
            "shared by collect.envs=3, never holds more than 99",
        ),
    ],
)
def test_a_replay_too_small_to_ever_learn_from_is_refused_before_training(
    tmp_path: Path, sections: dict, said: str
) -> None:
    trial = make_trial(tmp_path, tiny_config(**sections))
    with pytest.raises(TrialFailed, match=said):
        execute(trial.path, None, None)
    assert not trial.metrics_path(1).exists()


@pytest.mark.parametrize("limit, learns_first", [(200, False), (99, True)])
def test_an_episode_that_fills_replay_before_its_rewards_are_known_is_named(limit: int, learns_first: bool) -> None:
    """M-CP-08: no window is left to learn from, and collectors that wait for updates would wait for ever."""
    config = tiny_config(
        env={"id": "Pendulum-v1", "time_limit": limit}, smooth={"kernel": "backward_sum"}, replay={"capacity": 100}
    )
    session = Session(config, seed=0)

    def play() -> None:
        for env_steps in range(1, 250):
            session.collector.step(session.policy)
            session.counters.env_steps = env_steps
            for _ in range(session.updates_due()):
                session.update()

    with pytest.raises(TrialFailed, match="an episode fills replay"):
        play()
    assert (session.counters.updates > 0) == learns_first
