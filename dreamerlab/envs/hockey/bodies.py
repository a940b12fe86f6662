"""The numbers of a body that moves: read and written where the engine keeps them, or through its interface.

The engine's Python interface takes about as long for one number as for a whole record of them, and a step of the game
asks for sixty. So a body's record is read in place (`Mover.cells`, floats; `Mover.read`, the six that players see).
Where those floats lie is not promised by the engine: it is tried out once, on a body with known numbers, and unless
every number is found and every write is seen, the interface is used instead, which is slower and gives the same game.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import chain, pairwise
from struct import Struct
from typing import Any

from dreamerlab.envs.hockey.engine import Box2D

X, Y, ANGLE, SPEED_X, SPEED_Y, SPIN = 3, 4, 14, 16, 17, 18
"""Indices of a body's cells: where it is and how it moves."""
FORCE_X, FORCE_Y, TORQUE, DAMPING, SPIN_DAMPING = 19, 20, 21, 40, 41
"""What acts on it in the next step, to be added to; and its dampings."""
_FLAGS, _AWAKE = 2, 2
"""Index among its half words, and the bit that is set unless it sleeps."""
_LAYOUT = "12x2f36xf4x3f"
_SEEN = Struct(_LAYOUT)
_SIZE = 4 * (SPIN_DAMPING + 1)

Seen = tuple[float, float, float, float, float, float]
"""x, y, angle, speed x, speed y, spin."""


class Mover:
    """A body that moves; good until it is destroyed."""

    __slots__ = ("body", "cells", "flags", "read")

    def __init__(self, body: Any) -> None:
        self.body = body
        self.cells: Any
        """Floats by the indices of this module."""
        self.read: Callable[[], Any]
        """Returns `Seen`."""
        self.flags: Any
        if layout_is_known():
            record = (ctypes.c_char * _SIZE).from_address(int(body.this))
            self.cells, self.flags = memoryview(record).cast("B").cast("f"), memoryview(record).cast("B").cast("H")
            self.read = partial(_SEEN.unpack_from, record)
        else:
            self.cells, self.flags = _Interface(body), (0, 0, _AWAKE)
            self.read = partial(_seen, body)

    def wake(self) -> None:
        """Make sure that forces added to the cells act in the next step."""
        if not self.flags[_FLAGS] & _AWAKE:
            self.body.awake = True


def reading(movers: Sequence[Mover]) -> Callable[[], Any]:
    """Return what reads `Seen` of several bodies in one go: at once where they lie behind one another."""
    places = [int(mover.body.this) for mover in movers]
    strides = {after - before for before, after in pairwise(places)}
    stride = min(strides)
    if not layout_is_known() or len(strides) > 1 or stride < _SEEN.size:
        return lambda: tuple(chain.from_iterable(mover.read() for mover in movers))
    together = _together(len(movers), stride)
    return partial(together.unpack_from, (ctypes.c_char * together.size).from_address(places[0]))


@cache
def _together(count: int, stride: int) -> Struct:
    return Struct(f"{stride - _SEEN.size}x".join([_LAYOUT] * count))


class _Interface:
    """Stands in for the cells, by way of the engine's interface; forces read as nothing, and what is set is added."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def __getitem__(self, place: int) -> float:
        body = self._body
        if place in (FORCE_X, FORCE_Y, TORQUE):
            return 0.0
        seen = dict(zip((X, Y, ANGLE, SPEED_X, SPEED_Y, SPIN), _seen(body), strict=True))
        return {**seen, DAMPING: body.linearDamping, SPIN_DAMPING: body.angularDamping}[place]

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
        if _SEEN.unpack_from(record) != _seen(body) or not flags[_FLAGS] & _AWAKE:
            return False
        body.awake = False
        if flags[_FLAGS] & _AWAKE or not flags[_FLAGS]:
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
