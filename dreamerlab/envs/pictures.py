"""Pictures: bytes as (height, width, channels), and their size, in plain numpy.

An axis that shrinks is averaged over areas, one that grows repeats the nearest pixel. All in whole numbers, so the
same picture gives the same bytes on every machine and resuming stays exact. 400 x 600 to 64 x 64 takes about 0.5 ms.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def resize(picture: np.ndarray, size: int) -> np.ndarray:
    """Return a copy of `picture` (H, W, C) uint8 as (size, size, C); only copied where it already fits (M-CP-18)."""
    height, width = picture.shape[:2]
    if (height, width) == (size, size):
        return picture.copy()
    integer = np.int32 if 255 * height * width < 2**31 else np.int64
    columns_first = np.ascontiguousarray(_resize_rows(picture, size, integer).transpose(1, 0, 2))
    total = _resize_rows(columns_first, size, integer).transpose(1, 0, 2)
    weight = (height if height > size else 1) * (width if width > size else 1)
    return np.ascontiguousarray((total + weight // 2) // weight, np.uint8)


def _resize_rows(picture: np.ndarray, size: int, integer: type[np.signedinteger]) -> np.ndarray:
    """Return (size, W, C): areas summed with weights that add up to the old height, or the nearest rows.

    In units of 1/size row, new row i covers [i H, (i+1) H) and old row k covers [k size, (k+1) size). With
    (first_i, part_i) = divmod(i H, size) its sum is size * (rows first_i .. first_{i+1} - 1) plus part_{i+1} times row
    first_{i+1} minus part_i times row first_i.
    """
    height = len(picture)
    if height <= size:
        return picture[(2 * np.arange(size) + 1) * height // (2 * size)]
    first, part = np.divmod(np.arange(size + 1) * height, size)
    total = np.empty((size, *picture.shape[1:]), integer)
    # A loop over blocks of rows is several times faster than np.add.reduceat, which walks down the columns.
    for row, (start, end) in enumerate(pairwise(first.tolist())):
        np.add.reduce(picture[start:end], axis=0, dtype=integer, out=total[row])
    total *= size
    # The edge after the last row has part 0, so any row may stand for it.
    edges = picture[np.minimum(first, height - 1)] * part.astype(integer).reshape(-1, 1, 1)
    total += edges[1:]
    total -= edges[:-1]
    return total
