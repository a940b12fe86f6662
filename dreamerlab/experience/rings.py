"""Which rows there are: numbers alone, of rings that hold the newest rows of every stream (FACTS A10).

Rows are numbered along their stream from 0 and lie at `number % size`. The newest `size` of a stream are held; those
before its `finals` will not change any more and can be drawn, in windows of successive numbers. `next_fresh` is where
the next window starts that was never delivered. What lies in the rows is `replay.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class Rings:
    """The counters of one ring of `size` rows for each stream."""

    def __init__(self, size: int, streams: int, *, final_later: bool) -> None:
        self.size = size
        self.totals = [0] * streams
        """Rows ever added, by stream."""
        self.finals = [0] * streams if final_later else self.totals
        """Number of the first row that is not final yet, by stream; the very list of `totals` where all rows are."""
        self._next_fresh = [0] * streams

    @property
    def held(self) -> int:
        """Number of rows held, over all streams."""
        return sum(min(total, self.size) for total in self.totals)

    @property
    def oldest(self) -> np.ndarray:
        """Number of the oldest row held, or of the first to come (streams,) int64."""
        return np.array([max(0, total - self.size) for total in self.totals])

    def span(self, stream: int) -> tuple[int, int]:
        """Return the numbers of the oldest row held of a stream and of the next one to come."""
        total = self.totals[stream]
        return max(0, total - self.size), total

    def starts(self, length: int) -> list[tuple[int, int]]:
        """Return where windows of `length` final rows can start, (first, stop) in each stream."""
        spans: list[tuple[int, int]] = []
        for total, final in zip(self.totals, self.finals, strict=True):
            oldest = max(0, total - self.size)
            spans.append((oldest, max(oldest, final - length + 1)))
        return spans

    def take_fresh(self, batch: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Take up to `batch` fresh windows: those that start earliest first, of several streams in turn.

        Returns (streams, starts), int64. What was overwritten before its turn is skipped.
        """
        found: list[tuple[int, int]] = []
        for stream, final in enumerate(self.finals):
            first = self._next_fresh[stream] = max(self._next_fresh[stream], self.span(stream)[0])
            count = min(batch, (final - first) // length)
            found += [(first + length * number, stream) for number in range(count)]
        taken = sorted(found)[:batch]
        for start, stream in taken:
            self._next_fresh[stream] = start + length
        return np.array([s for _, s in taken], np.int64), np.array([start for start, _ in taken], np.int64)

    def state_dict(self) -> dict[str, Any]:
        """Return all counters, and the size they are meant for."""
        return {
            "ring": self.size,
            "totals": list(self.totals),
            "finals": list(self.finals),
            "next_fresh": list(self._next_fresh),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> list[int]:
        """Take over the counters of as many streams; return which number there is row 0 here, by stream.

        That is 0 for rings of the same size, which are restored exactly. Rings of another size hold other rows: the
        oldest row they held becomes row 0, and the newest that fit are kept.
        """
        assert len(state["totals"]) == len(self.totals), (state["totals"], self.totals)
        size = int(state["ring"])
        dropped = [0 if size == self.size else max(0, int(total) - size) for total in state["totals"]]
        for ours, name in ((self.totals, "totals"), (self.finals, "finals"), (self._next_fresh, "next_fresh")):
            ours[:] = [int(number) - less for number, less in zip(state[name], dropped, strict=True)]
        return dropped
