"""Which windows are drawn by how badly they are predicted (FACTS A10).

A window is ranked by its first row: the world model's loss there (or what `replay.priority` says), the last time it was
trained on, to the power `replay.priority_exponent`. Rows never trained on rank above all others, and are drawn first,
each equally likely. What is drawn counts 0 until its next rank is known. `Priorities` keeps two trees over the valid
starts of windows, both functions of the `priority` column alone, so that a restored buffer draws the same.
"""

from __future__ import annotations

import numpy as np

NEVER = np.inf
"""The priority of a row that was never trained on."""


class SumTree:
    """Leaves of mass >= 0, found by cumulative mass in logarithmic time; every node is the sum of its two children."""

    def __init__(self, leaves: int) -> None:
        self._leaves = 1 << max(1, leaves - 1).bit_length()
        self._nodes = np.zeros(2 * self._leaves)

    @property
    def total(self) -> float:
        """The mass of all leaves."""
        return float(self._nodes[1])

    def set(self, leaves: np.ndarray, masses: np.ndarray | float) -> None:
        """Give `leaves` (n,) their `masses`; a leaf that is named twice gets the last one."""
        if not len(leaves):
            return
        nodes = leaves + self._leaves
        self._nodes[nodes] = masses
        nodes = np.unique(nodes >> 1)
        while nodes[0] > 0:
            self._nodes[nodes] = self._nodes[2 * nodes] + self._nodes[2 * nodes + 1]
            # Sorted stays sorted, so equal parents are neighbours.
            nodes = nodes >> 1
            nodes = nodes[np.concatenate([[True], nodes[1:] != nodes[:-1]])]

    def find(self, masses: np.ndarray) -> np.ndarray:
        """Return the leaf (n,) in which each cumulative mass lies, from 0 to below `total`; never one without mass."""
        nodes, masses = np.ones(len(masses), np.int64), masses.copy()
        while nodes[0] < self._leaves:
            left = self._nodes[2 * nodes]
            # Rounding must not lead into an empty half.
            right = (masses >= left) & (self._nodes[2 * nodes + 1] > 0)
            masses -= np.where(right, left, 0.0)
            nodes = 2 * nodes + right
        return nodes - self._leaves


class Priorities:
    """The valid starts of windows of one length in `column` (streams, room), ranked by it."""

    def __init__(self, ring: int) -> None:
        self._ring = ring
        self._trees: tuple[SumTree, SumTree] | None = None
        self._column = np.zeros((0, 0), np.float32)
        self._valid: list[tuple[int, int]] = []

    def follow(self, column: np.ndarray, valid: list[tuple[int, int]]) -> None:
        """Take over which rows, (first, stop) per stream, are valid starts now."""
        if self._trees is None or column is not self._column:
            self._column = column
            self._trees = SumTree(column.size), SumTree(column.size)
            self._valid = [(0, 0)] * len(column)
        for stream, ((old_first, old_stop), (first, stop)) in enumerate(zip(self._valid, valid, strict=True)):
            gone = [*range(old_first, min(first, old_stop)), *range(max(stop, old_first), old_stop)]
            self._enter(stream, np.array(gone, np.int64), enter=False)
            self._enter(stream, np.arange(max(old_stop, first), stop), enter=True)
        self._valid = list(valid)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return (streams, slots) of up to `count` starts: those never trained on, then in proportion to priority.

        Fewer come back only where no start has any mass.
        """
        ranked, new = self._both()
        waiting = round(new.total)
        leaves = new.find(rng.choice(waiting, min(count, waiting), replace=False) + 0.5) if waiting else _NONE
        if len(leaves) < count and ranked.total > 0:
            masses = rng.random(count - len(leaves)) * ranked.total
            leaves = np.concatenate([leaves, ranked.find(masses)])
        streams, slots = np.divmod(leaves, self._column.shape[1])
        self._column[streams, slots] = 0.0
        ranked.set(leaves, 0.0)
        new.set(leaves, 0.0)
        return streams, slots

    def rerank(self, column: np.ndarray, streams: np.ndarray, rows: np.ndarray) -> None:
        """Take note that the priorities of rows (n,) of streams (n,) have changed in `column`."""
        if column is not self._column:
            return  # it has grown since: the next `follow` reads all of it
        bounds = np.array(self._valid)
        valid = (rows >= bounds[streams, 0]) & (rows < bounds[streams, 1])
        self._rank(streams[valid], rows[valid] % self._ring)

    def _enter(self, stream: int, rows: np.ndarray, *, enter: bool) -> None:
        streams, slots = np.full(len(rows), stream), rows % self._ring
        if enter:
            self._rank(streams, slots)
        else:
            for tree in self._both():
                tree.set(streams * self._column.shape[1] + slots, 0.0)

    def _rank(self, streams: np.ndarray, slots: np.ndarray) -> None:
        ranked, new = self._both()
        leaves = streams * self._column.shape[1] + slots
        priorities = self._column[streams, slots].astype(np.float64)
        never = priorities == NEVER
        ranked.set(leaves, np.where(never, 0.0, priorities))
        new.set(leaves, never.astype(np.float64))

    def _both(self) -> tuple[SumTree, SumTree]:
        assert self._trees is not None, "follow() comes first"
        return self._trees


_NONE = np.zeros(0, np.int64)
