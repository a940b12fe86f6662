"""Which loss teaches which module, over a whole update and with every option that moves a stop-gradient (FACTS F12).

One table. A module counts as taught when every one of its tensors has a gradient, as left alone when none has; any
other outcome is an error.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dreamerlab.config.schema import Config
from dreamerlab.config.schema_learning import LossScales
from dreamerlab.dreamer.agent import Agent
from dreamerlab.spaces import ActionSpec, EnvSpec
from tests.oracles.cases import CONTINUOUS, DISCRETE, SEVERAL, VECTORS, random_agent, random_batch

SMALL: dict[str, dict[str, Any]] = {
    "heads": {"auxiliary": ("binary:reward_within_3", "regression:obs/place/1")},
    "model": {"deter": 8, "hidden": 6, "stoch": 3, "classes": 4, "blocks": 2, "units": 8},
    "behavior": {"horizon": 3},
    "free_bits": {"nats": 0.0},  # below the free bits nothing is taught at all: FACTS F11
    "train": {"batch_size": 6, "batch_length": 4},
}

MODULES = (
    "encoder", "core", "posterior", "prior", "decoder", "reward", "cont", "auxiliary", "policy", "critic",
    "slow critic",
)  # fmt: skip

TABLE = """
                encoder core posterior prior decoder reward cont auxiliary policy critic slow
recon           x       x    x         .     x       .      .    .         .      .      .
reward          x       x    x         .     .       x      .    .         .      .      .
cont            x       x    x         .     .       .      x    .         .      .      .
dyn             x       x    x         x     .       .      .    .         .      .      .
rep             x       x    x         .     .       .      .    .         .      .      .
auxiliary       x       x    x         .     .       .      .    x         .      .      .
policy          .       .    .         .     .       .      .    .         x      .      .
value           .       .    .         .     .       .      .    .         .      x      .
replay_value    x       x    x         .     .       .      .    .         .      x      .
"""
"""The reference. `dyn` meets encoder and posterior only through the state of the step before; see the last test."""


def rows() -> dict[str, set[str]]:
    lines = [line.split() for line in TABLE.strip().splitlines()[1:]]
    return {name: {m for m, mark in zip(MODULES, marks, strict=True) if mark == "x"} for name, *marks in lines}


def modules(agent: Agent) -> dict[str, list[Tensor]]:
    inside = dict(agent.world.dynamics.named_parameters())
    split: dict[str, list[Tensor]] = {"core": [], "posterior": [], "prior": []}
    for name, parameter in inside.items():
        split[name.split(".")[0] if name.split(".")[0] in split else "core"].append(parameter)
    whole = {
        "encoder": agent.world.encoder,
        "decoder": agent.world.decoder,
        "reward": agent.world.reward,
        "cont": agent.world.cont,
        "auxiliary": agent.world.auxiliary,
        "policy": agent.behavior.policy,
        "critic": agent.behavior.critic,
        "slow critic": agent.behavior.slow_critic,
    }
    found = {**split, **{name: list(module.parameters()) for name, module in whole.items()}}
    assert set(found) == set(MODULES)
    assert sum(len(members) for members in found.values()) == len(list(agent.parameters())), "a module is missing"
    return found


def taught(action: ActionSpec, **sections: dict[str, Any]) -> dict[str, set[str]]:
    """Name the modules that each loss has a gradient for, over a whole update's losses."""
    merged = {key: {**SMALL.get(key, {}), **sections.get(key, {})} for key in {*SMALL, *sections}}
    config, spec = Config.model_validate(merged), EnvSpec(VECTORS, action)
    agent = random_agent(spec, config)
    agent.behavior.slow_critic.requires_grad_(True)  # so that a gradient into it would show
    terms = agent.losses(random_batch(spec, config, seed=3), torch.Generator().manual_seed(0))[0].terms
    return {name: reached(agent, loss) for name, loss in terms.items()}


def reached(agent: Agent, loss: Tensor) -> set[str]:
    out = set()
    for name, members in modules(agent).items():
        grads = torch.autograd.grad(loss.mean(), members, retain_graph=True, allow_unused=True, materialize_grads=True)
        hit = [bool((grad != 0).any()) for grad in grads]
        assert all(hit) or not any(hit), f"{name} is taught in part: {hit}"
        if all(hit):
            out.add(name)
    return out


def test_the_table_has_a_row_for_every_loss() -> None:
    """Those of the modular learner are isolated in `test_mlp_isolation.py`."""
    assert rows().keys() == LossScales.model_fields.keys() - {"dynamics", "multi_step"}


@pytest.mark.parametrize("action", [DISCRETE, SEVERAL, CONTINUOUS], ids=["discrete", "several", "continuous"])
def test_every_loss_teaches_its_modules_and_no_other_F12(action: ActionSpec) -> None:
    assert taught(action) == rows()


@pytest.mark.parametrize("gradient", ["dynamics", "mix"])
@pytest.mark.parametrize("action", [DISCRETE, SEVERAL, CONTINUOUS], ids=["discrete", "several", "continuous"])
def test_the_policy_learns_through_the_dynamics_without_teaching_them_F12(action: ActionSpec, gradient: str) -> None:
    """Gradients pass through world model and critic on their way to the actions, and leave nothing there (A13.14)."""
    assert taught(action, behavior={"actor_gradient": gradient}) == rows()


@pytest.mark.parametrize("dist", ["tanh_normal", "categorical"])
def test_every_policy_alone_is_taught_by_its_loss_F12(dist: str) -> None:
    assert taught(CONTINUOUS, policy={"dist": dist}) == rows()


def test_replay_values_can_be_kept_out_of_the_latents_F12() -> None:
    assert taught(DISCRETE, behavior={"replay_value_grad": False}) == {**rows(), "replay_value": {"critic"}}


def test_rewards_can_be_kept_out_of_the_latents_F12() -> None:
    assert taught(DISCRETE, heads={"reward_grad": False}) == {**rows(), "reward": {"reward"}}


def test_within_a_step_dyn_teaches_the_prior_and_rep_the_posterior_F11() -> None:
    """At the first step of an episode there is no state before, through which dyn could reach the posterior."""
    config = Config.model_validate(SMALL)
    spec = EnvSpec(VECTORS, DISCRETE)
    agent, batch = random_agent(spec, config), random_batch(spec, config)
    batch.is_first[:] = True
    terms = agent.losses(batch, torch.Generator().manual_seed(0))[0].terms
    grads = {
        name: {
            module: any(
                (grad != 0).any()
                for grad in torch.autograd.grad(
                    terms[name].mean(), members, retain_graph=True, allow_unused=True, materialize_grads=True
                )
            )
            for module, members in modules(agent).items()
            if module in ("encoder", "core", "posterior", "prior")
        }
        for name in ("dyn", "rep")
    }
    assert grads == {
        "dyn": {"encoder": False, "core": True, "posterior": False, "prior": True},
        "rep": {"encoder": True, "core": True, "posterior": True, "prior": False},
    }
