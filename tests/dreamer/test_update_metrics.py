"""Metrics of an update against figures by hand: entropy bounds, action numbers, contributions, survival, agreement."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.behavior import Behavior, Imagined
from dreamerlab.dreamer.distributions import same_class
from dreamerlab.dreamer.maths import averaged, spread
from dreamerlab.dreamer.policies import PolicyHead, make_policy_head
from dreamerlab.dreamer.policy_objective import PolicyObjective
from dreamerlab.metrics import CATALOGUE
from dreamerlab.spaces import ActionSpec

MakeConfig = Callable[..., Config]
FOUR = ActionSpec.continuous(4)
CPU = torch.device("cpu")


def head_of(make_config: MakeConfig, spec: ActionSpec, **sections: dict[str, Any]) -> tuple[PolicyHead, Config]:
    config = make_config(**sections)
    return make_policy_head(spec, config), config


def metrics_of(head: PolicyHead, config: Config, raw: Tensor, advantage: float = 0.0) -> dict[str, float]:
    """What one imagined step says, with a row of `raw` for each rollout."""
    noise = head.noise((len(raw),), torch.Generator().manual_seed(0), CPU)
    ones = torch.ones(1, len(raw))
    _, metrics = PolicyObjective(head, config.behavior).loss(
        raw, head.sample(raw, noise), noise, advantage * ones, ones
    )
    assert metrics.keys() <= CATALOGUE.keys()
    return {name.removeprefix("behavior/"): value.item() for name, value in metrics.items()}


# -- the interval of the entropy


@pytest.mark.parametrize(
    ("spec", "sections", "lower", "upper"),
    [
        (FOUR, {}, -3.53, 5.676),
        (FOUR, {"policy": {"std": (0.1, math.exp(2.0))}}, -3.53, 13.676),
        (FOUR, {"policy": {"dist": "tanh_normal", "std": (math.exp(-2.0), math.exp(2.0))}}, -2.324, 13.676),
        (FOUR, {"policy": {"dist": "tanh_normal", "std": (math.exp(-0.5), math.exp(2.0))}}, 3.676, 13.676),
        (FOUR, {"policy": {"dist": "categorical", "bins": 16}, "behavior": {"policy_unimix": 0.0}}, 0.0, 11.09),
        (ActionSpec.discrete(2), {"behavior": {"policy_unimix": 0.0}}, 0.0, 0.6931),
        (ActionSpec.discrete(2, 3), {"behavior": {"policy_unimix": 0.0}}, 0.0, math.log(6.0)),
    ],
)
def test_the_interval_of_the_entropy_by_hand_and_reached_M_ENT_02_M_ADD_10(
    make_config: MakeConfig, spec: ActionSpec, sections: dict[str, Any], lower: float, upper: float
) -> None:
    """Of four numbers sigma e^2 has 13.676 nats and 0.1 has -3.53: what is logged outside contradicts the bounds."""
    head, config = head_of(make_config, spec, **sections)
    raw = torch.zeros(2, head.outputs)
    if spec.is_discrete or config.policy.dist == "categorical":
        raw[0, :: max(1, head.outputs // spec.components)] = 200.0  # certain of one
        if len(spec.classes) == 2:
            raw[0] = torch.tensor([200.0, 0.0, 200.0, 0.0, 0.0])
    else:
        raw[0, 4:], raw[1, 4:] = -200.0, 200.0
    said = metrics_of(head, config, raw)
    assert (said["entropy_lower_nats"], said["entropy_upper_nats"]) == (
        pytest.approx(lower, abs=5e-3),
        pytest.approx(upper, abs=5e-3),
    )
    if "entropy_base_nats" not in said:
        assert said["entropy_min_nats"] == pytest.approx(said["entropy_lower_nats"], abs=1e-4)
        assert said["entropy_max_nats"] == pytest.approx(said["entropy_upper_nats"], abs=1e-4)


# -- actions


def test_numbers_are_told_for_each_dimension_M_LOG_02(make_config: MakeConfig) -> None:
    head, config = head_of(make_config, ActionSpec.continuous(2), policy={"std": (0.5, 1.0)})
    # Means tanh(m) of 0 and 0.5; deviations 0.5 + 0.5 * sigmoid(d + 2) of 0.5 and 1 in the first row.
    m = math.atanh(0.5)
    raw = torch.tensor([[0.0, m, -200.0, 200.0], [0.0, m, -2.0, 200.0]]).repeat(20_000, 1)
    said = metrics_of(head, config, raw)
    assert said["action_std/0"] == pytest.approx((0.5 + 0.75) / 2, abs=1e-6)
    assert said["action_std/1"] == pytest.approx(1.0, abs=1e-6)
    assert said["action_std"] == pytest.approx((0.625 + 1.0) / 2, abs=1e-6)
    assert (said["action_std_min"], said["action_std_max"]) == (pytest.approx(0.5), pytest.approx(1.0))
    assert said["action_mean/0"] == pytest.approx(0.0, abs=0.02)
    assert said["action_mean/1"] == pytest.approx(0.5, abs=0.02)
    assert said["action_mean"] == pytest.approx((said["action_mean/0"] + said["action_mean/1"]) / 2, abs=1e-6)


def test_before_tanh_deviations_have_their_bounds_and_bins_have_none_M_OPT_05(make_config: MakeConfig) -> None:
    head, config = head_of(make_config, FOUR, policy={"dist": "tanh_normal", "std": (0.1, 7.389)})
    raw = torch.zeros(3, 8)
    raw[0, 4:], raw[1, 4] = -200.0, 200.0
    said = metrics_of(head, config, raw)
    assert (said["action_std_min"], said["action_std_max"]) == (pytest.approx(0.1), pytest.approx(7.389, rel=1e-5))
    bins, config = head_of(make_config, FOUR, policy={"dist": "categorical", "bins": 5})
    said = metrics_of(bins, config, torch.zeros(3, bins.outputs))
    assert {"action_mean", "action_mean/3"} <= said.keys()
    assert not [name for name in said if name.startswith("action_std")]


# -- what the two terms of the objective are worth


def test_contributions_by_hand_M_LOG_01_M_ENT_10(make_config: MakeConfig) -> None:
    """Probabilities (1/2, 1/4, 1/4): whichever is drawn, |advantage * log p| and eta * H are known."""
    head, config = head_of(make_config, ActionSpec.discrete(3), behavior={"entropy_scale": 0.1, "policy_unimix": 0.0})
    raw = torch.tensor([[math.log(2.0), 0.0, 0.0]])
    said = metrics_of(head, config, raw, advantage=-3.0)
    log_p = said["log_prob_abs_mean"]
    assert min(abs(log_p - math.log(k)) for k in (2.0, 4.0)) < 1e-6
    assert said["advantage_contribution"] == pytest.approx(3.0 * log_p)
    assert said["entropy_contribution"] == pytest.approx(0.1 * 1.5 * math.log(2.0))
    ratio = 0.15 * math.log(2.0) / (3.0 * log_p)
    assert said["entropy_advantage_ratio"] == pytest.approx(ratio)
    nothing = metrics_of(head, config, raw, advantage=0.0)
    assert nothing["advantage_contribution"] == 0.0
    assert math.isfinite(nothing["entropy_advantage_ratio"])


def test_through_the_dynamics_the_contribution_is_still_that_of_log_prob_M_LOG_01(make_config: MakeConfig) -> None:
    leaves = {"actor_gradient": "dynamics", "policy_unimix": 0.0}
    head, config = head_of(make_config, ActionSpec.discrete(2), behavior=leaves)
    said = metrics_of(head, config, torch.zeros(4, 2), advantage=5.0)
    assert said["gain_abs_mean"] == pytest.approx(5.0)
    assert said["advantage_contribution"] == pytest.approx(5.0 * math.log(2.0))


# -- imagination


def test_survival_spread_and_ceiling_by_hand_M_DIAG_21_M_DIAG_28(make_config: MakeConfig) -> None:
    """Bins up to symexp(2) = 6.389; one rollout goes on for certain, one ends for certain at its second step."""
    torch.manual_seed(0)
    settings = {"twohot": {"bins": 11, "support": (-2.0, 2.0)}, "behavior": {"horizon": 3, "discount_horizon": 10.0}}
    behavior = Behavior(5, ActionSpec.discrete(2), make_config(**settings))
    with torch.no_grad():
        list(behavior.critic.parameters())[-1][-1] = 1e3  # the bias of the last bin: the critic is certain of it
    cont = torch.full((4, 2), 0.9)
    cont[2, 1] = 0.0
    reward = torch.tensor([[1.0, 1.0], [1.0, 1.0], [3.0, 3.0]])
    imagined = Imagined(
        features=torch.zeros(4, 2, 5),
        action=torch.zeros(3, 2, 1, dtype=torch.int64),
        reward=reward,
        cont=cont,
        slow_value=torch.zeros(4, 2),
    )
    metrics = behavior.losses(imagined)[0].metrics
    assert metrics["behavior/imagined_survival"].item() == pytest.approx(0.5)
    assert metrics["behavior/imagined_reward_std"].item() == pytest.approx(math.sqrt(8.0 / 9.0))
    assert metrics["behavior/value"].item() == pytest.approx(math.expm1(2.0), rel=1e-5)
    assert metrics["behavior/value_ceiling_frac"].item() == pytest.approx(1.0, rel=1e-5)


# -- the world model


def test_agreement_and_spread_by_hand_M_DIAG_22_M_QC_02() -> None:
    prior = torch.tensor([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 1.0, 0.0]])
    posterior = torch.tensor([[0.0, 9.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.1], [3.0, 1.0, 0.0]])
    assert same_class(prior, posterior).item() == 0.5
    assert spread(torch.tensor([[1.0, 5.0], [3.0, 5.0]])).item() == pytest.approx(0.5)
    assert spread(torch.full((7, 3), 0.3)).item() < 1e-6


def test_heads_are_measured_on_the_batch_M_LOG_05(
    make_config: MakeConfig, make_agent: Callable[..., Agent], make_batch: Callable[..., Batch]
) -> None:
    """A fresh reward head says 0, so its error is the mean size of the reward; the threshold is that of a bare 0.5."""
    config = make_config(behavior={"discount_horizon": 2.0})
    agent, batch = make_agent(config), make_batch(config)
    assert batch.is_terminal.any()
    output = list(agent.world.cont.parameters())
    with torch.no_grad():
        for parameter in output[-2:]:
            parameter.zero_()
        for says, right in ((0.26, ~batch.is_terminal), (0.24, batch.is_terminal)):
            output[-1].fill_(math.log(says / (1.0 - says)))  # of gamma * p = 0.5 * p
            metrics = averaged(agent.world.losses(batch, agent.world.observe(batch, torch.Generator())).metrics)
            assert metrics["wm/continue_accuracy"].item() == pytest.approx(right.float().mean().item())
    assert metrics["wm/reward_mae"].item() == pytest.approx(batch.reward.abs().mean().item(), rel=1e-5)
