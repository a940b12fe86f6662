"""Controllers at work in real trials: what they stop, what they log, and that a resumed trial goes on exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from dreamerlab.errors import ConfigError
from dreamerlab.metrics import CATALOGUE
from dreamerlab.runs.status import read_status
from dreamerlab.train import checkpoint
from dreamerlab.train.attempt import execute
from dreamerlab.train.keeper import KeepAll
from dreamerlab.train.recorder import Recorder
from dreamerlab.train.runtime import StopRequest
from dreamerlab.train.session import Session
from tests.train.trials import interrupt, lines, make_trial, timeless, tiny_config

ALL_ON: dict[str, Any] = {
    "surprise_gain": 10.0,
    "focus_threshold": 0.0,
    "focus_duration": 3,
    "focus_cooldown": 2,
    "focus_actor_every": 2,
    "camp_threshold": 0.01,
    "camp_patience": 2,
    "kl_pause_factor": 1.01,
    "kl_pause_updates": 3,
    "adaptive_ratio": (1, 3),
    "freeze": "world",
    "freeze_return": 0.0,
    "freeze_hold": 30,
    "restore_below": 1e6,
}


@pytest.fixture(autouse=True)
def _leave_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StopRequest, "listen", lambda self: None)


def trained(session: Session, env_steps: int) -> list[dict[str, torch.Tensor]]:
    """Go on as the loop does until so many env steps are made; return the metrics of every update."""
    at, seen = session.counters, []
    while at.env_steps < env_steps:
        session.collector.step(session.policy)
        at.env_steps = session.collector.env_steps
        seen += [session.update() for _ in range(session.updates_due())]
    return seen


def policy_of(session: Session) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in session.agent.behavior.policy.parameters()]


def world_of(session: Session) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in session.agent.world.parameters()]


def same(before: list[torch.Tensor], after: list[torch.Tensor]) -> bool:
    return all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_a_trial_under_every_controller_resumed_is_the_one_that_never_stopped_F20(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(budget={"amount": 120}, control=ALL_ON, checkpoint={"every": 50, "keep_replay": True})
    whole, parts = (make_trial(tmp_path / name, config) for name in ("whole", "parts"))
    execute(whole.path, None, None)
    interrupt(parts, 47, monkeypatch)
    execute(parts.path, None, None)
    assert timeless(lines(whole.decisions_path)) == timeless(lines(parts.decisions_path))
    found = [line for number in (1, 2) for line in timeless(lines(parts.metrics_path(number)))]
    assert found == timeless(lines(whole.metrics_path(1)))
    left, right = (checkpoint.load(trial.checkpoints).state["session"] for trial in (whole, parts))
    for name in ("agent", "replay", "controls"):
        torch.testing.assert_close(left[name], right[name], rtol=0, atol=0, equal_nan=True)

    acted = {line["controller"] for line in lines(whole.decisions_path)}
    assert {"surprise_rate", "focus", "kl_pause", "adaptive_ratio", "freeze"} <= acted
    values = lines(whole.metrics_path(1))[-1]["values"]
    told = {name for name in values if name.startswith(("control/", "surprise/"))}
    assert told <= CATALOGUE.keys()
    assert {"control/updates_withheld_frac", "control/actor_lr_scale", "control/restores"} <= told
    assert values["control/freeze_active_frac"] == 1.0


def test_without_controllers_surprise_is_told_and_nothing_else() -> None:
    session = Session(tiny_config(), seed=0)
    (first, *_) = trained(session, 20)
    session.close()
    assert {"surprise/total_log_ratio", "surprise/ready"} <= first.keys()
    assert not [name for name in first if name.startswith("control/")]


def test_focus_that_never_ends_leaves_actor_and_critic_as_they_were_M_SUR_09() -> None:
    """The sources' threshold of 0.02: always on, so the actor never trained."""
    always = {"focus_threshold": 0.0, "focus_duration": 10**6, "focus_actor_every": None}
    session = Session(tiny_config(control=always), seed=0)
    trained(session, 30)
    before, world = policy_of(session), world_of(session)
    made = session.counters.actor_updates
    seen = trained(session, 60)
    session.close()
    assert same(before, policy_of(session))
    assert not same(world, world_of(session))
    assert session.counters.actor_updates == made
    assert {metrics["control/focus_active_frac"].item() for metrics in seen} == {1.0}
    assert {metrics["control/updates_withheld_frac"].item() for metrics in seen} == {1.0}


def test_surprise_scales_the_rates_of_actor_and_critic_and_of_nothing_else_M_SUR_07() -> None:
    session = Session(tiny_config(control={"surprise_gain": 1000.0}, optimizer={"warmup_updates": 0}), seed=0)
    seen = trained(session, 60)
    session.close()
    scales = [metrics["control/actor_lr_scale"].item() for metrics in seen]
    assert min(scales) < 0.5
    for metrics, scale in zip(seen, scales, strict=True):
        assert metrics["optim/lr_actor"].item() == pytest.approx(1e-3 * scale, rel=1e-5)
        assert metrics["optim/lr_critic"].item() == pytest.approx(1e-3 * scale, rel=1e-5)
        assert metrics["optim/lr_world"].item() == pytest.approx(1e-3, rel=1e-5)


@pytest.mark.parametrize(("what", "still"), [("actor", "world"), ("world", "policy"), ("all", None)])
def test_what_is_frozen_once_the_task_is_solved_and_held_stays_as_it_is_M_CP_38(what: str, still: str | None) -> None:
    control = {"freeze": what, "freeze_return": 100.0, "freeze_hold": 20}
    session = Session(tiny_config(control=control), seed=0)
    trained(session, 40)
    session.controls.evaluated(150.0, 20)
    session.controls.evaluated(150.0, 40)
    policy, world, updates = policy_of(session), world_of(session), session.counters.updates
    trained(session, 60)
    session.close()
    assert same(policy, policy_of(session)) == (still != "policy")
    assert same(world, world_of(session)) == (still != "world")
    assert (session.counters.updates == updates) == (what == "all")
    (event,) = [one for one in session.controls.take_events() if one["decision"] == f"{what} frozen"]
    assert event["eval/return"] == 150.0


def test_a_trial_that_has_stopped_learning_still_spends_its_budget_and_is_evaluated_M_CP_37(tmp_path: Path) -> None:
    control = {"freeze": "all", "freeze_return": 0.0}
    trial = make_trial(tmp_path, tiny_config(budget={"amount": 90}, eval={"every": 30, "episodes": 1}, control=control))
    execute(trial.path, None, None)
    status = read_status(trial)
    assert (status.state, status.env_steps, status.spent) == ("finished", 90, 90)
    evaluations = lines(trial.evals_path)
    assert [line["env_steps"] for line in evaluations] == [30, 60, 90]
    assert len({line["updates"] for line in evaluations}) == 1
    (frozen,) = [line for line in lines(trial.decisions_path) if line["decision"] == "all frozen"]
    assert frozen["env_steps"] == 30


def test_collectors_do_not_wait_for_updates_that_will_not_come() -> None:
    control = {"freeze": "all", "freeze_return": 0.0}
    session = Session(tiny_config(collect={"mode": "process", "envs": 1, "slack": 0.2}, control=control), seed=0)
    try:
        trained(session, 30)
        session.controls.evaluated(1.0, 30)
        made = session.counters.updates
        trained(session, 200)
        assert session.counters.updates == made
    finally:
        session.close()


def test_the_best_agent_comes_back_when_an_evaluation_falls(tmp_path: Path) -> None:
    trial = make_trial(tmp_path, tiny_config(control={"restore_below": 100.0}))
    session = Session(tiny_config(control={"restore_below": 100.0}), seed=0)
    recorder = Recorder(trial, 1, read_status(trial))
    keeper = KeepAll(trial.checkpoints, session, recorder, {"run": "R0001-abc", "seed": 0, "family": "cartpole/0000"})

    def evaluated(score: float) -> None:
        keeper.evaluated(score)
        if session.controls.evaluated(score, session.counters.env_steps):
            keeper.restore_best()

    trained(session, 30)
    evaluated(50.0)
    trained(session, 40)
    evaluated(150.0)
    best = {name: value.clone() for name, value in session.agent.state_dict().items()}
    trained(session, 60)
    evaluated(90.0)
    for name, value in session.agent.state_dict().items():
        assert torch.equal(value, best[name]), name
    assert session.controls.line_metrics == {"control/restores": 1.0}
    evaluated(80.0)
    session.close()
    assert session.controls.line_metrics == {"control/restores": 1.0}, "it has not been above since"


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"control": {"freeze": "all"}, "reference": {"solved": None}}, "no level says when it is"),
        (
            {"control": {"freeze": "actor", "freeze_return": 1.0}, "budget": {"unit": "actor_updates"}},
            "would never be spent",
        ),
    ],
)
def test_what_could_never_happen_is_refused(sections: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Session(tiny_config(**sections), seed=0)
