"""What a fresh agent says before it has learnt anything: figures that follow from the equations (FACTS F2, F14)."""

from __future__ import annotations

import math

import pytest
import torch

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.policies import BoundedNormal
from dreamerlab.spaces import ActionSpec, EnvSpec
from tests.oracles.cases import CONTINUOUS, DISCRETE, SEVERAL, VECTORS, random_batch

KINDS = {"discrete": DISCRETE, "several": SEVERAL, "continuous": CONTINUOUS}
LN_255 = math.log(255)


def fresh(action: ActionSpec, **leaves: float) -> tuple[Agent, Config, EnvSpec]:
    config = Config.model_validate(
        {
            "model": {"deter": 16, "hidden": 8, "stoch": 3, "classes": 4, "blocks": 4, "units": 12},
            "behavior": {"horizon": 4},
            "optimizer": leaves,
            "train": {"batch_size": 3, "batch_length": 5},
        }
    )
    spec = EnvSpec(VECTORS, action)
    torch.manual_seed(0)
    return Agent(spec, config), config, spec


@pytest.fixture(params=KINDS)
def action(request: pytest.FixtureRequest) -> ActionSpec:
    return KINDS[request.param]


def test_reward_and_values_cost_ln_255_and_are_zero_F2(action: ActionSpec) -> None:
    agent, config, spec = fresh(action)
    batch = random_batch(spec, config)
    losses, _ = agent.losses(batch, torch.Generator().manual_seed(0))
    assert torch.allclose(losses.terms["reward"], torch.full_like(batch.reward, LN_255), rtol=1e-6)
    # Towards the return and towards the slow critic; rows that end an episode have no loss.
    expected = 2.0 * LN_255 * (~batch.is_last[:, :-1])
    assert torch.allclose(losses.terms["replay_value"], expected, rtol=1e-6)
    # Imagined states weigh what the continue head says of the way there, at most 1, less at every further step.
    weights = losses.terms["value"] / (2.0 * LN_255)
    assert ((weights > 0) & (weights < 1)).all()
    assert (weights[1:] < weights[:-1]).all()
    for name in ("behavior/value", "behavior/imagined_reward", "behavior/imagined_return"):
        assert losses.metrics[name].item() == 0.0, name
    assert losses.metrics["behavior/return_scale"].item() == 1.0
    assert losses.metrics["wm/reward_loss"].item() == pytest.approx(5.541, abs=1e-3)


def test_the_fresh_policy_is_nearly_uniform_or_nearly_standard_F14() -> None:
    """The policy's output layer starts at a hundredth, so entropies are those of raw outputs near 0."""
    entropies = {"discrete": math.log(3), "several": math.log(3) + math.log(2), "continuous": 2 * 1.3055}
    for name, expected in entropies.items():
        agent, config, spec = fresh(KINDS[name])
        metrics = agent.losses(random_batch(spec, config), torch.Generator().manual_seed(0))[0].metrics
        assert metrics["behavior/entropy_nats"].item() == pytest.approx(expected, abs=5e-3), name


def test_the_policy_golden_at_raw_zero_F14() -> None:
    head = BoundedNormal(4, (0.1, 1.0))
    mean, std = head.parameters_of(torch.zeros(1, 8))
    assert (mean == 0).all()
    assert std[0].tolist() == pytest.approx([0.8927] * 4, abs=5e-5)
    action = torch.zeros(1, 4)
    _, entropy = head.log_prob_and_entropy(torch.zeros(1, 8), action)
    assert entropy.item() == pytest.approx(4 * 1.3055, abs=3e-4)
    low, high = (head.log_prob_and_entropy(torch.tensor([[0.0] * 4 + [s] * 4]), action)[1] for s in (-40.0, 40.0))
    assert low.item() / 4 == pytest.approx(-0.8836, abs=1e-4)
    assert high.item() / 4 == pytest.approx(1.4189, abs=1e-4)


@pytest.mark.parametrize("blocks", [1, 4])
def test_the_fresh_update_gate_is_sigmoid_of_minus_one_A3(blocks: int) -> None:
    config = Config.model_validate({"model": {"deter": 16, "hidden": 8, "units": 12, "blocks": blocks}})
    torch.manual_seed(0)
    core = Agent(EnvSpec(VECTORS, DISCRETE), config).world.dynamics
    with torch.no_grad():
        core.gates.weight.zero_()  # what is left are the gates' biases: candidate 0, update sigmoid(-1)
    deter = torch.randn(6, 16)
    observed = core.observe(
        torch.randn(6, 1, 12), torch.zeros(6, 1, 1, dtype=torch.int64), torch.zeros(6, 1, dtype=torch.bool), deter,
        torch.zeros(6, 32, dtype=torch.int64), torch.Generator().manual_seed(0),
    )  # fmt: skip
    kept = 1.0 - 1.0 / (1.0 + math.e)
    assert torch.allclose(observed.deter[:, 0], kept * deter, atol=1e-6)


def test_the_first_step_moves_every_number_by_the_rate_A9(action: ActionSpec) -> None:
    """Whatever its gradient: the first normalised update is 1, and warm-up grants a thousandth of 4e-5."""
    agent, config, spec = fresh(action)
    agent = agent.double()
    before = {name: p.detach().clone() for name, p in agent.named_parameters() if p.requires_grad}
    agent.update(random_batch(spec, config, dtype=torch.float64), torch.Generator().manual_seed(0))
    after = dict(agent.named_parameters())
    moves = torch.cat([(after[name].detach() - old).abs().flatten() for name, old in before.items()])
    assert moves.max().item() == pytest.approx(4e-8, rel=1e-6)
    # Gradients of the size of eps, 1e-20, move less: rounding errors where there is nothing to learn yet.
    whole = moves[moves > 0] > 4e-8 * (1 - 1e-6)
    assert whole.double().mean() > 0.98
    assert whole.sum() > 0.5 * len(moves)
