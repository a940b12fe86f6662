"""The gymnasium ids of the game. The engine is imported when a game is made, not before.

dreamerlab/Hockey-v0        both players' actions in one, upstream's interface: `game.py`
dreamerlab/HockeyOne-v0     one player against an opponent: `one_player.py`
"""

from __future__ import annotations

import gymnasium as gym

ONE_ID, TWO_ID = "dreamerlab/HockeyOne-v0", "dreamerlab/Hockey-v0"
LONGEST = 251
"""Env steps of a whole game without a goal."""


def register() -> None:
    """Make both ids known to gymnasium, once."""
    places = {ONE_ID: "one_player:HockeyOne", TWO_ID: "game:HockeyEnv"}
    for name, place in places.items():
        if name not in gym.registry:
            gym.register(name, entry_point=f"{__package__}.{place}", max_episode_steps=LONGEST)
