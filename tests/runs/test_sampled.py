"""Some lines of a long file: evenly spread, in order, whole, and never beyond where a later attempt began."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dreamerlab.runs.attempts import open_attempt
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.sampled import sample_lines, sample_metrics
from tests.runs.records import a_line, write_metrics


def write(path: Path, count: int, word: str = "", every: int = 1) -> Path:
    with path.open("w") as file:
        for i in range(1, count + 1):
            values = {"wm/loss": i / 7, "pad": "x" * (i * 37 % 90)} | ({word: 1.0} if word and i % every == 0 else {})
            file.write(json.dumps({"env_steps": 10 * i, "values": values}) + "\n")
    return path


def test_a_short_file_is_returned_whole(tmp_path: Path) -> None:
    sample = sample_lines(write(tmp_path / "m.jsonl", 90), 100)
    assert sample.whole
    assert [line["env_steps"] for line in sample.lines] == [10 * i for i in range(1, 91)]


def test_of_a_long_file_lines_are_spread_evenly(tmp_path: Path) -> None:
    sample = sample_lines(write(tmp_path / "m.jsonl", 20_000), 200)
    steps = [line["env_steps"] for line in sample.lines]
    assert not sample.whole
    assert 190 <= len(steps) <= 200
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (10, 200_000)
    assert max(b - a for a, b in pairwise(steps)) < 3 * 200_000 / 200


def test_nothing_beyond_the_start_of_a_later_attempt(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", 20_000)
    for until in (0, 9, 10, 55_555, 200_000, 10**9):
        steps = [line["env_steps"] for line in sample_lines(path, 100, until=until).lines]
        assert max(steps, default=0) == min(200_000, until // 10 * 10)


def test_rare_lines_come_in_addition(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", 20_000, "probe/value_mean", every=400)
    rare = [line for line in sample_lines(path, 100, rare=b'"probe/').lines if "probe/value_mean" in line["values"]]
    assert len(rare) == 50


def test_damaged_lines_are_counted_and_hide_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"env_steps": 10, "val\n\xff\xfe\n[1]\n\n{"env_steps": 20, "values": {}}\n{"env_steps": 30')
    sample = sample_lines(path, 100)
    assert [line["env_steps"] for line in sample.lines] == [20]
    assert sample.damaged == 4


def test_no_file_and_an_empty_one_hold_no_lines(tmp_path: Path) -> None:
    assert sample_lines(tmp_path / "none.jsonl", 10).lines == []
    (tmp_path / "empty.jsonl").touch()
    assert sample_lines(tmp_path / "empty.jsonl", 10).lines == []


def test_metric_lines_of_earlier_attempts_end_where_a_later_one_began(tmp_path: Path) -> None:
    trial = TrialDirectory(tmp_path / "R0001-abc" / "seed-1")
    trial.path.mkdir(parents=True)
    assert sample_metrics(trial, 100, fewest=20).lines == []
    for attempt, start, end in ((1, 0, 90), (2, 70, 80), (3, 40, 120)):
        open_attempt(trial, attempt, start_env_steps=start)
        write_metrics(trial, attempt, [a_line(steps, attempt) for steps in range(start + 10, end + 1, 10)])
    with trial.metrics_path(3).open("ab") as file:
        file.write(b"{\n")
    sample = sample_metrics(trial, 100, fewest=20)
    assert [line["env_steps"] for line in sample.lines] == [*range(10, 41, 10), *range(50, 121, 10)]
    assert {line["attempt"] for line in sample.lines} == {1, 3}
    assert sample.damaged == 1


@settings(max_examples=50)
@given(st.lists(st.integers(0, 60), max_size=80), st.integers(2, 30), st.integers(0, 900))
def test_any_sample_is_a_part_of_the_file_in_order(
    tmp_path_factory: object, pads: list[int], limit: int, until: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "m.jsonl"  # type: ignore[attr-defined]
    lines = [{"env_steps": 10 * i, "pad": "y" * pad} for i, pad in enumerate(pads)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    allowed = [line for line in lines if line["env_steps"] <= until]
    found = sample_lines(path, limit, until=until).lines
    assert all(line in allowed for line in found)
    assert [line["env_steps"] for line in found] == sorted({line["env_steps"] for line in found})
    if allowed:
        assert found[0] == allowed[0]
        assert found[-1] == allowed[-1]
