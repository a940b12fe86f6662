"""Where everything begins, drawn in the strict order of the specification (section 4)."""

from __future__ import annotations

import numpy as np

from dreamerlab.envs.hockey.rules import CENTER_X, CENTER_Y, Mode

Point = tuple[float, float]
Places = tuple[Point, Point, Point | None]
"""Where player two and the puck begin, and the point the puck is shot at."""


def draw_places(rng: np.random.Generator, mode: Mode, one_starts: bool) -> Places:
    """Draw where everything begins, in the strict order (specification, section 4)."""
    second = (8.0, CENTER_Y)
    if mode is not Mode.NORMAL:
        second = (8.0 + rng.uniform(-10 / 3, 10 / 6), CENTER_Y + rng.uniform(-2, 2))
    if mode is not Mode.TRAIN_DEFENSE:
        away, up = rng.uniform(1, 2), rng.uniform(-1, 1)
        left = mode is Mode.TRAIN_SHOOTING or one_starts
        return second, (CENTER_X - away if left else CENTER_X + away, CENTER_Y + up), None
    away, up, aim = rng.uniform(0, 10 / 3), rng.uniform(-4, 4), rng.uniform(-1.25, 1.25)
    return second, (CENTER_X + away, CENTER_Y + 0.8 * up), (0.0, CENTER_Y + 0.6 * aim)


def one_starts_by(seed: int) -> bool:
    """Tell who starts in the game of a seed, where nothing else does; by a generator apart from the one for places."""
    return bool(np.random.default_rng((seed, 1)).integers(2))
