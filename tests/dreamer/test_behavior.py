"""Imagination, actor and critic against the formulas (FACTS A6, A7, F6, F7, F14, F16)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.behavior import Behavior, Imagined
from dreamerlab.dreamer.distributions import TwoHot, categorical, entropy
from dreamerlab.dreamer.maths import lambda_return, replay_return
from dreamerlab.dreamer.return_scale import ReturnScale
from dreamerlab.spaces import ActionSpec

H, N, F, ACTIONS = 4, 6, 9, 3
THREE = ActionSpec.discrete(ACTIONS)


@pytest.fixture
def make_behavior(make_config: Callable[..., Config]) -> Callable[..., Behavior]:
    def make(noise: float = 0.3, **sections: dict[str, object]) -> Behavior:
        torch.manual_seed(0)
        behavior = Behavior(F, THREE, make_config(**sections))
        with torch.no_grad():
            for parameter in behavior.parameters():
                parameter.add_(noise * torch.randn_like(parameter))
        return behavior

    return make


@pytest.fixture
def imagined() -> Imagined:
    g = torch.Generator().manual_seed(5)
    cont = 0.8 + 0.2 * torch.rand(H + 1, N, generator=g)
    cont[0, 0] = 1e-4  # rollout 0 starts dead
    return Imagined(
        features=torch.randn(H + 1, N, F, generator=g),
        action=torch.randint(0, ACTIONS, (H, N, 1), generator=g),
        reward=torch.randn(H, N, generator=g),
        cont=cont,
        slow_value=torch.randn(H + 1, N, generator=g),
    )


def value_of(behavior: Behavior, features: Tensor) -> Tensor:
    return behavior.twohot.mean(behavior.critic(features).softmax(-1)).detach()


def cross_entropy(twohot: TwoHot, logits: Tensor, x: Tensor) -> Tensor:
    """Two-hot cross-entropy with a dense target, the long way."""
    target = twohot.encode(x.flatten())
    dense = torch.zeros(x.numel(), len(twohot.bins)).scatter_(1, twohot.column[target.bins], target.weights)
    return -(dense.view(*x.shape, -1) * logits.log_softmax(-1)).sum(-1)


# -- return scale


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(0, 999), st.floats(0.01, 100.0))
def test_return_scale_is_a_plain_average_from_zero_F7(updates: int, seed: int, size: float) -> None:
    scale = ReturnScale(Config())
    returns = size * torch.randn(5, 40, generator=torch.Generator().manual_seed(seed))
    for _ in range(updates):
        got = scale.update(returns)
    low, high = np.percentile(returns.numpy(), [5, 95]) * (1 - 0.99**updates)
    assert scale.low.item() == pytest.approx(low, rel=1e-4)
    assert scale.high.item() == pytest.approx(high, rel=1e-4)
    assert got.item() == pytest.approx(max(1.0, high - low), rel=1e-4)


def test_return_scale_follows_large_returns_and_ignores_tiny_ones_F7() -> None:
    spread = torch.linspace(-1.0, 1.0, 101)
    for factor, expected in ((1e-3, 1.0), (100.0, 180.0)):
        scale = ReturnScale(Config())
        for _ in range(2000):
            got = scale.update((factor * spread).view(1, -1))
        assert got.item() == pytest.approx(expected, rel=1e-3)


def test_return_scale_options_rate_limit_percentiles(make_config: Callable[..., Config]) -> None:
    norm = ReturnScale(make_config(return_norm={"rate": 1.0, "limit": 0.01, "low": 0.0, "high": 100.0}))
    assert norm.update(torch.tensor([[3.0, 3.5, 3.2]])).item() == pytest.approx(0.5)
    assert norm.update(torch.tensor([[3.0, 3.0, 3.001]])).item() == pytest.approx(0.01)


# -- policy and value losses


@pytest.mark.parametrize("bootstrap", ["fast", "slow"])
@pytest.mark.parametrize("unimix", [0.0, 0.01])
def test_policy_and_value_losses_are_the_formulas_A6_F6(
    make_behavior: Callable[..., Behavior], imagined: Imagined, bootstrap: str, unimix: float
) -> None:
    eta, regularizer = 0.05, 0.7
    leaves = {
        "bootstrap": bootstrap,
        "policy_unimix": unimix,
        "entropy_scale": eta,
        "slow_regularizer": regularizer,
        "lam": 0.8,
    }
    behavior = make_behavior(behavior=leaves)
    losses, first_return = behavior.losses(imagined)
    value = value_of(behavior, imagined.features)
    assert value.abs().max() > 0.1
    boot = value if bootstrap == "fast" else imagined.slow_value
    returns = lambda_return(imagined.reward, imagined.cont[1:], boot[1:], 0.8)
    assert torch.allclose(first_return, returns[0], atol=1e-5)
    low, high = 0.01 * np.percentile(returns.numpy(), [5, 95])
    scale = max(1.0, high - low)
    weight = torch.stack([imagined.cont[: t + 1].prod(0) for t in range(H)])  # includes the start's own continue
    dist = categorical(behavior.policy(imagined.features[:-1]), unimix)
    log_prob = dist.log_probs.gather(-1, imagined.action).squeeze(-1)
    policy = -weight * (log_prob * (returns - boot[:-1]) / scale + eta * entropy(dist))
    assert torch.allclose(losses.terms["policy"], policy, atol=1e-5)

    logits = behavior.critic(imagined.features[:-1])
    target_loss = cross_entropy(behavior.twohot, logits, returns)
    slow_loss = cross_entropy(behavior.twohot, logits, imagined.slow_value[:-1])
    assert torch.allclose(losses.terms["value"], weight * (target_loss + regularizer * slow_loss), atol=1e-4)
    assert losses.metrics["behavior/entropy_nats"].item() == pytest.approx(entropy(dist).mean().item(), rel=1e-4)
    assert losses.metrics["behavior/return_scale"].item() == pytest.approx(scale, rel=1e-4)
    assert losses.metrics["behavior/return_scale_raw"].item() == pytest.approx(high - low, rel=1e-3)


def test_gradient_of_the_policy_loss_is_reinforce_A6(
    make_behavior: Callable[..., Behavior], imagined: Imagined
) -> None:
    behavior = make_behavior(behavior={"entropy_scale": 0.0})
    losses, _ = behavior.losses(imagined)
    bias = behavior.policy.rest[-1].bias
    (grad,) = torch.autograd.grad(losses.terms["policy"].sum(), bias)
    value = value_of(behavior, imagined.features)
    returns = lambda_return(imagined.reward, imagined.cont[1:], value[1:], 0.95)
    advantage = (returns - value[:-1]) / losses.metrics["behavior/return_scale"]
    weight = imagined.cont[:-1].cumprod(0)
    probs = behavior.policy(imagined.features[:-1]).softmax(-1).detach()
    one_hot = torch.nn.functional.one_hot(imagined.action.squeeze(-1), ACTIONS)
    expected = (weight * advantage)[..., None] * (probs - one_hot)
    assert torch.allclose(grad, expected.sum((0, 1)), atol=1e-4)


def test_a_rollout_from_a_dead_state_weighs_nothing_F6(
    make_behavior: Callable[..., Behavior], imagined: Imagined
) -> None:
    terms = make_behavior().losses(imagined)[0].terms
    for name in ("policy", "value"):
        assert terms[name][:, 0].abs().max() < 0.05 * terms[name][:, 1:].abs().max()


def test_weights_golden_F6(make_behavior: Callable[..., Behavior], imagined: Imagined) -> None:
    behavior = make_behavior(noise=0.0, behavior={"slow_regularizer": 0.0})
    cont = torch.tensor([0.9, 0.5, 0.5, 1.0, 1.0])[:, None].expand(H + 1, N).contiguous()
    value_loss = behavior.losses(imagined._replace(cont=cont))[0].terms["value"]
    # A critic of zeros costs ln 255 everywhere, so that the loss shows the weights.
    assert (value_loss[:, 0] / math.log(255)).tolist() == pytest.approx([0.9, 0.45, 0.225, 0.225], rel=1e-5)


def test_a_fresh_critic_values_everything_at_zero_F2(
    make_behavior: Callable[..., Behavior], imagined: Imagined
) -> None:
    behavior = make_behavior(noise=0.0)
    assert (value_of(behavior, imagined.features) == 0.0).all()
    metrics = behavior.losses(imagined)[0].metrics
    assert metrics["behavior/value"].item() == 0.0
    # Scale 0.01: the fresh policy is close to uniform.
    assert metrics["behavior/entropy_nats"].item() == pytest.approx(math.log(ACTIONS), abs=1e-3)


# -- imagination


def test_imagined_actions_follow_the_policy_and_states_the_model(
    make_config: Callable[..., Config], make_agent: Callable[..., Agent]
) -> None:
    config = make_config(behavior={"policy_unimix": 0.2})
    agent = make_agent(config, noise=0.3)
    rows = 3000
    start = torch.randn(1, agent.world.dynamics.feature_size).expand(rows, -1).contiguous()
    imagined = agent.behavior.imagine(agent.world, start, torch.Generator().manual_seed(0))
    assert imagined.features.shape == (5, rows, start.shape[1])
    frequencies = torch.bincount(imagined.action[0, :, 0], minlength=3) / rows
    expected = categorical(agent.behavior.policy(start[:1]), 0.2).probs[0]
    assert torch.allclose(frequencies, expected, atol=0.04)
    flat = imagined.features.flatten(0, 1)
    reward = agent.world.predict_reward(flat[rows:])
    assert torch.allclose(imagined.reward.flatten(), reward, atol=1e-6 * reward.abs().max().item())
    assert torch.allclose(imagined.cont.flatten(), agent.world.predict_continue(flat), atol=1e-5)
    slow = agent.behavior.twohot.mean(agent.behavior.slow_critic(flat).softmax(-1))
    assert torch.allclose(imagined.slow_value.flatten(), slow, atol=1e-6 * slow.abs().max().item())
    assert imagined.value is None
    assert not any(tensor.requires_grad for tensor in imagined if tensor is not None)


@pytest.mark.parametrize("unimix", [0.0, 0.5])
def test_acting_draws_from_the_policy_or_takes_its_mode_F14(
    make_behavior: Callable[..., Behavior], unimix: float
) -> None:
    behavior = make_behavior(behavior={"policy_unimix": unimix})
    features = torch.randn(1, F).expand(5000, F)
    probs = categorical(behavior.policy(features[:1]), unimix).probs[0]
    drawn = behavior.act(features, mode=False, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(torch.bincount(drawn.squeeze(-1), minlength=ACTIONS) / 5000, probs, atol=0.03)
    assert (behavior.act(features, mode=True, generator=torch.Generator()) == probs.argmax()).all()


# -- replay value loss


@pytest.mark.parametrize("kept", [5, 3, 2])
def test_replay_loss_uses_the_last_states_only_A7(
    make_behavior: Callable[..., Behavior],
    make_config: Callable[..., Config],
    make_batch: Callable[..., Batch],
    kept: int,
) -> None:
    behavior = make_behavior(behavior={"slow_regularizer": 0.5})
    batch = make_batch(make_config(), seed=2)
    assert batch.is_last[:, -2].any()
    features = torch.randn(3, kept, F, requires_grad=True)
    boot, slow = torch.randn(2, 3, kept).unbind(0)
    losses = behavior.replay_loss(features, batch, boot, slow)
    last = batch.is_last[:, -kept:].float()
    terminal = batch.is_terminal[:, -kept:].float()
    returns = replay_return(batch.reward[:, -kept:].T, last.T, terminal.T, boot.T, 1 - 1 / 333, 0.95).T
    logits = behavior.critic(features[:, :-1])
    expected = cross_entropy(behavior.twohot, logits, returns)
    expected = expected + 0.5 * cross_entropy(behavior.twohot, logits, slow[:, :-1])
    expected = (1 - last[:, :-1]) * expected
    assert losses.terms["replay_value"].shape == (3, kept - 1)
    assert torch.allclose(losses.terms["replay_value"], expected, atol=1e-4)
    (grad,) = torch.autograd.grad(losses.terms["replay_value"].sum(), features)
    assert (grad[:, :-1] != 0).any()  # it enters the world model


def test_rows_that_end_an_episode_train_no_value_A7(
    make_behavior: Callable[..., Behavior], make_config: Callable[..., Config], make_batch: Callable[..., Batch]
) -> None:
    batch = make_batch(make_config())
    batch = replace(batch, is_last=torch.ones_like(batch.is_last))
    features, zero = torch.randn(3, 5, F), torch.zeros(3, 5)
    assert (make_behavior().replay_loss(features, batch, zero, zero).terms["replay_value"] == 0).all()


# -- slow critic


def test_the_slow_critic_starts_as_a_copy_and_closes_the_gap_by_the_rate_F16(
    make_behavior: Callable[..., Behavior],
) -> None:
    behavior = make_behavior(noise=0.0)
    pairs = list(zip(behavior.slow_critic.parameters(), behavior.critic.parameters(), strict=True))
    assert all(torch.equal(slow, fast) for slow, fast in pairs)
    assert all(slow.data_ptr() != fast.data_ptr() and not slow.requires_grad for slow, fast in pairs)
    with torch.no_grad():
        for _, fast in pairs:
            fast.add_(1.0)
    for _ in range(7):
        behavior.follow()
    for slow, fast in pairs:
        assert torch.allclose(fast - slow, torch.full_like(fast, 0.98**7), atol=1e-5)
