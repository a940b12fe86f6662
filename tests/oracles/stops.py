"""Stop-gradients for a function that is differentiated by differences.

A first evaluation keeps every stopped quantity; every later one is given the kept values back, in the same order. So
the differences see only the paths that a gradient is meant to take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Stops:
    """Keeps what is computed under a stop-gradient on the first pass, and hands it out on later passes."""

    def __init__(self) -> None:
        self._kept: list[object] = []
        self._next: int | None = None

    def __call__(self, compute: Callable[[], T]) -> T:
        """Return `compute()` of the first pass."""
        if self._next is None:
            value = compute()
            self._kept.append(value)
            return value
        value = self._kept[self._next]
        self._next += 1
        return value  # type: ignore[return-value]

    def rewind(self) -> None:
        """Begin another pass, under the values of the first."""
        assert self._next in (None, len(self._kept)), "a pass asked for other stopped quantities than the first"
        self._next = 0
