"""A trial in memory: what must repeat exactly, and how many updates are due."""

from __future__ import annotations

import pytest
import torch

from dreamerlab.train.session import Session
from tests.train.trials import tiny_config


def _parameters_after(updates: int, threads: int) -> torch.Tensor:
    """Parameters of a trial whose gradients are large enough for torch to share them out among threads."""
    session = Session(
        tiny_config(
            model={"deter": 256},
            train={"batch_size": 16, "batch_length": 64, "learning_starts": 80},
            execution={"threads": threads},
        ),
        seed=0,
    )
    while not session.can_learn:
        session.collector.step(session.policy)
    for _ in range(updates):
        session.update()
    return torch.cat([parameter.detach().flatten() for parameter in session.agent.parameters()])


@pytest.mark.slow  # threads wait for each other: half a minute beside another test worker
def test_updates_repeat_bit_for_bit_with_several_threads() -> None:
    """DESIGN section 7: bit-exact on CPU for one thread count, which threads adding in any order would break."""
    first = _parameters_after(5, threads=2)
    assert all(torch.equal(first, _parameters_after(5, threads=2)) for _ in range(4))
