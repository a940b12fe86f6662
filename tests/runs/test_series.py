"""Joining attempts, thinning and reducing: laws for any history of crashes, against a slow oracle."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.series import (
    Point,
    append_line,
    join_attempts,
    read_episodes,
    read_lines,
    read_series,
    reduce_final_mean,
    thin,
)
from tests.runs.records import a_line, write_metrics


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[int, int]]:
    """Attempts that each start from a checkpoint of the one before and write a line every few env steps."""
    lines: list[dict[str, Any]] = []
    starts: dict[int, int] = {}
    reached = 0
    for attempt in range(1, draw(st.integers(1, 5)) + 1):
        start = draw(st.integers(0, reached)) if attempt > 1 else 0
        steps = start
        for _ in range(draw(st.integers(0, 8))):
            steps += draw(st.integers(1, 7))
            lines.append(a_line(steps, attempt))
        starts[attempt] = start
        reached = max(steps, start)
    return lines, starts


def survivors(lines: list[dict[str, Any]], starts: dict[int, int]) -> list[tuple[int, int]]:
    """What is left when each attempt, as it starts, erases everything after its start; the definition, played out."""
    tape: list[tuple[int, int]] = []
    for attempt in sorted(starts):
        tape = [(a, s) for a, s in tape if s <= starts[attempt]]
        tape += [(attempt, line["env_steps"]) for line in lines if line["attempt"] == attempt]
    return tape


@given(histories())
def test_a_later_attempt_wins_from_its_start_on(history: tuple[list[dict[str, Any]], dict[int, int]]) -> None:
    lines, starts = history
    joined = join_attempts(lines, starts)
    assert [(line["attempt"], line["env_steps"]) for line in joined] == survivors(lines, starts)
    assert [line["env_steps"] for line in joined] == sorted(line["env_steps"] for line in joined)


@given(histories())
def test_joining_is_idempotent_and_keeps_lines_as_they_are(
    history: tuple[list[dict[str, Any]], dict[int, int]],
) -> None:
    lines, starts = history
    before = json.dumps(lines)
    joined = join_attempts(lines, starts)
    assert join_attempts(joined, starts) == joined
    assert all(line in lines for line in joined)
    assert json.dumps(lines) == before


def test_without_recorded_starts_an_attempt_wins_from_its_first_line_on() -> None:
    lines = [a_line(steps, 1) for steps in (10, 20, 30, 40)] + [a_line(steps, 2) for steps in (25, 35)]
    assert [(x["attempt"], x["env_steps"]) for x in join_attempts(lines)] == [(1, 10), (1, 20), (2, 25), (2, 35)]


def test_at_its_very_start_the_later_attempt_wins_if_it_speaks() -> None:
    lines = [a_line(10, 1), a_line(20, 1), a_line(30, 1), a_line(20, 2)]
    assert [(x["attempt"], x["env_steps"]) for x in join_attempts(lines, {1: 0, 2: 20})] == [(1, 10), (2, 20)]
    silent = [line for line in lines if line["attempt"] == 1]
    assert [x["env_steps"] for x in join_attempts(silent, {1: 0, 2: 20})] == [10, 20]


def test_two_lines_of_one_attempt_at_one_env_step_both_count() -> None:
    assert len(join_attempts([a_line(10), a_line(10)])) == 2


def trial_in(path: Path) -> TrialDirectory:
    trial = TrialDirectory(path / "runs" / "R0001-abc" / "seed-1")
    trial.path.mkdir(parents=True)
    trial.artifacts.mkdir(parents=True)
    return trial


def test_a_trial_with_two_attempts_reads_as_one_curve(tmp_path: Path) -> None:
    trial = trial_in(tmp_path)
    write_metrics(trial, 1, [a_line(s, 1, wm__loss=float(s)) for s in range(10, 80, 10)])
    write_metrics(trial, 2, [a_line(s, 2, wm__loss=float(-s)) for s in range(60, 100, 10)])
    for line in (a_line(40, 1, eval__return_mode=1.0), a_line(80, 2, eval__return_mode="nan")):
        append_line(trial.evals_path, line)
    for steps, attempt in ((15, 1), (55, 1), (58, 2)):
        append_line(trial.episodes_path, {"env_steps": steps, "attempt": attempt, "return": 1.0})
    starts = [{"attempt": 1, "start_env_steps": 0}, {"attempt": 2, "start_env_steps": 50}]
    trial.attempts_path.write_text(json.dumps(starts))
    series = read_series(trial)
    assert series.values("wm/loss") == [10.0, 20.0, 30.0, 40.0, 50.0, -60.0, -70.0, -80.0, -90.0]
    assert [p.attempt for p in series.points["wm/loss"]] == [1] * 5 + [2] * 4
    assert series.superseded == 2
    assert math.isnan(series.values("eval/return_mode")[-1])
    assert series.torn == []
    assert [line["env_steps"] for line in read_episodes(trial)[0]] == [15, 58]


def test_torn_lines_are_reported_with_file_and_line_and_hide_nothing(tmp_path: Path) -> None:
    trial = trial_in(tmp_path)
    write_metrics(trial, 1, [a_line(10, wm__loss=1.0)])
    with trial.metrics_path(1).open("ab") as file:
        file.write(b'{"env_steps": 20, "val\n[1, 2]\n\n')
    append_line(trial.metrics_path(1), a_line(30, wm__loss=3.0))
    with trial.metrics_path(1).open("ab") as file:
        file.write(b'\xff{"env_')
    series = read_series(trial)
    assert series.values("wm/loss") == [1.0, 3.0]
    path = trial.metrics_path(1)
    assert [report.split(": ")[0] for report in series.torn] == [f"{path}:2", f"{path}:3", f"{path}:6"]


def test_a_last_line_that_lacks_only_its_newline_counts(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"a": 1}\n{"a": 2}')
    assert read_lines(tmp_path / "x.jsonl") == ([{"a": 1}, {"a": 2}], [])


def test_absent_files_hold_nothing(tmp_path: Path) -> None:
    trial = trial_in(tmp_path)
    assert read_series(trial).points == {}
    assert read_lines(tmp_path / "none") == ([], [])
    trial.attempts_path.write_text('{"not": "a list"')
    assert read_series(trial).points == {}


def points(values: list[float]) -> list[Point]:
    return [Point(i, i, 0.0, 0.0, 1, value) for i, value in enumerate(values)]


@given(st.lists(st.floats(allow_nan=True), min_size=1, max_size=300), st.integers(5, 60))
def test_thinning_keeps_ends_extremes_and_order(values: list[float], limit: int) -> None:
    full = points(values)
    kept = thin(full, limit)
    assert len(kept) <= limit
    assert [p.env_steps for p in kept] == sorted({p.env_steps for p in kept})
    assert (kept[0], kept[-1]) == (full[0], full[-1])
    steps = {p.env_steps for p in kept}
    assert steps <= set(range(len(values)))
    finite = [v for v in values if math.isfinite(v)]
    if finite:
        thinned = [p.value for p in kept if math.isfinite(p.value)]
        assert (min(thinned), max(thinned)) == (min(finite), max(finite))
    odd = [i for i, v in enumerate(values) if not math.isfinite(v)]
    assert not odd or odd[0] in steps
    assert [p.env_steps for p in thin(full, limit)] == [p.env_steps for p in kept]
    if len(values) <= limit:
        assert len(kept) == len(full)


def test_thinning_spreads_evenly() -> None:
    kept = [p.env_steps for p in thin(points([float(i) for i in range(10_000)]))]
    assert len(kept) == 500
    assert max(b - a for a, b in pairwise(kept)) <= 21


@given(st.lists(st.floats(-1e6, 1e6), max_size=20), st.integers(1, 10))
def test_final_mean_is_the_mean_of_the_last(values: list[float], k: int) -> None:
    score = reduce_final_mean(values, k)
    if len(values) < k:
        assert score is None
    else:
        assert score == pytest.approx(sum(values[len(values) - k :]) / k, abs=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_final_mean_of_what_is_not_finite_is_no_score(bad: float) -> None:
    assert reduce_final_mean([1.0, bad, 2.0], 2) is None
    assert reduce_final_mean([bad, 1.0, 2.0], 2) == 1.5
