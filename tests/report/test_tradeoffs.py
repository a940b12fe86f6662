"""Gains and prices: named where all seeds agree, never across machines, never of a few seeds."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.report.course_tables import along_training, median
from dreamerlab.report.evidence import Evidence, RunEvidence
from dreamerlab.report.facts import FactDifference
from dreamerlab.report.tradeoffs import tradeoffs
from dreamerlab.runs.series import Point
from dreamerlab.stats.curves import course
from tests.report.test_comparison import computed, run, seed


def a_run(number: int, scores: list[float], **changes: Any) -> RunEvidence:
    return run(number, *(seed(index, score, **changes) for index, score in enumerate(scores)))


def line(first: RunEvidence, other: RunEvidence, facts: list[FactDifference] | None = None) -> str:
    pair = computed(first.scores, other.scores)
    section = tradeoffs(Evidence([first, other], [], facts or [], [pair], []))
    assert section is not None
    return section.lines[0].removeprefix("R0002-abc against R0001-abc: ")


def reached(env_steps: int, wall_s: float) -> dict[str, Point]:
    return {"solved": Point(env_steps, env_steps // 2, wall_s, 1e9, 1, 480.0)}


def test_a_trade_of_speed_against_learning_is_said_M_PROT_18() -> None:
    slow_learner = a_run(1, [100.0, 110.0, 120.0], wall_s=50.0)
    fast_learner = a_run(2, [300.0, 310.0, 320.0], wall_s=100.0)
    assert line(slow_learner, fast_learner) == "a trade: gains score (+200.0) and pays env steps per second (x 0.5)"


def test_a_trade_of_stability_against_convergence_is_said() -> None:
    steady = {"course": course([400.0, 390.0]), "reached": reached(900, 90.0)}
    early = {"course": course([500.0, 100.0]), "reached": reached(300, 30.0)}
    said = line(a_run(1, [300.0] * 3, **steady), a_run(2, [300.0] * 3, **early))
    assert said == (
        "a trade: gains env steps to solved (475.0) (x 0.33), time to solved (475.0) (x 0.33) "
        "and pays fall after the peak (+390.0)"
    )


def test_pace_across_machines_is_no_price() -> None:
    facts = [FactDifference("cpu", ["EPYC", "Xeon"])]
    first, other = a_run(1, [100.0, 110.0, 120.0], wall_s=50.0), a_run(2, [300.0] * 3, wall_s=100.0)
    assert line(first, other, facts) == (
        "gains score (+190.0) and pays nothing that shows here; what the clock took is left out: different cpu"
    )


def test_seeds_that_overlap_or_are_few_name_nothing() -> None:
    overlapping = line(a_run(1, [100.0, 200.0, 300.0]), a_run(2, [250.0, 400.0, 500.0]))
    assert overlapping == "nothing is gained or paid that shows in all seeds"
    assert line(a_run(1, [1.0, 2.0]), a_run(2, [8.0, 9.0])) == "too few seeds to name a gain or a price"


def test_what_was_never_reached_is_no_number() -> None:
    never = a_run(1, [100.0] * 3, reached={"solved": None})
    section = tradeoffs(Evidence([never, a_run(2, [100.0] * 3)], [], [], [computed([100.0] * 3, [100.0] * 3)], []))
    assert section is not None
    assert section.table is not None
    assert ("env steps to solved (475.0)", "not reached", "100") in section.table.rows
    assert "env steps to solved (475.0) (100, before: not reached)" in section.lines[0]


def test_returns_stand_beside_each_other_at_shared_env_steps_M_PROT_14() -> None:
    def curve(*values: float) -> list[Point]:
        return [Point(100 * at, 50 * at, 1.0, 1e9, 1, value) for at, value in enumerate(values, start=1)]

    first = run(1, seed(0, 1.0, evaluations=curve(10.0, 20.0, 30.0)), seed(1, 1.0, evaluations=curve(30.0, 40.0, 50.0)))
    other = run(2, seed(0, 1.0, evaluations=curve(1.0, 2.0, 3.0, 4.0)), seed(1, None, evaluations=[]))
    section = along_training(Evidence([first, other], [], [], [], []))
    assert section is not None
    assert section.table is not None
    assert section.table.columns == ("run", "n", "100", "200", "300")
    assert section.table.rows == [
        ("R0001-abc", "2", "20.0", "30.0", "40.0"),
        ("R0002-abc", "1", "1.00", "2.00", "3.00"),
    ]
    assert along_training(Evidence([first, run(2, seed(0, None, evaluations=[]))], [], [], [], [])) is None


@given(st.lists(st.one_of(st.floats(0, 1e6), st.just(float("inf"))), min_size=1))
def test_half_of_the_seeds_are_at_or_below_the_median(values: list[float]) -> None:
    assert 2 * sum(value <= median(values) for value in values) >= len(values)
    assert 2 * sum(value >= median(values) for value in values) >= len(values)
