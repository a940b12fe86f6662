"""What of a row is known only later: its smoothed reward, and what follows soon (FACTS B1, M-HK-15).

Rows are stored as they come and become drawable when they are final: when enough of the future has been seen, or
their episode is over. `Finisher` keeps the raw rewards of the open episode of one stream and says which rows have
become final with each new one. Nothing of one episode ever reaches another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dreamerlab.config.heads import HeadSpec
from dreamerlab.experience.episode import Step
from dreamerlab.experience.rewards import Smoother

Finals = list[tuple[int, dict[str, np.ndarray]]]
"""How many rows have become final, and their values (count,) by column; in the order of the stream."""


class Finisher:
    """Holds back the rows of one stream until they are final."""

    def __init__(self, smoother: Smoother | None, heads: Sequence[HeadSpec]) -> None:
        self._smoother = smoother
        self._soon = {f"target/{head.name}": head for head in heads if head.looks_ahead}
        reaches: list[int | None] = [head.steps for head in self._soon.values()]
        if smoother is not None:
            reaches.append(smoother.lookahead)
        self._reach = None if None in reaches else max((reach for reach in reaches if reach is not None), default=0)
        self._buffer = np.zeros(64)
        self._rows = self._done = 0
        self._smoothed: float | None = None

    def add(self, step: Step) -> Finals:
        """Take the next row of the stream; return what has become final, older rows first."""
        finals: Finals = []
        if step["is_first"] and self._rows:
            finals.append(self._finish(ended=True, over=False))
        if self._rows == len(self._buffer):
            self._buffer = np.concatenate([self._buffer, np.zeros(self._rows)])
        self._buffer[self._rows] = step["reward"]
        self._rows += 1
        finals.append(self._finish(ended=step["is_last"], over=step["is_terminal"]))
        return [final for final in finals if final[0]]

    def state_dict(self) -> dict[str, Any]:
        """Return the open episode."""
        return {"rewards": self._buffer[: self._rows].copy(), "done": self._done, "smoothed": self._smoothed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore exactly."""
        rewards: np.ndarray = state["rewards"]
        self._rows, self._done, self._smoothed = len(rewards), int(state["done"]), state["smoothed"]
        self._buffer = np.concatenate([rewards, np.zeros(64)])

    def _finish(self, *, ended: bool, over: bool) -> tuple[int, dict[str, np.ndarray]]:
        """Return the rows that are final now; `over` when the task says so, and no reward can follow."""
        if ended:
            stop = self._rows
        elif self._reach is None:
            stop = self._done
        else:
            stop = max(self._done, self._rows - self._reach)
        start, self._done = self._done, stop
        values: dict[str, np.ndarray] = {}
        if stop > start:
            rewards = self._buffer[: self._rows]
            for name, head in self._soon.items():
                if head.source == "terminal_within":
                    events = np.zeros(self._rows)
                    events[-1] = over
                else:
                    events = rewards
                values[name] = _happens_within(events, start, stop, head.steps, over)
            if self._smoother is not None:
                values["reward"] = self._smooth(self._smoother, rewards, start, stop, ended)
        if ended:
            self._rows, self._done, self._smoothed = 0, 0, None
        return stop - start, values

    def _smooth(self, smoother: Smoother, rewards: np.ndarray, start: int, stop: int, ended: bool) -> np.ndarray:
        """Smooth rows `start` to `stop`; the first row of an episode is no step and keeps what it has."""
        first = max(start, 1)
        smoothed = smoother.values(rewards[1:], first - 1, stop - 1, ended=ended, previous=self._smoothed)
        if len(smoothed):
            self._smoothed = float(smoothed[-1])
        return np.concatenate([rewards[start:first], smoothed])


def _happens_within(events: np.ndarray, start: int, stop: int, steps: int, over: bool) -> np.ndarray:
    """Return 1 where one of the next `steps` events is not 0, 0 where none is, nan where that is not known."""
    events = events[start : stop + steps]
    count, rows = len(events), np.arange(stop - start)
    seen = np.concatenate([[0], np.cumsum(events != 0)])
    found = seen[np.minimum(rows + steps, count - 1) + 1] > seen[rows + 1]
    known = over | (rows + steps < count)
    return np.where(found, 1.0, np.where(known, 0.0, np.nan)).astype(np.float32)
