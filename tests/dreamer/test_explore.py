"""Exploration bonuses: members learn without touching the states, and agree where replay has been (FACTS B2, B3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.explore import LatentEnsemble, RewardEnsemble, make_explorer
from dreamerlab.spaces import EnvSpec
from tests.oracles.cases import CONTINUOUS, DISCRETE, VECTORS, random_agent, random_batch

KINDS = ("reward_ensemble", "latent_ensemble")
TASKS = {"choices": EnvSpec(VECTORS, DISCRETE), "numbers": EnvSpec(VECTORS, CONTINUOUS)}


@pytest.fixture
def exploring(make_config: Callable[..., Config]) -> Callable[..., Config]:
    def make(kind: str, **more: object) -> Config:
        return make_config(explore={"bonus": kind, "members": 3, **more})

    return make


def states_of(agent: Agent, spec: EnvSpec) -> tuple[torch.Tensor, torch.Tensor]:
    """Return imagined features and actions."""
    batch = random_batch(spec, agent.config)
    observed = agent.world.observe(batch, torch.Generator().manual_seed(1))
    start = observed.features.detach().flatten(0, 1)
    imagined = agent.behavior.imagine(agent.world, start, torch.Generator().manual_seed(2))
    return imagined.features, imagined.action


def test_without_a_bonus_there_is_no_ensemble(make_config: Callable[..., Config]) -> None:
    agent = random_agent(TASKS["choices"], make_config())
    assert agent.world.bonus(*states_of(agent, TASKS["choices"])) is None
    assert not [name for name, _ in agent.named_parameters() if "explorer" in name]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_bonus_is_the_members_disagreement_by_hand_M_OPT_07(
    kind: str, task: str, exploring: Callable[..., Config]
) -> None:
    agent = random_agent(TASKS[task], exploring(kind))
    features, action = states_of(agent, TASKS[task])
    with torch.no_grad():
        bonus = agent.world.bonus(features, action)
        explorer = agent.world.explorer
        if isinstance(explorer, RewardEnsemble):
            guesses = torch.stack([agent.world.twohot.mean(m(features[1:]).softmax(-1)) for m in explorer.members])
            expected = ((guesses - guesses.mean(0)) ** 2).mean(0)
        else:
            assert isinstance(explorer, LatentEnsemble)
            given = torch.cat([features[:-1], explorer.actions.encode(action)], -1)
            guesses = torch.stack([m(given) for m in explorer.members])
            expected = ((guesses - guesses.mean(0)) ** 2).mean(0).sqrt().mean(-1)
    assert bonus is not None
    assert bonus.shape == action.shape[:2]
    torch.testing.assert_close(bonus, expected)
    assert bonus.min() >= 0.0
    assert bonus.max() > 0.0, "members that start alike never disagree"


@pytest.mark.parametrize("kind", KINDS)
def test_members_agree_where_they_have_learnt(kind: str, exploring: Callable[..., Config]) -> None:
    spec = TASKS["choices"]
    config = exploring(kind)
    agent, batch = random_agent(spec, config), random_batch(spec, config)
    batch = replace(batch, is_first=torch.zeros_like(batch.is_first))
    explorer = agent.world.explorer
    assert explorer is not None
    features = agent.world.observe(batch, torch.Generator().manual_seed(1)).features
    assert features.requires_grad
    members = list(explorer.parameters())
    loss = explorer.loss(features, batch).mean()
    (into_states,) = torch.autograd.grad(loss, features, allow_unused=True, retain_graph=True)
    assert into_states is None, "no gradient into the states"
    optimizer = torch.optim.Adam(members, lr=3e-3)
    seen, chosen = features.detach().transpose(0, 1), batch.action.transpose(0, 1)[:-1]
    before = explorer.bonus(seen, chosen).mean().item()
    for _ in range(400):
        optimizer.zero_grad()
        explorer.loss(features, batch).mean().backward(retain_graph=True)
        optimizer.step()
    known = explorer.bonus(seen, chosen).mean().item()
    unknown = explorer.bonus(seen + 2.0 * torch.randn(seen.shape, generator=torch.Generator().manual_seed(3)), chosen)
    assert known < 0.3 * before
    assert unknown.mean().item() > 3.0 * known


def test_what_lies_across_the_start_of_an_episode_is_not_learnt(exploring: Callable[..., Config]) -> None:
    spec, config = TASKS["choices"], exploring("latent_ensemble")
    agent, batch = random_agent(spec, config), random_batch(spec, config)
    explorer = agent.world.explorer
    assert explorer is not None
    features = agent.world.observe(batch, torch.Generator().manual_seed(1)).features
    loss = explorer.loss(features, batch)
    assert loss.shape == batch.reward.shape
    assert (loss[:, :-1][batch.is_first[:, 1:]] == 0).all()
    assert (loss[:, -1] == 0).all()
    assert (loss[:, :-1][~batch.is_first[:, 1:]] > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_paid_in_imagination_and_told_beside_the_reward(kind: str, exploring: Callable[..., Config]) -> None:
    spec = TASKS["choices"]
    told = {}
    for scale in (0.0, 1.0, 4.0):
        config = exploring(kind, scale=scale)
        agent = random_agent(spec, config)
        told[scale] = agent.update(random_batch(spec, config), torch.Generator().manual_seed(0)).metrics
    assert told[0.0]["behavior/explore_bonus"] == 0.0
    assert told[4.0]["behavior/explore_bonus"].item() == pytest.approx(4 * told[1.0]["behavior/explore_bonus"].item())
    assert told[4.0]["behavior/imagined_reward"] == told[0.0]["behavior/imagined_reward"], (
        "the reward is the task's own"
    )
    assert told[4.0]["behavior/imagined_return"] > told[0.0]["behavior/imagined_return"]
    assert told[1.0]["wm/explore_loss"] > 0.0


def test_its_scale_follows_its_schedule(exploring: Callable[..., Config]) -> None:
    spec, config = TASKS["choices"], exploring("latent_ensemble", schedule="linear to 0x over 2 updates")
    agent, batch = random_agent(spec, config), random_batch(spec, config)
    paid = [agent.update(batch, torch.Generator().manual_seed(0)).metrics["behavior/explore_bonus"] for _ in range(3)]
    assert paid[0] > paid[1] > 0.0
    assert paid[2] == 0.0


def test_the_factory_makes_what_is_named(exploring: Callable[..., Config], make_config: Callable[..., Config]) -> None:
    agent = random_agent(TASKS["choices"], make_config())
    for kind, made in zip(KINDS, (RewardEnsemble, LatentEnsemble), strict=True):
        explorer = make_explorer(agent.world.dynamics.feature_size, DISCRETE, exploring(kind), agent.world.twohot)
        assert isinstance(explorer, made)
        assert len(explorer.members) == 3
