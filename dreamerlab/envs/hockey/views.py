"""What the players see of the present state, and what the game tells beside it (specification, sections 7 and 8).

    index     player one's view                         player two's view
    0 .. 5    own x, y, angle, speed x, y, spin         the same of player two, x, y and speeds negated
    6 .. 11   the opponent's                            player one's, negated likewise
    12 .. 15  puck x, y, speed x, y                     negated
    16, 17    own keep timer, the opponent's            own, the opponent's

Places are relative to the centre of the field. Everything is of single precision.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from dreamerlab.envs.hockey.motion import Racket, single
from dreamerlab.envs.hockey.rules import CENTER_X, CENTER_Y, KEEP_STEPS, MAX_PUCK_SPEED

if TYPE_CHECKING:
    from dreamerlab.envs.hockey.game import HockeyEnv


class Views:
    """Both players' views of one field."""

    def __init__(self, one: Racket, two: Racket, puck_position: Any, puck_velocity: Any) -> None:
        self._one, self._two, self._place, self._speed = one, two, puck_position, puck_velocity

    def of_player_one(self, own: int, other: int) -> np.ndarray:
        """Return (18,) float32 as player one sees it, given both keep timers."""
        place, speed = self._place, self._speed
        puck = (place.x - CENTER_X, place.y - CENTER_Y, speed.x, speed.y)
        return np.array((*_seen(self._one), *_seen(self._two), *puck, own, other), np.float32)

    def of_player_two(self, own: int, other: int) -> np.ndarray:
        """Return (18,) float32 as player two sees it, given both keep timers."""
        place, speed = self._place, self._speed
        puck = (CENTER_X - place.x, CENTER_Y - place.y, -speed.x, -speed.y)
        return np.array((*_turned(self._two), *_turned(self._one), *puck, own, other), np.float32)


def _seen(racket: Racket) -> tuple[float, ...]:
    body, place, speed = racket.body, racket.position, racket.velocity
    return place.x - CENTER_X, place.y - CENTER_Y, body.angle, speed.x, speed.y, body.angularVelocity


def _turned(racket: Racket) -> tuple[float, ...]:
    body, place, speed = racket.body, racket.position, racket.velocity
    return CENTER_X - place.x, CENTER_Y - place.y, body.angle, -speed.x, -speed.y, body.angularVelocity


def info_of(racket: Racket, game: HockeyEnv, *, side: int, timer: int) -> dict[str, Any]:
    """Return the info of a player after a step: who won, and three figures that are worth a reward to some.

    Closeness punishes distance to a puck that lies or comes into the own half, touch is 1 at the step of a catch,
    direction is the puck's speed towards the opponent's goal.
    """
    place, speed_x = game._puck_position, game._puck_velocity.x
    closeness = 0.0
    if side * (place.x - CENTER_X) < 0 and side * speed_x <= 0:
        at = racket.position
        away, up = single(at.x - place.x), single(at.y - place.y)
        distance = sqrt(away * away + up * up)
        closeness = -30.0 / ((250 / 60) * game.max_timesteps / 2) * distance
    return {
        "winner": side * game.winner,
        "reward_closeness_to_puck": closeness,
        "reward_touch_puck": 1.0 if timer == KEEP_STEPS else 0.0,
        "reward_puck_direction": side * speed_x / (MAX_PUCK_SPEED * game.max_timesteps),
    }
