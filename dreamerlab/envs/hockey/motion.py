"""What an action does to a player, and what speed does to the puck (specification, sections 5, 5.1 and 5.2).

Plain floats throughout, rounded to single precision exactly where the engine's numbers or the original's small arrays
do: a product of two single precision numbers is exact in double precision, so rounding it once gives the same bits.
"""

from __future__ import annotations

from array import array
from math import sqrt
from typing import Any

from dreamerlab.envs.hockey.bodies import (
    DAMPING,
    FORCE_X,
    FORCE_Y,
    SPEED_X,
    SPEED_Y,
    SPIN_DAMPING,
    TORQUE,
    Mover,
)
from dreamerlab.envs.hockey.rules import (
    CENTER_X,
    FORCE,
    MAX_ANGLE,
    MAX_PLAYER_SPEED,
    MAX_PUCK_SPEED,
    TIME_STEP,
    TORQUE_SCALE,
    ZONE,
)

_cell = array("f", [0.0])


def single(value: float) -> float:
    """Return the nearest number of single precision."""
    _cell[0] = value
    return _cell[0]


_STEP = single(TIME_STEP)


class Racket(Mover):
    """One player's body under control; `side` is 1 for player one, -1 for player two, whose forces are mirrored.

    A component of the velocity that is set changes the body at once (quirk Q10).
    """

    __slots__ = ("mass", "side")

    def __init__(self, body: Any, side: int) -> None:
        super().__init__(body)
        self.side, self.mass = float(side), float(body.mass)

    def act(self, x: float, y: float, turn: float) -> None:
        """Apply the forces of an action, each number of single precision within [-1, 1]."""
        at_x, at_y, angle, speed_x, speed_y, spin = self.read()
        if not self.flags[2] & 2:
            self.wake()
        cells, side = self.cells, self.side
        ahead, force_x, force_y = side * (at_x - CENTER_X), side * x * FORCE, side * y * FORCE
        damping, pushes = 5.0, True
        if ahead > -ZONE:
            # The middle: whoever moves on is pushed back, whatever was asked for.
            mass, damping = self.mass, 20.0
            force_x = single(-2 * speed_x * mass / TIME_STEP) if side * speed_x > 0 else 0.0
            force_x = single(force_x + single(-ahead * speed_x * mass / TIME_STEP))
        else:
            speed = sqrt(speed_x * speed_x + speed_y * speed_y)
            if speed >= MAX_PLAYER_SPEED:
                damping = 20.0
                next_x = speed_x + single(single(_STEP * force_x) / self.mass)
                next_y = speed_y + single(single(_STEP * force_y) / self.mass)
                pushes = sqrt(next_x * next_x + next_y * next_y) < speed
        cells[DAMPING] = damping
        if pushes:
            if (ahead > 0.0 and side * force_x > 0.0) or (ahead < -3.5 and side * force_x < 0.0):
                cells[SPEED_X] = force_x = 0.0
            if (at_y > 6.8 and force_y > 0.0) or (at_y < 1.2 and force_y < 0.0):
                cells[SPEED_Y] = force_y = 0.0
            cells[FORCE_X] += force_x
            cells[FORCE_Y] += force_y
        if -MAX_ANGLE <= angle <= MAX_ANGLE:
            cells[SPIN_DAMPING] = 2.0
            cells[TORQUE] += turn * TORQUE_SCALE
        else:
            cells[SPIN_DAMPING] = 10.0
            torque = -0.1 * spin * self.mass / TIME_STEP if angle * spin > 0 else 0.0
            cells[TORQUE] += torque - 0.1 * angle * self.mass / TIME_STEP


class Puck(Mover):
    """The puck's body."""

    __slots__ = ()

    def damp(self) -> None:
        """Slow a fast puck down harder (quirk Q11: a threshold, no limit)."""
        cells = self.cells
        x, y = cells[SPEED_X], cells[SPEED_Y]
        cells[DAMPING] = 10.0 if sqrt(x * x + y * y) > MAX_PUCK_SPEED else 0.05
