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
    velocity that is set changes the body at once (quirk Q10). Dampings are written when they change.
    """

    __slots__ = ("_damping", "_force", "_mass", "_side", "_spin_damping", "body", "position", "velocity")

    def __init__(self, body: Any, side: int) -> None:
        self.body, self._side, self._mass = body, float(side), float(body.mass)
        self._force = side * FORCE
        self.position, self.velocity = body.position, body.linearVelocity
        self._damping = self._spin_damping = 0.0

    def act(self, x: float, y: float, turn: float) -> None:
        """Apply the forces of an action, each number of single precision within [-1, 1]."""
        body, velocity = self.body, self.velocity
        speed_x, speed_y = velocity.x, velocity.y
        ahead = self._side * (self.position.x - CENTER_X)
        force_x, force_y = self._force * x, self._force * y
        pushes = True
        if ahead > -ZONE:
            # The middle: whoever moves on is pushed back, whatever was asked for.
            mass = self._mass
            force_x = single(-2 * speed_x * mass / TIME_STEP) if self._side * speed_x > 0 else 0.0
            force_x = single(force_x + single(-ahead * speed_x * mass / TIME_STEP))
            damping = 20.0
        else:
            damping = 5.0
            speed = sqrt(speed_x * speed_x + speed_y * speed_y)
            if speed >= MAX_PLAYER_SPEED:
                damping = 20.0
                next_x = speed_x + single(single(_STEP * force_x) / self._mass)
                next_y = speed_y + single(single(_STEP * force_y) / self._mass)
                pushes = sqrt(next_x * next_x + next_y * next_y) < speed
        if damping != self._damping:
            body.linearDamping = self._damping = damping
        if pushes:
            at_y, own = self.position.y, self._side * force_x
            if (ahead > 0.0 and own > 0.0) or (ahead < -3.5 and own < 0.0):
                velocity.x = force_x = 0.0
            if (at_y > 6.8 and force_y > 0.0) or (at_y < 1.2 and force_y < 0.0):
                velocity.y = force_y = 0.0
            body.ApplyForceToCenter((force_x, force_y), True)
        angle, torque, damping = body.angle, turn * TORQUE, 2.0
        if not -MAX_ANGLE <= angle <= MAX_ANGLE:
            spin, damping = body.angularVelocity, 10.0
            torque = -0.1 * spin * self._mass / TIME_STEP if angle * spin > 0 else 0.0
            torque += -0.1 * angle * self._mass / TIME_STEP
        if damping != self._spin_damping:
            body.angularDamping = self._spin_damping = damping
        body.ApplyTorque(torque, True)


class Puck:
    """The puck's body; `position` and `velocity` are live views, as a racket's."""

    __slots__ = ("_damping", "body", "mass", "position", "velocity")

    def __init__(self, body: Any) -> None:
        self.body, self.mass, self._damping = body, body.mass, float(body.linearDamping)
        self.position, self.velocity = body.position, body.linearVelocity

    def damp(self) -> None:
        """Slow a fast puck down harder (quirk Q11: a threshold, no limit)."""
        x, y = self.velocity.x, self.velocity.y
        damping = 10.0 if sqrt(x * x + y * y) > MAX_PUCK_SPEED else 0.05
        if damping != self._damping:
            self.body.linearDamping = self._damping = damping
