"""Losses of the world model: what they are, where they start, what they reach (FACTS A2, A4, A13.7, F18, F22, F23)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.codecs import squash
from dreamerlab.dreamer.maths import averaged, symlog
from tests.shapes import checking


@pytest.fixture
def parts(
    make_config: Callable[..., Config], make_agent: Callable[..., Agent], make_batch: Callable[..., Batch]
) -> tuple[Agent, Batch]:
    config = make_config()
    return make_agent(config), make_batch(config)


def test_observations_are_squashed_with_keys_in_sorted_order_A2(parts: tuple[Agent, Batch]) -> None:
    agent, batch = parts
    reversed_keys = dict(reversed(list(batch.obs.items())))
    expected = symlog(torch.cat([batch.obs["place"], batch.obs["speed"]], -1))
    assert torch.equal(squash(batch.obs, ["place", "speed"]), expected)
    assert torch.equal(agent.world.encoder(reversed_keys), agent.world.encoder.mlp(expected))


def test_each_loss_has_one_value_per_element_A4(parts: tuple[Agent, Batch], generator: torch.Generator) -> None:
    agent, batch = parts
    terms = agent.world.losses(batch, agent.world.observe(batch, generator)).terms
    assert {name: loss.shape for name, loss in terms.items()} == dict.fromkeys(
        ("recon", "reward", "cont", "dyn", "rep"), batch.reward.shape
    )


def test_first_losses_are_golden_F2(parts: tuple[Agent, Batch], generator: torch.Generator) -> None:
    agent, batch = parts
    observed = agent.world.observe(batch, generator)
    losses = agent.world.losses(batch, observed)
    assert torch.allclose(losses.terms["reward"], torch.full_like(batch.reward, math.log(255)), atol=1e-5)
    assert (agent.world.predict_reward(observed.features.flatten(0, 1)) == 0.0).all()
    recon = (
        (agent.world.decoder(observed.features) - squash(batch.obs, ["place", "speed"])).square().sum(-1)
    )  # summed over numbers, no half
    assert torch.allclose(losses.terms["recon"], recon, atol=1e-5)


def test_the_continue_head_learns_gamma_times_not_terminal_A4_F18(
    parts: tuple[Agent, Batch], generator: torch.Generator
) -> None:
    agent, batch = parts
    observed = agent.world.observe(batch, generator)
    ends = torch.zeros_like(batch.is_last)
    ends[0, 1] = ends[1, 2] = True
    death = ends.clone()
    death[1, 2] = False  # row 1 ends by a time limit: last, not terminal
    batch = replace(batch, is_last=ends, is_terminal=death)
    loss = agent.world.losses(batch, observed).terms["cont"]
    target = torch.full(batch.reward.shape, 1 - 1 / 333)
    target[0, 1] = 0.0
    p = agent.world.predict_continue(observed.features.flatten(0, 1)).view_as(target)
    assert torch.allclose(loss, -(target * p.log() + (1 - target) * (1 - p).log()), atol=1e-5)


@pytest.mark.parametrize("discounted", [True, False])
def test_the_continue_head_may_learn_the_probability_of_going_on_A13_7(
    discounted: bool,
    make_config: Callable[..., Config],
    make_agent: Callable[..., Agent],
    make_batch: Callable[..., Batch],
    generator: torch.Generator,
) -> None:
    config = make_config(behavior={"discount_horizon": 10.0}, heads={"continue_discounted": discounted})
    agent, batch = make_agent(config, noise=0.3), make_batch(config)
    observed = agent.world.observe(batch, generator)
    features = observed.features.flatten(0, 1)
    said = torch.sigmoid(agent.world.cont(features).squeeze(-1))
    # Either way what comes out is a discount.
    assert torch.allclose(agent.world.predict_continue(features), said if discounted else 0.9 * said)
    target = (0.9 if discounted else 1.0) * (~batch.is_terminal).flatten()
    loss = agent.world.losses(batch, observed).terms["cont"].flatten()
    assert torch.allclose(loss, -(target * said.log() + (1 - target) * (1 - said).log()), atol=1e-5)


@pytest.mark.parametrize("reward_grad", [True, False])
def test_rewards_shape_the_latent_states_only_where_asked_A4(
    reward_grad: bool,
    make_config: Callable[..., Config],
    make_agent: Callable[..., Agent],
    make_batch: Callable[..., Batch],
    generator: torch.Generator,
) -> None:
    config = make_config(heads={"reward_grad": reward_grad})
    agent, batch = make_agent(config, noise=0.3), make_batch(config)
    loss = agent.world.losses(batch, agent.world.observe(batch, generator)).terms["reward"].mean()
    for part, reached in ((agent.world.encoder, reward_grad), (agent.world.reward, True)):
        grads = torch.autograd.grad(loss, list(part.parameters()), retain_graph=True, allow_unused=True)
        assert all((grad is not None and bool((grad != 0).any())) == reached for grad in grads)


def test_the_discount_horizon_sets_the_continue_target(
    make_config: Callable[..., Config], make_agent: Callable[..., Agent], make_batch: Callable[..., Batch]
) -> None:
    config = make_config(behavior={"discount_horizon": 10.0})
    agent, batch = make_agent(config), make_batch(config)
    batch = replace(batch, is_terminal=torch.zeros_like(batch.is_terminal))
    observed = agent.world.observe(batch, torch.Generator())
    metrics = averaged(agent.world.losses(batch, observed).metrics)
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    difference = metrics["wm/continue_loss"] - metrics["wm/continue_excess"]
    assert difference.item() == pytest.approx(entropy, abs=1e-5)


def test_reward_excess_is_the_loss_over_its_floor_A5(parts: tuple[Agent, Batch], generator: torch.Generator) -> None:
    agent, batch = parts
    batch = replace(batch, reward=torch.ones_like(batch.reward))
    metrics = averaged(agent.world.losses(batch, agent.world.observe(batch, generator)).metrics)
    assert metrics["wm/reward_loss"].item() == pytest.approx(math.log(255), abs=1e-5)
    assert metrics["wm/reward_excess"].item() == pytest.approx(math.log(255) - 0.6654, abs=1e-4)


def test_support_of_the_config_reaches_the_heads(
    make_config: Callable[..., Config], make_agent: Callable[..., Agent]
) -> None:
    """Narrow bins of a small model (M-CP-05)."""
    agent = make_agent(make_config(twohot={"bins": 11, "support": (-5.0, 5.0)}))
    for twohot in (agent.world.twohot, agent.behavior.twohot):
        assert twohot.bins.shape == (11,)
        assert twohot.bins[-1].item() == pytest.approx(math.exp(5) - 1, rel=1e-5)


def test_one_batch_can_be_learnt_by_heart_F22_F23(
    make_config: Callable[..., Config], make_agent: Callable[..., Agent], make_batch: Callable[..., Batch]
) -> None:
    rates = {"lr_world": 1e-2, "lr_actor": 1e-4, "lr_critic": 1e-3, "warmup_updates": 10}
    config = make_config(
        model={"deter": 32, "hidden": 32, "units": 32, "stoch": 8},
        optimizer=rates, free_bits={"nats": 0.1}, train={"batch_size": 4, "batch_length": 8, "imagination_starts": 2},
    )  # fmt: skip
    agent, batch = make_agent(config), make_batch(config)
    nowhere = torch.zeros_like(batch.is_terminal)
    batch = replace(batch, is_terminal=nowhere)
    generator = torch.Generator().manual_seed(0)
    first = agent.update(batch, generator).metrics
    with checking(False):
        for _ in range(150):
            last = agent.update(batch, generator).metrics
    assert last["wm/recon_loss"].item() < 0.1 * first["wm/recon_loss"].item()
    assert last["wm/reward_excess"].item() < 0.15 * first["wm/reward_excess"].item()
    # Nothing ever ends here, so the predicted discount goes to gamma and the loss to its floor.
    assert last["wm/continue_excess"].item() < 1e-2
    features = agent.world.observe(batch, generator).features.flatten(0, 1)
    assert agent.world.predict_continue(features).mean().item() == pytest.approx(1 - 1 / 333, abs=5e-3)
