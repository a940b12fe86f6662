"""The losses of the modular learner against the sources' formulas and worked examples (M-ML-01 to M-ML-09)."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.distributions import continue_loss
from dreamerlab.dreamer.gaussian import GaussianHead, Normal, gaussian_nll, least_nll, squared_error
from dreamerlab.dreamer.maths import lambda_return
from dreamerlab.dreamer.mlp_dynamics import MlpDynamics, rows_that_count
from dreamerlab.dreamer.mlp_parts import normalise
from dreamerlab.dreamer.optim import make_optimizer
from tests.dreamer.mlp_cases import NUMBERS, generator, halves, mlp_agent, mlp_batch, mlp_config


def with_gradient(*numbers: float) -> Tensor:
    return torch.tensor(numbers, requires_grad=True)


# -- worked examples


def test_the_gradient_of_the_squared_error_is_twice_the_error_M_ML_09() -> None:
    predicted, target = with_gradient(0.5, -1.0, 3.0), torch.tensor([0.2, 1.0, 3.0])
    (grad,) = torch.autograd.grad(squared_error(predicted, target).sum(), predicted)
    assert grad.tolist() == pytest.approx([2 * 0.3, 2 * -2.0, 0.0])


def test_a_value_of_10_for_a_return_of_15_is_5_too_low_M_ML_09() -> None:
    """M-ML-07: the error is value minus return; its square is minimised and it is only tracked."""
    value = with_gradient(10.0)
    loss = squared_error(value, torch.tensor([15.0]))
    (grad,) = torch.autograd.grad(loss.sum(), value)
    assert (float(value.detach() - 15.0), float(loss.detach()), float(grad)) == (-5.0, 25.0, -10.0)


def test_going_on_foreseen_with_four_fifths_pulls_by_minus_a_fifth_M_ML_09() -> None:
    """M-ML-03: the gradient of the cross-entropy with respect to the logit is p - c."""
    logit = with_gradient(math.log(0.8 / 0.2))
    loss = continue_loss(logit, torch.ones(1))
    (grad,) = torch.autograd.grad(loss.sum(), logit)
    assert float(grad) == pytest.approx(0.8 - 1.0)
    assert float(loss.detach()) == pytest.approx(-math.log(0.8))


def test_the_lambda_return_of_three_steps_by_hand_M_ML_08() -> None:
    """M-ML-08: gamma 0.99, lambda 0.95, which is mostly the trajectory and not mostly the bootstrap (DIS-09)."""
    reward, value, gamma, lam = [1.0, 0.0, 2.0], [5.0, 6.0, 7.0], 0.99, 0.95
    going = [gamma, gamma * 0.5, gamma]
    last = 2.0 + gamma * 7.0
    middle = 0.0 + gamma * 0.5 * ((1 - lam) * 6.0 + lam * last)
    first = 1.0 + gamma * ((1 - lam) * 5.0 + lam * middle)
    found = lambda_return(torch.tensor(reward), torch.tensor(going), torch.tensor(value), lam)
    assert found.tolist() == pytest.approx([first, middle, last])


# -- rewards


def test_the_likelihood_of_a_reward_is_the_formula_M_ML_02() -> None:
    mean, std, reward = torch.tensor([0.0, 2.0]), torch.tensor([0.5, 3.0]), torch.tensor([1.0, 2.0])
    by_hand = [
        0.5 * math.log(2 * math.pi * s * s) + (r - m) ** 2 / (2 * s * s)
        for m, s, r in zip(mean.tolist(), std.tolist(), reward.tolist(), strict=True)
    ]
    assert gaussian_nll(Normal(mean, std), reward).tolist() == pytest.approx(by_hand)
    assert least_nll(0.1) == pytest.approx(0.5 * math.log(2 * math.pi * 0.01))


def test_mean_and_deviation_of_the_reward_are_learnt_M_ML_02() -> None:
    torch.manual_seed(0)
    head = GaussianHead(1, 16, 1, 1, min_std=0.05)
    states = torch.rand(256, 1) * 2 - 1
    rewards = 3.0 * states + torch.where(states > 0, 1.0, 0.1) * torch.randn(256, 1)
    adam = make_optimizer({"head": (head.parameters(), 0.03)}, mlp_config(optimizer__max_norm=1e3).optimizer)
    for _ in range(200):
        adam.step(torch.autograd.grad(gaussian_nll(head(states), rewards).mean(), list(head.parameters())))
    with torch.no_grad():
        found = head(torch.tensor([[0.7], [-0.7]]))
    assert found.mean.flatten().tolist() == pytest.approx([2.1, -2.1], abs=0.3)
    assert found.std is not None
    noisy, quiet = found.std.flatten().tolist()
    assert 0.7 < noisy < 1.3
    assert 0.05 < quiet < 0.35


def test_no_deviation_is_below_the_least_one() -> None:
    torch.manual_seed(0)
    head = GaussianHead(3, 8, 1, 2, min_std=0.1)
    with torch.no_grad():
        head.network.rest[-1].bias.fill_(-100.0)
    assert torch.allclose(head(torch.randn(4, 3)).std, torch.tensor(0.1))


def test_the_first_row_of_an_episode_has_no_reward_to_learn() -> None:
    agent = mlp_agent()
    batch, (world, _) = mlp_batch(agent), halves(agent)
    losses = world.losses(batch, world.observe(batch, generator()))
    reward = losses.terms["reward"]
    assert batch.is_first.any()
    assert (reward[batch.is_first] == 0).all()
    rows = world.observe(batch, generator()).features[~batch.is_first]
    nll = gaussian_nll(world.reward(rows), batch.reward[~batch.is_first].unsqueeze(-1)).mean()
    assert float(losses.metrics["wm/reward_nll_nats"]) == pytest.approx(nll.item(), rel=1e-5)
    assert reward.mean().item() == pytest.approx(nll.item() - least_nll(0.1), rel=1e-5)


# -- the next state


class Plus(torch.nn.Module):
    """A transition that can be worked out by hand: the state and the weighted number of the action."""

    def __init__(self, std: float | None = None) -> None:
        super().__init__()
        self.weight, self.std = torch.nn.Parameter(torch.tensor(0.5)), std

    def forward(self, state: Tensor, action: Tensor) -> Normal:
        mean = state + self.weight * action[:, :1]
        return Normal(mean, None if self.std is None else torch.full_like(mean, self.std))


def core(**leaves: Any) -> MlpDynamics:
    torch.manual_seed(0)
    std = 0.5 if leaves.get("mlp__dynamics_loss") == "gaussian" else None
    return MlpDynamics(10, NUMBERS.action, mlp_config(**leaves), transition=Plus(std))


STATES = torch.tensor([[[0.0], [1.0], [3.0], [2.0], [2.5]]])
ACTION = torch.tensor([[[1.0, 0.0], [0.4, 0.0], [-1.0, 0.0], [0.2, 0.0], [0.0, 0.0]]])
FIRST = torch.tensor([[True, False, False, True, False]])


def test_the_next_state_is_predicted_from_state_and_action_by_squared_error_M_ML_01() -> None:
    """Row 3 begins an episode: what came before it cannot foresee it. Rows 1, 2 and 4 count."""
    losses = core().losses(STATES, ACTION, FIRST)
    by_hand = [(0.5 - 1.0) ** 2, (1.2 - 3.0) ** 2, (2.1 - 2.5) ** 2]
    assert (losses.terms["dynamics"] * 3 / 5).flatten().tolist() == pytest.approx([0, *by_hand[:2], 0, by_hand[2]])
    assert losses.terms["dynamics"].mean().item() == pytest.approx(sum(by_hand) / 3)
    assert float(losses.metrics["wm/dynamics_mse"]) == pytest.approx(sum(by_hand) / 3)


def test_or_by_the_likelihood_of_a_distribution_M_ML_01_DIS_07() -> None:
    losses = core(mlp__dynamics_loss="gaussian").losses(STATES, ACTION, FIRST)
    squares = [(0.5 - 1.0) ** 2, (1.2 - 3.0) ** 2, (2.1 - 2.5) ** 2]
    nll = sum(0.5 * math.log(2 * math.pi * 0.25) + square / 0.5 for square in squares) / 3
    assert float(losses.metrics["wm/dynamics_nll_nats"]) == pytest.approx(nll)
    assert losses.terms["dynamics"].mean().item() == pytest.approx(nll - least_nll(0.1))
    assert float(losses.metrics["wm/dynamics_std"]) == pytest.approx(0.5)


def test_multi_step_errors_are_those_of_predictions_from_predictions_M_ML_05() -> None:
    """From row 0: 0.5, then 0.5 + 0.2 = 0.7; row 3 begins an episode, is masked, and what follows starts from it."""
    losses = core(mlp__multi_step=10).losses(STATES, ACTION, FIRST)
    by_hand = [(0.5 - 1.0) ** 2, (0.7 - 3.0) ** 2, (2.1 - 2.5) ** 2]
    found = losses.terms["multi_step"] * 3 / 5
    assert found.flatten().tolist() == pytest.approx([0, *by_hand[:2], 0, by_hand[2]])
    assert float(losses.metrics["wm/multi_step_mse"]) == pytest.approx(sum(by_hand) / 3)


def test_multi_step_rollouts_begin_anew_after_so_many_steps_M_ML_05() -> None:
    nowhere = torch.zeros_like(FIRST)
    one = core(mlp__multi_step=1).losses(STATES, ACTION, nowhere)
    assert torch.allclose(one.terms["multi_step"], one.terms["dynamics"])
    two = core(mlp__multi_step=2).losses(STATES, ACTION, nowhere).terms["multi_step"] * 4 / 5
    # From 0: 0.5 and 0.7; from the truth, 3: 2.5 and 2.5 + 0.1.
    by_hand = [(0.5 - 1.0) ** 2, (0.7 - 3.0) ** 2, (2.5 - 2.0) ** 2, (2.6 - 2.5) ** 2]
    assert two.flatten().tolist() == pytest.approx([0, *by_hand], abs=1e-6)


def test_nothing_after_an_end_reaches_what_was_before_it_M_ML_05() -> None:
    """The gradient of later rows stops at the truth that the rollout is reset to."""
    states = STATES.clone().requires_grad_()
    cost = core(mlp__multi_step=10).losses(states, ACTION, FIRST).terms["multi_step"][0, 4]
    (grad,) = torch.autograd.grad(cost, states)
    assert (grad[0, :3] == 0).all()
    assert grad[0, 3] != 0


def test_states_are_no_target_that_moves_towards_its_prediction() -> None:
    states = STATES.clone().requires_grad_()
    cost = core().losses(states, ACTION, FIRST).terms["dynamics"][0, 4]
    (grad,) = torch.autograd.grad(cost, states)
    assert (grad[0, 3] != 0, grad[0, 4] == 0) == (True, True)


def test_windows_in_which_every_row_begins_an_episode_cost_nothing() -> None:
    losses = core(mlp__multi_step=2).losses(STATES, ACTION, torch.ones_like(FIRST))
    assert [term.abs().sum().item() for term in losses.terms.values()] == [0.0, 0.0]


def test_the_mean_over_all_rows_is_the_mean_of_those_that_count() -> None:
    cost, known = torch.tensor([[1.0, 2.0, 6.0]]), torch.tensor([[True, False, True]])
    assert rows_that_count(cost, known).mean().item() == pytest.approx(3.5)


def test_states_have_a_fixed_scale_and_so_have_predictions() -> None:
    """M-QC-03 speaks of normalised states: without a scale of its own an error says nothing."""
    agent = mlp_agent()
    world, _ = halves(agent)
    states = world.observe(mlp_batch(agent), generator()).features.flatten(0, 1)
    ahead = world.dynamics.transition(states, torch.zeros(len(states), world.dynamics.codec.size)).mean
    for rows in (states, ahead, normalise(1e3 * torch.randn(5, 14))):
        assert torch.allclose(rows.square().mean(-1), torch.ones(len(rows)), atol=1e-3)


def test_reconstruction_is_a_squared_error_through_the_bottleneck_M_ML_04() -> None:
    agent = mlp_agent(mlp__state=4)
    batch, (world, _) = mlp_batch(agent), halves(agent)
    observed = world.observe(batch, generator())
    assert observed.features.shape[-1] == 4
    seen = torch.cat([batch.obs["place"], batch.obs["speed"]], -1)
    symlog = seen.sign() * seen.abs().log1p()
    error = (world.decoder(observed.features) - symlog).square().sum(-1)
    assert torch.allclose(world.losses(batch, observed).terms["recon"], error, atol=1e-5)


def test_the_continue_head_learns_the_bare_probability_M_ML_03() -> None:
    agent = mlp_agent()
    batch, (world, _) = mlp_batch(agent), halves(agent)
    observed = world.observe(batch, generator())
    said = torch.sigmoid(world.cont(observed.features.flatten(0, 1))).view(3, 6)
    alive = 1.0 - batch.is_terminal.float()
    by_hand = -(alive * said.log() + (1 - alive) * (1 - said).log())
    assert torch.allclose(world.losses(batch, observed).terms["cont"], by_hand, atol=1e-5)
    assert torch.allclose(world.predict_continue(observed.features[:, 0]), 0.99 * said[:, 0])


def test_a_world_model_learns_a_small_world() -> None:
    """M-QC-01: decoder, dynamics and reward losses all fall; M-QC-02: states do not collapse."""
    agent = mlp_agent(optimizer__lr_world=5e-3, train__batch_size=16)
    g = generator(5)
    before: dict[str, float] = {}
    for _ in range(80):
        place = torch.rand(16, 1, 3, generator=g) * 2 - 1
        action = torch.randint(0, 3, (16, 6, 1), generator=g)
        moves = torch.cat([torch.zeros(16, 1, 1), (action[:, :-1] - 1) * 0.3], 1).cumsum(1)
        places, nothing = place + moves, torch.zeros(16, 6, dtype=torch.bool)
        batch = Batch(
            obs={"place": places, "speed": torch.zeros(16, 6, 2)}, action=action, reward=places.sum(-1),
            is_first=nothing, is_last=nothing, is_terminal=nothing, prev_action=action[:, 0],
            context_deter=torch.zeros(16, 0), context_stoch=torch.zeros(16, 0, dtype=torch.int64),
        )  # fmt: skip
        metrics = {name: float(x) for name, x in agent.update(batch, g, learn="world").metrics.items()}
        before = before or metrics
    for name in ("wm/recon_loss", "wm/dynamics_mse", "wm/reward_mae"):
        assert metrics[name] < 0.5 * before[name], name
    assert metrics["wm/dynamics_mse"] < 0.1
    assert metrics["wm/feature_std"] > 0.1
