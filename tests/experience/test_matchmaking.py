"""Who plays next: weights, stages, turns of starts and sides, PFSP, and all of it again after a restore (M-HK-02)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from dreamerlab.config.schema_hockey import Hockey
from dreamerlab.experience.collector import EpisodeEnd
from dreamerlab.experience.matchmaking import HockeyMatches


class Past:
    """A pool with three members, one of which came late."""

    def names(self, env_steps: int) -> list[str]:
        return ["self@0", "self@100"] + (["self@500"] if env_steps >= 500 else [])

    def state_dict(self) -> dict[str, Any]:
        return {"asked": "kept"}

    def load_state_dict(self, state: Any) -> None:
        assert state == {"asked": "kept"}


def matches(seed: int = 0, **settings: Any) -> HockeyMatches:
    members = Past() if "self" in str(settings) else None
    return HockeyMatches(Hockey(**settings), np.random.default_rng(seed), resolved={"R1": "R0001-x@9"}, members=members)


def result(name: str, outcome: str) -> EpisodeEnd:
    return EpisodeEnd(1, 0, 0.0, 1, True, {"opponent": name, "outcome": outcome})


def test_opponents_come_by_weight_and_by_their_resolved_names_M_HK_02() -> None:
    """M-HK-02."""
    chosen = matches(opponent=("weak:3", "strong", "R1"))
    counts = Counter(chosen.choose(0, 0)["opponent"] for _ in range(2000))
    assert counts.keys() == {"weak", "strong", "R0001-x@9"}
    assert counts["weak"] == pytest.approx(1200, abs=90)


def test_starts_alternate_and_sides_take_turns_in_every_stream() -> None:
    chosen = matches(side="both")
    games = [chosen.choose(0, stream) for _ in range(8) for stream in (0, 1)]
    for stream in (0, 1):
        met = [(game["own_start"], game["side"]) for game in games[stream::2]]
        assert Counter(met[:4]) == Counter([(True, 1), (False, 1), (True, 2), (False, 2)])
        assert met[:4] == met[4:]
    assert [game["own_start"] for game in games[:2]] == [True, False], "streams begin at different ends"
    fixed = matches(side="two", starts="other")
    assert {tuple(fixed.choose(0, 0).items())[2:] for _ in range(5)} == {(("own_start", False), ("side", 2))}
    chances = matches(starts="random", side="one")
    random = Counter(chances.choose(0, 0)["own_start"] for _ in range(400))
    assert random[True] == pytest.approx(200, abs=50)


def test_a_curriculum_changes_mode_and_opponents_at_its_env_steps() -> None:
    chosen = matches(
        curriculum=("0 shooting weak", "100 defense strong", "1k normal weak+strong"), opponent=("random",)
    )
    played = {at: chosen.choose(at, 0) for at in (0, 99, 100, 999, 1000)}
    assert [played[at]["mode"] for at in played] == ["shooting", "shooting", "defense", "defense", "normal"]
    assert [played[at]["opponent"] for at in (0, 99, 100, 999)] == ["weak", "weak", "strong", "strong"]
    assert played[0] == {"opponent": "weak", "mode": "shooting"}, "an exercise has no start and no side to choose"
    assert played[1000]["own_start"] is True, "only whole games take turns"


def test_pfsp_prefers_those_it_loses_to_M_HK_02() -> None:
    """M-HK-02: in proportion to the squared share of points lost, one lost game counted beforehand."""
    chosen = matches(opponent=("self",))
    for _ in range(30):
        chosen.ended(result("self@0", "win"))
    for outcome in ["win"] * 10 + ["draw"] * 19:
        chosen.ended(result("self@100", outcome))
    assert chosen.results == {"self@0": [1.0] * 20, "self@100": [1.0] + [0.5] * 19}
    weights = {"self@0": (1 / 21) ** 2, "self@100": (10.5 / 21) ** 2, "self@500": 1.0}
    counts = Counter(chosen.choose(500, 0)["opponent"] for _ in range(3000))
    for name, weight in weights.items():
        assert counts[name] / 3000 == pytest.approx(weight / sum(weights.values()), abs=0.025)
    evenly = matches(opponent=("self",), pool_sampling="uniform")
    evenly.ended(result("self@0", "loss"))
    counts = Counter(evenly.choose(500, 0)["opponent"] for _ in range(1500))
    assert min(counts.values()) > 400


def test_a_restored_one_goes_on_with_the_same_games_F20() -> None:
    settings: dict[str, Any] = {"opponent": ("weak", "self:2"), "side": "both", "starts": "random"}
    whole, parts = matches(**settings), matches(**settings)
    for chosen in (whole, parts):
        for number in range(7):
            chosen.choose(number, number % 3)
            chosen.ended(result("self@0", ("win", "loss")[number % 2]))
    restored = matches(seed=99, **settings)
    restored.load_state_dict(parts.state_dict())
    for number in range(20):
        assert whole.choose(600, number % 3) == restored.choose(600, number % 3)
    assert whole.state_dict() == restored.state_dict()
