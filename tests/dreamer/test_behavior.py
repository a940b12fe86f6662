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
from dreamerlab.dreamer.dynamics import ImaginedPolicy
from dreamerlab.dreamer.maths import lambda_return, replay_return
from dreamerlab.dreamer.one_hots import OneHots
from dreamerlab.dreamer.policies import make_policy_head
from dreamerlab.dreamer.policy_objective import PolicyObjective
from dreamerlab.dreamer.return_scale import ReturnScale
from dreamerlab.dreamer.world_model import WorldModel
from dreamerlab.spaces import ActionSpec, EnvSpec
from tests.oracles.cases import VECTORS, random_agent

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


def test_a_debiased_return_scale_counts_its_first_update_in_full_A13_4(make_config: Callable[..., Config]) -> None:
    spread = torch.linspace(-50.0, 50.0, 101).view(1, -1)  # 90 between the percentiles
    plain, debiased = (ReturnScale(make_config(return_norm={"debias": on})) for on in (False, True))
    assert [plain.update(spread).item() for _ in range(2)] == pytest.approx([1.0, 90.0 * (1 - 0.99**2)])
    assert [debiased.update(spread).item() for _ in range(2)] == pytest.approx([90.0, 90.0])
    # Then it moves like the plain one, towards what is new with weight 0.01 / (1 - 0.99^3).
    share = 0.01 / (1 - 0.99**3)
    assert debiased.update(2.0 * spread).item() == pytest.approx(90.0 * (1.0 + share), rel=1e-5)
    again = ReturnScale(make_config(return_norm={"debias": True}))
    again.load_state_dict(debiased.state_dict())
    assert again.update(spread).item() == debiased.update(spread).item()


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


@pytest.mark.parametrize(("limit", "share"), [(1e-4, 0.0), (1e9, 1.0)])
def test_a_scale_at_its_limit_is_told_from_one_that_follows_DIS_04(
    make_behavior: Callable[..., Behavior], imagined: Imagined, limit: float, share: float
) -> None:
    metrics = make_behavior(return_norm={"limit": limit}).losses(imagined)[0].metrics
    assert metrics["behavior/return_scale_at_limit"].item() == share
    assert (metrics["behavior/return_scale"].item() == pytest.approx(limit)) == (share == 1.0)


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


def test_a_head_of_bare_probabilities_leaves_the_start_undiscounted_A13_7(
    make_behavior: Callable[..., Behavior], imagined: Imagined
) -> None:
    """Weights are cumprod(discount) either way, divided by gamma where the head does not predict the discount."""
    cont = torch.tensor([0.9, 0.5, 0.5, 1.0, 1.0])[:, None].expand(H + 1, N).contiguous()
    losses = {}
    for discounted in (True, False):
        behavior = make_behavior(heads={"continue_discounted": discounted})
        losses[discounted] = behavior.losses(imagined._replace(cont=cont))
    gamma = 1.0 - 1.0 / 333.0
    for name in ("policy", "value"):
        assert torch.allclose(losses[False][0].terms[name] * gamma, losses[True][0].terms[name], atol=1e-5)
    assert torch.equal(losses[False][1], losses[True][1])  # returns have the discount in both


# -- options of the policy's objective


def objective(make_config: Callable[..., Config], **leaves: object) -> PolicyObjective:
    config = make_config(behavior=leaves)
    return PolicyObjective(make_policy_head(THREE, config), config.behavior)


def scored(
    objective: PolicyObjective, advantage: Tensor, raw: Tensor, **more: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """One imagined step of as many rollouts as there are rows, all of weight 1 and action 0."""
    action = torch.zeros(len(raw), 1, dtype=torch.int64)
    loss, metrics = objective.loss(raw, action, None, advantage.view(1, -1), torch.ones(1, len(raw)), **more)
    return loss[0], metrics


@pytest.mark.parametrize(
    ("std", "base", "squashed"), [(0.606, 0.919, 0.60), (1.0, 1.419, 0.67), (2.72, 2.419, -0.78), (7.389, 3.419, -7.1)]
)
@pytest.mark.parametrize("rewarded", ["base", "squashed"])
def test_entropies_before_and_after_tanh_are_both_told_M_ENT_05(
    make_config: Callable[..., Config], std: float, base: float, squashed: float, rewarded: str
) -> None:
    """M-ENT-05, M-ENT-02: the figures of a mean of 0; the widest Normal has the least entropy of actions."""
    config = make_config(policy={"dist": "tanh_normal", "std": (0.1, 10.0), "entropy": rewarded})
    head = make_policy_head(ActionSpec.continuous(1), config)
    rows, generator = 40_000, torch.Generator().manual_seed(0)
    share = math.log(std / 0.1) / math.log(100.0)
    raw = torch.tensor([[0.0, math.atanh(2.0 * share - 1.0)]]).repeat(rows, 1)
    noise = head.noise((rows,), generator, torch.device("cpu"))
    one = torch.ones(1, rows)
    _, metrics = PolicyObjective(head, config.behavior).loss(raw, head.sample(raw, noise), noise, one, one)
    assert metrics["behavior/entropy_base_nats"].item() == pytest.approx(base, abs=0.01)
    assert metrics["behavior/entropy_squashed_nats"].item() == pytest.approx(squashed, abs=0.05)
    expected = {"base": base, "squashed": squashed}[rewarded]
    assert metrics["behavior/entropy_nats"].item() == pytest.approx(expected, abs=0.05)
    beyond = math.erfc(math.atanh(0.99) / std / math.sqrt(2.0))
    assert metrics["behavior/action_saturated_frac"].item() == pytest.approx(beyond, abs=0.01)


QUARTERS = torch.tensor([[math.log(2.0), 0.0, 0.0]])  # probabilities (1/2, 1/4, 1/4), 1.5 ln 2 nats


def test_the_policy_loss_and_its_terms_by_hand_A6_M_ADD_12(make_config: Callable[..., Config]) -> None:
    """The loss in its two terms, and entropy as a share of its range (DIS-08, DIS-22)."""
    loss, metrics = scored(objective(make_config, entropy_scale=0.1), torch.tensor([2.0, -1.0]), QUARTERS.expand(2, -1))
    ln2 = math.log(2.0)
    assert loss.tolist() == pytest.approx([2.0 * ln2 - 0.15 * ln2, -ln2 - 0.15 * ln2])
    expected = {
        "policy_loss": (0.5 - 0.15) * ln2, "policy_gradient_term": 0.5 * ln2, "entropy_term": -0.15 * ln2,
        "gain_abs_mean": 1.5 * ln2, "log_prob_abs_mean": ln2, "entropy_nats": 1.5 * ln2, "entropy_std_nats": 0.0,
        "entropy_frac": 1.5 * ln2 / math.log(3.0), "entropy_scale": 0.1, "entropy_rewarded_nats": 1.5 * ln2,
        "advantage_mean": 0.5, "advantage_std": 1.5, "advantage_abs_mean": 1.5, "advantage_abs_max": 2.0,
    }  # fmt: skip
    assert {name: metrics[f"behavior/{name}"].item() for name in expected} == pytest.approx(expected, abs=1e-6)


def test_advantages_are_standardised_only_if_asked_DIS_26(make_config: Callable[..., Config]) -> None:
    advantage, raw = torch.tensor([1.0, 2.0, 6.0]), QUARTERS.expand(3, -1)
    plain, _ = scored(objective(make_config, entropy_scale=0.0), advantage, raw)
    assert torch.allclose(plain, math.log(2.0) * advantage)
    normed, metrics = scored(objective(make_config, entropy_scale=0.0, advantage_norm=True), advantage, raw)
    assert torch.allclose(normed, math.log(2.0) * (advantage - 3.0) / math.sqrt(14.0 / 3.0), atol=1e-6)
    assert metrics["behavior/advantage_mean"].item() == pytest.approx(3.0)  # logged as they came
    equal, _ = scored(objective(make_config, entropy_scale=0.0, advantage_norm=True), torch.ones(3), raw)
    assert (equal == 0.0).all()


@pytest.mark.parametrize(("floor", "rewards"), [(None, True), (0.5, True), (1.05, False)])
def test_below_its_floor_entropy_has_no_gradient_at_all_M_OPT_02(
    make_config: Callable[..., Config], floor: float | None, rewards: bool
) -> None:
    """1.5 ln 2 = 1.04 nats: above 0.5 the bonus pulls, below 1.05 its value is the floor and nothing pulls (A13.1)."""
    raw = QUARTERS.clone().requires_grad_()
    loss, metrics = scored(objective(make_config, entropy_scale=1.0, entropy_floor=floor), torch.zeros(1), raw)
    (grad,) = torch.autograd.grad(loss.sum(), raw)
    assert bool((grad != 0).any()) is rewards
    assert loss.item() == pytest.approx(-1.5 * math.log(2.0) if rewards else -1.05)
    assert metrics["behavior/entropy_nats"].item() == pytest.approx(1.5 * math.log(2.0))
    assert metrics["behavior/entropy_rewarded_nats"].item() == pytest.approx(-loss.item())


@pytest.mark.parametrize(("made", "eta"), [(0, 0.2), (50, 0.11), (100, 0.02), (500, 0.02)])
def test_the_entropy_bonus_follows_its_schedule_M_CP_59(
    make_config: Callable[..., Config], made: int, eta: float
) -> None:
    scheduled = objective(make_config, entropy_scale=0.2, entropy_schedule="linear to 0.1x over 100 updates")
    loss, metrics = scored(scheduled, torch.zeros(1), QUARTERS, made=torch.tensor(made))
    assert loss.item() == pytest.approx(-eta * 1.5 * math.log(2.0))
    assert metrics["behavior/entropy_scale"].item() == pytest.approx(eta)


def test_one_possible_action_has_no_entropy_and_no_trouble(make_config: Callable[..., Config]) -> None:
    config = make_config()
    single = PolicyObjective(make_policy_head(ActionSpec.discrete(1), config), config.behavior)
    loss, metrics = scored(single, torch.ones(2), torch.randn(2, 1))
    assert (loss == 0.0).all()
    assert metrics["behavior/entropy_frac"].item() == 0.0


# -- the gradient through the dynamics


class Steps:
    """The dynamics of `Line`."""

    feature_size = 1

    def imagine(
        self, start: Tensor, policy: ImaginedPolicy, horizon: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        states, actions = [start], []
        for t in range(horizon):
            action, encoded = policy(states[-1], t)
            states.append(states[-1] + (action.clamp(-1.0, 1.0) if encoded is None else encoded))
            actions.append(action)
        return torch.stack(states), torch.stack(actions)

    def imagine_apart(self, start: Tensor, policy: object, horizon: int, generator: torch.Generator) -> None:
        return None


class Line(WorldModel):
    """A world on a line that can be worked out by hand: s' = s + action, reward 2 s', discount 0.9 everywhere."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.dynamics = Steps()  # type: ignore[assignment]
        self.weight = torch.nn.Parameter(torch.tensor(2.0))
        self.explorer = None

    def predict_reward(self, features: Tensor, one_hots: OneHots | None = None) -> Tensor:
        return self.weight * features.squeeze(-1)

    def predict_continue(self, features: Tensor, one_hots: OneHots | None = None) -> Tensor:
        return torch.full_like(features.squeeze(-1), 0.9)


def on_the_line(make_config: Callable[..., Config], **leaves: object) -> tuple[Behavior, Imagined, Tensor]:
    """A policy that ignores the state (mean tanh(0.2), deviation 0.8927), two steps ahead, with a critic of zeros."""
    torch.manual_seed(0)
    leaves = {"horizon": 2, "entropy_scale": 0.0, **leaves}
    behavior = Behavior(1, ActionSpec.continuous(1), make_config(behavior=leaves, return_norm={"limit": 4.0}))
    output = behavior.policy.rest[-1]
    with torch.no_grad():
        output.weight.zero_()
        output.bias.copy_(torch.tensor([0.2, 0.0]))
    world = Line()
    imagined = behavior.imagine(world, torch.zeros(5, 1), torch.Generator().manual_seed(3))
    assert world.weight.requires_grad  # frozen only meanwhile
    return behavior, imagined, output.bias


def slope_by_hand(imagined: Imagined) -> Tensor:
    """d(policy loss) / d(raw mean) of every rollout, summed over its two steps.

    R_1 = 2 s_2 and R_0 = 2 s_1 + 0.9 * 0.95 * R_1, as the critic is 0; s_1 = e_0 and s_2 = e_0 + e_1, where e is the
    action within [-1, 1] and moves by (1 - tanh(0.2)^2) / max(1, |action|). Weights are 0.9 and 0.81, the scale is 4.
    """
    action = imagined.action.squeeze(-1)
    move = (1.0 - math.tanh(0.2) ** 2) / action.abs().clamp(min=1.0)
    by_mean_1 = 2.0 * (move[0] + move[1])
    by_mean_0 = 2.0 * move[0] + 0.9 * 0.95 * by_mean_1
    return -(0.9 * by_mean_0 + 0.81 * by_mean_1) / 4.0


def test_the_gradient_through_the_dynamics_by_hand_A13_14(make_config: Callable[..., Config]) -> None:
    behavior, imagined, bias = on_the_line(make_config, actor_gradient="dynamics")
    assert (imagined.action.abs() > 1.0).any()
    assert (imagined.action.abs() < 1.0).any()
    loss = behavior.losses(imagined)[0].terms["policy"]
    for rollout in range(5):
        (grad,) = torch.autograd.grad(loss[:, rollout].sum(), bias, retain_graph=True)
        assert grad[0].item() == pytest.approx(slope_by_hand(imagined)[rollout].item(), rel=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_mix_is_the_weighted_sum_of_both_gradients_A13_14(make_config: Callable[..., Config], share: float) -> None:
    grads = []
    for leaves in (
        {"actor_gradient": "reinforce"},
        {"actor_gradient": "dynamics"},
        {"actor_gradient": "mix", "gradient_mix": share},
    ):
        behavior, imagined, bias = on_the_line(make_config, **leaves)
        grads.append(torch.autograd.grad(behavior.losses(imagined)[0].terms["policy"].sum(), bias)[0])
    reinforce, dynamics, mix = grads
    assert not torch.allclose(reinforce, dynamics, atol=0.1)
    assert torch.allclose(mix, share * reinforce + (1.0 - share) * dynamics, atol=1e-5)


KINDS: dict[str, tuple[ActionSpec, dict[str, object]]] = {
    "choice": (THREE, {}),
    "choices": (ActionSpec.discrete(3, 2), {}),
    "bounded": (ActionSpec.continuous(2), {}),
    "tanh": (ActionSpec.continuous(2), {"dist": "tanh_normal"}),
    "bins": (ActionSpec.continuous(2), {"dist": "categorical", "bins": 5}),
}


@pytest.mark.parametrize("bootstrap", ["fast", "slow"])
@pytest.mark.parametrize("gradient", ["dynamics", "mix"])
@pytest.mark.parametrize("kind", KINDS)
def test_through_the_model_the_policy_learns_and_nothing_else_M_ML_21(
    make_config: Callable[..., Config], kind: str, gradient: str, bootstrap: str
) -> None:
    action, policy = KINDS[kind]
    behavior = {"actor_gradient": gradient, "bootstrap": bootstrap, "entropy_scale": 0.0}
    agent = random_agent(EnvSpec(VECTORS, action), make_config(behavior=behavior, policy=policy), noise=0.1)
    start = torch.randn(7, agent.world.dynamics.feature_size, requires_grad=True)
    imagined = agent.behavior.imagine(agent.world, start.detach(), torch.Generator().manual_seed(0))
    terms = agent.behavior.losses(imagined)[0].terms
    names, parameters = zip(*((n, p) for n, p in agent.named_parameters() if p.requires_grad), strict=True)
    assert any(name.startswith("world.") for name in names)
    for term, owner in (("policy", "behavior.policy."), ("value", "behavior.critic.")):
        grads = torch.autograd.grad(terms[term].sum(), parameters, allow_unused=True, retain_graph=True)
        reached = {name for name, grad in zip(names, grads, strict=True) if grad is not None and (grad != 0).any()}
        assert reached == {name for name in names if name.startswith(owner)}, term


def test_a_rollout_with_gradient_is_the_same_rollout(make_config: Callable[..., Config]) -> None:
    outcomes = []
    for gradient in ("reinforce", "dynamics"):
        agent = random_agent(EnvSpec(VECTORS, THREE), make_config(behavior={"actor_gradient": gradient}), noise=0.1)
        start = torch.ones(4, agent.world.dynamics.feature_size)
        imagined = agent.behavior.imagine(agent.world, start, torch.Generator().manual_seed(0))
        outcomes.append((imagined, agent.behavior.losses(imagined)))
    (plain, (plain_losses, plain_return)), (carrying, (losses, first_return)) = outcomes
    assert torch.equal(plain.action, carrying.action)
    assert not plain.features.requires_grad
    assert carrying.features.requires_grad
    assert torch.allclose(plain.features, carrying.features, atol=1e-5)
    assert torch.allclose(plain_return, first_return, rtol=1e-4, atol=1e-4)
    assert torch.allclose(plain_losses.terms["value"], losses.terms["value"], rtol=1e-3, atol=1e-3)
    assert not first_return.requires_grad
    assert not any(value.requires_grad for value in losses.metrics.values())


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
    slow = agent.behavior.twohot.mean(agent.behavior.slow_critic(flat[:-rows]).softmax(-1))
    assert torch.allclose(imagined.slow_value.flatten(), slow, atol=1e-6 * slow.abs().max().item())
    assert imagined.value is None
    carrying = [name for name, x in imagined._asdict().items() if isinstance(x, Tensor) and x.requires_grad]
    assert carrying == ["raw"]  # to the policy's own parameters


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


@pytest.mark.parametrize("reaches", [True, False])
def test_the_replay_loss_reaches_the_states_only_if_asked_A7(
    make_behavior: Callable[..., Behavior],
    make_config: Callable[..., Config],
    make_batch: Callable[..., Batch],
    reaches: bool,
) -> None:
    behavior = make_behavior(behavior={"replay_value_grad": reaches})
    features = torch.randn(3, 5, F, requires_grad=True)
    boot, slow = torch.randn(2, 3, 5).unbind(0)
    loss = behavior.replay_loss(features, make_batch(make_config(), seed=2), boot, slow).terms["replay_value"].sum()
    parameters = [features, *behavior.critic.parameters()]
    into_states, *into_critic = torch.autograd.grad(loss, parameters, allow_unused=True)
    assert (into_states is not None) is reaches
    assert all((grad != 0).any() for grad in into_critic)


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
