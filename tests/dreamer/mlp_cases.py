"""A small modular learner and windows for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dreamerlab.config.schema import Config
from dreamerlab.config.validation import from_flat
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.mlp_behavior import MlpBehavior
from dreamerlab.dreamer.mlp_model import MlpWorldModel
from dreamerlab.spaces import EnvSpec
from tests.oracles.cases import CONTINUOUS, DISCRETE, VECTORS, random_agent, random_batch

CHOICES, NUMBERS = EnvSpec(VECTORS, DISCRETE), EnvSpec(VECTORS, CONTINUOUS)
SMALL: dict[str, Any] = {
    "world_model.family": "mlp", "mlp.state": 14, "model.units": 10, "model.encoder_layers": 1,
    "model.decoder_layers": 1, "behavior.horizon": 4, "behavior.discount_horizon": 100.0,
    "behavior.entropy_scale": 0.01, "heads.continue_discounted": False, "train.batch_size": 3,
    "train.batch_length": 6, "optimizer.name": "adam_clip", "optimizer.max_norm": 1.0, "optimizer.eps": 1e-8,
    "optimizer.warmup_updates": 0, "optimizer.lr_world": 1e-4, "optimizer.lr_actor": 3e-5, "optimizer.lr_critic": 3e-5,
}  # fmt: skip


def mlp_config(**leaves: Any) -> Config:
    """Give the sources' rates and losses at a small size; `mlp__state=3` sets mlp.state."""
    return from_flat({**SMALL, **{key.replace("__", "."): value for key, value in leaves.items()}})


def mlp_agent(spec: EnvSpec = CHOICES, **leaves: Any) -> Agent:
    """Give an agent whose every parameter was moved off its initial value."""
    return random_agent(spec, mlp_config(**leaves), noise=0.1)


def halves(agent: Agent) -> tuple[MlpWorldModel, MlpBehavior]:
    """Give both halves by their own types."""
    assert isinstance(agent.world, MlpWorldModel)
    assert isinstance(agent.behavior, MlpBehavior)
    return agent.world, agent.behavior


def mlp_batch(agent: Agent, spec: EnvSpec = CHOICES, seed: int = 0) -> Batch:
    """Give random windows, whose context is as empty as this family's."""
    batch = random_batch(spec, agent.config, seed=seed)
    empty = {"context_deter": batch.context_deter[:, :0], "context_stoch": batch.context_stoch[:, :0]}
    return Batch(**{**vars(batch), **empty})


def generator(seed: int = 0) -> torch.Generator:
    """Give fresh draws."""
    return torch.Generator().manual_seed(seed)


def gradients(loss: Tensor, agent: Agent) -> dict[str, float]:
    """Give the size of a loss's gradient for every parameter by name."""
    names, parameters = zip(*agent.named_parameters(), strict=True)
    grads = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True, retain_graph=True)
    return {name: float(grad.abs().sum()) for name, grad in zip(names, grads, strict=True)}


def reached(loss: Tensor, agent: Agent) -> set[str]:
    """Name the modules that a loss has a gradient for, such as `world.reward`."""
    return {".".join(name.split(".")[:2]) for name, size in gradients(loss, agent).items() if size > 0.0}
