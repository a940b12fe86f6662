"""Pictures a trial leaves of itself: what its world model expects to see beside what was seen.

Owns the layout (truth, model, error in three rows) and a PNG writer of a few lines, so that training needs no picture
library. What the model expects is computed by `dreamer/prediction.py`; films of whole episodes are `film.py`, which
no trial imports.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dreamerlab.atomic import atomic_write_bytes

MOST_COLUMNS = 16
"""Frames shown of one sequence; of a longer one evenly chosen ones, the last context frame among them."""
_GAP = 2
_PAPER, _CONTEXT, _OPEN, _BEYOND = 225, (60, 120, 216), (230, 120, 30), (180, 180, 180)
_BAR = 3


def prediction_picture(truth: np.ndarray, model: np.ndarray, valid: np.ndarray, context: int) -> np.ndarray:
    """Return (height, width, 3) uint8: for each sequence the rows truth, model, error; time runs to the right.

    `truth` and `model` are (N, T, H, W, C) uint8; the model has seen the first `context` frames and runs on its own
    after them. A bar above each frame is blue while it sees and orange where it does not; where `valid` (N, T) is false
    (another episode has begun, which no model foresees) it is grey, and what the model drew is left out. The error row
    is grey where model and truth agree, brighter where the model is brighter.
    """
    assert truth.shape == model.shape, (truth.shape, model.shape)
    assert truth.shape[:2] == valid.shape, (truth.shape, valid.shape)
    assert 0 < context <= truth.shape[1], (context, truth.shape)
    chosen = chosen_columns(truth.shape[1], context)
    truth, model, valid = _coloured(truth[:, chosen]), _coloured(model[:, chosen]), valid[:, chosen]
    error = ((model.astype(np.int16) - truth.astype(np.int16) + 255) // 2).astype(np.uint8)
    model, error = (np.where(valid[..., None, None, None], frames, np.uint8(_PAPER)) for frames in (model, error))
    bands: list[np.ndarray] = []
    for known, *rows in zip(valid, truth, model, error, strict=True):
        colours = [_CONTEXT if place < context else _OPEN for place in chosen]
        bars = [colour if ok else _BEYOND for colour, ok in zip(colours, known, strict=True)]
        bands += [_padded(line) for line in (_bars(bars, truth.shape[3]), *map(_line, rows))]
        bands[-1] = np.pad(bands[-1], ((0, 2 * _GAP), (0, 0), (0, 0)), constant_values=_PAPER)
    return np.concatenate(bands)


def chosen_columns(length: int, context: int) -> list[int]:
    """Return the frames that are shown of a sequence: all, or `MOST_COLUMNS` with both sides of the boundary."""
    if length <= MOST_COLUMNS:
        return list(range(length))
    seen = max(1, min(context, round(MOST_COLUMNS * context / length), MOST_COLUMNS - min(2, length - context)))
    ahead = MOST_COLUMNS - seen
    # The boundary is what the picture is looked at for: the last frame seen and the first one not seen stay.
    before = np.linspace(0 if seen > 1 else context - 1, context - 1, seen)
    after = np.linspace(context, length - 1, ahead if context < length else 0)
    return sorted({round(float(place)) for place in (*before, *after)})


def png_bytes(picture: np.ndarray) -> bytes:
    """Return (height, width, 3) uint8 as a PNG file; equal pictures give equal bytes."""
    height, width, channels = picture.shape
    assert picture.dtype == np.uint8, picture.dtype
    assert channels == 3, picture.shape
    # Each line opens with its filter: 0, none.
    lines = np.zeros((height, 1 + 3 * width), np.uint8)
    lines[:, 1:] = picture.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def write_picture(folder: Path, env_steps: int, picture: np.ndarray) -> Path:
    """Write a picture as `env-steps-000004000.png` into `folder`, which is made; return where it is.

    Raises ToolFailed when the disk refuses; nothing half-written is left.
    """
    path = folder / f"env-steps-{env_steps:09d}.png"
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(path, png_bytes(picture), durable=False)
    return path


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _coloured(frames: np.ndarray) -> np.ndarray:
    """Return (..., 3): one channel three times, of two the first as red and blue, of more the last three."""
    channels = frames.shape[-1]
    if channels == 2:
        return frames[..., [0, 1, 0]]
    return np.repeat(frames, 3, axis=-1) if channels == 1 else frames[..., -3:]


def _line(frames: np.ndarray) -> np.ndarray:
    """Return frames (T, H, W, 3) side by side, with gaps."""
    return np.concatenate([np.pad(one, ((0, 0), (0, _GAP), (0, 0)), constant_values=_PAPER) for one in frames], 1)


def _bars(colours: Sequence[tuple[int, int, int]], width: int) -> np.ndarray:
    """Return (_BAR, width of a line, 3): a bar of each colour, as wide as a frame."""
    bars = np.zeros((len(colours), _BAR, width, 3), np.uint8)
    bars[:] = np.array(colours, np.uint8)[:, None, None]
    return _line(bars)


def _padded(line: np.ndarray) -> np.ndarray:
    return np.pad(line, ((_GAP, 0), (_GAP, 0), (0, 0)), constant_values=_PAPER)
