"""What games of hockey say of an agent: wins, draws and losses with intervals, goals, lengths, by start and by side.

The interval is Wilson's, over the games of one agent; how far agents of several seeds differ is asked apart from it.
Fewer than a hundred games are shown, and marked as no result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dreamerlab.stats.one_sample import mean_interval
from dreamerlab.stats.wilson import FEWEST_GAMES, Share, share_interval
from dreamerlab.tables import Table

OUTCOMES = ("win", "draw", "loss")
TOO_FEW = "too few games to call"
_STEPS_A_SECOND = 50
_PARTS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "own start": lambda game: bool(game["own_start"]),
    "other start": lambda game: not game["own_start"],
    "player one": lambda game: game["side"] == 1,
    "player two": lambda game: game["side"] == 2,
}


@dataclass(frozen=True)
class Games:
    """Games of one agent against one opponent under one policy, as the environment told of them, with `steps`."""

    seed: int
    opponent: str
    policy: str
    games: list[dict[str, Any]]

    def shares(self, which: Callable[[Mapping[str, Any]], bool] = lambda game: True) -> dict[str, Share] | None:
        """Return wins, draws and losses of the games that are meant; None where there are none."""
        some = [game["outcome"] for game in self.games if which(game)]
        return {name: share_interval(some.count(name), len(some)) for name in OUTCOMES} if some else None

    @property
    def called(self) -> bool:
        """Whether the games are enough for a result."""
        return len(self.games) >= FEWEST_GAMES

    @property
    def seconds(self) -> float:
        """Mean length of a game."""
        return math.fsum(game["steps"] for game in self.games) / len(self.games) / _STEPS_A_SECOND

    def per_minute(self, outcome: str) -> float:
        """Return the goals in a minute of play that made games end as `outcome`."""
        goals = sum(game["outcome"] == outcome for game in self.games)
        return 60 * goals / (self.seconds * len(self.games))

    def per_game(self, key: str) -> float | None:
        """Return the mean of a count over games, None where it was not taken."""
        counts = [game[key] for game in self.games if key in game]
        return math.fsum(counts) / len(counts) if counts else None

    def to_data(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        cells: list[dict[str, Any]] = []
        for own_start in (True, False):
            for side in (1, 2):
                some = self.shares(lambda game, a=own_start, b=side: (bool(game["own_start"]), game["side"]) == (a, b))
                if some is not None:
                    cells.append({"own_start": own_start, "side": side, **_data(some)})
        shares = self.shares()
        assert shares is not None
        return {
            "opponent": self.opponent,
            "policy": self.policy,
            "n": len(self.games),
            "called": self.called,
            **_data(shares),
            "goals_per_minute": {"for": self.per_minute("win"), "against": self.per_minute("loss")},
            "shots_per_game": {"for": self.per_game("shots"), "against": self.per_game("shots_against")},
            "seconds": self.seconds,
            **{name: self.per_game(name) for name in ("own_possession", "other_possession", "saturated")},
            "cells": cells,
        }


def games_of(row: Mapping[str, Any], action_repeat: int) -> list[Games]:
    """Return the games of one seed's evaluation, by opponent and policy in the order in which they were played."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    told: Mapping[str, list[dict[str, Any]]] = row.get("games") or {}
    for policy, games in told.items():
        for game, length in zip(games, row["lengths"][policy], strict=True):
            # Where nobody counted the game's own steps: those of a goal are told, the others follow from decisions.
            steps = game.get("steps") or game.get("goal_step") or length * action_repeat
            found.setdefault((game["opponent"], policy), []).append({**game, "steps": steps})
    opponents = list(dict.fromkeys(opponent for opponent, _ in found))
    kinds = sorted(found, key=lambda kind: opponents.index(kind[0]))
    return [Games(row["seed"], *kind, found[kind]) for kind in kinds]


def to_tables(found: Sequence[Games]) -> list[Table]:
    """Return results, the same by start and side, what play was like, and results over seeds if there are several."""
    several = len({one.seed for one in found}) > 1
    return [_results(found), *_by_part(found), *_play(found), *([_over_seeds(found)] if several else [])]


def share_words(share: Share) -> str:
    """Return a share in percent with its interval, `45.0 (41.1 to 49.0)`."""
    return f"{100 * share.value:.1f} ({100 * share.low:.1f} to {100 * share.high:.1f})"


def warnings(found: Sequence[Games]) -> list[str]:
    """Return what has to be known beside the tables."""
    few = [one for one in found if not one.called]
    if not few:
        return []
    most = max(len(one.games) for one in few)
    what = f"{most} games of an agent against an opponent are too few to call"
    return [f"{what}: a result has {FEWEST_GAMES} or more (--episodes {FEWEST_GAMES})"]


def _results(found: Sequence[Games]) -> Table:
    named = ("seed", "n", "wins % (95 %)", "draws % (95 %)", "losses % (95 %)", "goals/min", "seconds")
    few = any(not one.called for one in found)
    columns = ("seed", "opponent", "policy", *named[1:], *(["result"] if few else []))
    table = Table(columns, frozenset(named))
    for one in found:
        shares = one.shares()
        assert shares is not None
        scored = f"{one.per_minute('win'):.2f} : {one.per_minute('loss'):.2f}"
        cells = [one.seed, one.opponent, one.policy, len(one.games), *map(share_words, shares.values()), scored]
        table.add(*cells, f"{one.seconds:.2f}", *([None if one.called else TOO_FEW] if few else []))
    return table


def _by_part(found: Sequence[Games]) -> list[Table]:
    parts = [name for name, which in _PARTS.items() if any(one.shares(which) for one in found)]
    if not parts or any(game["mode"] != "normal" for one in found for game in one.games):
        return []
    table = Table(("seed", "opponent", "policy: win/draw/loss %", *parts), frozenset({"seed", *parts}))
    for one in found:
        split = [one.shares(_PARTS[name]) for name in parts]
        words = [None if some is None else "/".join(f"{100 * s.value:.1f}" for s in some.values()) for some in split]
        table.add(one.seed, one.opponent, one.policy, *words)
    return [table]


def _play(found: Sequence[Games]) -> list[Table]:
    """Return shots, where they were counted, who had the puck, and how many numbers of the actions were extreme."""
    if any(one.per_game("shots") is None or one.per_game("own_possession") is None for one in found):
        return []
    numbers = ("shots per game", "own puck % of time", "other's puck %", "saturated actions %")
    table = Table(("seed", "opponent", "policy", *numbers), frozenset({"seed", *numbers}))
    for one in found:
        shots = " : ".join(f"{one.per_game(key) or 0:.2f}" for key in ("shots", "shots_against"))
        shares = (one.per_game(key) or 0 for key in ("own_possession", "other_possession", "saturated"))
        table.add(one.seed, one.opponent, one.policy, shots, *(f"{100 * share:.1f}" for share in shares))
    return [table]


def over_seeds(found: Sequence[Games]) -> list[dict[str, Any]]:
    """Return, by opponent and policy, the mean over seeds of each share with its t interval, as JSON-ready values.

    The interval is cut at 0 and 1.
    """
    kinds = dict.fromkeys((one.opponent, one.policy) for one in found)
    result: list[dict[str, Any]] = []
    for opponent, policy in kinds:
        some = [one for one in found if (one.opponent, one.policy) == (opponent, policy)]
        called = all(one.called for one in some)
        line: dict[str, Any] = {"opponent": opponent, "policy": policy, "n_seeds": len(some), "called": called}
        for outcome in OUTCOMES:
            values = [sum(game["outcome"] == outcome for game in one.games) / len(one.games) for one in some]
            mean = mean_interval(values)
            low, high = (None if end is None else min(1.0, max(0.0, end)) for end in (mean.low, mean.high))
            line[outcome] = {"values": values, "mean": mean.mean, "low": low, "high": high}
        result.append(line)
    return result


def _over_seeds(found: Sequence[Games]) -> Table:
    numbers = ("seeds", "wins %", "95 % interval", "lowest", "highest", "draws %", "losses %")
    few = any(not one.called for one in found)
    table = Table(("all seeds against", "policy", *numbers, *(["result"] if few else [])), frozenset(numbers))
    for line in over_seeds(found):
        win = line["win"]
        low, high = (None if win[end] is None else 100 * win[end] for end in ("low", "high"))
        between = "-" if low is None or high is None else f"{low:.1f} to {high:.1f}"
        wins = (100 * win["mean"], 100 * min(win["values"]), 100 * max(win["values"]))
        mean, lowest, highest = (f"{value:.1f}" for value in wins)
        rest = (f"{100 * line[outcome]['mean']:.1f}" for outcome in ("draw", "loss"))
        mark = [None if line["called"] else TOO_FEW] if few else []
        table.add(line["opponent"], line["policy"], line["n_seeds"], mean, between, lowest, highest, *rest, *mark)
    return table


def _data(shares: Mapping[str, Share]) -> dict[str, Any]:
    return {name: share.to_data() for name, share in shares.items()}
