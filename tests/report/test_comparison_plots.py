"""Pictures of a comparison: what they say is what the tables say, and what cannot share an axis is refused."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.errors import NotFound, UsageError
from dreamerlab.report.comparison_plots import CLOCKS, draw
from dreamerlab.report.evidence import Evidence, FactDifference, RunEvidence
from dreamerlab.report.palette import LOOKS
from dreamerlab.runs.series import Point
from dreamerlab.stats.one_sample import mean_interval
from tests.report.test_comparison import computed, run, seed

FIRST, OTHER = [100.0, 120.0, 170.0], [300.0, 310.0, 350.0]


def points(*values: float) -> list[Point]:
    return [Point(100 * at, 50 * at, 7200.0 * at, 1e9, 1, value) for at, value in enumerate(values, start=1)]


def arm(number: int, scores: list[float], **changes: Any) -> RunEvidence:
    return run(
        number, *(seed(i, value, evaluations=points(value, value + 10), **changes) for i, value in enumerate(scores))
    )


def both(**changes: Any) -> Evidence:
    runs = [arm(1, FIRST, **changes), arm(2, OTHER)]
    return Evidence(runs, [], [], [computed(FIRST, OTHER)], [])


def words(evidence: Evidence, tmp_path: Path, kind: str, clock: str = "env_steps") -> list[str]:
    """Every text of the picture; matplotlib draws letters as shapes, and names the text in a comment."""
    draw(evidence, tmp_path / "x.svg", kind, clock)
    return [text.strip() for text in re.findall(r"<!-- (.*?) -->", (tmp_path / "x.svg").read_text())]


def test_intervals_are_those_a_verdict_is_computed_from(tmp_path: Path) -> None:
    shown = words(both(), tmp_path, "intervals")
    found = mean_interval(FIRST)
    assert found.low is not None
    assert found.high is not None
    assert f"{found.mean:.1f} [{found.low:.1f}, {found.high:.1f}]" in shown
    pair = computed(FIRST, OTHER).welch
    assert pair is not None
    assert pair.low is not None
    assert pair.high is not None
    assert f"+{pair.difference:.1f} [+{pair.low:.1f}, +{pair.high:.1f}]" in shown
    assert "R0002-abc − R0001-abc" in shown
    assert not [text for text in shown if text.startswith("crossed out")]
    assert {"R0001-abc (n=3)", "final_mean(3) of eval/return_mode", "solved (475)"} <= set(shown)


def test_a_score_that_is_no_common_one_is_marked(tmp_path: Path) -> None:
    assert "crossed out: fail score" in words(both(failed="diverged"), tmp_path, "intervals")


@pytest.mark.parametrize("clock", CLOCKS)
def test_curves_stand_on_any_clock(clock: str, tmp_path: Path) -> None:
    shown = words(both(), tmp_path, "curves", clock)
    axis = {"env_steps": "env steps", "updates": "updates", "wall_clock": "training time in h, evaluations included"}
    assert axis[clock] in shown
    assert ("thin: every seed  ·  thick: their mean" in shown) == (clock == "env_steps")
    assert "band: 95 % t interval of the mean, at each place by itself" in shown, "which interval it is, is said"


def test_times_of_different_machines_are_marked(tmp_path: Path) -> None:
    evidence = replace(both(), facts=[FactDifference("cpu", ["EPYC", "Xeon"])])
    note = "taken under different conditions (cpu): times cannot be compared"
    assert note in words(evidence, tmp_path, "curves", "wall_clock")
    assert note not in words(evidence, tmp_path, "curves")


def test_a_profile_says_its_band_and_direction(tmp_path: Path) -> None:
    assert "share of seeds with score above tau" in words(both(), tmp_path, "profile")
    timed = replace(both(), runs=[replace(one, is_time=True, is_return=False) for one in both().runs])
    shown = words(timed, tmp_path, "profile")
    assert "share of seeds with score at or below tau" in shown
    assert any(text.startswith("band: exact 95 % binomial interval") for text in shown)
    before = (tmp_path / "x.svg").read_bytes()
    late = replace(timed.runs[1], seeds=[replace(one, censored=True) for one in timed.runs[1].seeds])
    draw(replace(timed, runs=[timed.runs[0], late]), tmp_path / "x.svg", "profile")
    assert (tmp_path / "x.svg").read_bytes() != before, "a time that was cut off is no score of its own"


def test_a_trade_shows_both_pairs_and_marks_what_was_never_reached_M_PROT_18(tmp_path: Path) -> None:
    shown = words(both(), tmp_path, "tradeoff")
    assert {
        "env steps per second (not decisive)",
        "env steps to solved (475)",
        "stability: fall after the peak",
    } <= set(shown)
    assert "not reached" in words(both(reached={"solved": None}), tmp_path, "tradeoff")


def test_runs_of_different_tasks_share_the_span_from_random_play_to_solved(tmp_path: Path) -> None:
    other = replace(
        arm(2, [-400.0, -300.0, -90.0]), env_id="Acrobot-v1", reference={"random": -500.0, "solved": -100.0}
    )
    mixed = Evidence([arm(1, FIRST), other], [], [], [], [])
    shown = words(mixed, tmp_path, "intervals")
    assert "% from random play to solved" in shown
    mean = math.fsum(100 * (value - 22.5) / 452.5 for value in FIRST) / 3
    assert any(text.startswith(f"{mean:.1f} [") for text in shown)
    unknown = replace(mixed, runs=[mixed.runs[0], replace(other, reference={"random": None, "solved": None})])
    for kind in ("curves", "intervals", "profile", "tradeoff"):
        with pytest.raises(UsageError, match="cannot share an axis: R0002-abc has no levels"):
            draw(unknown, tmp_path / "x.png", kind)
    with pytest.raises(UsageError, match="what runs of different tasks trade"):
        draw(mixed, tmp_path / "x.png", "tradeoff")


def test_scores_of_different_rules_share_no_axis(tmp_path: Path) -> None:
    first, other = both().runs
    timed = replace(other, evaluation={**other.evaluation, "score": "auc of eval/return_mode"})
    with pytest.raises(UsageError, match="they stand for auc of eval/return_mode and final_mean"):
        draw(Evidence([first, timed], [], [], [], []), tmp_path / "x.png", "intervals")


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'intervals'"):
        draw(both(), tmp_path / "x.png", "interval")
    empty = Evidence([run(1, seed(0, None, evaluations=[])), run(2, seed(0, None, evaluations=[]))], [], [], [], [])
    for kind in ("curves", "intervals", "profile"):
        with pytest.raises(NotFound, match="nothing to draw"):
            draw(empty, tmp_path / "x.png", kind)
    many = Evidence([arm(i, FIRST) for i in range(len(LOOKS) + 1)], [], [], [], [])
    for kind in ("curves", "intervals", "profile", "tradeoff"):
        with pytest.raises(UsageError, match="cannot be told apart"):
            draw(many, tmp_path / "x.png", kind)
    assert not (tmp_path / "x.png").exists()
