"""The agent against an implementation of its own equations: losses, gradients and steps (FACTS A1 to A9).

`tests.oracles` is plain float64 numpy, written from the equations. Losses must agree to 1e-9, gradients with the
finite differences of the oracle's total loss, taken with everything under a stop-gradient held fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.spaces import EnvSpec, ObsSpec
from tests.oracles import bridge
from tests.oracles.agent import AgentOracle
from tests.oracles.cases import CONTINUOUS, DISCRETE, SEVERAL, VECTORS, random_agent, random_batch
from tests.oracles.stops import Stops

# Sizes that are all different, so that no axis can stand in for another.
TINY: dict[str, dict[str, Any]] = {
    "model": {
        "deter": 8, "hidden": 5, "stoch": 2, "classes": 3, "blocks": 2, "units": 7, "prior_layers": 1,
        "encoder_layers": 1, "decoder_layers": 1, "policy_layers": 1, "value_layers": 1,
    },
    "twohot": {"bins": 31, "support": (-6.0, 6.0)},
    "behavior": {"horizon": 3, "entropy_scale": 0.1},
    "free_bits": {"nats": 0.3},
    "return_norm": {"rate": 0.4},
    "train": {"batch_size": 2, "batch_length": 4},
}  # fmt: skip
DEEP = {"dyn_layers": 2, "prior_layers": 2, "posterior_layers": 2, "encoder_layers": 3, "decoder_layers": 2}
DEEP_HEADS = {"reward_layers": 2, "continue_layers": 2, "policy_layers": 3, "value_layers": 3, "blocks": 4}

PICTURES = {"image": ObsSpec.image(16, 16, 3), "map": ObsSpec.image(16, 16, 1)}
KINDS = {"mood": ObsSpec.discrete(3), "cards": ObsSpec.discrete(2, 4), **VECTORS, **PICTURES}

CASES: dict[str, tuple[EnvSpec, dict[str, dict[str, Any]]]] = {
    "discrete": (EnvSpec(VECTORS, DISCRETE), {}),
    "several choices": (EnvSpec(VECTORS, SEVERAL), {"behavior": {"policy_unimix": 0.05}}),
    "continuous": (EnvSpec(VECTORS, CONTINUOUS), {}),
    "deep": (EnvSpec(VECTORS, DISCRETE), {"model": {**DEEP, **DEEP_HEADS}}),
    "dense, no unimix": (EnvSpec(VECTORS, CONTINUOUS), {"model": {"blocks": 1, "unimix": 0.0}}),
    "last states only": (EnvSpec(VECTORS, DISCRETE), {"train": {"imagination_starts": 2}}),
    "slow bootstrap": (
        EnvSpec(VECTORS, DISCRETE),
        {"behavior": {"bootstrap": "slow", "slow_regularizer": 0.4, "lam": 0.6}},
    ),
    "no free bits": (EnvSpec(VECTORS, CONTINUOUS), {"free_bits": {"nats": 0.0}, "policy": {"std": (0.3, 2.0)}}),
    "tanh": (EnvSpec(VECTORS, CONTINUOUS), {"policy": {"dist": "tanh_normal"}}),
    "tanh, base entropy": (EnvSpec(VECTORS, CONTINUOUS), {"policy": {"dist": "tanh_normal", "entropy": "base"}}),
    "bins": (EnvSpec(VECTORS, CONTINUOUS), {"policy": {"dist": "categorical", "bins": 5}}),
    "through the dynamics": (EnvSpec(VECTORS, CONTINUOUS), {"behavior": {"actor_gradient": "dynamics"}}),
    "through the dynamics, choices": (
        EnvSpec(VECTORS, SEVERAL),
        {"behavior": {"actor_gradient": "dynamics", "bootstrap": "slow", "policy_unimix": 0.1}},
    ),
    "mixed gradient": (
        EnvSpec(VECTORS, DISCRETE),
        {"behavior": {"actor_gradient": "mix", "gradient_mix": 0.3, "advantage_norm": True}},
    ),
    "mixed gradient, tanh": (
        EnvSpec(VECTORS, CONTINUOUS),
        {"behavior": {"actor_gradient": "mix"}, "policy": {"dist": "tanh_normal"}},
    ),
    "dynamics, bins": (
        EnvSpec(VECTORS, CONTINUOUS),
        {"behavior": {"actor_gradient": "dynamics"}, "policy": {"dist": "categorical", "bins": 4}},
    ),
    "advantages standardised": (EnvSpec(VECTORS, DISCRETE), {"behavior": {"advantage_norm": True}}),
    "entropy floor": (EnvSpec(VECTORS, DISCRETE), {"behavior": {"entropy_floor": 1.0}}),
    "debiased scale": (EnvSpec(VECTORS, DISCRETE), {"return_norm": {"debias": True, "rate": 0.2}}),
    "replay value without gradient": (EnvSpec(VECTORS, DISCRETE), {"behavior": {"replay_value_grad": False}}),
    "reward without gradient": (EnvSpec(VECTORS, DISCRETE), {"heads": {"reward_grad": False}}),
    "continue as a probability": (
        EnvSpec(VECTORS, DISCRETE),
        {"heads": {"continue_discounted": False}, "behavior": {"discount_horizon": 4.0}},
    ),
    "auxiliary heads": (
        EnvSpec(VECTORS, DISCRETE),
        {"heads": {"auxiliary": ("binary:reward_within_3", "regression:obs/place/1")}},
    ),
    "straight-through free bits": (EnvSpec(VECTORS, DISCRETE), {"free_bits": {"mode": "straight_through"}}),
    "free bits of the mean": (EnvSpec(VECTORS, DISCRETE), {"free_bits": {"mode": "mean_then_clip"}}),
    "bins even in symlog space": (EnvSpec(VECTORS, DISCRETE), {"twohot": {"spacing": "symlog"}}),
    "posterior of the token alone": (EnvSpec(VECTORS, DISCRETE), {"model": {"absolute_posterior": True}}),
    "pixels": (EnvSpec(PICTURES, CONTINUOUS), {"model": {"cnn_depth": 2}}),
    "everything at once": (EnvSpec(KINDS, SEVERAL), {"model": {"cnn_depth": 1, "cnn_downsample": "stride"}}),
    "scales": (
        EnvSpec(VECTORS, DISCRETE),
        {
            "loss_scales": {
                "recon": 0.3, "reward": 2.0, "cont": 3.0, "dyn": 0.5, "rep": 0.7, "policy": 1.5, "value": 0.6,
                "replay_value": 1.1,
            }
        },
    ),
}  # fmt: skip


@dataclass
class Case:
    """An agent in float64, a batch, and what the oracle needs to account for the same update."""

    agent: Agent
    batch: Batch
    oracle: AgentOracle
    seed: int
    patch: pytest.MonkeyPatch

    def __post_init__(self) -> None:
        self.windows = bridge.windows_of(self.batch)
        self.look_again()

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def look_again(self) -> None:
        """Take losses and draws from the agent as it is now; its return scale moves by that."""
        self.scale_before = {k: v.clone() for k, v in self.agent.behavior.return_scale.state_dict().items()}
        self.before = bridge.scale_of(self.agent)
        with bridge.recorded_draws(self.patch) as drawn:
            self.losses = self.agent.losses(self.batch, self.generator())[0].terms
        self.draws = bridge.draws_of(drawn)

    def total(self) -> torch.Tensor:
        scales = self.agent.config.loss_scales.model_dump()
        return torch.stack([scales[loss] * value.mean() for loss, value in self.losses.items()]).sum()


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(name: str, seed: int = 0, **leaves: dict[str, Any]) -> Case:
        spec, sections = CASES[name]
        keys = {*TINY, *sections, *leaves}
        merged = {key: {**TINY.get(key, {}), **sections.get(key, {}), **leaves.get(key, {})} for key in keys}
        config = Config.model_validate(merged)
        agent = random_agent(spec, config, seed).double()
        agent.behavior.return_scale.low.fill_(-0.5)
        agent.behavior.return_scale.high.fill_(1.5)
        batch = random_batch(spec, config, seed, torch.float64)
        return Case(agent, batch, bridge.oracle_of(agent, spec), seed, monkeypatch)

    return make


def relative(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.max(np.abs(got - expected) / (np.abs(expected) + 1e-3)))


@pytest.mark.parametrize("name", CASES)
def test_losses_are_the_oracles_A4_A6_A7(name: str, build: Any) -> None:
    case = build(name)
    expected, scale = case.oracle.losses(
        bridge.parameters_of(case.agent), case.windows, case.draws, case.before, Stops()
    )
    assert case.losses.keys() == expected.keys()
    for loss, value in expected.items():
        got = bridge.numpy_of(case.losses[loss])
        assert got.shape == value.shape, loss
        assert relative(got, value) < 1e-9, loss
    after = bridge.scale_of(case.agent)
    assert (after.low, after.high) == pytest.approx((scale.low, scale.high), rel=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_the_differences_of_the_oracle_A4_A6_A7(name: str, build: Any) -> None:
    case = build(name)
    total = case.total()
    grads = bridge.gradients_of(case.agent, total)
    p, stops = bridge.parameters_of(case.agent), Stops()

    def at(parameters: dict[str, np.ndarray]) -> float:
        out = case.oracle.total(case.oracle.losses(parameters, case.windows, case.draws, case.before, stops)[0])
        stops.rewind()
        return out

    assert at(p) == pytest.approx(total.item(), rel=1e-9)
    step, slopes = 1e-5, {}
    along = bridge.directions(p, seed=1)
    for part, members in bridge.parts_of(p).items():
        # Whatever element of a gradient is wrong, the slope along a random direction is.
        forth, back = (
            at({**p, **{tensor: p[tensor] + sign * step * along[tensor] for tensor in members}}) for sign in (1.0, -1.0)
        )
        slopes[part] = (forth - back) / (2.0 * step)
        if part == "slow_critic":
            assert slopes[part] == 0.0
        else:
            got = sum(float((grads[tensor] * along[tensor]).sum()) for tensor in members)
            assert got == pytest.approx(slopes[part], rel=1e-5, abs=1e-7), part
    assert all(abs(slope) > 1e-4 for part, slope in slopes.items() if part != "slow_critic"), slopes


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "reference": {},
    "warm-up": {"warmup_updates": 3},
    "tight clipping": {"agc": 0.02, "lr_schedule": "cosine to 0.1x over 3 updates"},
    "adam": {"name": "adam_clip", "max_norm": 2.0, "eps": 1e-8, "lr_schedule": "linear to 0.5x over 2 updates"},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_are_the_oracles_steps_A6_A9(name: str, build: Any) -> None:
    """Gradients are the agent's (the test above is about them): clipping, moments, rates, slow critic, order."""
    rates = {"lr_world": 0.03, "lr_actor": 0.01, "lr_critic": 0.02, "warmup_updates": 0, **OPTIMIZERS[name]}
    case = build("discrete", optimizer=rates, behavior={"slow_rate": 0.3})
    p, moments, oracle = bridge.parameters_of(case.agent), {}, case.oracle
    for update in range(4):
        p = oracle.learn(p, bridge.gradients_of(case.agent, case.total()), moments)
        # The losses have moved the return scale already; the update must find it as it was.
        case.agent.behavior.return_scale.load_state_dict(case.scale_before)
        case.agent.update(case.batch, case.generator())
        got = bridge.parameters_of(case.agent)
        for tensor, value in p.items():
            assert relative(got[tensor], value) < 1e-9, (update, tensor)
        case.look_again()
