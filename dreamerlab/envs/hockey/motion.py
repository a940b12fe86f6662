"""What an action does to a player, and what speed does to the puck (specification, sections 5, 5.1 and 5.2).

Plain floats throughout, rounded to single precision exactly where the engine's numbers or the original's small arrays
do: a product of two single precision numbers is exact in double precision, so rounding it once gives the same bits.
"""

from __future__ import annotations

from array import array
from math import sqrt
from typing import Any

from dreamerlab.envs.hockey.bodies import (
    AWAKE,
    DAMPING,
    FORCE_X,
    FORCE_Y,
    SPEED_X,
    SPEED_Y,
    SPIN_DAMPING,
    TORQUE,
    Mover,
    sensing,
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
_OWN_PART, _LEAST_ANGLE = -ZONE, -MAX_ANGLE
_SLOW, _SLOW_PUCK = 0.99 * MAX_PLAYER_SPEED**2, 0.99 * MAX_PUCK_SPEED**2
"""Squares of speeds that are below the limits however they are rounded: no root needs to be drawn."""


class Racket(Mover):
    """One player's body under control; `side` is 1 for player one, -1 for player two, whose forces are mirrored.

    A component of the velocity that is set changes the body at once (quirk Q10).
    """

    __slots__ = ("mass", "push", "side")

    def __init__(self, body: Any, side: int) -> None:
        super().__init__(body)
        self.side, self.mass, self.push = float(side), float(body.mass), side * FORCE

    def act(
        self, x: float, y: float, turn: float, at_x: float, at_y: float, angle: float, speed_x: float, speed_y: float,
        spin: float, was_x: float, was_y: float, torque: float,
    ) -> None:  # fmt: skip
        """Apply the forces of an action, each number of single precision within [-1, 1], given what `sensing` reads."""
        cells, side, push = self.cells, self.side, self.push
        ahead, force_x, force_y = side * (at_x - CENTER_X), push * x, push * y
        pushes = True
        if ahead <= _OWN_PART:
            squared = speed_x * speed_x + speed_y * speed_y
            if squared < _SLOW or (speed := sqrt(squared)) < MAX_PLAYER_SPEED:
                cells[DAMPING] = 5.0
            else:
                cells[DAMPING] = 20.0
                next_x = speed_x + single(single(_STEP * force_x) / self.mass)
                next_y = speed_y + single(single(_STEP * force_y) / self.mass)
                pushes = sqrt(next_x * next_x + next_y * next_y) < speed
            if ahead < -3.5 and x < 0.0 and pushes:
                cells[SPEED_X] = force_x = 0.0
        else:
            # The middle: whoever moves on is pushed back, whatever was asked for.
            mass = self.mass
            cells[DAMPING] = 20.0
            force_x = single(-2 * speed_x * mass / TIME_STEP) if side * speed_x > 0 else 0.0
            force_x = single(force_x + single(-ahead * speed_x * mass / TIME_STEP))
            if ahead > 0.0 and side * force_x > 0.0:
                cells[SPEED_X] = force_x = 0.0
        if pushes:
            if (at_y > 6.8 and force_y > 0.0) or (at_y < 1.2 and force_y < 0.0):
                cells[SPEED_Y] = force_y = 0.0
            cells[FORCE_X] = was_x + force_x
            cells[FORCE_Y] = was_y + force_y
        if _LEAST_ANGLE <= angle <= MAX_ANGLE:
            cells[SPIN_DAMPING] = 2.0
            cells[TORQUE] = torque + turn * TORQUE_SCALE
        else:
            cells[SPIN_DAMPING] = 10.0
            back = -0.1 * spin * self.mass / TIME_STEP if angle * spin > 0 else 0.0
            cells[TORQUE] = torque + (back - 0.1 * angle * self.mass / TIME_STEP)


class Movers:
    """Both players and the puck at the start of a step, which reads them in one go."""

    __slots__ = ("_one", "_puck", "_sense", "_two")

    def __init__(self, one: Racket, two: Racket, puck: Mover) -> None:
        self._one, self._two, self._puck = one, two, puck.cells
        self._sense = sensing(one, two, puck)

    def act(self, x: float, y: float, turn: float, x2: float, y2: float, turn2: float) -> None:
        """Apply both players' actions, and slow a fast puck down harder (quirk Q11: a threshold, no limit)."""
        one, two = self._one, self._two
        (
            flags, at_x, at_y, angle, speed_x, speed_y, spin, was_x, was_y, torque,
            flags2, at_x2, at_y2, angle2, speed_x2, speed_y2, spin2, was_x2, was_y2, torque2, puck_x, puck_y,
        ) = self._sense()  # fmt: skip
        if not flags & flags2 & AWAKE:
            # Forces on a body that sleeps would not act in the next step.
            one.body.awake = two.body.awake = True
        one.act(x, y, turn, at_x, at_y, angle, speed_x, speed_y, spin, was_x, was_y, torque)
        two.act(x2, y2, turn2, at_x2, at_y2, angle2, speed_x2, speed_y2, spin2, was_x2, was_y2, torque2)
        squared = puck_x * puck_x + puck_y * puck_y
        self._puck[DAMPING] = 10.0 if squared > _SLOW_PUCK and sqrt(squared) > MAX_PUCK_SPEED else 0.05
