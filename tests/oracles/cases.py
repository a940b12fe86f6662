"""Random windows for any observations and actions, with episodes that end, die and begin inside them."""

from __future__ import annotations

import torch
from torch import Tensor

from dreamerlab.config.heads import parse_heads
from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec

DISCRETE = ActionSpec.discrete(3)
SEVERAL = ActionSpec.discrete(3, 2)
CONTINUOUS = ActionSpec.continuous(2)
VECTORS = {"speed": ObsSpec.vector(2), "place": ObsSpec.vector(3)}


def random_batch(spec: EnvSpec, config: Config, seed: int = 0, dtype: torch.dtype = torch.float32) -> Batch:
    g = torch.Generator().manual_seed(seed)
    rows, steps, model = config.train.batch_size, config.train.batch_length, config.model

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype)

    def chance(share: float, *shape: int) -> Tensor:
        return torch.rand(shape, generator=g) < share

    is_first = chance(0.25, rows, steps)
    is_last = torch.cat([is_first[:, 1:], chance(0.25, rows, 1)], 1)
    return Batch(
        obs={key: _observation(obs, (rows, steps), g, dtype) for key, obs in spec.observations.items()},
        action=_action(spec.action, (rows, steps), g, dtype, least=0),
        reward=2.0 * normal(rows, steps) * ~is_first,
        is_first=is_first,
        is_last=is_last,
        is_terminal=is_last & chance(0.5, rows, steps),
        prev_action=_action(spec.action, (rows,), g, dtype, least=-1),
        context_deter=torch.tanh(normal(rows, model.deter)),
        context_stoch=torch.randint(-1, model.classes, (rows, model.stoch), generator=g),
        targets={head.name: _target(rows, steps, g, dtype) for head in parse_heads(config.heads.auxiliary)},
    )


def _observation(obs: ObsSpec, shape: tuple[int, ...], g: torch.Generator, dtype: torch.dtype) -> Tensor:
    if obs.kind == "image":
        return torch.randint(0, 256, (*shape, *obs.shape), generator=g, dtype=torch.uint8)
    if obs.kind == "discrete":
        return torch.stack([torch.randint(0, count, shape, generator=g) for count in obs.classes], -1)
    return (3.0 * torch.randn((*shape, *obs.shape), generator=g, dtype=torch.float64)).to(dtype)


def _action(action: ActionSpec, shape: tuple[int, ...], g: torch.Generator, dtype: torch.dtype, least: int) -> Tensor:
    if action.is_discrete:
        return torch.stack([torch.randint(least, count, shape, generator=g) for count in action.classes], -1)
    # Stored actions may lie beyond [-1, 1].
    return torch.randn((*shape, action.size), generator=g, dtype=torch.float64).to(dtype)


def _target(rows: int, steps: int, g: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Give numbers, about half of them 0 and some unknown."""
    target = 5.0 * torch.randn((rows, steps), generator=g, dtype=torch.float64).to(dtype)
    target = target * (torch.rand((rows, steps), generator=g) < 0.5)
    return target.masked_fill(torch.rand((rows, steps), generator=g) < 0.2, float("nan"))


def random_agent(spec: EnvSpec, config: Config, seed: int = 0, noise: float = 0.3) -> Agent:
    """Give an agent whose every parameter was moved off its initial value, the slow critic to a place of its own."""
    torch.manual_seed(seed)
    agent = Agent(spec, config)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(noise * torch.randn(parameter.shape, generator=g))
    return agent
