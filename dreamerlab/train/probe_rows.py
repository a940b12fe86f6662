"""Which replayed rows probes look at: the newest final ones, each with what is held of its episode before and after it.

Only rows that the agent played itself: where games are kept from the other side too, those are another policy's.
What is measured on them is `probes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dreamerlab.experience.replay import Replay

_COLUMNS = ("is_first", "is_last", "is_terminal", "reward")


class Outcomes(NamedTuple):
    """What was really earned after some rows of finished episodes."""

    returns: np.ndarray
    """(N,) discounted sum of the rewards that followed, up to the end of the episode and no further."""
    tail: np.ndarray
    """(N,) what a value at the last row of the episode weighs in one of this row; 0 where the task was over there."""


@dataclass(frozen=True)
class Rows:
    """n rows of replay, stream after stream and in the order they were played."""

    streams: np.ndarray
    """(n,) int64"""
    numbers: np.ndarray
    """(n,) int64: number of the row in its stream."""
    before: np.ndarray
    """(n,) int64: rows held of its stream before it."""
    is_first: np.ndarray
    is_terminal: np.ndarray
    reward: np.ndarray
    """(n,) as it is trained on."""
    last: np.ndarray
    """(n,) int64: index here of the last row that is held of its episode."""
    finished: np.ndarray
    """(n,) bool: whether its episode ended there."""

    def __len__(self) -> int:
        return len(self.numbers)

    def with_room(self, context: int, ahead: int = 0) -> np.ndarray:
        """Tell (n,) which rows have `context` - 1 rows before them and `ahead` rows of their episode after them."""
        return (self.before >= context - 1) & (self.last - np.arange(len(self)) >= ahead)

    def outcomes(self, chosen: np.ndarray, discount: float) -> Outcomes:
        """Return what followed the rows of finished episodes at the indices `chosen` (N,).

        The reward of a row is received on arriving there (`experience.episode`), so the first to count is the next one.
        """
        ends = self.last[chosen]
        lengths = ends - chosen
        weights = discount ** np.arange(int(lengths.max(initial=0)))
        sums = [self.reward[a + 1 : b + 1] @ weights[:n] for a, b, n in zip(chosen, ends, lengths, strict=True)]
        tail = np.where(self.is_terminal[ends], 0.0, discount**lengths)
        return Outcomes(np.array(sums, np.float64), tail)


def newest_rows(replay: Replay, streams: int, most: int) -> Rows:
    """Return the newest final rows of the first `streams` streams, about `most` of them in all."""
    parts: list[dict[str, np.ndarray]] = []
    for stream in range(streams):
        oldest, final = replay.span(stream)[0], replay.final(stream)
        first = max(oldest, final - max(1, most // streams))
        numbers = np.arange(first, max(first, final))
        parts.append(
            {
                **replay.pick(stream, numbers, _COLUMNS),
                "streams": np.full(len(numbers), stream),
                "numbers": numbers,
                "before": numbers - oldest,
                "opens": numbers == first,
            }
        )
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    # An episode runs up to the next first row, or to the end of what is held of its stream.
    begins = whole["is_first"] | whole["opens"]
    ends = np.append(np.flatnonzero(begins)[1:], len(begins)) - 1 if len(begins) else np.zeros(0, np.int64)
    last = ends[np.cumsum(begins) - 1] if len(begins) else ends
    return Rows(
        streams=whole["streams"],
        numbers=whole["numbers"],
        before=whole["before"],
        is_first=whole["is_first"],
        is_terminal=whole["is_terminal"],
        reward=whole["reward"].astype(np.float64),
        last=last,
        finished=whole["is_last"][last],
    )
