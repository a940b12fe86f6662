"""Switching the run-time checks of shapes and types on and off: they take half the time of a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def checking(on: bool) -> Iterator[None]:
    """Check shapes and types of the agent's public functions for a block, or do not."""
    try:
        from jaxtyping import config
    except ModuleNotFoundError:  # the light wing alone
        yield
        return
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", not on)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)
