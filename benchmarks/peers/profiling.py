"""Where an update spends its time, by kind of tensor operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile

KINDS = {
    "matrix products": ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "einsum", "linear", "_linear_pointwise"),
    "convolutions": ("convolution", "mkldnn_convolution", "slow_conv", "max_pool2d", "thnn_conv2d"),
    "copies": ("copy_", "cat", "stack", "clone", "contiguous", "_to_copy", "fill_", "zero_", "index_put_"),
    "gathers": (
        "index",
        "gather",
        "scatter",
        "_embedding_bag",
        "embedding_bag",
        "embedding",
        "index_select",
        "searchsorted",
        "bucketize",
        "one_hot",
    ),
    "sums": ("sum", "mean", "amax", "max", "argmax", "cumsum", "cumprod", "linalg_vector_norm", "sort", "std"),
    "views": (
        *("view", "reshape", "_reshape_alias", "as_strided", "t", "transpose", "permute", "expand", "flatten", "split"),
        *("unflatten", "unsqueeze", "squeeze", "unbind", "slice", "select", "narrow", "detach", "alias", "chunk"),
        *("_unsafe_view", "empty", "empty_like", "empty_strided", "result_type", "to", "lift_fresh", "resolve_conj"),
    ),
    "random": ("uniform_", "exponential_", "normal_", "rand", "multinomial", "bernoulli_"),
}
"""Anything else that computes is elementwise: activations, norms, softmax, arithmetic."""


def split(update: Callable[[], Any]) -> dict[str, Any]:
    """Return the share of one update's CPU time by kind, and the number of tensor operations.

    Time outside tensor operations (Python, autograd's own) is `between operations`.
    """
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as recorded:
        update()
    shares: dict[str, float] = {}
    operations = 0
    events = recorded.events()
    assert events is not None
    whole = max(event.time_range.end for event in events) - min(event.time_range.start for event in events)
    for event in events:
        if not event.name.startswith(("aten::", "mkldnn::")):
            continue
        operations += 1
        shares[_kind(event.name)] = shares.get(_kind(event.name), 0.0) + event.self_cpu_time_total / whole
    shares["between operations"] = max(0.0, 1.0 - sum(shares.values()))
    return {"shares": shares, "operations": operations}


def _kind(name: str) -> str:
    bare = name.rpartition("::")[2]
    for kind, members in KINDS.items():
        if bare in members or any(bare.startswith(f"{member}_") for member in members):
            return kind
    return "elementwise"
