"""Windows in which the task is over, drawn more often than they come (`replay.event_share`).

An event is a terminal row: a goal, a fall. Each event held is equally likely, and each window of final rows around it:
its place in the window is as random as the ends of the stream allow. The index of events is a function of the rows, so
that a restored buffer draws the same; it is kept as rows come and go, and read through only after a restore.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dreamerlab.experience.drawing import NONE, Spans


class Events:
    """The numbers of the terminal rows of every stream, in order, and how often windows around them were drawn."""

    def __init__(self, streams: int, share: float) -> None:
        self.share = share
        """Share of the windows to draw around events."""
        self._rows = [np.zeros(16, np.int64) for _ in range(streams)]
        self._counts = [0] * streams
        self._known = True
        self._since: dict[str, int] = dict.fromkeys(("asked", "missed", "windows", "eventful"), 0)

    def add(self, stream: int, row: int, oldest: int) -> None:
        """Take note of the next terminal row of a stream whose rows before `oldest` are gone."""
        rows, count = self._rows[stream], self._counts[stream]
        if count == len(rows):
            held = rows[np.searchsorted(rows, oldest) :]
            count = len(held)
            rows = self._rows[stream] = np.concatenate([held, np.zeros(max(16, count), np.int64)])
        rows[count] = row
        self._counts[stream] = count + 1

    def forget(self) -> None:
        """Read the rows anew before the next draw: they were written from elsewhere."""
        self._known = False

    def draw(
        self,
        spans: Spans,
        length: int,
        count: int,
        rng: np.random.Generator,
        read: Callable[[int], np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (streams, starts) of about `share` of `count` windows, none where no event is in any window.

        `spans` is where windows of `length` rows can start, `read` returns the terminal rows held of a stream.
        """
        wanted = int((rng.random(count) < self.share).sum())
        self._since["asked"] += wanted
        if not self._known:
            self._rows = [read(stream) for stream in range(len(self._rows))]
            self._counts = [len(rows) for rows in self._rows]
            self._known = True
        parts = [self._within(stream, *span, length) for stream, span in enumerate(spans)]
        ends = np.cumsum([len(part) for part in parts])
        if not wanted or not ends[-1]:
            self._since["missed"] += wanted
            return NONE, NONE
        drawn = rng.integers(0, ends[-1], size=wanted)
        streams = np.searchsorted(ends, drawn, side="right")
        events = np.concatenate(parts)[drawn]
        first, stop = np.array(spans)[streams].T
        return streams, rng.integers(np.maximum(first, events - length + 1), np.minimum(events + 1, stop))

    def note(self, is_terminal: np.ndarray) -> None:
        """Count the windows of a batch, and those with an event, by their flags (B, T)."""
        self._since["windows"] += len(is_terminal)
        self._since["eventful"] += int(is_terminal.any(1).sum())

    def metrics(self) -> dict[str, float]:
        """Return the share of windows with an event since the last call, and of those asked for in vain."""
        since, self._since = self._since, dict.fromkeys(self._since, 0)
        if not since["windows"]:
            return {}
        return {
            "replay/event_frac": since["eventful"] / since["windows"],
            "replay/event_missed_frac": since["missed"] / max(since["asked"], 1),
        }

    def state_dict(self) -> dict[str, int]:
        """Return the counts since the last metrics; the index follows from the rows."""
        return dict(self._since)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the counts."""
        self._since = {name: int(state[name]) for name in self._since}

    def _within(self, stream: int, first: int, stop: int, length: int) -> np.ndarray:
        """Return the events of a stream that are in some window starting from `first` to before `stop`."""
        rows = self._rows[stream][: self._counts[stream]]
        if stop <= first:
            return NONE
        low, high = np.searchsorted(rows, (first, stop + length - 1))
        return rows[low:high]
