"""Letting gradients through a network without giving it any: what a policy that learns through its model needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class Learning(Protocol):
    """Whatever has parameters."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Return them."""
        ...


@contextmanager
def frozen(*modules: Learning) -> Iterator[None]:
    """Meanwhile gradients pass through these modules without being collected for their parameters (M-ML-21)."""
    trained = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
