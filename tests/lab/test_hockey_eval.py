"""Results of hockey as they are shown: shares with intervals, no result from few games, leagues, what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dreamerlab.errors import LabError, NotFound, UsageError
from dreamerlab.lab.evaluate import require_opponents
from dreamerlab.lab.hockey_results import games_of, over_seeds, to_tables, warnings
from dreamerlab.lab.league import League, Pair, entered
from dreamerlab.lab.league_tables import headline
from dreamerlab.lab.league_tables import to_tables as league_tables
from dreamerlab.report.hockey_maps import draw_maps
from dreamerlab.runs.store import Workspace
from tests.lab.conftest import Ran
from tests.lab.workspaces import data, dreamerlab, inside
from tests.train.stored import HOCKEY, finished_trial


def row(outcomes: str, seed: int = 0, opponent: str = "weak", **told: Any) -> dict[str, Any]:
    words = {"w": "win", "d": "draw", "l": "loss"}
    games = [
        {
            "opponent": opponent,
            "mode": "normal",
            "own_start": number % 2 == 0,
            "side": 1 + number // 2 % 2,
            "outcome": words[letter],
            "goal_step": None if letter == "d" else 100,
            **told,
        }
        for number, letter in enumerate(outcomes)
    ]
    return {"seed": seed, "games": {"mode": games}, "lengths": {"mode": [126] * len(games)}}


def test_a_hundred_games_are_a_result_and_fewer_are_shown_and_marked() -> None:
    enough, few = games_of(row("w" * 40 + "d" * 30 + "l" * 30, steps=150), 1), games_of(row("wwdl", steps=150), 1)
    text = to_tables(enough)[0].to_text()
    assert "40.0 (30.9 to 49.8)" in text, "Wilson's interval of 40 in 100"
    assert "too few" not in text
    assert not warnings(enough)
    assert enough[0].called
    marked = to_tables(few)[0].to_text()
    assert "50.0 (15.0 to 85.0)" in marked
    assert "too few games to call" in marked
    assert "4 games of an agent" in warnings(few)[0]
    assert few[0].to_data()["called"] is False


def test_goals_are_counted_by_the_minute_of_play() -> None:
    # 2 goals for and 1 against in 4 games of 150 steps, 12 seconds.
    (games,) = games_of(row("wwdl", steps=150), 1)
    assert (games.seconds, games.per_minute("win"), games.per_minute("loss")) == pytest.approx((3.0, 10.0, 5.0))
    # Where nobody counted steps: goals at step 100, and a draw of 126 decisions of 2.
    (uncounted,) = games_of(row("wwdl"), 2)
    assert uncounted.seconds == pytest.approx((300 + 252) / 4 / 50)


def test_starts_and_sides_are_told_apart() -> None:
    (games,) = games_of(row("wdlw" * 25, steps=100), 1)
    cells = {(one["own_start"], one["side"]): one for one in games.to_data()["cells"]}
    kinds = ((True, 1), (False, 1), (True, 2), (False, 2))
    assert [cells[kind]["win"]["share"] for kind in kinds] == [1, 0, 0, 1]
    assert [one["win"]["n"] for one in cells.values()] == [25] * 4
    parts = to_tables([games])[1].to_text().splitlines()[1].split()
    assert parts[3:] == ["50.0/0.0/50.0", "50.0/50.0/0.0", "50.0/50.0/0.0", "50.0/0.0/50.0"]


def test_who_had_the_puck_and_shot_is_said_where_it_was_counted() -> None:
    play = {"own_possession": 0.25, "other_possession": 0.5, "saturated": 0.1, "shots": 2, "shots_against": 3}
    found = games_of(row("wdlw", steps=100, **play), 1)
    assert " ".join(to_tables(found)[2].to_text().splitlines()[1].split()) == "0 weak mode 2.00 : 3.00 25.0 50.0 10.0"
    assert found[0].to_data()["own_possession"] == 0.25
    assert len(to_tables(games_of(row("wdlw"), 1))) == 2


def test_over_seeds_the_seed_is_the_unit() -> None:
    texts = ["w" * wins + "l" * (100 - wins) for wins in (30, 40, 50)]
    found = [one for seed, text in enumerate(texts) for one in games_of(row(text, seed, steps=99), 1)]
    (line,) = over_seeds(found)
    # t(0.975, 2) = 4.3027; standard deviation 10, n 3.
    assert line["win"]["mean"] == pytest.approx(0.4)
    assert line["win"]["low"] == pytest.approx(0.4 - 4.30265 * 0.1 / 3**0.5, abs=1e-4)
    assert "40.0" in to_tables(found)[-1].to_text()
    wide = over_seeds([one for seed, text in enumerate(("w" * 100, "l" * 100)) for one in games_of(row(text, seed), 1)])
    assert (wide[0]["win"]["low"], wide[0]["win"]["high"]) == (0.0, 1.0), "a share has no other values"


def test_a_league_says_who_is_best_and_by_how_much() -> None:
    pairs = [Pair(0, 1, "w" * 60 + "d" * 20 + "l" * 20, [150] * 100), Pair(0, 2, "w" * 100, [50] * 100)]
    league = League(["R1@20", "weak", "random"], [*pairs, Pair(1, 2, "w" * 80 + "l" * 20, [100] * 100)], 100, 0, [])
    assert league.points() == [[0, 70, 100], [30, 0, 80], [0, 20, 0]]
    assert pairs[0].goals_per_minute() == pytest.approx((60 / 5, 20 / 5))
    each, matrix, ratings = (table.to_text() for table in league_tables(league))
    assert "60.0 (50.2 to 69.1)" in each
    assert matrix.splitlines()[1].split() == ["1", "R1@20", "-", "70.0", "100.0"]
    assert [line.split()[1] for line in ratings.splitlines()[1:]] == ["R1@20", "weak", "random"]
    assert "too few" not in headline(league)
    few = League(["a", "b"], [Pair(0, 1, "wdld", [9] * 4)], 4, 0, [])
    assert headline(few).endswith("too few games to call")
    data = json.loads(json.dumps(league.to_data()))
    assert [one["n"] for one in data["ratings"]] == [200] * 3
    assert sum(one["elo"] for one in data["ratings"]) == pytest.approx(0, abs=1e-9)


def test_a_bot_named_twice_meets_itself(tmp_path: Path) -> None:
    entries = entered(Workspace(tmp_path), ["weak", "weak", "strong"], ("mode",), None, [])
    assert [entry.label for entry in entries] == ["weak", "weak (2)", "strong"]
    assert len({entry.spec["label"] for entry in entries}) == 3, "so that it draws otherwise"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["stong"], r"no opponent is called 'stong' \(did you mean 'strong'\?\)"),
        (["self"], "another one at every moment"),
        (["weak:2"], "as many games as the others"),
        (["weak", "weak"], "named twice"),
    ],
)
def test_opponents_that_mean_nothing_are_refused(names: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        require_opponents(names)


@pytest.mark.parametrize(
    ("texts", "kind", "said"),
    [
        (["weak"], UsageError, "needs two players"),
        (["stong", "weak"], UsageError, r"nobody is called 'stong' \(did you mean 'strong'\?\)"),
        (["R9@all", "weak"], NotFound, "no run is called 'R9'"),
        (["first@all", "weak"], UsageError, "cannot play: it was trained on CartPole-v1"),
    ],
)
def test_players_who_cannot_play_are_named(ran: Ran, texts: list[str], kind: type[LabError], said: str) -> None:
    with pytest.raises(kind, match=said):
        entered(ran.workspace, texts, ("mode",), None, [])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("eval", "first", "--opponent", "weak"), 2, "--opponent is for hockey, and "),
        (("eval", "first", "--maps", "."), 2, "--maps is for hockey, and "),
        (("eval", "first", "--maps", "nowhere"), 4, "there is no folder nowhere"),
        (("eval", "first", "weak"), 2, "one run is measured at a time"),
        (("eval", "--league", "weak", "strong", "--fresh"), 2, "--league and --fresh do not go together"),
        (("watch", "first", "--outcome", "win"), 2, "--outcome is for hockey, and "),
        (("watch", "first", "--outcome", "won"), 2, "'--outcome'"),
    ],
)
def test_options_of_hockey_are_refused_elsewhere(ran: Ran, words: tuple[str, ...], code: int, said: str) -> None:
    done = inside(ran.workspace.path, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_maps_are_drawn(tmp_path: Path) -> None:
    shots = [{"x": 1.0, "y": 0.5, "own": True, "goal": goal} for goal in (True, False)]
    grid = [[x + y for y in range(32)] for x in range(40)]
    for name in ("maps.png", "maps.svg"):
        draw_maps(tmp_path / name, "R1", {"weak": shots}, {"weak": grid, "strong": grid})
    wide, high = Image.open(io.BytesIO((tmp_path / "maps.png").read_bytes())).size
    assert wide == 1140
    assert high > 500
    assert (tmp_path / "maps.svg").read_text().startswith("<?xml")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a finished run of short games."""
    return finished_trial(tmp_path_factory.mktemp("lab"), **HOCKEY).run.path.parent.parent


@pytest.mark.slow
def test_an_agent_is_measured_filmed_and_rated_by_commands(played: Path, tmp_path: Path) -> None:
    """Issue 6, deliver 4: both starts on both sides, per opponent and policy, intervals, a league, a film, maps."""
    words = ("eval", "R1", "--opponent", "strong", "--opponent", "R1@20", "--episodes", "5", "--maps", str(tmp_path))
    found = data(dreamerlab(played, *words, "--json"))
    assert [(one["opponent"], one["policy"], one["n"]) for one in found["results"]] == [
        (opponent, policy, 8) for opponent in ("strong", "R0001-abc@20") for policy in ("mode", "sample")
    ]
    assert all(len(one["cells"]) == 4 and not one["called"] for one in found["results"])
    assert "8 games each, not 5" in " ".join(found["caveats"])
    assert len(list(tmp_path.glob("*.png"))) == 2
    league = data(dreamerlab(played, "eval", "--league", "R1@all", "strong", "--episodes", "4", "--json"))
    assert league["players"] == ["R0001-abc@20", "R0001-abc@40", "strong"]
    assert len(league["pairs"]) == 3
    film = data(dreamerlab(played, "watch", "R1", "--outcome", "draw", "--out", str(tmp_path / "d.gif"), "--json"))
    assert [one["outcome"] for one in film["episodes"]] == ["draw"]
    missing = dreamerlab(played, "eval", "R1", "--opponent", "R1@7")
    assert (missing.returncode, missing.stdout) == (4, "")
    assert "--opponent=R1@7: no checkpoint of env step 7" in missing.stderr
