"""Matchmaking: who the next game of training is against, in which mode, from where it starts and on which side.

Owns the curriculum, the weights, the turns of starts and sides, the results of the last games against each opponent,
and the generator all of it is drawn from; everything is saved, so that a resumed trial goes on with the game the other
one would have played. Who there is besides the bots is told by `Members` (a pool of past selves) and by names that were
resolved when the trial began. Nothing here can play.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dreamerlab.config.opponents import OpponentSpec, Stage, drawn, parse_curriculum, parse_opponents
from dreamerlab.config.schema_hockey import Hockey
from dreamerlab.experience.balance import cell
from dreamerlab.experience.collector import EpisodeEnd

REMEMBERED = 20
"""Games against one opponent that its results are taken from."""
_POINTS = {"win": 1.0, "draw": 0.5, "loss": 0.0}


class Members(Protocol):
    """A pool of the agent's own past."""

    def names(self, env_steps: int) -> list[str]:
        """Return who can be played after so many env steps, at least one; a new member may join at this moment."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return who is in the pool."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore exactly."""
        ...


class HockeyMatches:
    """Chooses the games of one trial; `resolved` has the present name of each run's agent that the config names.

    `members` is needed where `self` is among the opponents. `clock` replaces the env steps a collector counts, where
    it sees only its own.
    """

    def __init__(
        self,
        settings: Hockey,
        rng: np.random.Generator,
        *,
        resolved: Mapping[str, str] | None = None,
        members: Members | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._settings, self._rng, self._clock = settings, rng, clock
        self._resolved = dict(resolved or {})
        self._members = members
        self._stages = stages_of(settings)
        self._played: dict[int, int] = {}
        """Whole games begun in each stream: whose turn it is."""
        self._points: dict[str, list[float]] = {}
        """Points of the last games against each opponent, oldest first."""

    def prepare(self, env_steps: int) -> None:
        """Let the pool grow if it is played against now, for others who choose."""
        self._pool([one for one in self._stages if one.start <= env_steps][-1], env_steps)

    def choose(self, env_steps: int, stream: int) -> dict[str, Any]:
        """Return the reset options of the next game in a stream."""
        now = env_steps if self._clock is None else self._clock()
        # Always as many draws, whatever they are for, so that one option does not move the others.
        who, member, start = (float(one) for one in self._rng.random(3))
        stage = [one for one in self._stages if one.start <= now][-1]
        pool = self._pool(stage, now)
        spec = drawn(stage.opponents, who)
        name = self._resolved.get(spec.name, spec.name)
        if spec.kind == "self":
            name = drawn(self._weighed(pool), member).name
        game: dict[str, Any] = {"opponent": name, "mode": stage.mode}
        if stage.mode != "normal":
            return game
        turn = self._played.get(stream, 0) + stream
        self._played[stream] = self._played.get(stream, 0) + 1
        return {**game, "own_start": self._starts(turn, start), "side": self._side(turn)}

    def ended(self, end: EpisodeEnd) -> None:
        """Remember the result of a game."""
        if end.game is not None:
            points = self._points.setdefault(end.game["opponent"], [])
            points.append(_POINTS[end.game["outcome"]])
            del points[:-REMEMBERED]

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next game depends on."""
        return {
            "rng": self._rng.bit_generator.state,
            "played": {str(stream): games for stream, games in self._played.items()},
            "points": {name: list(points) for name, points in self._points.items()},
            **({} if self._members is None else {"members": self._members.state_dict()}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore exactly."""
        self._rng.bit_generator.state = state["rng"]
        self._played = {int(stream): int(games) for stream, games in state["played"].items()}
        self._points = {name: list(points) for name, points in state["points"].items()}
        if self._members is not None and "members" in state:
            self._members.load_state_dict(state["members"])

    def take_results(self, points: Mapping[str, Sequence[float]]) -> None:
        """Begin with results of earlier games."""
        self._points = {name: list(some) for name, some in points.items()}

    @property
    def results(self) -> dict[str, list[float]]:
        """Points of the last games against each opponent: 1 for a win, 0.5 for a draw."""
        return {name: list(points) for name, points in self._points.items()}

    def _pool(self, stage: Stage, env_steps: int) -> list[str]:
        if not any(one.kind == "self" for one in stage.opponents):
            return []
        assert self._members is not None, "nobody told who is in the pool"
        names = self._members.names(env_steps)
        for name in [name for name in self._points if name.startswith("self@") and name not in names]:
            del self._points[name]
        return names

    def _weighed(self, names: Sequence[str]) -> list[OpponentSpec]:
        """Return the members of the pool, weighed as `hockey.pool_sampling` says.

        Under `pfsp` a game that was lost is counted beforehand: who is new is wanted most, and nobody drops out.
        """
        if self._settings.pool_sampling == "uniform":
            return [OpponentSpec(name, "self") for name in names]
        lost = {name: [1.0 - one for one in self._points.get(name, ())] for name in names}
        return [OpponentSpec(name, "self", ((sum(some) + 1) / (len(some) + 1)) ** 2) for name, some in lost.items()]

    def _starts(self, turn: int, chance: float) -> bool:
        how = self._settings.starts
        if how == "alternate":
            return cell(turn)[0]
        return chance < 0.5 if how == "random" else how == "own"

    def _side(self, turn: int) -> int:
        if self._settings.side != "both":
            return 1 if self._settings.side == "one" else 2
        # Every second game, so that in four games each start meets each side.
        return cell(turn)[1] if self._settings.starts == "alternate" else 1 + turn % 2


def stages_of(settings: Hockey) -> tuple[Stage, ...]:
    """Return the curriculum; without one a single stage of the mode and opponents of the settings."""
    stages = parse_curriculum(settings.curriculum)
    return stages or (Stage(0, settings.mode, parse_opponents(settings.opponent)),)
