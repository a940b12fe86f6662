"""Agents of hockey measured and filmed: balanced games, what a witness sees of them, opponents that are agents."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from dreamerlab.config.schema_hockey import HOCKEY_ID
from dreamerlab.envs.hockey.one_player import HockeyOne
from dreamerlab.envs.hockey.opponents import make_bot
from dreamerlab.envs.hockey.rules import DIVISORS
from dreamerlab.errors import LabError, NotFound, UsageError
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train.eval_checkpoint import measure
from dreamerlab.train.guests import Guests, Host
from dreamerlab.train.hockey_games import GRID, Witness, heat
from dreamerlab.train.hockey_watch import find
from dreamerlab.train.opponents import Company, Guest
from dreamerlab.train.runtime import stream_seed
from dreamerlab.train.stored import open_agent
from dreamerlab.train.watch import record
from tests.lab.workspaces import inside
from tests.train.stored import HOCKEY, finished_trial
from tests.train.trials import make_trial, tiny_config


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def trained(lab: Path) -> TrialDirectory:
    return finished_trial(lab, **HOCKEY)


def test_every_opponent_plays_both_starts_on_both_sides(trained: TrialDirectory) -> None:
    found = measure(trained, 8, opponents=("weak", "R1@20"), maps=True)
    assert found["opponents"] == ["weak", "R0001-abc@20"]
    for policy in ("mode", "sample"):
        games = found["games"][policy]
        played = [(game["opponent"], game["own_start"], game["side"]) for game in games]
        assert {played.count(one) for one in played} == {2}
        assert len(set(played)) == 8
        assert [game["steps"] for game in games] == [20] * 16, "the game's steps, of which two are a decision"
        assert found["lengths"][policy] == [10] * 16
        for opponent in found["opponents"]:
            assert np.sum(found["heat"][policy][opponent]) == 160
    again = measure(trained, 8, policies=("sample",), opponents=("weak", "R1@20"), maps=True)
    assert again["returns"]["sample"] == found["returns"]["sample"]
    assert again["shots"]["sample"] == found["shots"]["sample"]


def test_agents_as_opponents_act_in_a_batch_on_what_they_see(trained: TrialDirectory) -> None:
    stored = open_agent(trained)
    guest = Guest("R1@20", "R0001-abc@20", trained.run.id, 0, 20, "", "", trained.path)
    guests, games = Guests(Company((guest,)), 2, 7, {}), [HockeyOne(stored.config.hockey) for _ in range(2)]
    for side, game in enumerate(games, start=1):
        guests.sit_down(game)
        game.reset(seed=side, options={"opponent": guest.name, "side": side})
    host = Host(stored.agent, guests)
    (table,) = guests.tables.values()
    # The same by hand: each guest sees the field from the other side, divided as it was trained to.
    views = [
        game.game.obs_agent_two() if side == 1 else game.game._observe() for side, game in enumerate(games, start=1)
    ]
    tensors = {"vector": torch.from_numpy(np.stack(views) / np.array(DIVISORS, np.float32))}
    other, first = open_agent(trained, "20").agent, torch.ones(2, dtype=torch.bool)
    drawn = torch.Generator().manual_seed(stream_seed(7, f"guest {guest.name}"))
    expected, _ = other.act(tensors, first, other.initial_carry(2), mode=False, generator=drawn)
    own = {"vector": torch.zeros(2, 18)}
    host.act(own, first, host.initial_carry(2), mode=True, generator=torch.Generator())
    assert [place.game for place in table.places] == games
    assert (np.stack([place.action for place in table.places]) == expected.numpy()).all()
    played = [game._opponent for game in games]
    assert played == table.places


def test_a_guest_of_another_rhythm_thinks_by_itself(trained: TrialDirectory) -> None:
    guest = Guest("R1@20", "R0001-abc@20", trained.run.id, 0, 20, "", "", trained.path)
    guests, game, asked_for = Guests(Company((guest,)), 1, 7, {}), HockeyOne(), []

    def elsewhere(name: str) -> Any:
        asked_for.append(name)
        return make_bot("weak")

    game.opponents = elsewhere
    guests.sit_down(game)
    for name in (guest.name, "strong"):
        game.reset(seed=1, options={"opponent": name})
    assert (asked_for, guests.tables) == ([guest.name, "strong"], {})


def test_without_names_those_of_the_evaluations_play_and_the_own_evaluation_is_untouched(
    trained: TrialDirectory,
) -> None:
    new, own = (measure(trained, number, policies=("mode",), opponents=names) for number, names in ((4, ()), (1, None)))
    assert new["opponents"] == ["weak"]
    assert new["returns"]["mode"][0] != own["returns"]["mode"][0]
    assert "steps" not in own["games"]["mode"][0]


def test_show_says_how_the_last_evaluation_ended(lab: Path, trained: TrialDirectory) -> None:
    text = inside(lab, "show", trained.run.id).stdout
    assert "last evaluation, 1 game per policy: too few games to call; a result: dreamerlab eval R0001-abc" in text
    assert "0.0 (0.0 to 79.3)" in text
    (trial,) = json.loads(inside(lab, "show", trained.run.id, "--json").stdout)["trials"]
    assert f"goals before learning began: {trial['early_goals']} (40 to 60 are asked for)" in text, "M-ADD-08"


def test_of_another_task_nobody_is_played_against(lab: Path) -> None:
    other = finished_trial(lab, run_id="R0002-xyz", budget={"amount": 20}, eval={"every": 20, "episodes": 1})
    with pytest.raises(UsageError, match="R0002-xyz was trained on CartPole-v1, where nobody is played against"):
        measure(other, 4, opponents=("weak",))


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("R9@best", NotFound, "--opponent=R9@best: no run is called 'R9'"),
        ("R1@77", NotFound, "--opponent=R1@77: no checkpoint of env step 77"),
    ],
)
def test_an_opponent_that_is_not_there_is_named(trained: TrialDirectory, name: str, kind: Any, said: str) -> None:
    with pytest.raises(kind, match=said):
        measure(trained, 4, opponents=(name,))


def test_an_opponent_without_a_checkpoint_or_of_another_layout_is_refused_by_name(
    lab: Path, trained: TrialDirectory
) -> None:
    finished_trial(lab, run_id="R0003-ccc", budget={"amount": 20}, eval={"every": 20, "episodes": 1})
    with pytest.raises(LabError, match="R3") as elsewhere:
        measure(trained, 4, opponents=("R3",))
    assert "CartPole-v1" in str(elsewhere.value)
    empty = make_trial(lab / "runs", tiny_config(env={"id": HOCKEY_ID}), run_id="R0004-ddd")
    assert not empty.checkpoints.exists()
    with pytest.raises(LabError, match="R4"):
        measure(trained, 4, opponents=("R4",))
    words = ("eval", "--league", trained.run.id, "R4", "--episodes", "4")
    done = inside(lab, *words)
    assert done.returncode in (2, 4)
    assert "R0004-ddd" in done.stderr
    assert "hint: " in done.stderr


class Puck(gymnasium.Env[Any, Any]):
    """Shows a puck at given places; nobody holds it unless said."""

    def __init__(self, rows: list[tuple[float, ...]], winner: int) -> None:
        self.rows, self.winner, self.at = rows, winner, 0

    def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
        self.at = 0
        return np.zeros(18), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        row = self.rows[self.at]
        self.at += 1
        last = self.at == len(self.rows)
        return (
            np.array([0.0] * 12 + [*row, *([0.0] * (6 - len(row)))]),
            0.0,
            last,
            False,
            {"winner": self.winner * last},
        )


def seen_of(rows: list[tuple[float, ...]], winner: int = 0) -> list[dict[str, Any]]:
    env = Witness(Puck(rows, winner), None)
    env.reset()
    for _ in rows:
        env.step(None)
    assert env.seen.steps == len(env.seen.places) == len(rows)
    return env.seen.shots


def test_a_shot_begins_where_a_free_puck_starts_to_fly_at_the_goal() -> None:
    held = [(0.0, 0.0, 9.0, 0.0, 5.0)] * 3
    flight = [(1.0, 0.5, 12.0, 0.0), (2.0, 0.5, 11.0, 0.0), (3.0, 0.5, 10.0, 0.0)]
    assert seen_of([*held, *flight], winner=1) == [
        {"step": 4, "x": 1.0, "y": 0.5, "speed": 12.0, "own": True, "goal": True}
    ]
    assert seen_of([(1.0, 0.5, 3.0, 0.0)] * 2) == [], "it rolls"
    assert seen_of([(1.0, 0.0, 9.0, 9.0)] * 2) == [], "it flies past the goal"
    turned = seen_of([*flight, (3.0, 0.4, -10.0, 0.0), (2.0, 0.4, -10.0, 0.0)])
    assert [(shot["own"], shot["x"], shot["goal"]) for shot in turned] == [(True, 1.0, False), (False, 3.0, False)]


def test_a_goal_without_a_shot_was_pushed_in_from_where_the_puck_was() -> None:
    pushed = seen_of([(-3.5, 0.1, -1.0, 0.0), (-3.8, 0.1, -1.0, 0.0), (-4.2, 0.1, -1.0, 0.0)], winner=-1)
    assert [(shot["own"], shot["goal"], shot["x"]) for shot in pushed] == [(False, True, -3.8)]


def test_the_witness_sees_the_field_from_the_agents_side() -> None:
    """M-HK-01: whoever starts has the puck on the own side, whichever player it is."""
    for side in (1, 2):
        env = Witness(HockeyOne(), None)
        env.reset(seed=3, options={"opponent": "weak", "own_start": True, "side": side})
        env.step(np.zeros(4))
        assert env.seen.places[0][0] < 0
    grid = heat([(-4.9, -3.9), (4.9, 3.9), (4.9, 3.9)])
    assert (grid.shape, grid[0, 0], grid[-1, -1], grid.sum()) == (GRID, 1, 2, 3)


def asked(trial: TrialDirectory, out: Path, **changed: Any) -> argparse.Namespace:
    usual = {"format": "gif", "episodes": 1, "policy": "mode", "fps": None, "every": None, "prediction": False}
    return argparse.Namespace(trial=trial.path, out=out, **{**usual, "opponent": [], "outcome": None, **changed})


def test_games_that_end_as_wanted_are_found_and_filmed(trained: TrialDirectory, tmp_path: Path) -> None:
    told = record(
        open_agent(trained), asked(trained, tmp_path / "a.gif", opponent=["strong"], outcome="draw", episodes=2)
    )
    assert [(one["opponent"], one["outcome"]) for one in told["episodes"]] == [("strong", "draw")] * 2
    assert told["shown"] == "rendered"
    assert (tmp_path / "a.gif").stat().st_size > 1000


def test_an_outcome_that_does_not_come_is_said() -> None:
    played, said = [], []
    results = ["loss", "draw", "loss"] + ["draw"] * 19

    def result(number: int) -> str:
        played.append(number)
        return results[number]

    games = [{"opponent": "strong"}] * len(results)
    assert find("loss", 2, games, result, said.append) == [0, 2]
    assert played == [0, 1, 2], "no more games than needed"
    with pytest.raises(NotFound, match="no win in 22 games against strong"):
        find("win", 1, games, result, said.append)
    assert said == ["0 wins in 20 games"]
