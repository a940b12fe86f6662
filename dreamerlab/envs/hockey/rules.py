"""The rules of the game in numbers: the field, the clock, the modes, what an observation is divided by.

Lengths are metres unless a name says pixels; the origin is the lower left corner, x points right, y up. Player one
defends the goal on the left. Figures: the game's specification, sections 1, 7 and 8 (M-HK-01).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np

from dreamerlab.errors import UsageError, did_you_mean

FPS = 50
TIME_STEP = 0.02
"""Seconds of one engine step."""
SCALE = 60.0
"""Pixels per metre."""
VIEWPORT = (600, 480)
"""Width and height of the picture in pixels."""
WIDTH, HEIGHT = 10.0, 8.0
CENTER_X, CENTER_Y = 5.0, 4.0
ZONE = 0.5
"""Half the width of the strip in the middle that slows players down."""
VELOCITY_ITERATIONS, POSITION_ITERATIONS = 180, 60

MAX_ANGLE = 3.141592653589793 / 3
KEEP_STEPS = 15
"""The keep timer of a player at the moment of the catch; the puck is shot when it reaches 1."""
FORCE, TORQUE_SCALE, SHOT = 6000.0, 400.0, 60.0
MAX_PUCK_SPEED = 25.0
"""Above it the puck is damped harder; it is no limit."""
MAX_PLAYER_SPEED = 10.0
GOAL_REWARD = 10.0

OBSERVED = 18
"""Numbers in an observation with keep mode; the two timers are missing without."""
DIVISORS = (1.0, 1.0, 0.5, 4.0, 4.0, 4.0) * 2 + (2.0, 2.0, 10.0, 10.0, 4.0, 4.0)
"""What fixed normalisation divides an observation by."""
DISCRETE = (
    (0.0, 0.0, 0.0, 0.0),
    (-1.0, 0.0, 0.0, 0.0),
    (1.0, 0.0, 0.0, 0.0),
    (0.0, -1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0, 0.0),
    (0.0, 0.0, -1.0, 0.0),
    (0.0, 0.0, 1.0, 0.0),
    (0.0, 0.0, 0.0, 1.0),
)
"""What each discrete action stands for; the last exists in keep mode only."""


class BadInput(UsageError, ValueError):
    """The game is given a value it cannot play with."""


class BadType(UsageError, TypeError):
    """The game is given something of another kind than it asks for."""


RENDER_MODES = ("human", "rgb_array")
STYLES = ("upstream", "modern")


def require_known(what: str, value: Any, known: tuple[str, ...]) -> None:
    """Raise BadInput unless `value` is one of the known names."""
    if value not in known:
        near = did_you_mean(str(value), known)
        raise BadInput(f"{what} is {value!r}, which is not known{near}", hint=f"known are {', '.join(known)}")


class Mode(IntEnum):
    """What is played."""

    NORMAL = 0
    """A game of at most 251 steps from the face-off."""
    TRAIN_SHOOTING = 1
    """81 steps; the puck lies in front of player one, player two stands anywhere."""
    TRAIN_DEFENSE = 2
    """81 steps; the puck is shot at player one's goal."""

    @property
    def max_timesteps(self) -> int:
        """The clock at which a game ends; a game lasts one step more (quirk Q6)."""
        return 250 if self is Mode.NORMAL else 80

    @classmethod
    def of(cls, mode: Any) -> Mode:
        """Return the mode of a member, a name or a number; raise BadInput (a ValueError) or BadType (a TypeError)."""
        names = ", ".join(f"{member.name} ({member.value})" for member in cls)
        if isinstance(mode, bool) or not isinstance(mode, str | int | np.integer):
            raise BadType(
                f"mode is {mode!r} of type {type(mode).__name__}; it must be a Mode, its name or its number",
                hint=f"modes are {names}",
            )
        if isinstance(mode, str):
            if mode not in cls.__members__:
                raise BadInput(
                    f"no mode is called '{mode}'{did_you_mean(mode, cls.__members__)}", hint=f"modes are {names}"
                )
            return cls[mode]
        if mode not in tuple(cls):
            raise BadInput(f"no mode has the number {mode}", hint=f"modes are {names}")
        return cls(mode)
