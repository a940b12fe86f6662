"""Upstream's environment for one player: the game with a bot on the other side (specification, section 11).

Kept for code written against upstream. Training uses `one_player.py`, whose opponents, starts and sides follow from
the seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from dreamerlab.envs.hockey.game import HockeyEnv
from dreamerlab.envs.hockey.opponents import BasicOpponent
from dreamerlab.envs.hockey.rules import BadInput, Mode


class HockeyEnv_BasicOpponent(HockeyEnv):
    """The game with keep mode for player one; a bot that draws from numpy's global state is player two.

    Action (4,); observation, reward and info are player one's. The better behaviour of `HockeyEnv` can be asked for.
    """

    def __init__(self, mode: Mode | str | int = Mode.NORMAL, weak_opponent: bool = False, **better: Any) -> None:
        super().__init__(True, mode, **better)
        self.opponent = BasicOpponent(weak=weak_opponent)
        self.action_space = Box(-1.0, 1.0, (4,), np.float32)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Play one step; the bot acts on the state before it. Raises BadInput for an action that is not (4,)."""
        given = np.asarray(action, np.float32)
        if given.shape != (4,):
            raise BadInput(f"an action of one player has shape (4,); got {given.shape}", hint="x, y, turn, shoot")
        return super().step(np.concatenate([given, self.opponent.act(self.obs_agent_two())]))

    def __getstate__(self) -> dict[str, Any]:
        """Return what the present game follows from, the bot's phase included."""
        return {**super().__getstate__(), "opponent": self.opponent}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Play the game again up to where it was; the bot does not, its actions are on record."""
        super().__setstate__(state)
        self.opponent = state["opponent"]
