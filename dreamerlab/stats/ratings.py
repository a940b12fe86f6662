"""Ratings from games between many players: one strength each, in Elo, by maximum likelihood (Bradley and Terry).

A player with strength a scores 1 / (1 + exp(b - a)) points a game against one with strength b; a draw is half a win
and half a loss. Beside its games everyone is taken to have drawn one against a player of strength 0, so that somebody
who won all games has a finite rating. Ratings are given relative to the mean of all players: 0 is the average, and 400
points are odds of ten to one.

Intervals come from the curvature of the likelihood. They take every game as a win or a loss, so that where many games
are drawn they are wider than they need be. What no single number can say, that a beats b, b beats c and c beats a, is
in the matrix of points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from dreamerlab.stats.welch import LEVEL

ELO = 400 / math.log(10)
"""Elo points of a strength of 1."""
DRAWN_BEFOREHAND = 1.0
"""Games that everybody is taken to have drawn against a player of strength 0."""
_STEPS, _SMALL = 200, 1e-12


@dataclass(frozen=True)
class Rating:
    """A player's rating in Elo relative to the mean of all, its interval, and what it rests on."""

    elo: float
    low: float
    high: float
    games: float
    points: float


def rate(
    points: Sequence[Sequence[float]], level: float = LEVEL, *, drawn_beforehand: float = DRAWN_BEFOREHAND
) -> list[Rating]:
    """Return the ratings of players; `points[a][b]` are those a made against b: 1 for a win, a half for a draw.

    At least two players; they need not all have met. `drawn_beforehand` must be positive.
    """
    count = len(points)
    assert count >= 2, count
    assert all(len(row) == count for row in points), [len(row) for row in points]
    assert drawn_beforehand > 0, drawn_beforehand
    strengths, information = [0.0] * count, [[0.0] * count for _ in range(count)]
    for _ in range(_STEPS):
        slope, information = _likelihood(points, strengths, drawn_beforehand)
        spread = _inverse(information)
        step = [math.fsum(a * b for a, b in zip(row, slope, strict=True)) for row in spread]
        # Newton's step of a concave function, held back where it is long: odds of e to one at a time.
        most = max(1.0, *map(abs, step))
        strengths = [one + change / most for one, change in zip(strengths, step, strict=True)]
        if max(map(abs, step)) < _SMALL:
            break
    covariance = _inverse(_likelihood(points, strengths, drawn_beforehand)[1])
    mean, z = math.fsum(strengths) / count, NormalDist().inv_cdf(0.5 + level / 2)
    rows = [math.fsum(row) / count for row in covariance]
    whole = math.fsum(rows) / count
    found: list[Rating] = []
    for player, strength in enumerate(strengths):
        # Variance of this strength less the mean of all.
        variance = covariance[player][player] - 2 * rows[player] + whole
        elo, reach = ELO * (strength - mean), ELO * z * math.sqrt(max(0.0, variance))
        own = math.fsum(points[player])
        games = own + math.fsum(row[player] for row in points)
        found.append(Rating(elo, elo - reach, elo + reach, games, own))
    return found


def expected(difference: float) -> float:
    """Return the points a game of a player who is `difference` Elo stronger."""
    return _logistic(difference / ELO)


def _likelihood(
    points: Sequence[Sequence[float]], strengths: Sequence[float], drawn: float
) -> tuple[list[float], list[list[float]]]:
    """Return the slope of the log-likelihood, and its negative curvature."""
    count = len(strengths)
    slope = [drawn * (0.5 - _logistic(one)) for one in strengths]
    curvature = [[0.0] * count for _ in range(count)]
    for player, one in enumerate(strengths):
        curvature[player][player] += drawn * _logistic(one) * _logistic(-one)
    for a in range(count):
        for b in range(a):
            games = points[a][b] + points[b][a]
            if not games:
                continue
            share = _logistic(strengths[a] - strengths[b])
            surprise, weight = points[a][b] - games * share, games * share * (1 - share)
            slope[a] += surprise
            slope[b] -= surprise
            for one, other, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
                curvature[one][other] += sign * weight
    return slope, curvature


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _inverse(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return the inverse of a symmetric positive definite matrix (Gauss and Jordan, the largest pivot first)."""
    count = len(matrix)
    rows = [[*row, *(float(i == j) for j in range(count))] for i, row in enumerate(matrix)]
    for column in range(count):
        best = max(range(column, count), key=lambda row: abs(rows[row][column]))
        rows[column], rows[best] = rows[best], rows[column]
        pivot = rows[column][column]
        rows[column] = [value / pivot for value in rows[column]]
        for row in range(count):
            factor = rows[row][column]
            if row != column and factor:
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column], strict=True)]
    return [row[count:] for row in rows]
