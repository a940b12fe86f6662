"""What beside goals speaks of a good game: terms a training reward can be shaped with, and the quality of a shot.

Shaping is no part of the environment (`hockey.shaping`): the collector adds the weighted terms to the reward that goes
into replay, before any smoothing, so that a smoothing kernel acts on their sum; episode returns and evaluation never
see them (M-HK-01, M-HK-15).

    closeness    punishes the distance to a puck that lies or comes into the own half: -0.0576 a metre and step in a
                 whole game (`reward: env` contains it once already)
    touch        1 at the step of a catch
    direction    the puck's speed towards the opponent's goal in m/s, over 25 m/s times the steps of a game
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dreamerlab.config.opponents import parse_shaping
from dreamerlab.config.schema_hockey import Hockey

_INFO = {
    "closeness": "reward_closeness_to_puck",
    "touch": "reward_touch_puck",
    "direction": "reward_puck_direction",
}
"""Under which key of the info each term is; with action repeat its sum over the steps."""

GOAL_LINE, GOAL_HALF_HEIGHT = 245 / 60, 75 / 60
"""Metres from the middle of the field to the line between the posts, and from the middle of the goal to a post."""
SLOWEST_SHOT = 1.0
"""Metres per second towards the goal; what is slower is no shot."""


class Shaping:
    """The terms that are asked for, each with its weight."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        assert weights.keys() <= _INFO.keys(), weights
        self._weights = dict(weights)

    @classmethod
    def of(cls, settings: Hockey) -> Shaping | None:
        """Return what `hockey.shaping` asks for, None for nothing."""
        weights = parse_shaping(settings.shaping)
        return cls(weights) if weights else None

    def __call__(self, info: Mapping[str, Any]) -> dict[str, float]:
        """Return the weighted terms by name, of a step whose info this is."""
        return {name: weight * float(info[_INFO[name]]) for name, weight in self._weights.items()}


def shot_quality(x: float, y: float, speed_x: float, speed_y: float) -> float:
    """Return how good a shot is that a puck at (x, y) makes, from 1 at the middle of the goal to 0 at its posts.

    Metres and metres per second, relative to the middle of the field, the opponent's goal to the right. Counts is where
    the straight line of the puck's flight meets the goal line: walls, players and damping are left out. 0 for a puck
    that flies past the goal, away from it, or slower than `SLOWEST_SHOT` towards it; behind the line its place counts.
    """
    if speed_x < SLOWEST_SHOT:
        return 0.0
    meets = y + speed_y * max(0.0, GOAL_LINE - x) / speed_x
    return max(0.0, 1.0 - abs(meets) / GOAL_HALF_HEIGHT)
