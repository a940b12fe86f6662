"""Hockey between any two: turns, what follows from the seed, agents in a batch, and the table of the built-in bots."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from dreamerlab.envs.hockey.rules import DIVISORS
from dreamerlab.experience.matchmaking import cell
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.stats.wilson import share_interval
from dreamerlab.train.agent_seat import AgentSeat
from dreamerlab.train.league import play_all
from dreamerlab.train.seats import BotSeat, play
from dreamerlab.train.stored import open_agent
from tests.train.stored import HOCKEY, finished_trial


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrialDirectory:
    return finished_trial(tmp_path_factory.mktemp("lab"), **HOCKEY)


class Recorder(BotSeat):
    """Notes what it is shown at the beginning of each game."""

    def begin(self, games: int, seed: int) -> None:
        super().begin(games, seed)
        self.seen: np.ndarray | None = None

    def act(self, seen: np.ndarray, running: Sequence[int]) -> np.ndarray:
        self.seen = seen.copy() if self.seen is None else self.seen
        return super().act(seen, running)


def test_of_four_games_each_start_meets_each_side() -> None:
    assert {cell(game) for game in range(4)} == {(True, 1), (True, 2), (False, 1), (False, 2)}
    a, b = Recorder("weak"), Recorder("random")
    play(a, b, 8, 5)
    assert a.seen is not None
    assert b.seen is not None
    starts = [seen[12] < 0 for seen in a.seen]
    assert starts == [cell(game)[0] for game in range(8)], "who starts has the puck on the own side"
    assert [seen[12] < 0 for seen in b.seen] == [not start for start in starts]
    assert np.allclose(a.seen[:, 0:3], b.seen[:, 6:9] * [-1, -1, 1]), "each sees the other from its own side"


def test_games_follow_from_their_seeds() -> None:
    one, again, other = (play(BotSeat("weak"), BotSeat("strong"), 6, seed) for seed in (1, 1, 2))
    assert one == again
    assert one.steps != other.steps
    split = play(BotSeat("weak"), BotSeat("strong"), 6, 1, at_once=4)
    assert split.steps[:4] == play(BotSeat("weak"), BotSeat("strong"), 4, 1, at_once=4).steps


def test_who_is_named_first_wins_what_the_other_loses() -> None:
    """M-HK-02: strong against random, from either place."""
    forth = play(BotSeat("strong"), BotSeat("random"), 12, 3).outcomes
    back = play(BotSeat("random"), BotSeat("strong"), 12, 3).outcomes
    assert forth.count("w") > forth.count("l")
    assert back.count("l") > back.count("w")


def test_an_agent_sees_and_acts_as_it_was_trained_to(trained: TrialDirectory) -> None:
    """Observations divided, an action kept for two steps."""
    stored = open_agent(trained)
    seat = AgentSeat(stored.agent, mode=True)
    views = np.random.default_rng(0).normal(size=(4, 3, 18)).astype(np.float32)
    seat.begin(3, 0)
    actions = [seat.act(seen, [0, 1, 2]) for seen in views]
    carry, generator = stored.agent.initial_carry(3), torch.Generator().manual_seed(0)
    first = torch.ones(3, dtype=torch.bool)
    for place in (0, 2):
        tensors = {"vector": torch.from_numpy(views[place] / np.array(DIVISORS, np.float32))}
        expected, carry = stored.agent.act(tensors, first, carry, mode=True, generator=generator)
        first = torch.zeros_like(first)
        assert (actions[place] == expected.numpy()).all()
        assert (actions[place + 1] == actions[place]).all()


def test_a_league_of_checkpoints_and_bots_is_the_same_again(trained: TrialDirectory) -> None:
    told = {"trial": str(trained.path), "folder": str(trained.checkpoints)}
    spec = {
        "players": [
            {**told, "checkpoint": "20", "policy": "mode", "label": "R1@20"},
            {**told, "checkpoint": "40", "policy": "sample", "label": "R1@40"},
            {"bot": "strong", "label": "strong"},
        ],
        "games": 4,
        "seed": 0,
    }
    found = play_all(spec)
    assert [(pair["a"], pair["b"], len(pair["outcomes"])) for pair in found] == [(0, 1, 4), (0, 2, 4), (1, 2, 4)]
    torch.manual_seed(1)
    assert json.loads(json.dumps(play_all(spec))) == found
    fewer = play_all({**spec, "players": spec["players"][1:]})
    assert fewer == [{**found[2], "a": 0, "b": 1}], "a pair plays the same games in any league"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("a", "b", "percent"),
    [
        ("random", "weak", (6.8, 48.2, 45.0)),
        ("strong", "weak", (43.3, 44.7, 12.0)),
        ("weak", "strong", (15.0, 43.0, 42.0)),
        ("weak", "weak", (20.0, 59.0, 21.0)),
    ],
)
def test_the_bots_play_as_they_were_measured_elsewhere(a: str, b: str, percent: tuple[float, ...]) -> None:
    """M-HK-02: 600 games each; the 95 % intervals of wins, draws and losses overlap with those of upstream's game."""
    ours = play(BotSeat(a), BotSeat(b), 600, 0).outcomes
    for letter, theirs in zip("wdl", percent, strict=True):
        here, there = share_interval(ours.count(letter), 600), share_interval(round(6 * theirs), 600)
        assert here.low <= there.high, (letter, here, there)
        assert there.low <= here.high, (letter, here, there)
