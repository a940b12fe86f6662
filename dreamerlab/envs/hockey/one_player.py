"""The game for one player, with an opponent on the other side: the task `dreamerlab/HockeyOne-v0` (M-HK-01, M-HK-02).

The agent sees the field from its own side, whichever player it is, and acts as if it were player one. A goal terminates
the game, time running out truncates it, and no keep timer outlives it. Everything in a game follows from its reset
seed, the reset options and the actions: the opponent's generator is derived from the seed as well.

Who plays is asked of an `OpponentSource`, by name; without one there are the built-in bots.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box

from dreamerlab.config.opponents import MODES, drawn, parse_opponents
from dreamerlab.config.schema_hockey import Hockey
from dreamerlab.envs.hockey.backend import game_class
from dreamerlab.envs.hockey.game import HockeyEnv
from dreamerlab.envs.hockey.opponents import Opponent, OpponentSource, make_bot
from dreamerlab.envs.hockey.rules import CENTER_X, CENTER_Y, DIVISORS, FPS, GOAL_REWARD, OBSERVED, WIDTH, Mode
from dreamerlab.envs.hockey.shaping import shot_quality

_GAMES: dict[str, Mode] = dict(zip(MODES, (Mode.NORMAL, Mode.TRAIN_SHOOTING, Mode.TRAIN_DEFENSE), strict=True))
SATURATED = 0.95
"""A number of an action beyond this counts as saturated."""
_OPTIONS = ("opponent", "mode", "own_start", "side")


class HockeyOne(gym.Env[np.ndarray, np.ndarray]):
    """A game against an opponent; observation (18,) float32, own view; action (4,): x, y, turn and shoot in [-1, 1].

    `reset` takes the options `opponent` (a name the source knows), `mode` (normal, shooting, defense), `own_start` and
    `side` (1 or 2); what is missing is drawn from the settings with the generator of the seed. The two exercises are
    player one's by construction: there the agent is player one, and where the puck lies is no choice.

    Info, from the agent's side: `winner`, the game's three reward figures, `goal_distance` (metres from the puck to the
    middle of the opponent's goal line), `shot_quality` (0 to 1, `shaping.py`), `possession` (1 own, -1 the other's, 0
    nobody's) and, at the last step, `game`: opponent, mode, side, own_start, outcome (win, draw, loss), goal_step (null
    without a goal), the shares of steps with the puck in `own_possession` and `other_possession`, and `saturated`, the
    share of the agent's action numbers beyond 0.95 in size. With `tells_other` there is `other` as well: the same info
    as the opponent would see it, with its `obs`, and the `action` and `reward` of the step that led there.
    """

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": FPS}  # noqa: RUF012 - gymnasium's own way

    def __init__(
        self,
        settings: Hockey | None = None,
        *,
        longest: int | None = None,
        render_mode: str | None = None,
        backend: str = "builtin",
    ) -> None:
        self.settings = settings or Hockey()
        self.opponents: OpponentSource = make_bot
        """Where opponents come from; may be exchanged between games."""
        self.tells_other = False
        """Whether the info has the opponent's side, under `other`."""
        self.render_mode = render_mode
        self._longest = longest
        self._game: HockeyEnv = game_class(backend)(
            clean_reset=True, truncate=True, tidy=True, render_mode=render_mode, style="modern"
        )
        self._divisors = np.array(DIVISORS, np.float32) if self.settings.scaling == "divisors" else None
        self._players: dict[str, Opponent] = {}
        self._opponent: Opponent = make_bot("weak")
        self._facts: dict[str, Any] = {}
        self._second = False
        self._step = 0
        self._tally = [0, 0, 0]
        self.observation_space = Box(-np.inf, np.inf, (OBSERVED,), np.float32)
        self.action_space = Box(-1.0, 1.0, (4,), np.float32)

    @property
    def game(self) -> HockeyEnv:
        """The game that is played."""
        return self._game

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin a game; raise ValueError for an option that is none, and whatever the source does for a name."""
        super().reset(seed=seed)
        given = dict(options or {})
        self._require_options(given)
        # All is drawn whatever is given, so that an option changes nothing but what it says.
        game_seed, own_seed = (int(one) for one in self.np_random.integers(2**63, size=2))
        who, start, side = self.np_random.random(3)
        settings = self.settings
        mode: str = given.get("mode", settings.mode)
        name: str = given.get("opponent") or drawn(parse_opponents(settings.opponent), who).name
        if mode == "normal":
            own_start = given.get("own_start", {"own": True, "other": False}.get(settings.starts, bool(start < 0.5)))
            number = given.get("side", {"one": 1, "two": 2}.get(settings.side, 1 if side < 0.5 else 2))
        else:
            own_start, number = mode == "shooting", 1
        self._second = number == 2
        self._facts = {"opponent": name, "mode": mode, "side": number, "own_start": bool(own_start)}
        self._opponent = self._player(name)
        self._opponent.reset(np.random.default_rng(own_seed))
        one_starting = bool(own_start) is not self._second
        self._game.reset(seed=game_seed, options={"mode": _GAMES[mode], "one_starting": one_starting})
        self._step, self._tally = 0, [0, 0, 0]
        info = self._info(own=True)
        if self.tells_other:
            info["other"] = {**self._info(own=False), "obs": self._observe(own=False)}
        return self._observe(), info

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Play one step; the opponent acts on the state before it. Raises ValueError for an action that is not (4,)."""
        own = np.asarray(action, np.float32)
        if own.shape != (4,):
            raise ValueError(f"an action of one player is (4,); got {own.shape}")
        other = self._opponent.act(self._view(own=False).astype(np.float64))
        both = (other, own) if self._second else (own, other)
        _, _, terminated, truncated, _ = self._game.step(np.concatenate(both))
        self._step += 1
        truncated = not terminated and (truncated or self._step == self._longest)
        info = self._info(own=True)
        self._count(info["possession"], own)
        if terminated or truncated:
            info["game"] = self._summary(info["winner"], goal=terminated)
        if self.tells_other:
            seen = self._info(own=False)
            reward, action = self._reward(seen, own=False, goal=terminated), np.clip(other, -1, 1).astype(np.float32)
            info["other"] = {**seen, "obs": self._observe(own=False), "action": action, "reward": reward}
        return self._observe(), self._reward(info, own=True, goal=terminated), terminated, truncated, info

    def render(self) -> Any:
        """Return the picture, or show it in a window."""
        return self._game.render()

    def close(self) -> None:
        """Close the window."""
        self._game.close()

    def _player(self, name: str) -> Opponent:
        """Return the opponent called `name`, one for all games of this environment."""
        if name not in self._players:
            if len(self._players) > 32:  # of a pool of past selves most never come again
                self._players.clear()
            self._players[name] = self.opponents(name)
        return self._players[name]

    def _view(self, *, own: bool) -> np.ndarray:
        game = self._game
        return game.obs_agent_two() if own is self._second else game._observe()

    def _observe(self, *, own: bool = True) -> np.ndarray:
        view = self._view(own=own)
        return view if self._divisors is None else view / self._divisors

    def _reward(self, told: Mapping[str, Any], *, own: bool, goal: bool) -> float:
        """Return the reward of the player whose info `told` is."""
        if self.settings.reward == "sparse":
            return GOAL_REWARD * told["winner"] if goal else 0.0
        game = self._game
        return float(game.get_reward_agent_two(told) if own is self._second else game.get_reward(told))

    def _info(self, *, own: bool) -> dict[str, Any]:
        game, second = self._game, own is self._second
        told = game.get_info_agent_two() if second else game._info()
        side = -1 if second else 1
        place, speed = game.puck.position, game.puck.linearVelocity
        x, y = side * (place.x - CENTER_X), side * (place.y - CENTER_Y)
        timers = game.player1_has_puck, game.player2_has_puck
        mine, other = timers[::-1] if second else timers
        return {
            **told,
            "goal_distance": hypot(WIDTH - CENTER_X - x, y),
            "shot_quality": shot_quality(x, y, side * speed.x, side * speed.y),
            "possession": 1.0 if mine else -1.0 if other else 0.0,
        }

    def _count(self, possession: float, action: np.ndarray) -> None:
        tally = self._tally
        tally[0] += possession > 0
        tally[1] += possession < 0
        tally[2] += sum(abs(number) > SATURATED for number in action.tolist())

    def _summary(self, winner: int, *, goal: bool) -> dict[str, Any]:
        own, other, saturated = self._tally
        return {
            **self._facts,
            "outcome": {1: "win", 0: "draw", -1: "loss"}[winner],
            "goal_step": self._step if goal else None,
            "own_possession": own / self._step,
            "other_possession": other / self._step,
            "saturated": saturated / (4 * self._step),
        }

    def _require_options(self, given: Mapping[str, Any]) -> None:
        unknown = next((name for name in given if name not in _OPTIONS), None)
        if unknown is not None:
            raise ValueError(f"reset has no option '{unknown}'; it has {', '.join(_OPTIONS)}")
        if given.get("mode", "normal") not in _GAMES:
            raise ValueError(f"no mode is called {given['mode']!r}; it is one of {', '.join(_GAMES)}")
        if given.get("side", 1) not in (1, 2):
            raise ValueError(f"side is {given['side']!r}; the agent is player 1 or 2")
