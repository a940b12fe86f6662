"""Ratings of players: cases worked by hand, and games played by players whose strength is known."""

from __future__ import annotations

import math
from random import Random

import pytest

from dreamerlab.stats.ratings import ELO, expected, rate

FAINT = 1e-9
"""A prior too weak to be seen."""


def test_two_players_differ_by_the_logarithm_of_their_odds() -> None:
    # 3 points of 4 are odds of three to one: 400 log10(3) = 190.85.
    one, two = rate([[0, 3], [1, 0]], drawn_beforehand=FAINT)
    assert one.elo - two.elo == pytest.approx(190.8485)
    assert one.elo == pytest.approx(-two.elo)
    assert (one.games, one.points, two.points) == (4, 3, 1)
    # The difference has the variance 1 / (n p (1-p)); either rating is half of it.
    half = 0.5 * 1.959964 * ELO / math.sqrt(4 * 0.75 * 0.25)
    assert one.high - one.elo == pytest.approx(half, rel=1e-6)
    assert one.elo - one.low == pytest.approx(half, rel=1e-6)


def test_who_won_every_game_has_a_finite_rating_by_the_draw_it_begins_with() -> None:
    one, two = rate([[0, 10], [0, 0]])
    # By symmetry the strengths are t and -t, where 10 (1 - s(2t)) = s(t) - 1/2.
    t = (one.elo - two.elo) / ELO / 2
    s = [1 / (1 + math.exp(-x)) for x in (t, 2 * t)]
    assert 10 * (1 - s[1]) == pytest.approx(s[0] - 0.5, abs=1e-9)
    assert 400 < one.elo - two.elo < 800


def test_only_points_count_not_how_they_were_made() -> None:
    """Ten draws are five wins and five losses: equal, and the third player, who lost to both alike, lies below."""
    table = [[0, 5, 8], [5, 0, 8], [2, 2, 0]]
    one, two, three = rate(table, drawn_beforehand=FAINT)
    assert one.elo == pytest.approx(two.elo)
    # Against the third both have odds of four to one.
    assert one.elo - three.elo == pytest.approx(400 * math.log10(4))
    assert sum(rating.elo for rating in (one, two, three)) == pytest.approx(0, abs=1e-9)


def test_players_who_never_met_are_compared_through_a_third() -> None:
    table = [[0, 15, 0], [5, 0, 15], [0, 5, 0]]
    one, two, three = rate(table, drawn_beforehand=FAINT)
    assert [one.elo - two.elo, two.elo - three.elo] == pytest.approx([400 * math.log10(3)] * 2)
    assert one.high - one.low > two.high - two.low, "the one in the middle is known best"


def test_known_strengths_are_found_and_lie_in_their_intervals() -> None:
    rng, true = Random(3), [-300.0, -100.0, 0.0, 150.0, 250.0]
    inside = 0
    for _ in range(40):
        table = [[0.0] * 5 for _ in true]
        for a in range(5):
            for b in range(a):
                for _ in range(40):
                    won = rng.random() < expected(true[a] - true[b])
                    table[a][b] += won
                    table[b][a] += not won
        inside += sum(rating.low <= level <= rating.high for rating, level in zip(rate(table), true, strict=True))
    assert 180 <= inside <= 200, f"{inside} of 200 intervals of 95 %"


@pytest.mark.parametrize("games", [1, 100_000])
def test_extreme_tables_have_an_answer(games: int) -> None:
    names = 12
    table = [[float(games) if a > b else 0.0 for b in range(names)] for a in range(names)]
    found = rate(table)
    assert [rating.elo for rating in found] == sorted(rating.elo for rating in found)
    assert all(math.isfinite(rating.elo) and rating.low < rating.elo < rating.high for rating in found)
