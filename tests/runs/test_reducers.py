from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.errors import UsageError
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.reducers import (
    Curve,
    Reducer,
    Scale,
    Score,
    curve_of,
    parse_reducer,
    recorded_reference,
    reduce,
    score,
)
from dreamerlab.runs.series import append_line
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.summary import write_summary
from tests.runs.records import a_line, make_run, make_workspace, write_metrics

TASK = Scale(random=20.0, solved=475.0, fail=0.0, budget_env_steps=5000)
TIMED = TASK._replace(fail=None)
FALLING = Scale(random=500.0, solved=80.0, fail=500.0, budget_env_steps=5000)
CURVE = [(1000, 100.0), (2000, 480.0), (3000, 300.0), (4000, 490.0)]


def scored(text: str, curve: Curve = CURVE, scale: Scale = TASK) -> Score:
    return reduce(curve, parse_reducer(f"{text} of eval/return"), scale)


@pytest.mark.parametrize(
    ("text", "value", "used"),
    [
        ("final_mean(2)", 395.0, [(3000, 300.0), (4000, 490.0)]),
        ("min_after_first_solve", 300.0, [(3000, 300.0)]),
        ("env_steps_to(475)", 2000.0, [(2000, 480.0)]),
        ("env_steps_to(485)", 4000.0, [(4000, 490.0)]),
        ("peak", 490.0, [(4000, 490.0)]),
        ("auc", (290 + 390 + 395) / 3, [(1000, 100.0), (4000, 490.0)]),
    ],
)
def test_each_reducer_by_hand(text: str, value: float, used: list[tuple[int, float]]) -> None:
    found = scored(text)
    assert (found.value, list(found.used), found.failed, found.censored) == (pytest.approx(value), used, None, False)


def test_where_lower_is_better_beyond_is_below() -> None:
    curve = [(1000, 300.0), (2000, 79.0), (3000, 200.0)]
    assert scored("env_steps_to(80)", curve, FALLING).value == 2000.0
    assert scored("min_after_first_solve", curve, FALLING).value == 200.0
    assert scored("peak", curve, FALLING).value == 79.0
    loss = Reducer("env_steps_to", 0.5, "wm/reward_loss")
    assert reduce([(10, 0.9), (20, 0.4)], loss, Scale()).value == 20.0, "the metric's own direction"


def test_what_was_never_solved_or_reached_has_a_score_all_the_same() -> None:
    """A seed that fails must not drop out of the mean."""
    low = [(1000, 30.0), (2000, 60.0)]
    solved, time = scored("min_after_first_solve", low), scored("env_steps_to(475)", low, TIMED)
    assert (solved.value, solved.failed) == (0.0, "never solved (best 60, solved is 475)")
    assert (time.value, time.censored) == (5000.0, True)
    assert scored("env_steps_to(475)", low, Scale(fail=9000.0)).value == 9000.0


def test_without_what_it_would_need_there_is_no_score_but_a_reason() -> None:
    low = [(1000, 30.0)]
    for text, scale, said in (
        ("min_after_first_solve", Scale(), "reference.solved"),
        ("min_after_first_solve", Scale(random=20.0, solved=475.0), "no fail score"),
        ("env_steps_to(475)", Scale(), "no budget"),
        ("final_mean(2)", TASK, "1 of the 2 evaluations"),
    ):
        found = scored(text, low, scale)
        assert found.value is None
        assert said in (found.reason or "")
    for text in ("final_mean(1)", "auc", "min_after_first_solve", "env_steps_to(3)", "peak"):
        assert scored(text, []).value is None


@pytest.mark.parametrize("text", ["final_mean(2)", "auc", "min_after_first_solve", "env_steps_to(3)", "peak"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_said(text: str, bad: float) -> None:
    found = scored(text, [*CURVE, (5000, bad)])
    assert (found.value, found.not_finite) == (None, True)


curves = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30).map(
    lambda values: [(100 * (i + 1), value) for i, value in enumerate(values)]
)


@given(curves, st.integers(1, 5))
def test_scores_lie_inside_the_curve(curve: Curve, k: int) -> None:
    low, high = min(v for _, v in curve), max(v for _, v in curve)
    for text in (f"final_mean({min(k, len(curve))})", "auc", "peak"):
        value = scored(text, curve).value
        assert value is not None
        assert low - 1e-6 <= value <= high + 1e-6
    assert scored("peak", curve).value == high


@given(curves, st.floats(-1e6, 1e6))
def test_the_time_to_a_level_is_the_first_evaluation_there(curve: Curve, level: float) -> None:
    found = reduce(curve, Reducer("env_steps_to", level, "eval/return_mode"), TIMED)
    reached = [step for step, value in curve if value >= level]
    assert found.value == (float(reached[0]) if reached else 5000.0)
    assert found.censored == (not reached)


@given(curves, st.floats(1.0, 1e5))
def test_a_higher_level_is_never_reached_earlier(curve: Curve, level: float) -> None:
    reducers = [Reducer("env_steps_to", at, "eval/return_mode") for at in (level, 2 * level)]
    scores = [reduce(curve, reducer, TIMED).value for reducer in reducers]
    assert (scores[0] or 0) <= (scores[1] or 0)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "max of eval/return",
            "final_mean of eval/return",
            "final_mean(0) of eval/return",
            "auc(3) of eval/return",
        ),
        *("final_mean(1.5) of eval/return", "env_steps_to(x) of eval/return", "env_steps_to of eval/return", "auc"),
        *("env_steps_to(inf) of eval/return", "final_mean(2)of eval/return"),
    ],
)
def test_what_is_no_reducer_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no reducer"):
        parse_reducer(text)


def test_a_slip_of_the_pen_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'final_mean'"):
        parse_reducer("final_meam(3) of eval/return")


@pytest.mark.parametrize("text", ["final_mean(3)", "auc", "min_after_first_solve", "env_steps_to(475)", "peak"])
def test_a_reducer_spells_itself(text: str) -> None:
    reducer = parse_reducer(f"{text} of eval/return")
    assert (reducer.text, reducer.metric) == (text, "eval/return_mode")
    assert reducer.is_time == text.startswith("env_steps_to")
    assert reducer.is_optimistic == (text == "peak")


# -- from the committed text of a trial -------------------------------------------------------------------------------


def a_trial(tmp_path: Path, **changes: object) -> TrialDirectory:
    return make_run(make_workspace(tmp_path / "lab"), **changes).trial(1)


def finish(trial: TrialDirectory, *returns: float) -> None:
    for i, value in enumerate(returns, start=1):
        append_line(trial.evals_path, a_line(100 * i, 1, eval__return_mode=value))
    counts = {"env_steps": 1000, "budget_unit": "env_steps", "budget_amount": 1000}
    write_status(trial, replace(read_status(trial), state="finished", attempt=1, **counts))


def test_the_levels_are_those_of_the_recorded_config(tmp_path: Path) -> None:
    trial = a_trial(tmp_path)
    trial.run.config_path.write_text(
        "schema: 1\nenv:\n  id: X-v0\nreference:\n  random: 22.47\n  solved: 475.0\n  fail: null\nbudget:\n  fail: 3\n"
    )
    assert recorded_reference(trial.run) == {"random": 22.47, "solved": 475.0}
    trial.run.config_path.unlink()
    assert recorded_reference(trial.run) == {}


def test_the_fail_score_of_the_task_is_for_returns_only(tmp_path: Path) -> None:
    trial = a_trial(tmp_path)
    trial.run.config_path.write_text("schema: 1\nreference:\n  random: 20.0\n  solved: 475.0\n  fail: -7.0\n")
    finish(trial, 30.0, 40.0)
    assert score(trial, parse_reducer("min_after_first_solve of eval/return")).value == -7.0
    time = score(trial, parse_reducer("env_steps_to(475) of eval/return"), budget_env_steps=1000)
    assert (time.value, time.censored) == (1000.0, True)


def test_a_training_metric_is_read_from_the_thinned_curves(tmp_path: Path) -> None:
    trial = a_trial(tmp_path, score="final_mean(2) of wm/loss")
    write_metrics(trial, 1, [a_line(s, 1, wm__loss=float(s)) for s in range(10)])
    finish(trial, 1.0)
    summary = write_summary(trial)
    assert summary["score"] == 8.5
    for path in trial.run.artifacts.rglob("*.jsonl"):
        path.unlink()
    assert score(trial, parse_reducer("final_mean(2) of wm/loss")).value == 8.5
    assert curve_of(trial, "wm/loss")[-1] == (9, 9.0)


def test_a_later_attempt_counts_from_its_start(tmp_path: Path) -> None:
    trial = a_trial(tmp_path)
    for attempt, steps, value in ((1, 100, 1.0), (1, 200, 2.0), (2, 200, 20.0), (2, 300, 30.0)):
        append_line(trial.evals_path, a_line(steps, attempt, eval__return_mode=value))
    assert curve_of(trial, "eval/return_mode") == [(100, 1.0), (200, 20.0), (300, 30.0)]


def test_the_summary_scores_by_the_reducer_of_the_manifest(tmp_path: Path) -> None:
    trial = a_trial(tmp_path, score="env_steps_to(475) of eval/return")
    finish(trial, 30.0, 480.0)
    assert write_summary(trial)["score"] == 200.0
    other = a_trial(tmp_path / "other", score="env_steps_to(475) of eval/return")
    finish(other, 30.0)
    summary = write_summary(other)
    assert summary["score"] == 1000.0, "the budget"
    assert json.loads(other.summary_path.read_text()) == summary
