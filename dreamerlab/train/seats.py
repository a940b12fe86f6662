"""Games of hockey between any two players, many at once: who sits where, and how both are asked for actions.

A seat plays one side of a number of games that advance together: bots game by game, a stored agent as one batch, which
costs about as much as a single game. An agent sees the field as it was trained to (its own scaling) and keeps to an
action for as many steps as it was trained to; bots are asked at every step. Everything follows from the seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dreamerlab.envs.hockey.game import HockeyEnv
from dreamerlab.envs.hockey.opponents import Opponent, make_bot
from dreamerlab.envs.hockey.rules import OBSERVED
from dreamerlab.experience.balance import cell
from dreamerlab.train.runtime import numpy_stream, stream_seed


class Seat(Protocol):
    """One player of many games at once."""

    def begin(self, games: int, seed: int) -> None:
        """Begin so many games; whatever is random in them follows from `seed`."""
        ...

    def act(self, seen: np.ndarray, running: Sequence[int]) -> np.ndarray:
        """Return actions (games, 4) for own views (games, 18) float32; only those of `running` games matter."""
        ...


class BotSeat:
    """A built-in bot, with a generator of its own for every game."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._players: list[Opponent] = []

    def begin(self, games: int, seed: int) -> None:
        """Begin so many games."""
        self._players = [make_bot(self._name) for _ in range(games)]
        for player, rng in zip(self._players, np.random.default_rng(seed).spawn(games), strict=True):
            player.reset(rng)

    def act(self, seen: np.ndarray, running: Sequence[int]) -> np.ndarray:
        """Return actions (games, 4)."""
        actions = np.zeros((len(self._players), 4))
        for game in running:
            actions[game] = self._players[game].act(seen[game])
        return actions


@dataclass(frozen=True)
class Played:
    """Games of one player, `a`, against another, in their order; of every four each is another cell."""

    outcomes: str
    """A letter each, as `a` sees it: w, d or l."""
    steps: list[int]
    """Length of each in steps of 0.02 s."""


def play(a: Seat, b: Seat, games: int, seed: int, *, draws: int | None = None, at_once: int = 100) -> Played:
    """Play whole games, at most `at_once` together.

    Where everything is at the beginning follows from `seed` and the number of the game alone, whoever plays; what the
    players draw follows from `draws`, by default the same seed.
    """
    draws = seed if draws is None else draws
    starts = [int(one) for one in numpy_stream(seed, "league starts").integers(2**31, size=games)]
    envs = [HockeyEnv(clean_reset=True, truncate=True, tidy=True) for _ in range(min(at_once, games))]
    outcomes, steps = "", []
    for first in range(0, games, at_once):
        numbers = range(first, min(games, first + at_once))
        for name, seat in (("a", a), ("b", b)):
            seat.begin(len(numbers), stream_seed(draws, f"league player {name} from game {first}"))
        some = _play_together(a, b, envs[: len(numbers)], [(starts[game], *cell(game)) for game in numbers])
        outcomes, steps = outcomes + some.outcomes, steps + some.steps
    return Played(outcomes, steps)


def _play_together(a: Seat, b: Seat, envs: Sequence[HockeyEnv], games: Sequence[tuple[int, bool, int]]) -> Played:
    count = len(envs)
    swapped = [side == 2 for _, _, side in games]
    # Of player one and of player two, by game.
    views = np.zeros((2, count, OBSERVED), np.float32)
    for game, (env, (start, a_starts, _)) in enumerate(zip(envs, games, strict=True)):
        views[0, game], _ = env.reset(seed=start, options={"one_starting": a_starts is not swapped[game]})
        views[1, game] = env.obs_agent_two()
    sees = np.array(swapped, int)
    rows = np.arange(count)
    running, outcomes, steps = list(range(count)), ["d"] * count, [0] * count
    while running:
        of_a = a.act(views[sees, rows], running)
        of_b = b.act(views[1 - sees, rows], running)
        for game in list(running):
            env = envs[game]
            both = (of_b[game], of_a[game]) if swapped[game] else (of_a[game], of_b[game])
            views[0, game], _, terminated, truncated, info = env.step(np.concatenate(both))
            views[1, game] = env.obs_agent_two()
            steps[game] += 1
            if terminated or truncated:
                running.remove(game)
                outcomes[game] = {0: "d", 1: "w", -1: "l"}[-info["winner"] if swapped[game] else info["winner"]]
    return Played("".join(outcomes), steps)
