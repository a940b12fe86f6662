"""The benchmark of what metrics cost: it finds the operations that serve nothing else."""

from __future__ import annotations

import torch

from benchmarks.metrics_cost import Recording, as_called, only_for_metrics


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


def test_operations_are_repeated_as_an_update_asks_for_them() -> None:
    x, total = torch.tensor([[1.0, 2.0], [3.0, 5.0]]), torch.zeros(2)
    with Recording() as recording:
        x.mean()
        torch.stack([x, x]).flatten(1).sum(1)
        torch.special.entr(x)
        total.add_(x[0])
        (x > 2.0).to(x.dtype)
    calls = [as_called(operation) for operation in recording.operations]
    known = {
        operation[0].overloadpacket.__name__: call for operation, call in zip(recording.operations, calls, strict=True)
    }
    assert known["mean"] is torch.mean
    assert known["stack"] is torch.stack
    assert known["special_entr"] is torch._C._special.special_entr
    assert known["add_"] is torch.Tensor.add_
    for (_, args, kwargs, result), call in zip(recording.operations, calls, strict=True):
        again = call(*args, **kwargs)
        assert isinstance(again, torch.Tensor)
        assert again.shape == result.shape
        if again is not total:
            assert torch.equal(again, result)
