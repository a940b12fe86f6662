"""What an action does to a player, and what speed does to the puck (specification, sections 5, 5.1 and 5.2).

Plain floats throughout, rounded to single precision exactly where the engine's numbers or the original's small arrays
do: a product of two single precision numbers is exact in double precision, so rounding it once gives the same bits.
"""

from __future__ import annotations

from array import array
from math import sqrt
from typing import Any

from dreamerlab.envs.hockey.rules import (
    CENTER_X,
    FORCE,
    MAX_ANGLE,
    MAX_PLAYER_SPEED,
    MAX_PUCK_SPEED,
    TIME_STEP,
    TORQUE,
    ZONE,
)

_cell = array("f", [0.0])


def single(value: float) -> float:
    """Return the nearest number of single precision."""
    _cell[0] = value
    return _cell[0]


_STEP = single(TIME_STEP)


class Racket:
    """One player's body under control; `side` is 1 for player one, -1 for player two, whose forces are mirrored.

    `position` and `velocity` are live views into the engine: they always tell the present, and a component of the
    velocity that is set changes the body at once (quirk Q10).
    """

    __slots__ = ("_mass", "_side", "body", "position", "velocity")

    def __init__(self, body: Any, side: int) -> None:
        self.body, self._side, self._mass = body, float(side), float(body.mass)
        self.position, self.velocity = body.position, body.linearVelocity

    def act(self, x: float, y: float, turn: float) -> None:
        """Apply the forces of an action, each number of single precision within [-1, 1]."""
        self._push(x, y)
        self._turn(turn)

    def _push(self, x: float, y: float) -> None:
        side, velocity, body, mass = self._side, self.velocity, self.body, self._mass
        force_x, force_y = side * x * FORCE, side * y * FORCE
        at_x, at_y, speed_x, speed_y = self.position.x, self.position.y, velocity.x, velocity.y
        if side * (at_x - CENTER_X) > -ZONE:
            # The middle: whoever moves on is pushed back, whatever was asked for.
            force_x = single(-2 * speed_x * mass / TIME_STEP) if side * speed_x > 0 else 0.0
            force_x = single(force_x + single(-side * (at_x - CENTER_X) * speed_x * mass / TIME_STEP))
            body.linearDamping = 20.0
        else:
            speed = sqrt(speed_x * speed_x + speed_y * speed_y)
            if speed < MAX_PLAYER_SPEED:
                body.linearDamping = 5.0
            else:
                body.linearDamping = 20.0
                next_x = speed_x + single(single(_STEP * force_x) / mass)
                next_y = speed_y + single(single(_STEP * force_y) / mass)
                if sqrt(next_x * next_x + next_y * next_y) >= speed:
                    return
        ahead, own = side * (at_x - CENTER_X), side * force_x
        if (ahead < -3.5 and own < 0) or (ahead > 0 and own > 0):
            velocity.x = force_x = 0.0
        if (at_y > 6.8 and force_y > 0) or (at_y < 1.2 and force_y < 0):
            velocity.y = force_y = 0.0
        body.ApplyForceToCenter((force_x, force_y), True)

    def _turn(self, turn: float) -> None:
        body, torque = self.body, turn * TORQUE
        angle = body.angle
        if abs(angle) > MAX_ANGLE:
            spin = body.angularVelocity
            torque = -0.1 * spin * self._mass / TIME_STEP if angle * spin > 0 else 0.0
            torque += -0.1 * angle * self._mass / TIME_STEP
            body.angularDamping = 10.0
        else:
            body.angularDamping = 2.0
        body.ApplyTorque(torque, True)


def damp_puck(puck: Any, velocity: Any) -> None:
    """Slow a fast puck down harder (quirk Q11: a threshold, no limit)."""
    x, y = velocity.x, velocity.y
    puck.linearDamping = 10.0 if sqrt(x * x + y * y) > MAX_PUCK_SPEED else 0.05
