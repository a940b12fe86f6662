"""An update compiled and not, in a process without runtime type checks, which the compiler cannot read."""

from __future__ import annotations

import math

import torch

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch
from dreamerlab.spaces import ActionSpec, EnvSpec, ObsSpec

ROWS, STEPS = 4, 4
SECTIONS = {
    "model": {"deter": 64, "hidden": 64, "units": 64, "stoch": 8, "classes": 8, "blocks": 1},
    "behavior": {"horizon": 4},
}


def make(*, compiled: bool) -> Agent:
    torch.manual_seed(0)
    spec = EnvSpec({"vector": ObsSpec.vector(4)}, ActionSpec.discrete(2))
    agent = Agent(spec, Config.model_validate({**SECTIONS, "execution": {"compile": compiled}}))
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return agent


def batch() -> Batch:
    g = torch.Generator().manual_seed(1)
    no = torch.zeros(ROWS, STEPS, dtype=torch.bool)
    return Batch(
        obs={"vector": torch.randn(ROWS, STEPS, 4, generator=g)},
        action=torch.randint(0, 2, (ROWS, STEPS, 1), generator=g),
        reward=torch.randn(ROWS, STEPS, generator=g),
        is_first=no,
        is_last=no,
        is_terminal=no,
        prev_action=torch.full((ROWS, 1), -1),
        context_deter=torch.zeros(ROWS, 64),
        context_stoch=torch.full((ROWS, 8), -1),
    )


def main() -> None:
    agents = make(compiled=False), make(compiled=True)
    plain, other = (agent.update(batch(), torch.Generator().manual_seed(3)) for agent in agents)
    assert torch.equal(plain.stoch, other.stoch)
    for name, value in plain.metrics.items():
        a, b = value.item(), other.metrics[name].item()
        assert math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-4), (name, a, b)
    for a, b in zip(agents[0].parameters(), agents[1].parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


if __name__ == "__main__":
    main()
