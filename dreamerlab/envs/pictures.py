"""Pictures: their layout as (height, width, channels) bytes and their size, in plain numpy.

An axis that shrinks is averaged over areas, one that grows repeats the nearest pixel. All in whole numbers, so the
same picture gives the same bytes on every machine and resuming stays exact.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def resize(picture: np.ndarray, size: int) -> np.ndarray:
    """Return a copy of `picture` (H, W, C) uint8 as (size, size, C); only copied where it already fits (M-CP-18)."""
    height, width = picture.shape[:2]
    if (height, width) == (size, size):
        return picture.copy()
    rows = _resize_rows(picture, size)
    both = _resize_rows(rows.transpose(1, 0, 2), size).transpose(1, 0, 2)
    weight = max(height / size, 1) * max(width / size, 1)
    if weight == 1:  # nothing was averaged
        return np.ascontiguousarray(both, np.uint8)
    total = (height if height > size else 1) * (width if width > size else 1)
    return ((both + total // 2) // total).astype(np.uint8)


def _resize_rows(picture: np.ndarray, size: int) -> np.ndarray:
    """Return (size, W, C): areas summed with weights that add up to the old height, or the nearest rows.

    In units of 1/size row, new row i covers [i H, (i+1) H) and old row k covers [k size, (k+1) size). With
    (first_i, part_i) = divmod(i H, size) its sum is size * (rows first_i .. first_{i+1} - 1) plus part_{i+1} times row
    first_{i+1} minus part_i times row first_i.
    """
    height = len(picture)
    if height <= size:
        return picture[(2 * np.arange(size) + 1) * height // (2 * size)]
    first, part = np.divmod(np.arange(size + 1) * height, size)
    # A loop over row blocks is several times faster than np.add.reduceat, which walks down the columns.
    whole = np.stack([np.add.reduce(picture[a:b], axis=0, dtype=np.int64) for a, b in pairwise(first.tolist())])
    # The edge after the last row has part 0, so any row may stand for it.
    edges = picture[np.minimum(first, height - 1)] * part.reshape(-1, 1, 1)
    return size * whole + edges[1:] - edges[:-1]
