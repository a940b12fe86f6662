"""What was dropped on purpose is on record, and reads as not checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.errors import ToolFailed
from dreamerlab.runs.series import append_line
from dreamerlab.runs.summary import check_artifacts, hash_artifacts
from dreamerlab.runs.tombstone import Dropped, add_to_tombstone, dropped_files, read_tombstone
from tests.runs.records import make_run, make_workspace


def test_a_dropped_file_is_not_checked_and_one_that_came_back_is(tmp_path: Path) -> None:
    run = make_run(make_workspace(tmp_path / "lab"), seeds=(1,))
    trial = run.trial(1)
    append_line(trial.episodes_path, {"episode": 1})
    recorded = hash_artifacts(trial)
    (name,) = recorded
    assert dropped_files(run) == frozenset()
    add_to_tombstone(run, Dropped("2026-01-02T03:04:05+00:00", "ada", "room", None, recorded))
    assert dropped_files(run) == frozenset(), "it is still here"
    trial.episodes_path.unlink()
    assert dropped_files(run) == {name}
    assert check_artifacts(trial, recorded) == []
    trial.episodes_path.write_text("something else\n")
    assert check_artifacts(trial, recorded) == [f"{name}: differs from its recorded sha256"]


def test_what_was_dropped_earlier_stays_on_record(tmp_path: Path) -> None:
    run = make_run(make_workspace(tmp_path / "lab"), seeds=(1,))
    files = {"artifacts/seed-1/a": {"sha256": "0", "size": 3}, "artifacts/seed-1/b": {"sha256": "1", "size": 4}}
    for why in ("first", "second"):
        add_to_tombstone(run, Dropped("2026-01-02T03:04:05+00:00", "ada", why, "s3://b", files))
    assert [(each.why, each.size_bytes) for each in read_tombstone(run)] == [("first", 7), ("second", 7)]
    run.tombstone_path.write_text('{"dropped": [{"who": 1}]}')
    with pytest.raises(ToolFailed, match="damaged") as caught:
        read_tombstone(run)
    assert "git checkout" in (caught.value.hint or "")
