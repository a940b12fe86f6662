"""The replay buffer: the last `capacity` rows of one stream, drawn as windows (FACTS A10, F17).

Rows are numbered along the stream from 0 and live in a ring at `number % capacity`; a window is T rows with
successive numbers, so it can cross the end of the ring but never its write head. Memory doubles up to the
capacity as rows arrive. What a row means is `episode.py`; when to draw is `limiter.py` and the training loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dreamerlab.experience.episode import Step
from dreamerlab.spaces import EnvSpec

_FIRST_ALLOCATION = 1024
_FLAGS = ("is_first", "is_last", "is_terminal")


@dataclass(frozen=True)
class Sample:
    """B windows of T rows, each with the latent state it starts from."""

    obs: dict[str, np.ndarray]
    """{key: (B, T, *shape)} with the dtypes of the specs"""
    action: np.ndarray
    """(B, T, A) int64 or float32: chosen at obs_t."""
    reward: np.ndarray
    """(B, T) float32: received on arriving at obs_t."""
    is_first: np.ndarray
    """(B, T) bool"""
    is_last: np.ndarray
    """(B, T) bool; also true where the next row of the stream is_first (abandoned episode, FACTS A1)."""
    is_terminal: np.ndarray
    """(B, T) bool"""
    prev_action: np.ndarray
    """(B, A): action of the row before the window; `ActionSpec.none` when there is no context."""
    context_deter: np.ndarray
    """(B, D) float32: latent state of the row before the window; zeros when there is no context."""
    context_stoch: np.ndarray
    """(B, S) int16 class indices of the row before the window; -1 when there is no context."""
    starts: np.ndarray
    """(B,) int64: stream number of the first row of each window, the address for `Replay.write_back`."""


class Replay:
    """A ring of rows with uniform and online windows, and latent states that training refreshes.

    With `online`, every row is delivered once in fresh, non-overlapping windows, in order and before any uniform
    draw; what was overwritten before its turn is skipped. With `latent_context`, a window comes with the stored
    latent state and action of the row before it; without, the context is always empty (zeros and -1) and latent
    states are not kept. A row before the window that has been evicted, or never was, is an empty context too.
    """

    def __init__(
        self,
        capacity: int,
        spec: EnvSpec,
        *,
        deter: int,
        stoch: int,
        online: bool = True,
        latent_context: bool = True,
    ) -> None:
        self.capacity = capacity
        self._spec, self._obs_keys = spec, sorted(spec.observations)
        self._deter, self._stoch = deter, stoch
        self._online, self._latent_context = online, latent_context
        self._layout: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
            **{f"obs/{key}": (obs.shape, obs.dtype) for key, obs in spec.observations.items()},
            "action": ((spec.action.components,), spec.action.dtype),
            "reward": ((), np.float32),
            **dict.fromkeys(_FLAGS, ((), np.bool_)),
        }
        if latent_context:
            self._layout |= {"deter": ((deter,), np.float32), "stoch": ((stoch,), np.int16)}
        self._columns: dict[str, np.ndarray] = {}
        self._allocated = 0
        self._total = 0
        self._next_fresh = 0
        self._allocate(_FIRST_ALLOCATION)

    def __len__(self) -> int:
        """Number of rows held, resets included."""
        return min(self._total, self.capacity)

    @property
    def total(self) -> int:
        """Number of rows ever added; the next row gets this number."""
        return self._total

    @property
    def oldest(self) -> int:
        """Stream number of the oldest row held."""
        return max(0, self._total - self.capacity)

    def add(self, step: Step) -> None:
        """Append one row, overwriting the oldest when full. Cheap: a few microseconds."""
        slot = self._total % self.capacity
        if slot >= self._allocated:
            self._allocate(2 * self._allocated)
        columns = self._columns
        obs = step["obs"]
        for key in self._obs_keys:
            columns[f"obs/{key}"][slot] = obs[key]
        columns["action"][slot] = step["action"]
        columns["reward"][slot] = step["reward"]
        for flag in _FLAGS:
            columns[flag][slot] = step[flag]
        if self._latent_context:
            columns["deter"][slot] = step["deter"]
            columns["stoch"][slot] = step["stoch"]
        self._total += 1

    def num_windows(self, length: int) -> int:
        """Return how many windows of `length` rows can start somewhere in the rows held."""
        return max(0, len(self) - length + 1)

    def can_sample(self, batch: int, length: int) -> bool:
        """Tell whether `batch` different windows of `length` rows exist."""
        return self.num_windows(length) >= batch

    def sample(self, batch: int, length: int, rng: np.random.Generator) -> Sample:
        """Return B = `batch` windows of T = `length` rows: fresh ones first, the rest uniform over all starts."""
        starts = self._draw_starts(batch, length, rng)
        rows = starts[:, None] + np.arange(length)
        slots = rows % self.capacity
        columns = self._columns
        # The row after the window is looked at as well, if there is one: its is_first ends this episode.
        after = np.minimum(rows + 1, self._total - 1)
        abandoned = columns["is_first"][after % self.capacity] & (after > rows)
        prev_action, context_deter, context_stoch = self._context(starts)
        return Sample(
            obs={key: columns[f"obs/{key}"][slots] for key in self._obs_keys},
            action=columns["action"][slots],
            reward=columns["reward"][slots],
            is_first=columns["is_first"][slots],
            is_last=columns["is_last"][slots] | abandoned,
            is_terminal=columns["is_terminal"][slots],
            prev_action=prev_action,
            context_deter=context_deter,
            context_stoch=context_stoch,
            starts=starts,
        )

    def write_back(self, sample: Sample, deter: np.ndarray, stoch: np.ndarray) -> None:
        """Replace the latent states of a sample's rows by fresher ones, deter (B, T, D) and stoch (B, T, S).

        Rows overwritten since the draw are skipped. Where windows of one sample overlap, the last one counts.
        Without `latent_context` nothing is kept and this does nothing.
        """
        if not self._latent_context:
            return
        rows = sample.starts[:, None] + np.arange(sample.action.shape[1])
        kept = rows >= self.oldest
        slots = rows[kept] % self.capacity
        self._columns["deter"][slots] = deter[kept]
        self._columns["stoch"][slots] = stoch[kept]

    def state_dict(self) -> dict[str, Any]:
        """Return everything later draws depend on: copies of the rows held, oldest first, and two counters."""
        slots = np.arange(self.oldest, self._total) % self.capacity
        rows = {name: column[slots] for name, column in self._columns.items()}
        return {"capacity": self.capacity, "total": self._total, "next_fresh": self._next_fresh, "rows": rows}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore exactly, from the state of a buffer of the same capacity and layout."""
        rows: Mapping[str, np.ndarray] = state["rows"]
        assert state["capacity"] == self.capacity, (state["capacity"], self.capacity)
        assert rows.keys() == self._layout.keys(), (sorted(rows), sorted(self._layout))
        self._total, self._next_fresh = int(state["total"]), int(state["next_fresh"])
        self._columns, self._allocated = {}, 0
        size = _FIRST_ALLOCATION
        while size < len(self):
            size *= 2
        self._allocate(size)
        slots = np.arange(self.oldest, self._total) % self.capacity
        for name, column in self._columns.items():
            assert rows[name].shape == (len(self), *column.shape[1:]), (name, rows[name].shape)
            column[slots] = rows[name]

    def _allocate(self, size: int) -> None:
        """Make room for `size` rows, at most the capacity; rows keep their slots, since none has wrapped yet."""
        size = min(size, self.capacity)
        for name, (shape, dtype) in self._layout.items():
            grown = np.zeros((size, *shape), dtype)
            if self._allocated:
                grown[: self._allocated] = self._columns[name]
            self._columns[name] = grown
        self._allocated = size

    def _draw_starts(self, batch: int, length: int, rng: np.random.Generator) -> np.ndarray:
        assert self.num_windows(length) > 0, (len(self), length)
        fresh = 0
        if self._online:
            self._next_fresh = max(self._next_fresh, self.oldest)
            fresh = min(batch, (self._total - self._next_fresh) // length)
        starts = np.empty(batch, np.int64)
        starts[:fresh] = self._next_fresh + length * np.arange(fresh)
        starts[fresh:] = rng.integers(self.oldest, self._total - length + 1, size=batch - fresh)
        self._next_fresh += fresh * length
        return starts

    def _context(self, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (prev_action (B, A), deter (B, D), stoch (B, S)) of the rows before `starts`."""
        batch = len(starts)
        action = self._spec.action
        prev_action = np.full((batch, action.components), action.none, action.dtype)
        deter = np.zeros((batch, self._deter), np.float32)
        stoch = np.full((batch, self._stoch), -1, np.int16)
        if self._latent_context:
            known = starts > self.oldest
            slots = (starts[known] - 1) % self.capacity
            prev_action[known] = self._columns["action"][slots]
            deter[known] = self._columns["deter"][slots]
            stoch[known] = self._columns["stoch"][slots]
        return prev_action, deter, stoch
