"""Where exploration comes from: actions that are drawn in play, and the entropy bonus at every imagined step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dreamerlab.dreamer.behavior import Behavior
from dreamerlab.dreamer.policy_objective import PolicyObjective
from dreamerlab.train.evaluate import Evaluator
from dreamerlab.train.opponents import maker
from dreamerlab.train.session import Session
from tests.train.trials import tiny_config

PROBS = torch.tensor([0.3, 0.3, 0.4])


def test_play_is_drawn_every_imagined_step_is_paid_and_the_mode_draws_nothing_M_OPT_09() -> None:
    """M-OPT-09: a bandit whose third arm pays, and a policy that finds it a little likelier in every state."""
    config = tiny_config(env={"id": "tests.toy_envs:Bandit-v0"}, behavior={"horizon": 15})
    session = Session(config, 0)
    agent, behavior = session.agent, session.agent.behavior
    assert isinstance(behavior, Behavior)
    with torch.no_grad():
        *_, weight, bias = behavior.policy.parameters()
        weight.zero_()
        bias.copy_(PROBS.log())

    for _ in range(600):
        session.collector.step(session.policy)
    rows = session.replay.pick(0, np.arange(*session.replay.span()), ["action", "is_last"])
    arms = np.bincount(rows["action"][~rows["is_last"]].ravel(), minlength=3)
    assert (arms / arms.sum()).tolist() == pytest.approx(PROBS.tolist(), abs=0.1)

    measured = Evaluator(maker(config, watched=False), 40, 0).evaluate(agent)
    assert set(measured["mode"].returns) == {1.0}
    assert set(measured["sample"].returns) == {0.0, 1.0}

    imagined = behavior.imagine(agent.world, torch.zeros(5, agent.world.dynamics.feature_size), torch.Generator())
    losses = []
    for scale in (0.0, 0.5):
        behavior.objective = PolicyObjective(behavior.head, tiny_config(behavior={"entropy_scale": scale}).behavior)
        losses.append(behavior.losses(imagined)[0].terms["policy"])
    paid = losses[0] - losses[1]
    entropy = -(PROBS * PROBS.log()).sum()
    assert paid.shape == (15, 5)
    assert (paid > 0.0).all()
    assert torch.allclose(paid, 0.5 * imagined.cont[:-1].cumprod(0) * entropy, atol=1e-5)
