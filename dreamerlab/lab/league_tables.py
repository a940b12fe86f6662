"""A league in tables: who beat whom how often, the matrix of points, and the ratings."""

from __future__ import annotations

from dreamerlab.lab.hockey_results import TOO_FEW, share_words
from dreamerlab.lab.league import League
from dreamerlab.stats.wilson import FEWEST_GAMES
from dreamerlab.tables import Table

_MOST_PAIRS = 15
"""More are in the matrix alone."""


def headline(league: League) -> str:
    """Return what the tables are about, in one line."""
    mark = "" if league.games >= FEWEST_GAMES else f": {TOO_FEW}"
    return f"{len(league.players)} players, {league.games} games of each pair, both starts on both sides{mark}"


def to_tables(league: League) -> list[Table]:
    """Return the pairs, of not too many, the matrix of points and the ratings, best first."""
    pairs = [_pairs(league)] if len(league.pairs) <= _MOST_PAIRS else []
    return [*pairs, *([_matrix(league)] if len(league.players) > 2 else []), _ratings(league)]


def _pairs(league: League) -> Table:
    numbers = ("n", "a wins % (95 %)", "draws % (95 %)", "b wins % (95 %)", "goals/min", "seconds")
    table = Table(("a", "b", *numbers), frozenset(numbers))
    for pair in league.pairs:
        games = len(pair.outcomes)
        scored = "{:.2f} : {:.2f}".format(*pair.goals_per_minute())
        shares = map(share_words, pair.shares().values())
        names = (league.players[pair.a], league.players[pair.b])
        table.add(*names, games, *shares, scored, f"{sum(pair.steps) / games / 50:.2f}")
    return table


def _matrix(league: League) -> Table:
    order = _order(league)
    columns = tuple(str(place) for place in range(1, len(order) + 1))
    table = Table((f"points % of {league.games} games", *columns), frozenset(columns))
    points = league.points()
    for place, player in enumerate(order, start=1):
        row = [None if other == player else f"{100 * points[player][other] / league.games:.1f}" for other in order]
        table.add(f"{place} {league.players[player]}", *row)
    return table


def _ratings(league: League) -> Table:
    ratings = league.ratings()
    columns = ("rank", "rating", "95 % interval", "points %", "games")
    table = Table(("rank", "player", *columns[1:]), frozenset(columns))
    for place, player in enumerate(_order(league), start=1):
        one = ratings[player]
        between = f"{one.low:+.0f} to {one.high:+.0f}"
        table.add(
            place,
            league.players[player],
            f"{one.elo:+.0f}",
            between,
            f"{100 * one.points / one.games:.1f}",
            f"{one.games:.0f}",
        )
    return table


def _order(league: League) -> list[int]:
    ratings = league.ratings()
    return sorted(range(len(ratings)), key=lambda player: -ratings[player].elo)
