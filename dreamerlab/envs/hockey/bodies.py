"""The numbers of a body that moves: read and written where the engine keeps them, or through its interface.

The engine's Python interface takes about as long for one number as for a whole record of them, and a step of the game
asks for sixty. So a body's record is read in place (`Mover.cells`, floats; `Mover.read`, the six that players see).
Where those floats lie is not promised by the engine: it is tried out once, on a body with known numbers, and unless
every number is found and every write is seen, the interface is used instead, which is slower and gives the same game.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from itertools import chain, pairwise
from struct import Struct, calcsize
from typing import Any

from dreamerlab.envs.hockey.engine import Box2D

X, Y, ANGLE, SPEED_X, SPEED_Y, SPIN = 3, 4, 14, 16, 17, 18
"""Indices of a body's cells: where it is and how it moves."""
FORCE_X, FORCE_Y, TORQUE, DAMPING, SPIN_DAMPING = 19, 20, 21, 40, 41
"""What acts on it in the next step, to be added to; and its dampings."""
_FLAGS, AWAKE = 2, 2
"""Index among its half words, and the bit that is set unless it sleeps."""
_LAYOUT, _ACTED, _SPEED = "12x2f36xf4x3f", "4xH6x2f36xf4x6f", "64x2f"
"""Where `Seen` lies; flags, `Seen` and what acts; and the speed alone."""
_SEEN = Struct(_LAYOUT)
_SIZE = 4 * (SPIN_DAMPING + 1)

Seen = tuple[float, float, float, float, float, float]
"""x, y, angle, speed x, speed y, spin."""


class Mover:
    """A body that moves; good until it is destroyed."""

    __slots__ = ("body", "cells", "read")

    def __init__(self, body: Any) -> None:
        self.body = body
        self.cells: Any
        """Floats by the indices of this module."""
        self.read: Callable[[], Any]
        """Returns `Seen`."""
        if layout_is_known():
            self.cells, self.read = _record(int(body.this))
        else:
            self.cells = _Interface(body)
            self.read = partial(_seen, body)


@lru_cache(maxsize=64)
def _record(place: int) -> tuple[Any, Callable[[], Any]]:
    """Return what a `Mover` reads and writes; the engine makes the bodies of the next game where the last ones were."""
    record = (ctypes.c_char * _SIZE).from_address(place)
    return memoryview(record).cast("B").cast("f"), partial(_SEEN.unpack_from, record)


def reading(movers: Sequence[Mover]) -> Callable[[], Any]:
    """Return what reads `Seen` of several bodies in one go: at once where they lie behind one another."""
    together = _together(movers, (_LAYOUT,) * len(movers))
    return together or (lambda: tuple(chain.from_iterable(mover.read() for mover in movers)))


def sensing(one: Mover, two: Mover, puck: Mover) -> Callable[[], Any]:
    """Return what reads all that a step begins with.

    Of both players the flags, `Seen`, the forces x and y and the torque that are to act already; the puck's speed.
    """
    together = _together((one, two, puck), (_ACTED, _ACTED, _SPEED))
    if together:
        return together

    def sense() -> Any:
        _, _, _, x, y, _ = puck.read()
        return (AWAKE, *one.read(), 0.0, 0.0, 0.0, AWAKE, *two.read(), 0.0, 0.0, 0.0, x, y)

    return sense


def _together(movers: Sequence[Mover], layouts: tuple[str, ...]) -> Callable[[], Any] | None:
    places = [int(mover.body.this) for mover in movers]
    strides = {after - before for before, after in pairwise(places)}
    stride = min(strides)
    if not layout_is_known() or len(strides) > 1 or stride < _SIZE:
        return None
    return _row(places[0], stride, layouts)


@lru_cache(maxsize=64)
def _row(place: int, stride: int, layouts: tuple[str, ...]) -> Callable[[], Any]:
    layout = "".join(f"{layout}{stride - calcsize(layout)}x" for layout in layouts)
    return partial(Struct(layout).unpack_from, (ctypes.c_char * calcsize(layout)).from_address(place))


class _Interface:
    """Stands in for the cells, by way of the engine's interface; forces that are set are added."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def __getitem__(self, place: int) -> float:
        return _seen(self._body)[(X, Y, ANGLE, SPEED_X, SPEED_Y, SPIN).index(place)]

    def __setitem__(self, place: int, value: float) -> None:
        body = self._body
        if place == SPEED_X:
            body.linearVelocity.x = value
        elif place == SPEED_Y:
            body.linearVelocity.y = value
        elif place == FORCE_X:
            body.ApplyForceToCenter((value, 0.0), True)
        elif place == FORCE_Y:
            body.ApplyForceToCenter((0.0, value), True)
        elif place == TORQUE:
            body.ApplyTorque(value, True)
        elif place == DAMPING:
            body.linearDamping = value
        else:
            assert place == SPIN_DAMPING, place
            body.angularDamping = value


def _seen(body: Any) -> Seen:
    (x, y), (speed_x, speed_y) = body.position, body.linearVelocity
    return x, y, body.angle, speed_x, speed_y, body.angularVelocity


@cache
def layout_is_known() -> bool:
    """Tell whether a body's numbers lie where this module looks for them, by trying it out."""
    try:
        world = Box2D.b2World(gravity=(0, 0), doSleep=True)
        body = world.CreateDynamicBody(position=(1.25, 2.5), angle=0.75, linearDamping=6.5, angularDamping=7.25)
        body.CreateFixture(Box2D.b2FixtureDef(shape=Box2D.b2CircleShape(radius=0.5), density=2.0))
        body.linearVelocity, body.angularVelocity = (3.5, -4.25), 5.5
        body.ApplyForceToCenter((8.5, 9.25), True)
        body.ApplyTorque(10.5, True)
        record = (ctypes.c_char * _SIZE).from_address(int(body.this))
        cells, flags = memoryview(record).cast("B").cast("f"), memoryview(record).cast("B").cast("H")
        expected = {X: 1.25, Y: 2.5, ANGLE: 0.75, SPEED_X: 3.5, SPEED_Y: -4.25, SPIN: 5.5, FORCE_X: 8.5, FORCE_Y: 9.25}
        expected |= {TORQUE: 10.5, DAMPING: 6.5, SPIN_DAMPING: 7.25}
        if any(cells[place] != value for place, value in expected.items()):
            return False
        if _SEEN.unpack_from(record) != _seen(body) or not flags[_FLAGS] & AWAKE:
            return False
        if Struct(_ACTED).unpack_from(record) != (flags[_FLAGS], *_seen(body), 8.5, 9.25, 10.5):
            return False
        body.awake = False
        if flags[_FLAGS] & AWAKE or not flags[_FLAGS]:
            return False
        body.awake = True
        # What is written has to act: after a step the engine has reckoned with it.
        cells[SPEED_X], cells[FORCE_X], cells[TORQUE], cells[DAMPING], cells[SPIN_DAMPING] = 1.0, 3.0, 0.5, 0.0, 0.0
        written, given = _step(world, body), _given()
        return written == given
    except (AttributeError, TypeError, ValueError):
        return False


def _given() -> Seen:
    """Return what becomes of the tried body where the same is done through the interface."""
    world = Box2D.b2World(gravity=(0, 0), doSleep=True)
    body = world.CreateDynamicBody(position=(1.25, 2.5), angle=0.75)
    body.CreateFixture(Box2D.b2FixtureDef(shape=Box2D.b2CircleShape(radius=0.5), density=2.0))
    body.linearVelocity = (1.0, 0.0)
    body.ApplyForceToCenter((3.0, 0.0), True)
    body.ApplyTorque(0.5, True)
    return _step(world, body)


def _step(world: Any, body: Any) -> Seen:
    world.Step(0.02, 8, 8)
    return _seen(body)
