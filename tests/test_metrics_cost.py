"""The benchmark of what metrics cost: it finds the operations that serve nothing else."""

from __future__ import annotations

import torch

from benchmarks.metrics_cost import Recording, only_for_metrics


def test_operations_are_for_metrics_alone_if_nothing_wanted_follows_from_them() -> None:
    x, state = torch.ones(4, 3), torch.zeros(2, 3)
    with Recording() as recording:
        shared = x * 2.0  # read by a loss and by a metric
        loss = shared.sum()
        shared.mean()
        torch.cat([x[:1]], out=state[1:])  # written through a view
        counted = x + 1.0
        counted.mul_(3.0)
        counted.amax()
    names = [str(func) for func, *_ in only_for_metrics(recording.operations, [loss, state])]
    assert names == ["aten.mean.default", "aten.add.Tensor", "aten.mul_.Tensor", "aten.amax.default"]
