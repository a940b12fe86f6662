"""However the reader is interrupted, every value arrives once, in order, and thinning depends on the lines alone."""

from __future__ import annotations

import json
import math
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamerlab.runs.manifest import Budget
from dreamerlab.runs.series import append_line
from dreamerlab.tracking import mirror_lines
from dreamerlab.tracking.mirror_lines import (
    BATCH_VALUES,
    CELLS,
    EVAL,
    POINTS,
    TRAIN,
    Cells,
    Value,
    cell_of,
    last_values,
    read_batches,
)
from tests.runs.records import a_line

BUDGET = Budget("env_steps", 1000)


def everything(path: Path, budget: Budget = BUDGET, kind: str = TRAIN) -> list[Value]:
    """What is sent of a complete file."""
    cells: Cells = {}
    values: list[Value] = []
    for batch in read_batches(path, 0, cells, kind, budget):
        values, cells = [*values, *batch.values], batch.cells
    return [*values, *last_values(path, cells, kind, budget).values]


def write(path: Path, lines: list[dict[str, Any]]) -> None:
    for line in lines:
        append_line(path, line)


@settings(max_examples=60)
@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.floats(allow_nan=False)), max_size=30),
    st.lists(st.integers(0, 4000), max_size=8),
    st.sampled_from([5, 1000, 10**6]),
    st.sampled_from([TRAIN, EVAL]),
)
def test_reading_in_pieces_equals_reading_at_once(
    rows: list[dict[str, float]], cuts: list[int], amount: int, kind: str
) -> None:
    """The file grows by arbitrary pieces, also in the middle of a line; each reader stops after any batch."""
    with tempfile.TemporaryDirectory() as folder:
        whole, growing = Path(folder) / "whole", Path(folder) / "growing"
        write(whole, [a_line(10 * i, **row) for i, row in enumerate(rows)])
        data = whole.read_bytes() if whole.exists() else b""
        budget = Budget("env_steps", amount)
        offset, cells, seen = 0, Cells(), list[Value]()
        for cut in [*sorted(cuts), len(data)]:
            growing.write_bytes(data[:cut])
            for batch in read_batches(growing, offset, cells, kind, budget):
                offset, cells = batch.end, batch.cells
                seen += batch.values
        seen += last_values(growing, cells, kind, budget).values
        assert seen == everything(whole, budget, kind)
        assert offset == len(data)


def test_batches_hold_whole_lines_and_no_more_than_a_tracker_takes(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, [a_line(i, **{f"m{k}": float(k) for k in range(45)}) for i in range(100)])
    batches = list(read_batches(path, 0, {}, "train", Budget("env_steps", 100)))
    assert sum(len(batch.values) for batch in batches) == 4500
    assert max(len(batch.values) for batch in batches) <= BATCH_VALUES
    assert len(batches) == 5
    rest = read_batches(path, batches[0].end, batches[0].cells, "train", Budget("env_steps", 100))
    assert [value for batch in rest for value in batch.values] == [v for batch in batches[1:] for v in batch.values]
    data = path.read_bytes()
    assert all(data[batch.end - 1 : batch.end] == b"\n" for batch in batches)


def test_lines_across_the_border_of_a_read_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, [a_line(i, x=float(i)) for i in range(20)])
    expected = everything(path)
    assert len(expected) == 20
    monkeypatch.setattr(mirror_lines, "_CHUNK_BYTES", 7)
    assert everything(path) == expected


def test_a_long_series_is_thinned_evenly_with_its_first_and_last_point(tmp_path: Path) -> None:
    """However many lines there are and wherever they end, at most POINTS are sent (ANCHORS 4: batch limits)."""
    path = tmp_path / "metrics.jsonl"
    budget = Budget("env_steps", 20_000)
    for end in (20_001, 15_007):
        path.write_text("".join(json.dumps(a_line(i, x=float(i))) + "\n" for i in range(0, end, 2)))
        kept = everything(path, budget)
        assert (kept[0].env_steps, kept[-1].env_steps) == (0, (end - 1) // 2 * 2)
        gaps = [b.env_steps - a.env_steps for a, b in pairwise(kept[:-1])]
        assert set(gaps) <= {10, 12}
        assert CELLS * end / 20_001 - 1 <= len(kept) <= POINTS


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["1.0", '"nan"', '"inf"'])), min_size=1, max_size=400),
    st.lists(st.integers(0, 400), max_size=4),
    st.sampled_from([TRAIN, EVAL]),
    st.integers(1, 1000),
)
def test_no_series_of_lines_gets_past_the_limit(
    steps: list[tuple[int, str]], breaks: list[int], kind: str, amount: int
) -> None:
    """Attempts that break off and begin further back included: a last point each time, and a place less."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(mirror_lines, "CELLS", 7)
        cells: Cells = {}
        sent: list[Value] = []
        at = 0
        cuts = [0, *sorted(breaks), len(steps)]
        for attempt, (start, end) in enumerate(pairwise(cuts), start=1):
            path, lines = Path(folder) / f"{attempt}", ""
            for step, value in steps[start:end]:
                at += step
                lines += json.dumps(a_line(at, attempt)).replace("{}", f'{{"x": {value}}}') + "\n"
            path.write_text(lines)
            for batch in read_batches(path, 0, cells, kind, Budget("env_steps", amount)):
                sent, cells = [*sent, *batch.values], batch.cells
            last = last_values(path, cells, kind, Budget("env_steps", amount))
            sent, cells = [*sent, *last.values], last.cells
            at = max(0, at - 5)
        assert len(sent) <= 7 + POINTS - CELLS
        assert [value.env_steps for value in sent] == sorted(value.env_steps for value in sent)
        assert (sent[0].env_steps, len({value[2:] for value in sent})) == (steps[0][0], len(sent))


def test_up_to_the_limit_nothing_is_thinned(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(a_line(5 * i, x=1.0)) + "\n" for i in range(CELLS)))
    assert len(everything(path, Budget("env_steps", 5 * (CELLS - 1)))) == CELLS


def test_evaluations_are_all_kept_up_to_the_limit_however_they_bunch(tmp_path: Path) -> None:
    """By the clock of a busy machine they come in bunches: the cells without one are saved up."""
    path = tmp_path / "evals.jsonl"
    bunched = [100 * (i // 3) + i % 3 for i in range(1, 900)]
    path.write_text("".join(json.dumps(a_line(steps, eval__return=1.0)) + "\n" for steps in bunched))
    budget = Budget("env_steps", 30_000)
    assert [value.env_steps for value in everything(path, budget, EVAL)] == bunched
    assert len(everything(path, budget, TRAIN)) < 400
    path.write_text("".join(json.dumps(a_line(steps, eval__return=1.0)) + "\n" for steps in range(3, 30_001, 3)))
    kept = everything(path, budget, EVAL)
    assert len(kept) <= POINTS
    assert (kept[0].env_steps, kept[-1].env_steps) == (3, 30_000)
    assert max(b.env_steps - a.env_steps for a, b in pairwise(kept)) <= 18


def test_a_value_that_is_not_finite_is_sent_from_between_the_points_as_well(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    odd = {5001: "nan", 5003: "nan", 7777: "-inf", 7779: "inf"}
    path.write_text(
        "".join(json.dumps(a_line(i, x=odd.get(i, 1.0))) + "\n" for i in range(20_001) if i % 3 == 0 or i in odd)
    )
    kept = everything(path, Budget("env_steps", 20_000))
    assert [value.env_steps for value in kept if math.isnan(value.value)] == [5001, 7777]
    assert len(kept) <= POINTS


def test_a_name_that_a_tracker_refuses_and_a_line_that_makes_no_sense_spoil_no_batch(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    line = {**a_line(3, **{"odd[0]": 1.0}), "time": "inf", "updates": None}
    path.write_text(json.dumps(line) + "\n" + json.dumps({**line, "env_steps": "nan", "values": 7}) + "\n")
    assert everything(path) == [Value("odd_0_", 1.0, 0, 3)]


@pytest.mark.parametrize("kind", [TRAIN, EVAL])
def test_a_stretch_repeated_by_a_resumed_attempt_is_sent_once(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "one", [a_line(s, 1, x=1.0) for s in range(0, 700, 100)])
    write(tmp_path / "two", [a_line(s, 2, x=2.0) for s in range(400, 1000, 100)])
    [first] = read_batches(tmp_path / "one", 0, {}, kind, BUDGET)
    last = last_values(tmp_path / "one", first.cells, kind, BUDGET)
    assert last.values == [], "the last one was sent already"
    [second] = read_batches(tmp_path / "two", 0, last.cells, kind, BUDGET)
    assert [value.env_steps for value in [*first.values, *second.values]] == list(range(0, 1000, 100))
    assert [value.env_steps for value in second.values] == [700, 800, 900]


def test_values_that_are_not_finite_are_shown_as_nan_and_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, [a_line(1, x="inf", y="nan"), a_line(2, x="-inf", y=1.0)])
    [batch] = read_batches(path, 0, {}, "train", BUDGET)
    assert [math.isnan(value.value) for value in batch.values] == [True, True, True, False]
    assert batch.not_finite == {"x": "inf at 1 env steps"}


def test_torn_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, [a_line(1, x=1.0)])
    with path.open("ab") as file:
        file.write(b'{"env_steps": 2, "val\n[]\n\n\xff\n{"half')
    [batch] = read_batches(path, 0, {}, "train", BUDGET)
    assert (len(batch.values), batch.torn) == (1, 3)
    assert batch.end == len(path.read_bytes()) - len(b'{"half')
    assert list(read_batches(path, batch.end, batch.cells, "train", BUDGET)) == []


def test_a_missing_file_holds_nothing_and_a_replaced_one_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert list(read_batches(path, 0, {}, "train", BUDGET)) == []
    write(path, [a_line(1, x=1.0)])
    [batch] = read_batches(path, 10_000, {}, "train", BUDGET)
    assert len(batch.values) == 1


def test_the_budgets_unit_decides_the_cell() -> None:
    line = {**a_line(500), "actor_updates": 100}  # 250 updates, 5.0 seconds
    assert cell_of(line, Budget("env_steps", 1000)) == (CELLS - 1) // 2
    assert cell_of(line, Budget("updates", 250)) == CELLS - 1
    assert cell_of(line, Budget("wall_clock", 50)) == (CELLS - 1) // 10
    assert cell_of(line, Budget("env_steps", 100)) == CELLS - 1
    assert cell_of(line, Budget("actor_updates", 100)) == CELLS - 1
    assert cell_of(a_line(500), Budget("actor_updates", 500)) == (CELLS - 1) // 2
    assert cell_of({}, Budget("actor_updates", 100)) == 0
