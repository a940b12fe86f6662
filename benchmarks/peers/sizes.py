"""The sizes at which updates are compared, and the batch that both sides learn from.

Imported by every side, each in its own environment: numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Limit:
    """Our CPU time as a share of the peer's: what is promised, and what is hoped for."""

    promised: float
    hoped: float


@dataclass(frozen=True)
class Size:
    """Widths, layers and batch; whatever is not named here is the reference's value on every side."""

    name: str
    obs: int
    """Numbers in an observation; 0 observes a picture of 64 x 64 x 3 bytes."""
    actions: int
    continuous: bool
    deter: int
    units: int
    """Width of every hidden layer, inside the recurrent core as well."""
    stoch: int
    classes: int
    layers: int
    """Hidden layers of encoder, decoder, heads, policy and critic; prior and posterior keep the reference's 2 and 1."""
    batch: int
    length: int
    limit: Limit
    cnn_depth: int = 16


SIZES = {
    size.name: size
    for size in (
        Size("S0", 4, 2, False, 128, 128, 8, 8, 1, 8, 32, Limit(0.40, 0.33)),
        Size("S1", 4, 2, False, 256, 256, 16, 16, 2, 16, 64, Limit(0.50, 0.42)),
        Size("S2", 18, 4, True, 256, 256, 16, 16, 2, 32, 32, Limit(0.50, 0.42)),
        Size("S3", 0, 2, False, 256, 256, 16, 16, 2, 8, 32, Limit(0.60, 0.50)),
    )
}


def make_rows(size: Size, seed: int) -> dict[str, np.ndarray]:
    """Return `length + 1` replayed rows of `batch` streams, time first; row 0 is the context of the others.

    Episodes end now and then, by death and by time limit, and the next row starts one.
    """
    rng = np.random.default_rng(seed)
    shape = (size.length + 1, size.batch)
    if size.obs:
        obs = rng.normal(size=(*shape, size.obs)).astype(np.float32)
    else:
        obs = rng.integers(0, 256, (*shape, 64, 64, 3), dtype=np.uint8)
    if size.continuous:
        action = np.clip(rng.normal(size=(*shape, size.actions)), -1, 1).astype(np.float32)
    else:
        action = rng.integers(0, size.actions, (*shape, 1))
    is_last = rng.random(shape) < 0.02
    is_terminal = is_last & (rng.random(shape) < 0.5)
    is_first = np.concatenate([rng.random((1, size.batch)) < 0.02, is_last[:-1]])
    action[is_last] = 0
    return {
        "obs": obs,
        "action": action,
        "reward": np.where(is_first, 0, rng.normal(size=shape)).astype(np.float32),
        "is_first": is_first,
        "is_last": is_last,
        "is_terminal": is_terminal,
        "deter": np.tanh(rng.normal(size=(*shape, size.deter))).astype(np.float32),
        "stoch": rng.integers(0, size.classes, (*shape, size.stoch)),
    }
