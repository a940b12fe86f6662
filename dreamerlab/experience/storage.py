"""Where the rows of replay lie: columns (streams, room, *shape) that grow, in memory or in files of the trial.

In memory the room doubles, up to the ring's size. Where the next doubling would pass `memory_bytes`, and a folder is
given, the columns move into memory-mapped files there: sparse ones of the full size, whose blocks are reserved ahead
of every write, because writing into a mapping on a full disk would kill the process instead of raising OSError. The
files have no name any more once they are open, so that nothing is left behind however the process ends.
What the rows mean is `replay.py`.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

Layout = Mapping[str, tuple[tuple[int, ...], type[np.generic]]]
"""Name of each column -> (shape, dtype) of one row of it."""

_FIRST_ROWS = 1024
_RESERVE_BYTES = 64 * 2**20


def row_bytes(layout: Layout) -> int:
    """Return how many bytes one row takes over all columns."""
    return sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in layout.values())


class Rows:
    """Columns of `ring` rows for each of `streams` streams, of which `room` exist so far."""

    def __init__(
        self, layout: Layout, streams: int, ring: int, *, memory_bytes: int | None = None, folder: Path | None = None
    ) -> None:
        self._layout, self._streams, self._ring = layout, streams, ring
        self._memory_bytes, self._folder = memory_bytes, folder
        self._row_bytes = row_bytes(layout)
        self._files: dict[str, int] = {}
        self.columns: dict[str, np.ndarray] = {}
        self.room = 0
        self.make_room(min(ring, max(64, _FIRST_ROWS // streams)))

    def __del__(self) -> None:
        for descriptor in self._files.values():
            os.close(descriptor)

    @property
    def mapped(self) -> bool:
        """Tell whether the rows lie in files."""
        return bool(self._files)

    def make_room(self, rows: int) -> None:
        """Grow to at least `rows` rows per stream; rows keep their places. Raises OSError when the disk is full."""
        assert rows <= self._ring, (rows, self._ring)
        if rows <= self.room:
            return
        if not self.mapped:
            size = max(self.room, min(rows, _FIRST_ROWS))
            while size < rows:
                size *= 2
            size = min(size, self._ring)
            limit = self._memory_bytes
            if limit is None or self._folder is None or size * self._streams * self._row_bytes <= limit:
                self._enlarge(size)
                return
            self._move_into_files(self._folder)
        ahead = max(64, _RESERVE_BYTES // (self._row_bytes * self._streams))
        self._reserve(min(self._ring, rows + ahead))

    def _enlarge(self, size: int) -> None:
        for name, (shape, dtype) in self._layout.items():
            grown = np.zeros((self._streams, size, *shape), dtype)
            if self.room:
                grown[:, : self.room] = self.columns[name]
            self.columns[name] = grown
        self.room = size

    def _move_into_files(self, folder: Path) -> None:
        """Map a sparse file of the full size for each column, and copy what there is."""
        folder.mkdir(parents=True, exist_ok=True)
        held, self.columns = self.columns, {}
        rows, self.room = self.room, 0
        for name, (shape, dtype) in self._layout.items():
            with _naming(folder), tempfile.TemporaryFile(dir=folder) as file:
                whole = (self._streams, self._ring, *shape)
                file.truncate(math.prod(whole) * np.dtype(dtype).itemsize)
                self._files[name] = os.dup(file.fileno())
            mapped = mmap.mmap(self._files[name], 0)
            self.columns[name] = np.frombuffer(mapped, dtype).reshape(whole)
        if rows:
            self._reserve(rows)
            for name, column in held.items():
                self.columns[name][:, :rows] = column

    def _reserve(self, rows: int) -> None:
        """Claim the disk blocks of the rows up to `rows` of every stream."""
        for name, (shape, dtype) in self._layout.items():
            size = math.prod(shape) * np.dtype(dtype).itemsize
            for stream in range(self._streams):
                start = (stream * self._ring + self.room) * size
                with _naming(self._folder):
                    _claim(self._files[name], start, (rows - self.room) * size)
        self.room = rows


class _naming:
    """Puts the folder into an OSError that names no file: the files have no name."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError):
            error.filename = str(self._folder)


def _claim(descriptor: int, start: int, length: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, start, length)
        return
    # macOS has no such call; nothing was written there yet, so zeros change nothing.
    for offset in range(start, start + length, 2**20):
        os.pwrite(descriptor, bytes(min(2**20, start + length - offset)), offset)
