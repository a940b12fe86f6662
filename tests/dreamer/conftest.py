"""A small agent and a random batch for the tests of the agent: two observation keys, three actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec

SMALL: dict[str, dict[str, Any]] = {
    "model": {
        "deter": 16, "hidden": 12, "stoch": 3, "classes": 4, "blocks": 2, "units": 10, "prior_layers": 1,
        "encoder_layers": 1, "decoder_layers": 1, "policy_layers": 1, "value_layers": 1,
    },
    "behavior": {"horizon": 4},
    "train": {"batch_size": 3, "batch_length": 5},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def spec() -> EnvSpec:
    return EnvSpec({"speed": ObsSpec.vector(2), "place": ObsSpec.vector(3)}, ActionSpec.discrete(3))


@pytest.fixture
def make_config() -> Callable[..., Config]:
    """Give the small configuration with some leaves replaced."""

    def make(**sections: dict[str, Any]) -> Config:
        merged = {name: {**SMALL.get(name, {}), **sections.get(name, {})} for name in {*SMALL, *sections}}
        return Config.model_validate(merged)

    return make


@pytest.fixture
def make_agent(spec: EnvSpec) -> Callable[..., Agent]:
    """Give a freshly initialised agent; `noise` moves every parameter, so that no layer is zero."""

    def make(config: Config, *, seed: int = 0, noise: float = 0.0) -> Agent:
        torch.manual_seed(seed)
        agent = Agent(spec, config)
        with torch.no_grad():
            for parameter in agent.parameters():
                parameter.add_(noise * torch.randn_like(parameter))
        return agent

    return make


@pytest.fixture
def make_batch(spec: EnvSpec) -> Callable[..., Batch]:
    """Give random windows with random episode borders, continuing from random states."""

    def make(config: Config, *, seed: int = 0, batch: int | None = None, length: int | None = None) -> Batch:
        g = torch.Generator().manual_seed(seed)
        rows, steps = batch or config.train.batch_size, length or config.train.batch_length
        is_first = torch.rand(rows, steps, generator=g) < 0.2
        is_last = torch.cat([is_first[:, 1:], torch.rand(rows, 1, generator=g) < 0.2], 1)
        model, actions = config.model, spec.action.classes[0]
        return Batch(
            obs={k: 2.0 * torch.randn(rows, steps, *o.shape, generator=g) for k, o in spec.observations.items()},
            action=torch.randint(0, actions, (rows, steps, 1), generator=g),
            reward=torch.randn(rows, steps, generator=g) * ~is_first,
            is_first=is_first,
            is_last=is_last,
            is_terminal=is_last & (torch.rand(rows, steps, generator=g) < 0.5),
            prev_action=torch.randint(-1, actions, (rows, 1), generator=g),
            context_deter=torch.rand(rows, model.deter, generator=g) * 2 - 1,
            context_stoch=torch.randint(-1, model.classes, (rows, model.stoch), generator=g),
        )

    return make


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)
