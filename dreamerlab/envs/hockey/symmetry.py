"""The two symmetries of the game, true up to rounding and the order in which the engine solves contacts.

    mirror    up and down exchanged: negate y, angles, their speeds, and the actions that push and turn that way
    swap      the players exchanged: each sees the field turned by 180 degrees, with unchanged actions

Mirrored or swapped, a step from any state is the same step within some 1e-4, and most of ten steps; a whole game is
not, for contacts magnify every difference. Rewards and infos are the same when mirrored; swapped, they are player
two's, and closeness makes that more than a sign.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

MIRRORED_OBS = (1, 2, 4, 5, 7, 8, 10, 11, 13, 15)
"""Numbers of an observation that a mirror negates, whether divided by fixed numbers or not."""
MIRRORED_ACTIONS = (1, 2)
"""Numbers of an action that a mirror negates."""


def mirrored_obs(obs: np.ndarray) -> np.ndarray:
    """Return what is seen of the mirrored field, for observations (*rows, 18) of either player."""
    return _negated(obs, MIRRORED_OBS)


def mirrored_action(action: np.ndarray) -> np.ndarray:
    """Return the action that does in the mirrored field what `action` (*rows, 4) does in this one."""
    return _negated(action, MIRRORED_ACTIONS)


def tell_other_side(env: gym.Env[Any, Any]) -> None:
    """Let the info of an environment of hockey carry what the opponent saw, did and got, under `other`."""
    unwrapped: Any = env.unwrapped
    unwrapped.tells_other = True


def _negated(array: np.ndarray, places: tuple[int, ...]) -> np.ndarray:
    result = array.copy()
    result[..., places] *= -1
    return result
