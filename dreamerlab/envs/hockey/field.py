"""The bodies of the game in the order in which they are made, which decides the order of contacts.

One engine world serves all games of an environment, and a game in it is the same, to the bit, as one in a new world:
what moves is destroyed, last made first, and made again, and what does not is put back to its place, since the engine's
continuous collisions shift even fixed bodies by roundings (a wall by 5e-7 m in some games). Upstream destroys and makes
everything at every reset, so that its contacts change their order from game to game; that shows in fewer than one game
of a thousand, in last digits first, and we leave it out: here a game follows from its seed and actions alone.
"""

from __future__ import annotations

from typing import Any

from dreamerlab.envs.hockey.engine import Box2D
from dreamerlab.envs.hockey.geometry import (
    GOAL_HALF_HEIGHT,
    GOAL_HALF_WIDTH,
    GOAL_LINE,
    PUCK_RADIUS,
    RACKET,
    RACKET_SCALE,
    SCENERY,
    Outline,
    Piece,
    box,
)
from dreamerlab.envs.hockey.rules import CENTER_X, CENTER_Y, SCALE

Body = Any
"""The engine has no types."""

_PLAYERS, _PUCK, _WALLS = 0x10, 0x01, 0x11
_WALL_FRICTION = 0.1
_SOLID = slice(5, None)
"""Which of the scenery meets anything."""


class Field:
    """One world with its bodies."""

    def __init__(self) -> None:
        self.world: Any = Box2D.b2World(gravity=(0, 0), doSleep=True)
        fixed = [self._fixed(piece) for piece in SCENERY]
        self.goals: tuple[Body, Body] = (self._goal(-1), self._goal(1))
        self._places = [(body, tuple(body.position)) for body in (*fixed[_SOLID], *self.goals)]
        self._fixtures = _racket_fixture(1), _racket_fixture(-1), _puck_fixture()
        self._moving = Box2D.b2BodyDef(type=Box2D.b2_dynamicBody)
        self.movers: tuple[Body, ...] = ()
        """Player one, player two and the puck."""

    def place(
        self, second_player: tuple[float, float], puck: tuple[float, float], listener: Any
    ) -> tuple[Body, Body, Body]:
        """Put both players and the puck on the field anew, and return them; contacts are told to `listener`."""
        world, moving = self.world, self._moving
        world.contactListener = None
        for body in reversed(self.movers):
            world.DestroyBody(body)
        for body, place in self._places:
            body.position = place
        made: list[Body] = []
        for position, fixture, damping in zip(
            ((2.0, CENTER_Y), second_player, puck), self._fixtures, (0.0, 0.0, 0.05), strict=True
        ):
            moving.position, moving.linearDamping = position, damping
            body = world.CreateBody(moving)
            body.CreateFixture(fixture)
            made.append(body)
        world.contactListener = listener
        self.movers = tuple(made)
        return made[0], made[1], made[2]

    def _fixed(self, piece: Piece) -> Body:
        """Make a body that never moves; what is not solid meets nothing."""
        bits = _WALLS if piece.solid else 0
        return self.world.CreateStaticBody(
            position=(CENTER_X + piece.x / SCALE, CENTER_Y + piece.y / SCALE),
            fixtures=Box2D.b2FixtureDef(
                shape=_polygon(piece.shape) if isinstance(piece.shape, tuple) else _circle(piece.shape),
                friction=_WALL_FRICTION if piece.solid else 0.2,
                categoryBits=bits,
                maskBits=bits,
            ),
        )

    def _goal(self, side: int) -> Body:
        """Make a goal: a sensor that only the puck meets, and a wall that only players meet."""
        shape = _polygon(box(-GOAL_HALF_WIDTH, GOAL_HALF_WIDTH, GOAL_HALF_HEIGHT))
        x = CENTER_X + side * (GOAL_LINE / SCALE + GOAL_HALF_WIDTH / SCALE)
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


def _racket_fixture(side: int) -> Any:
    """Return a racket whose straight face looks to the right for side 1, to the left for -1."""
    corners = [(side * px / SCALE * RACKET_SCALE, py / SCALE * RACKET_SCALE) for px, py in RACKET]
    return Box2D.b2FixtureDef(
        shape=Box2D.b2PolygonShape(vertices=corners),
        density=200.0 / RACKET_SCALE,
        friction=1.0,
        restitution=0.0,
        categoryBits=_PLAYERS,
        maskBits=_WALLS,
    )


def _puck_fixture() -> Any:
    return Box2D.b2FixtureDef(
        shape=_circle(PUCK_RADIUS), density=7.0, friction=0.1, restitution=0.95, categoryBits=_PUCK, maskBits=_PLAYERS
    )


def _circle(radius: float) -> Any:
    return Box2D.b2CircleShape(radius=radius / SCALE, pos=(0, 0))


def _polygon(outline: Outline) -> Any:
    return Box2D.b2PolygonShape(vertices=[(x / SCALE, y / SCALE) for x, y in outline])
