"""Who learns from what in the modular learner: isolation, pathwise gradient, optimisers (M-ML-06, M-ML-20 to 26)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.maths import lambda_return
from dreamerlab.dreamer.mlp_behavior import Imagined
from tests.dreamer.mlp_cases import CHOICES, NUMBERS, generator, gradients, halves, mlp_agent, mlp_batch, reached

WORLD = {"world.encoder", "world.dynamics"}
TASKS = {"choices": CHOICES, "numbers": NUMBERS}


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    return request.param


def terms_of(agent: Agent, task: str) -> dict[str, torch.Tensor]:
    return agent.losses(mlp_batch(agent, TASKS[task]), generator())[0].terms


def imagined_by(agent: Agent, task: str) -> Imagined:
    (world, behavior), batch = halves(agent), mlp_batch(agent, TASKS[task])
    start = world.observe(batch, generator()).features.detach().flatten(0, 1)
    return behavior.imagine(world, start, generator(1))


# -- isolation


def test_the_actors_loss_reaches_the_policy_and_nothing_else_M_ML_21(task: str) -> None:
    agent = mlp_agent(TASKS[task])
    loss = terms_of(agent, task)["policy"].mean()
    assert reached(loss, agent) == {"behavior.policy"}
    assert all(size > 0 for name, size in gradients(loss, agent).items() if name.startswith("behavior.policy"))


def test_the_critics_loss_touches_the_value_network_only_M_ML_26(task: str) -> None:
    agent = mlp_agent(TASKS[task])
    assert reached(terms_of(agent, task)["value"].mean(), agent) == {"behavior.critic"}


def test_each_prediction_reaches_its_head_and_the_states_M_ML_20(task: str) -> None:
    agent = mlp_agent(TASKS[task], mlp__multi_step=3)
    terms = terms_of(agent, task)
    found = {name: reached(terms[name].mean(), agent) for name in agent.world.terms if name in terms}
    assert found == {
        "recon": WORLD | {"world.decoder"},
        "reward": WORLD | {"world.reward"},
        "cont": WORLD | {"world.cont"},
        "dynamics": WORLD,
        "multi_step": WORLD,
    }


def test_gradients_of_the_world_model_are_those_without_an_actor_M_ML_21(task: str) -> None:
    """What is described as saving and restoring gradients needs neither: the two never meet."""
    agent = mlp_agent(TASKS[task])
    terms = terms_of(agent, task)
    assert agent._isolated
    groups = ("world", "actor", "critic")
    together = agent._gradients(terms, groups)
    own = {name: term for name, term in terms_of(agent, task).items() if name in agent.world.terms}
    alone = agent._gradients(own, ("world",))
    assert all(torch.equal(a, b) for a, b in zip(together[: len(alone)], alone, strict=True))


def test_even_a_part_that_leaks_cannot_teach_another_group_M_ML_21() -> None:
    """One backward pass for each group, for its own losses: a critic that did reach the states would change nothing."""
    agent = mlp_agent()
    terms = terms_of(agent, "choices")
    before = agent._gradients(terms, ("world",))
    terms = terms_of(agent, "choices")
    leak = torch.cat([p.flatten() for p in agent.world.parameters()]).sum()
    leaking = {**terms, "policy": terms["policy"] + leak, "value": terms["value"] + leak}
    after = agent._gradients(leaking, ("world", "actor", "critic"))[: len(before)]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_nothing_stays_frozen_after_imagining_M_ML_21(task: str) -> None:
    agent = mlp_agent(TASKS[task])
    imagined_by(agent, task)
    assert all(parameter.requires_grad for parameter in agent.parameters())
    with pytest.raises(RuntimeError, match="broken"):
        fail_in_imagination(agent)
    assert all(parameter.requires_grad for parameter in agent.parameters())


def fail_in_imagination(agent: Agent) -> None:
    world, behavior = halves(agent)

    def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    behavior.head.sample_encoded = broken  # type: ignore[method-assign]
    behavior.imagine(world, torch.zeros(2, 14), generator())


# -- the pathwise gradient


def test_the_actors_gradient_is_that_of_returns_and_entropy_M_ML_06(task: str) -> None:
    """-mean(lambda-returns) - alpha * H: the value that is subtracted has no gradient."""
    agent = mlp_agent(TASKS[task], behavior__entropy_scale=0.01)
    _, behavior = halves(agent)
    imagined = imagined_by(agent, task)
    loss = behavior.losses(imagined)[0].terms["policy"].mean()
    reward, going, value = imagined.reward, imagined.cont, imagined.value
    returns, ahead = [], value[-1]
    for t in reversed(range(len(reward))):
        ahead = reward[t] + going[t + 1] * (0.05 * value[t + 1] + 0.95 * ahead)
        returns.append(ahead)
    states = imagined.features[:-1].detach().flatten(0, 1)
    entropy = behavior.head.log_prob_and_entropy(
        behavior.policy(states), imagined.action.flatten(0, 1), imagined.noise.flatten(0, 1)
    )[1]
    literal = -torch.stack(returns).mean() - 0.01 * entropy.mean()
    policy = list(behavior.policy.parameters())
    ours = torch.autograd.grad(loss, policy, retain_graph=True)
    theirs = torch.autograd.grad(literal, policy)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-7)


def test_the_actors_gradient_is_the_slope_of_the_imagined_return_M_ML_06() -> None:
    """Moving the policy's last bias moves the mean return by its gradient (finite differences); one step, no entropy.

    Under tanh, for what a Normal draws beyond [-1, 1] is cut without a gradient.
    """
    one_step = {"behavior__entropy_scale": 0.0, "behavior__horizon": 1, "policy__dist": "tanh_normal"}
    agent = mlp_agent(NUMBERS, **one_step).double()
    world, behavior = halves(agent)
    batch = mlp_batch(agent, NUMBERS).in_type(torch.float64)
    start = world.observe(batch, generator()).features.detach().flatten(0, 1)
    bias = behavior.policy.rest[-1].bias

    def mean_return() -> float:
        return float(behavior.losses(behavior.imagine(world, start, generator(1)))[1].mean())

    loss = behavior.losses(behavior.imagine(world, start, generator(1)))[0].terms["policy"].mean()
    (grad,) = torch.autograd.grad(loss, bias)
    step = 1e-5
    for place in range(len(bias)):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                bias[place] += sign * step
            ends.append(mean_return())
            with torch.no_grad():
                bias[place] -= sign * step
        assert float(-grad[place]) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-3, abs=1e-7)


def test_reward_and_dynamics_both_carry_the_gradient_M_ML_06() -> None:
    """With a reward that ignores the state and a value of 0 nothing is left to learn from."""
    agent = mlp_agent(NUMBERS, behavior__entropy_scale=0.0)
    world, behavior = halves(agent)
    assert sum(gradients(terms_of(agent, "numbers")["policy"].mean(), agent).values()) > 0
    with torch.no_grad():
        for part in (world.reward, world.cont, behavior.critic):
            part.network.rest[-1].weight.zero_()
    assert sum(gradients(terms_of(agent, "numbers")["policy"].mean(), agent).values()) == pytest.approx(0.0, abs=1e-9)


def test_the_critic_learns_from_detached_states_and_returns_M_ML_07(task: str) -> None:
    agent = mlp_agent(TASKS[task])
    _, behavior = halves(agent)
    imagined = imagined_by(agent, task)
    losses, starts = behavior.losses(imagined)
    value = imagined.value[:-1].detach()
    assert torch.allclose(losses.terms["value"][0].sqrt(), (value[0] - starts).abs(), atol=1e-5)
    returns = lambda_return(imagined.reward, imagined.cont[1:], imagined.value[1:], 0.95).detach()
    assert torch.allclose(losses.terms["value"], (value - returns).square(), atol=1e-5)
    assert float(losses.metrics["behavior/td_error"]) == pytest.approx(float((value - returns).mean()), abs=1e-6)
    assert float(losses.metrics["behavior/value_mse"]) == pytest.approx(losses.terms["value"].mean().item(), rel=1e-4)
    assert not starts.requires_grad


# -- three optimisers


def test_three_groups_have_rates_and_norms_of_their_own_M_ML_20_M_ML_22() -> None:
    """A gradient a thousand times as large in one group leaves the steps of the others as they are."""
    agent = mlp_agent()
    assert agent.optimizer.rates.tolist() == pytest.approx([1e-4, 3e-5, 3e-5])
    grads = [torch.full_like(p, 1.0) for p in agent.optimizer.parameters_in_order]
    before = [p.clone() for p in agent.optimizer.parameters_in_order]
    large = [1e3 * g if k < agent.optimizer.tensors["world"].stop else 1e-4 * g for k, g in enumerate(grads)]
    _, clipped = agent.optimizer._clip(before, torch.stack([g.norm() for g in large]), agent.optimizer.tensors)
    assert clipped[agent.optimizer.tensors["world"]].all()
    assert not clipped[agent.optimizer.tensors["actor"]].any()
    assert not clipped[agent.optimizer.tensors["critic"]].any()
    factors, _ = agent.optimizer._clip(before, torch.stack([g.norm() for g in large]), agent.optimizer.tensors)
    world = agent.optimizer.tensors["world"]
    clipped_norm = torch.stack([g.norm() * f for g, f in zip(large[world], factors[world], strict=True)]).norm()
    assert float(clipped_norm) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("counts", [(1, 1, 1), (3, 1, 1), (1, 2, 1), (2, 1, 3), (1, 2, 3)])
def test_each_group_makes_as_many_steps_on_a_batch_as_it_is_told_M_ML_23(counts: tuple[int, int, int]) -> None:
    names = ("world", "actor", "critic")
    agent = mlp_agent(**{f"mlp__{name}_updates": count for name, count in zip(names, counts, strict=True)})
    metrics = agent.update(mlp_batch(agent), generator()).metrics
    assert agent.optimizer.updates.tolist() == list(counts)
    once = mlp_agent().update(mlp_batch(agent), generator()).metrics
    assert {name: float(metrics[name]) for name in once} == {name: float(once[name]) for name in once}, "of the first"


@pytest.mark.parametrize(("learn", "made"), [("world", [2, 0, 0]), ("behavior", [0, 1, 3])])
def test_counts_hold_for_a_part_that_learns_alone_M_ML_24(learn: Any, made: list[int]) -> None:
    """M-ML-24: while the world model warms up, nothing else moves."""
    agent = mlp_agent(mlp__world_updates=2, mlp__critic_updates=3)
    agent.update(mlp_batch(agent), generator(), learn=learn)
    assert agent.optimizer.updates.tolist() == made


def test_a_loss_that_weighs_nothing_leaves_its_group_alone() -> None:
    agent = mlp_agent(loss_scales__policy=0.0)
    before = [p.clone() for p in agent.behavior.policy.parameters()]
    agent.update(mlp_batch(agent), generator())
    assert all(torch.equal(a, b) for a, b in zip(before, agent.behavior.policy.parameters(), strict=True))
