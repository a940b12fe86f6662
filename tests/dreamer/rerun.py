"""A stand-in for CUDA graphs on machines without a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch

from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.cuda_graphs import Results

_set_versions = cast(Any, torch._C)._autograd._unsafe_set_version_counter


class Rerun:
    """Stands in for CUDA graphs: replaying is running again, into memory of its own, unnoticed by autograd."""

    def __init__(self, agent: Agent) -> None:
        self.rehearsals = self.recordings = 0
        self._tensors = tuple(agent.state_dict(keep_vars=True).values())

    def rehearse(self, run: Callable[[], object]) -> None:
        self.rehearsals += 1
        run()
        run()

    def record(self, run: Callable[[], Results], generator: torch.Generator) -> tuple[Callable[[], None], Results]:
        self.recordings += 1
        results = Results(*(tensor.clone() for tensor in run()))

        def replay() -> None:
            versions = tuple(tensor._version for tensor in self._tensors)
            for place, value in zip(results, run(), strict=True):
                place.copy_(value)
            _set_versions(self._tensors, versions)

        return replay, results
