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

from dreamerlab.envs.hockey.bodies import SPEED_X, Mover, Seen, X, Y, reading
from dreamerlab.envs.hockey.motion import Racket
from dreamerlab.envs.hockey.rules import CENTER_X, CENTER_Y, KEEP_STEPS, MAX_PUCK_SPEED, OBSERVED, TIME_STEP, WIDTH

_pair = memoryview(bytearray(8)).cast("f")
"""Rounds two numbers to single precision."""
_PACK = Struct(f"{OBSERVED}f").pack_into
_SINGLE, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


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


def scene_of(game: Any) -> Scene:
    """Return what a picture shows of a game's present state."""
    one, two, puck = ((*body.position, body.angle) for body in (game.player1, game.player2, game.puck))
    return Scene(
        players=(one, two),
        puck=puck[:2],
        timers=(game.player1_has_puck, game.player2_has_puck),
        seconds_left=max(game.max_timesteps + 1 - game.time, 0) * TIME_STEP,
        winner=game.winner,
        names=game.names,
        score=game.score,
    )


class Views:
    """Both players' views of one field, and what they are told."""

    def __init__(self, one: Racket, two: Racket, puck: Mover, *, keep_mode: bool, single_precision: bool) -> None:
        self._read = reading((one, two, puck))
        self._two, self._puck = two, puck
        self.nearest = 1e6
        """Square of the metres from the middle of player two's goal line to the puck where it came nearest."""
        self._type = _SINGLE if single_precision else _DOUBLE
        self._cells = bytearray(4 * OBSERVED)
        """Where a view is put together, rounded to single precision; what is given away is a copy."""
        self._seen = np.frombuffer(self._cells, _SINGLE, OBSERVED if keep_mode else OBSERVED - 2)

    def of_player_one(
        self, own: int, other: int, winner: int, max_timesteps: int, counts: bool = False
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Return player one's view (18,), or (16,), and info, given both keep timers: all of a step in one reading.

        Where it `counts`, after a step, the nearest the puck came is noted.
        """
        (
            x, y, angle, speed_x, speed_y, spin,
            x2, y2, angle2, speed_x2, speed_y2, spin2,
            puck_x, puck_y, _, puck_speed_x, puck_speed_y, _,
        ) = self._read()  # fmt: skip
        _PACK(
            self._cells, 0,
            x - CENTER_X, y - CENTER_Y, angle, speed_x, speed_y, spin,
            x2 - CENTER_X, y2 - CENTER_Y, angle2, speed_x2, speed_y2, spin2,
            puck_x - CENTER_X, puck_y - CENTER_Y, puck_speed_x, puck_speed_y, own, other,
        )  # fmt: skip
        away, up = puck_x - WIDTH, puck_y - CENTER_Y
        nearest = away * away + up * up
        if nearest < self.nearest and counts:
            self.nearest = nearest
        if puck_speed_x <= 0.0 and puck_x < CENTER_X:
            closeness = _closeness(x - puck_x, y - puck_y, max_timesteps)
        else:
            closeness = 0.0
        return self._seen.astype(self._type), {
            "winner": winner,
            "reward_closeness_to_puck": closeness,
            "reward_touch_puck": 1.0 if own == KEEP_STEPS else 0.0,
            "reward_puck_direction": puck_speed_x / (MAX_PUCK_SPEED * max_timesteps),
        }

    def of_player_two(self, own: int, other: int) -> np.ndarray:
        """Return (18,), or (16,), as player two sees it, given both keep timers."""
        seen = self._read()
        x, y, _, speed_x, speed_y, _ = seen[12:]
        puck = (CENTER_X - x, CENTER_Y - y, -speed_x, -speed_y)
        _PACK(self._cells, 0, *_turned(seen[6:12]), *_turned(seen[:6]), *puck, own, other)
        return self._seen.astype(self._type)

    def info_of_player_two(self, winner: int, timer: int, max_timesteps: int) -> dict[str, Any]:
        """Return the info of player two, who won and three figures that are worth a reward to some.

        Closeness punishes distance to a puck that lies or comes into the own half, touch is 1 at the step of a catch,
        direction is the puck's speed towards the opponent's goal.
        """
        puck, player = self._puck.cells, self._two.cells
        puck_x, speed_x, closeness = puck[X], puck[SPEED_X], 0.0
        if speed_x >= 0.0 and puck_x > CENTER_X:
            closeness = _closeness(player[X] - puck_x, player[Y] - puck[Y], max_timesteps)
        return {
            "winner": -winner,
            "reward_closeness_to_puck": closeness,
            "reward_touch_puck": 1.0 if timer == KEEP_STEPS else 0.0,
            "reward_puck_direction": -speed_x / (MAX_PUCK_SPEED * max_timesteps),
        }


def _closeness(away: float, up: float, max_timesteps: int) -> float:
    _pair[0], _pair[1] = away, up
    away, up = _pair
    return -30.0 / ((250 / 60) * max_timesteps / 2) * sqrt(away * away + up * up)


def _turned(seen: Seen) -> Seen:
    x, y, angle, speed_x, speed_y, spin = seen
    return CENTER_X - x, CENTER_Y - y, angle, -speed_x, -speed_y, spin
