"""Numbers that are not finite: named, and stopped before they reach the parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dreamerlab.dreamer.world_model import WorldModel
from dreamerlab.errors import TrialFailed
from dreamerlab.runs.status import read_status
from dreamerlab.train import checkpoint
from dreamerlab.train.attempt import execute
from dreamerlab.train.finite import Diverged, require_finite, require_finite_parameters
from dreamerlab.train.runtime import StopRequest
from dreamerlab.train.session import Session
from tests.train.trials import make_trial, tiny_config


def ready() -> Session:
    """A session about to make its first update."""
    session = Session(tiny_config(), seed=0)
    while not session.can_learn:
        session.collector.step(session.policy)
    return session


def test_a_loss_that_is_not_finite_reaches_no_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    session, losses = ready(), WorldModel.losses

    def poisoned(self, batch, observed):
        found = losses(self, batch, observed)
        found.terms["reward"] = found.terms["reward"] * float("inf")
        found.metrics["wm/reward_loss"] = found.terms["reward"].mean()
        return found

    monkeypatch.setattr(WorldModel, "losses", poisoned)
    momentum = session.agent.optimizer.momentum.clone()
    values = [one.detach().clone() for one in session.agent.parameters()]
    with pytest.raises(Diverged, match=r"^wm/reward_loss is inf, not finite \(and so are wm/loss\)"):
        session.update()
    assert all(torch.equal(one, old) for one, old in zip(session.agent.parameters(), values, strict=True))
    assert torch.equal(session.agent.optimizer.momentum, momentum)
    assert session.counters.updates == 0


def test_a_gradient_that_is_not_finite_is_named_by_its_parameter() -> None:
    session = ready()
    session.agent.world.reward.rest[-1].weight.register_hook(lambda gradient: gradient * float("nan"))
    before = session.agent.world.reward.rest[-1].weight.detach().clone()
    with pytest.raises(Diverged, match=r"world\.reward\.rest\.0\.weight gradient is nan, not finite"):
        session.update()
    assert torch.equal(session.agent.world.reward.rest[-1].weight, before)


def test_a_trial_that_diverges_says_what_first_and_its_last_checkpoint_can_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StopRequest, "listen", lambda self: None)
    update = Session.update

    def poisoned(self):
        if self.counters.env_steps > 30:
            self.agent.world.reward.rest[-1].weight.register_hook(lambda gradient: gradient * float("nan"))
        return update(self)

    monkeypatch.setattr(Session, "update", poisoned)
    trial = make_trial(tmp_path, tiny_config())
    with pytest.raises(TrialFailed, match=r"world\.reward\.rest\.0\.weight gradient is nan"):
        execute(trial.path, None, None)
    status = read_status(trial)
    assert (status.state, status.diverged) == ("failed", True)
    kept = checkpoint.load(trial.checkpoints)
    assert kept.info.env_steps == 20
    assert all(bool(one.isfinite().all()) for one in kept.state["session"]["agent"].values())


def test_the_first_is_named_and_the_others_are_listed() -> None:
    values = {"b": torch.tensor(1.0), "c": torch.tensor(float("nan")), "a": torch.tensor(float("-inf"))}
    with pytest.raises(Diverged, match=r"^c is nan, not finite \(and so are a\)$"):
        require_finite(values)
    require_finite({"b": values["b"]})
    require_finite({})


def test_a_parameter_that_is_not_finite_is_named() -> None:
    module = torch.nn.Linear(2, 2)
    require_finite_parameters(module, 3)
    with torch.no_grad():
        module.bias[1] = float("inf")
    with pytest.raises(Diverged, match="bias is not finite after update 3"):
        require_finite_parameters(module, 3)
