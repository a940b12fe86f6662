"""Where everything on the field is and what it looks like: what the engine's bodies and the picture are made from.

In pixels, 60 to a metre, relative to the middle of the field, y up. The order is the one in which bodies are made
(specification, sections 2 and 12).
"""

from __future__ import annotations

from typing import NamedTuple

Color = tuple[int, int, int]
Outline = tuple[tuple[float, float], ...]

GREY, SAND, WHITE, BLACK = (204, 204, 204), (239, 203, 138), (255, 255, 255), (0, 0, 0)
PLAYER_COLORS = ((235, 98, 53), (93, 158, 199))

RACKET: Outline = ((-10, 20), (5, 20), (5, -20), (-10, -20), (-18, -10), (-21, 0), (-18, 10))
"""Player one's, before it is made larger by `RACKET_SCALE`; player two's looks the other way."""
RACKET_SCALE = 1.2
PUCK_RADIUS = 13.0
GOAL_LINE = 245.0
GOAL_HALF_HEIGHT, GOAL_HALF_WIDTH = 75.0, 10.0
_POST: Outline = ((-10, 135), (10, 128), (10, -5), (-10, -5))


class Piece(NamedTuple):
    """Something that never moves: a disc of a radius, or a convex outline, at a place."""

    x: float
    y: float
    shape: float | Outline
    color: Color
    solid: bool = False


def box(left: float, right: float, half_height: float) -> Outline:
    """Return a rectangle's corners."""
    return ((left, half_height), (right, half_height), (right, -half_height), (left, -half_height))


SCENERY = (
    Piece(0, 0, 100, GREY),
    Piece(-250, 0, 75, SAND),
    Piece(-240, 0, box(0, 100, 100), WHITE),
    Piece(250, 0, 75, SAND),
    Piece(140, 0, box(0, 100, 100), WHITE),
    Piece(0, 210, box(-250, 250, 10), BLACK, True),
    Piece(0, -210, box(-250, 250, 10), BLACK, True),
    *(  # the posts: upper left, lower left, upper right, lower right
        Piece(GOAL_LINE * x, 210 * y, tuple((-x * px, -y * py) for px, py in _POST), BLACK, True)
        for x, y in ((-1, 1), (-1, -1), (1, 1), (1, -1))
    ),
)
