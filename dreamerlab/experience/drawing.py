"""What is drawn from replay, and how windows are chosen: evenly, or the newer the likelier (FACTS A10).

Windows that were predicted badly are `priorities.py`; fresh ones are kept track of by `replay.py` itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Spans = list[tuple[int, int]]
"""Where windows can start, (first, stop) in each stream."""

UNIFORM = (1.0, 0.0, 0.0)
"""The mixture of every start equally likely."""


@dataclass(frozen=True)
class Sample:
    """B windows of T rows, each with the latent state it starts from."""

    obs: dict[str, np.ndarray]
    """{key: (B, T, *shape)} with the dtypes of the specs"""
    action: np.ndarray
    """(B, T, A) int64 or float32: chosen at obs_t."""
    reward: np.ndarray
    """(B, T) float32: received on arriving at obs_t; smoothed where the config says so."""
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
    targets: dict[str, np.ndarray]
    """{name: (B, T)} float32: what each auxiliary head predicts; nan where unknown."""
    streams: np.ndarray
    """(B,) int64: the stream of each window."""
    starts: np.ndarray
    """(B,) int64: number in its stream of the first row of each window; with `streams` the address for writing back."""
    mirrored: np.ndarray
    """(B,) bool: windows that are not as they were played (`augment.py`); their latent states are not written back."""


NONE = np.zeros(0, np.int64)
"""No streams, or no starts."""


def uniform(spans: Spans, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return (streams, starts), every start of every stream equally likely."""
    sizes = np.array([stop - first for first, stop in spans])
    drawn = rng.integers(0, sizes.sum(), size=count)
    ends = np.cumsum(sizes)
    streams = np.searchsorted(ends, drawn, side="right")
    first = np.array([first for first, _ in spans])
    return streams, first[streams] + drawn - (ends - sizes)[streams]


def recent(spans: Spans, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return (streams, starts), newer ones more likely: rank k from the newest, from 1, has ln(1 + 1/k) / ln(1 + n).

    That is 1/k made a whole: the logarithm of the rank is uniform. Streams are as likely as they have starts.
    """
    streams, _ = uniform(spans, count, rng)
    sizes = np.array([stop - first for first, stop in spans])[streams]
    ranks = np.floor(np.exp(rng.random(count) * np.log1p(sizes))).astype(np.int64)
    return streams, np.array([stop for _, stop in spans])[streams] - np.clip(ranks, 1, sizes)
