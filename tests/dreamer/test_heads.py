"""Auxiliary heads: what they cost, what is unknown, whom they teach (M-HK-15)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.heads import AuxiliaryHeads
from dreamerlab.dreamer.maths import symlog
from dreamerlab.spaces import EnvSpec
from tests.oracles.cases import DISCRETE, VECTORS, random_agent, random_batch

GOAL, SPEED = "reward_within_15", "obs/speed/1"
MODEL = {
    "deter": 16, "hidden": 8, "stoch": 3, "classes": 4, "blocks": 2, "units": 8,
    "encoder_layers": 1, "decoder_layers": 1, "policy_layers": 1, "value_layers": 1,
}  # fmt: skip
SPEC = EnvSpec(VECTORS, DISCRETE)


def config_of(*heads: str) -> Config:
    return Config.model_validate(
        {
            "model": MODEL,
            "heads": {"auxiliary": heads},
            "behavior": {"horizon": 2},
            "train": {"batch_size": 2, "batch_length": 3},
        }
    )


CONFIG = config_of(f"binary:{GOAL}", f"regression:{SPEED}")


def batch_of(config: Config) -> Batch:
    nan = math.nan
    goal = torch.tensor([[0.0, 1.0, nan], [-2.0, 0.0, nan]])
    speed = torch.tensor([[nan, -30.0, 0.5], [1e6, nan, nan]])
    return replace(random_batch(SPEC, config), targets={GOAL: goal, SPEED: speed})


def test_each_head_costs_its_loss_where_its_target_is_known() -> None:
    heads, batch, features = AuxiliaryHeads(28, CONFIG), batch_of(CONFIG), torch.randn(6, 28)
    losses = heads.losses(features, batch.targets)
    goal, speed = (network(features).view(2, 3) for network in heads.networks)
    p = torch.sigmoid(goal)
    expected = torch.zeros(2, 3)
    expected[0, 0] = -torch.log(1 - p[0, 0])
    expected[0, 1] = -torch.log(p[0, 1]) + (speed[0, 1] - symlog(torch.tensor(-30.0))) ** 2
    expected[0, 2] = (speed[0, 2] - symlog(torch.tensor(0.5))) ** 2
    expected[1, 0] = -torch.log(p[1, 0]) + (speed[1, 0] - symlog(torch.tensor(1e6))) ** 2  # anything but 0 is a yes
    expected[1, 1] = -torch.log(1 - p[1, 1])
    assert torch.allclose(losses.terms["auxiliary"], expected, rtol=1e-4)
    assert losses.metrics["wm/auxiliary_known_frac"].item() == pytest.approx(7 / 12)
    assert losses.metrics["wm/auxiliary_loss"].item() == pytest.approx(expected.mean().item(), rel=1e-5)


def test_an_unknown_target_teaches_nothing_and_breaks_nothing() -> None:
    heads, features = AuxiliaryHeads(28, CONFIG), torch.randn(6, 28, requires_grad=True)
    unknown = torch.full((2, 3), math.nan)
    loss = heads.losses(features, {GOAL: unknown, SPEED: unknown}).terms["auxiliary"]
    assert (loss == 0.0).all()
    grads = torch.autograd.grad(loss.sum(), [features, *heads.parameters()])
    assert all((grad == 0.0).all() for grad in grads)


def test_predictions_are_probabilities_and_values() -> None:
    heads, features = AuxiliaryHeads(28, CONFIG), torch.randn(6, 28)
    goal, speed = (network(features).squeeze(-1) for network in heads.networks)
    predicted = heads(features)
    assert torch.allclose(predicted[GOAL], torch.sigmoid(goal))
    assert torch.allclose(symlog(predicted[SPEED]), speed, atol=1e-6)


def reached(agent: Agent, loss: Tensor) -> set[str]:
    parts = {"encoder": agent.world.encoder, "heads": agent.world.auxiliary, "reward": agent.world.reward}
    grads = {
        name: torch.autograd.grad(loss, list(part.parameters()), retain_graph=True, allow_unused=True)
        for name, part in parts.items()
    }
    return {name for name, found in grads.items() if any(g is not None and (g != 0).any() for g in found)}


def test_heads_shape_the_latent_states_and_leave_the_reward_alone() -> None:
    agent, batch = random_agent(SPEC, CONFIG), batch_of(CONFIG)
    generator = torch.Generator().manual_seed(0)
    terms = agent.world.losses(batch, agent.world.observe(batch, generator)).terms
    assert reached(agent, terms["auxiliary"].mean()) == {"encoder", "heads"}
    before = [p.clone() for p in agent.world.auxiliary.parameters()]
    agent.update(batch, generator)
    assert all((a != b).any() for a, b in zip(before, agent.world.auxiliary.parameters(), strict=True))


def test_a_target_is_learnt() -> None:
    optimizer = {"lr_world": 1e-2, "warmup_updates": 5}
    config = Config.model_validate(
        {**CONFIG.model_dump(), "optimizer": optimizer, "train": {"batch_size": 2, "batch_length": 3, "learn": "world"}}
    )
    torch.manual_seed(0)
    agent, batch, generator = Agent(SPEC, config), batch_of(config), torch.Generator().manual_seed(0)
    batch.targets[SPEED] = torch.tensor([[1.0, -2.0, 0.5], [3.0, -1.0, 0.0]])
    metrics = [agent.update(batch, generator).metrics["wm/auxiliary_loss"].item() for _ in range(30)]
    assert metrics[-1] < 0.6 * metrics[0]


def test_without_heads_there_is_no_loss() -> None:
    config = config_of()
    agent, batch = Agent(SPEC, config), random_batch(SPEC, config)
    losses = agent.world.losses(batch, agent.world.observe(batch, torch.Generator()))
    assert "auxiliary" not in losses.terms
    assert not list(agent.world.auxiliary.parameters())
