"""Games in a trial: what is measured against whom, and what episodes, evaluations and metric lines say of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.config.schema_hockey import HOCKEY_ID
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train.attempt import execute
from dreamerlab.train.eval_checkpoint import measure
from dreamerlab.train.evaluate import balanced_games
from dreamerlab.train.opponents import Company, Guest
from tests.train.trials import lines, make_trial, tiny_config


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> TrialDirectory:
    """A trial of a few short games, against the strong bot and past selves, measured against two."""
    hockey = {
        **{"opponent": ("strong", "self"), "eval_opponents": ("weak", "strong"), "mode": "shooting"},
        **{"pool_every": 100, "side": "both", "scaling": "divisors"},
    }
    config = tiny_config(
        env={"id": HOCKEY_ID, "time_limit": 30},
        hockey=hockey,
        budget={"amount": 240},
        eval={"every": 240, "episodes": 3},
        log={"every": 60},
        train={"train_ratio": 0.5},
    )
    trial = make_trial(tmp_path_factory.mktemp("runs"), config)
    execute(trial.path, None, None)
    return trial


def test_every_game_is_on_record_with_who_how_and_what_came_of_it_M_HK_02(played: TrialDirectory) -> None:
    """M-HK-02."""
    games = [line["game"] for line in lines(played.episodes_path)]
    assert len(games) >= 8
    names = {game["opponent"] for game in games}
    assert "strong" in names
    assert len([name for name in names if name.startswith("self@")]) >= 1
    assert {(game["mode"], game["side"], game["own_start"]) for game in games} == {("shooting", 1, True)}
    assert {game["outcome"] for game in games} <= {"win", "draw", "loss"}
    written = [line["values"] for line in lines(played.metrics_path(1))]
    shares = [
        tuple(values[f"train/{one}_rate"] for one in ("win", "draw", "loss"))
        for values in written
        if "train/return" in values
    ]
    assert shares
    assert all(sum(some) == pytest.approx(1) for some in shares)
    assert all("train/win_rate" not in values for values in written if "train/return" not in values)


def test_every_opponent_is_met_equally_often_from_the_same_starts(played: TrialDirectory) -> None:
    for line in lines(played.evals_path):
        for policy in ("mode", "sample"):
            found = line["games"][policy]
            assert {name: len(outcomes) for name, outcomes in found.items()} == {"weak": 3, "strong": 3}
            together = "".join(found.values())
            for outcome in ("win", "draw", "loss"):
                share = line["values"][f"eval/{outcome}_rate_{policy}"]
                assert share == pytest.approx(together.count(outcome[0]) / 6)
            assert len(line["returns"][policy]) == 6


def test_a_stored_agent_meets_them_again_M_HK_02(played: TrialDirectory) -> None:
    """M-HK-02: the same games as its last evaluation first, and more after them."""
    last = lines(played.evals_path)[-1]
    measured = measure(played, 5)
    for policy in ("mode", "sample"):
        assert measured["returns"][policy][:6] == last["returns"][policy]
        assert [game["opponent"] for game in measured["games"][policy]] == ["weak"] * 3 + ["strong"] * 3 + [
            *["weak"] * 2,
            *["strong"] * 2,
        ]
    assert measured["values"]["eval/win_rate_mode"] >= 0


def test_starts_and_sides_are_balanced_and_names_resolved() -> None:
    config = tiny_config(
        env={"id": HOCKEY_ID}, hockey={"eval_opponents": ("weak", "R1@best"), "side": "both"}, eval={"episodes": 8}
    )
    guest = Guest("R1@best", "R0001-abc@40", "R0001-abc", 0, 40, "best-000000040.pt", "0", Path("nowhere"))
    games = balanced_games(config, Company((guest,)))
    assert [game["opponent"] for game in games] == ["weak"] * 8 + ["R0001-abc@40"] * 8
    for some in (games[:8], games[8:]):
        met = [(game["own_start"], game["side"]) for game in some]
        assert {one: met.count(one) for one in met} == dict.fromkeys([(True, 1), (False, 1), (True, 2), (False, 2)], 2)
    one = balanced_games(tiny_config(env={"id": HOCKEY_ID}, hockey={"side": "two"}), Company(), episodes=4)
    assert [(game["own_start"], game["side"]) for game in one] == [(True, 2), (False, 2)] * 2
