"""The bodies of the game in the order in which they are made, which decides the order of contacts.

A new engine world is built for every game: bodies destroyed and made again in one world would have to be destroyed in
one certain order, or trajectories with simultaneous contacts come out differently (specification, section 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import Box2D

from dreamerlab.envs.hockey.rules import CENTER_X, CENTER_Y, GOAL_HALF_HEIGHT, SCALE

Body = Any
"""The engine has no types."""
Color = tuple[int, int, int]

GREY, SAND, WHITE, BLACK = (204, 204, 204), (239, 203, 138), (255, 255, 255), (0, 0, 0)
PLAYER_COLORS = ((235, 98, 53), (93, 158, 199))

_PLAYERS, _PUCK, _WALLS = 0x10, 0x01, 0x11
_RACKET = ((-10, 20), (5, 20), (5, -20), (-10, -20), (-18, -10), (-21, 0), (-18, 10))
_RACKET_SCALE = 1.2
_POST = ((-10, 135), (10, 128), (10, -5), (-10, -5))
_GOAL_LINE = 245 / SCALE
_WALL_FRICTION = 0.1


class Field:
    """One world with its bodies. `scenery` are the eleven that never move, without the goals, in drawing order."""

    def __init__(self, second_player: tuple[float, float], puck: tuple[float, float], listener: Any) -> None:
        self.world: Any = Box2D.b2World(gravity=(0, 0), doSleep=True)
        self.scenery: list[tuple[Body, Color]] = [
            (self._fixed(0, 0, _circle(100), 0), GREY),
            (self._fixed(-250, 0, _circle(75), 0), SAND),
            (self._fixed(-240, 0, _box(0, 100, 100), 0), WHITE),
            (self._fixed(250, 0, _circle(75), 0), SAND),
            (self._fixed(140, 0, _box(0, 100, 100), 0), WHITE),
            (self._fixed(0, 210, _box(-250, 250, 10), _WALLS), BLACK),
            (self._fixed(0, -210, _box(-250, 250, 10), _WALLS), BLACK),
        ]
        for x, y in ((-1, -1), (-1, 1), (1, -1), (1, 1)):  # signs of the shape; upper left, lower left, and the right
            shape = _polygon([(-x * px, y * py) for px, py in _POST])
            self.scenery.append((self._fixed(245 * x, -210 * y, shape, _WALLS), BLACK))
        self.goals: tuple[Body, Body] = (self._goal(-1), self._goal(1))
        self.players: tuple[Body, Body] = (self._player(1, 2.0, CENTER_Y), self._player(-1, *second_player))
        self.puck: Body = self._make_puck(*puck)
        self.world.contactListener = listener

    def _fixed(self, x: float, y: float, shape: Any, bits: int) -> Body:
        """Make a body that never moves, at an offset from the centre in pixels."""
        friction = _WALL_FRICTION if bits else 0.2
        fixture = Box2D.b2FixtureDef(shape=shape, friction=friction, categoryBits=bits, maskBits=bits)
        return self.world.CreateStaticBody(position=(CENTER_X + x / SCALE, CENTER_Y + y / SCALE), fixtures=fixture)

    def _goal(self, side: int) -> Body:
        """Make a goal: a sensor that only the puck meets, and a wall that only players meet."""
        shape, x = _box(-10, 10, GOAL_HALF_HEIGHT), CENTER_X + side * (_GOAL_LINE + 10 / SCALE)
        return self.world.CreateStaticBody(
            position=(x, CENTER_Y),
            fixtures=[
                Box2D.b2FixtureDef(
                    shape=shape,
                    friction=_WALL_FRICTION,
                    categoryBits=_PLAYERS,
                    maskBits=mask,
                    isSensor=mask == _PUCK,
                )
                for mask in (_PUCK, _PLAYERS)
            ],
        )

    def _player(self, side: int, x: float, y: float) -> Body:
        """Make a racket whose straight face looks to the right for side 1, to the left for -1."""
        corners = [(side * px / SCALE * _RACKET_SCALE, py / SCALE * _RACKET_SCALE) for px, py in _RACKET]
        fixture = Box2D.b2FixtureDef(
            shape=Box2D.b2PolygonShape(vertices=corners),
            density=200.0 / _RACKET_SCALE,
            friction=1.0,
            restitution=0.0,
            categoryBits=_PLAYERS,
            maskBits=_WALLS,
        )
        return self.world.CreateDynamicBody(position=(x, y), angle=0.0, fixtures=fixture)

    def _make_puck(self, x: float, y: float) -> Body:
        fixture = Box2D.b2FixtureDef(
            shape=_circle(13),
            density=7.0,
            friction=0.1,
            restitution=0.95,
            categoryBits=_PUCK,
            maskBits=_PLAYERS,
        )
        return self.world.CreateDynamicBody(position=(x, y), angle=0.0, fixtures=fixture, linearDamping=0.05)


def _circle(radius: float) -> Any:
    return Box2D.b2CircleShape(radius=radius / SCALE, pos=(0, 0))


def _polygon(pixels: Sequence[tuple[float, float]]) -> Any:
    return Box2D.b2PolygonShape(vertices=[(x / SCALE, y / SCALE) for x, y in pixels])


def _box(left: float, right: float, half_height: float) -> Any:
    return _polygon([(left, half_height), (right, half_height), (right, -half_height), (left, -half_height)])
