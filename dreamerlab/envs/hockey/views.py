"""What the players see of the present state, and what the game tells beside it (specification, sections 7 and 8).

    index     player one's view                         player two's view
    0 .. 5    own x, y, angle, speed x, y, spin         the same of player two, x, y and speeds negated
    6 .. 11   the opponent's                            player one's, negated likewise
    12 .. 15  puck x, y, speed x, y                     negated
    16, 17    own keep timer, the opponent's            own, the opponent's

Places are relative to the centre of the field. Everything is of single precision; without keep mode 16 and 17 are not
there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from struct import Struct
from typing import Any

import numpy as np

from dreamerlab.envs.hockey.motion import Puck, Racket, single
from dreamerlab.envs.hockey.rules import CENTER_X, CENTER_Y, KEEP_STEPS, MAX_PUCK_SPEED, OBSERVED

_PACK = {size: Struct(f"{size}f").pack_into for size in (OBSERVED - 2, OBSERVED)}


@dataclass(frozen=True)
class Scene:
    """What a picture shows: places in metres from the lower left corner, players with their angle."""

    players: tuple[tuple[float, float, float], tuple[float, float, float]]
    puck: tuple[float, float]
    timers: tuple[int, int] = (0, 0)
    """How many steps each player may still hold the puck."""
    seconds_left: float | None = None
    winner: int = 0
    """1 when player one has scored, -1 when player two has."""
    names: tuple[str, str] = ("player one", "player two")
    score: tuple[int, int] = (0, 0)
    """Goals of the games before this one."""


class Views:
    """Both players' views of one field, and what they are told."""

    def __init__(self, one: Racket, two: Racket, puck: Puck, *, keep_mode: bool, single_precision: bool) -> None:
        self._one, self._two, self._puck, self._keep = one, two, puck, keep_mode
        self._type = np.float32 if single_precision else np.float64
        size = OBSERVED if keep_mode else OBSERVED - 2
        self._cells: Any = np.zeros(size, np.float32)
        self._pack = _PACK[size]

    def of_player_one(self, own: int, other: int) -> np.ndarray:
        """Return (18,), or (16,), as player one sees it, given both keep timers."""
        one, two, puck = self._one, self._two, self._puck
        place, speed, body = one.position, one.velocity, one.body
        place_two, speed_two, body_two = two.position, two.velocity, two.body
        at, velocity = puck.position, puck.velocity
        self._pack(
            self._cells,
            0,
            place.x - CENTER_X,
            place.y - CENTER_Y,
            body.angle,
            speed.x,
            speed.y,
            body.angularVelocity,
            place_two.x - CENTER_X,
            place_two.y - CENTER_Y,
            body_two.angle,
            speed_two.x,
            speed_two.y,
            body_two.angularVelocity,
            at.x - CENTER_X,
            at.y - CENTER_Y,
            velocity.x,
            velocity.y,
            *((own, other) if self._keep else ()),
        )
        return self._cells.astype(self._type)

    def of_player_two(self, own: int, other: int) -> np.ndarray:
        """Return (18,), or (16,), as player two sees it, given both keep timers."""
        at, velocity = self._puck.position, self._puck.velocity
        puck = (CENTER_X - at.x, CENTER_Y - at.y, -velocity.x, -velocity.y)
        timers = (own, other) if self._keep else ()
        self._pack(self._cells, 0, *_turned(self._two), *_turned(self._one), *puck, *timers)
        return self._cells.astype(self._type)

    def info(self, side: int, winner: int, timer: int, max_timesteps: int) -> dict[str, Any]:
        """Return the info of player one (`side` 1) or two (-1): who won, and three figures that are worth a reward.

        Closeness punishes distance to a puck that lies or comes into the own half, touch is 1 at the step of a catch,
        direction is the puck's speed towards the opponent's goal.
        """
        at, speed_x, closeness = self._puck.position, side * self._puck.velocity.x, 0.0
        if speed_x <= 0 and side * (at.x - CENTER_X) < 0:
            place = (self._one if side > 0 else self._two).position
            away, up = single(place.x - at.x), single(place.y - at.y)
            closeness = -30.0 / ((250 / 60) * max_timesteps / 2) * sqrt(away * away + up * up)
        return {
            "winner": side * winner,
            "reward_closeness_to_puck": closeness,
            "reward_touch_puck": 1.0 if timer == KEEP_STEPS else 0.0,
            "reward_puck_direction": speed_x / (MAX_PUCK_SPEED * max_timesteps),
        }


def _turned(racket: Racket) -> tuple[float, ...]:
    body, place, speed = racket.body, racket.position, racket.velocity
    return CENTER_X - place.x, CENTER_Y - place.y, body.angle, -speed.x, -speed.y, body.angularVelocity
