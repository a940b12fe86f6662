"""The gymnasium ids of the game. The engine is imported when a game is made, not before.

dreamerlab/Hockey-v0        both players' actions in one, upstream's interface: `game.py`
dreamerlab/HockeyOne-v0     one player against an opponent: `one_player.py`
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from dreamerlab.config.schema_hockey import HOCKEY_ID, TWO_PLAYERS_ID

LONGEST = 251
"""Env steps of a whole game without a goal."""


def register() -> None:
    """Make both ids known to gymnasium, once."""
    for name, make in ((HOCKEY_ID, _one_player), (TWO_PLAYERS_ID, _two_players)):
        if name not in gym.registry:
            gym.register(name, entry_point=make, max_episode_steps=LONGEST)


# Imports are written out, not named in a string: a trial runs from a copy of what is imported.
def _one_player(**settings: Any) -> gym.Env[Any, Any]:
    from dreamerlab.envs.hockey.one_player import HockeyOne

    return HockeyOne(**settings)


def _two_players(backend: str = "builtin", **settings: Any) -> gym.Env[Any, Any]:
    from dreamerlab.envs.hockey.backend import game_class

    better: dict[str, Any] = {"clean_reset": True, "truncate": True, "tidy": True}
    return game_class(backend)(**{**better, **settings})
