from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from dreamerlab.runs.attempts import close_attempt, open_attempt, read_attempts
from dreamerlab.runs.directory import TrialDirectory


@pytest.fixture
def trial(tmp_path: Path) -> TrialDirectory:
    found = TrialDirectory(tmp_path / "R0001-abc" / "seed-1")
    found.path.mkdir(parents=True)
    return found


def test_attempts_are_opened_and_closed_in_order(trial: TrialDirectory) -> None:
    open_attempt(trial, 1, start_env_steps=0)
    close_attempt(trial, 1, "interrupted", "stopped by Ctrl-C")
    open_attempt(trial, 2, start_env_steps=50)
    first, second = read_attempts(trial)
    assert (first["state"], first["reason"], first["start_env_steps"]) == ("interrupted", "stopped by Ctrl-C", 0)
    assert (second["state"], second["ended_at"], second["start_env_steps"]) == ("running", None, 50)
    assert datetime.fromisoformat(first["ended_at"]).tzinfo is not None


def test_opening_the_same_attempt_again_replaces_its_record(trial: TrialDirectory) -> None:
    open_attempt(trial, 1, start_env_steps=0)
    open_attempt(trial, 1, start_env_steps=7)
    assert [record["start_env_steps"] for record in read_attempts(trial)] == [7]


def test_closing_what_was_never_opened_leaves_no_record(trial: TrialDirectory) -> None:
    close_attempt(trial, 1, "failed", "died before it began")
    assert not trial.attempts_path.exists()


@pytest.mark.parametrize("text", ["", "{}", "null", '["x", 3]', '[{"attempt": 1', "\xff"])
def test_a_damaged_record_reads_as_none(trial: TrialDirectory, text: str) -> None:
    trial.attempts_path.write_bytes(text.encode("latin-1"))
    assert read_attempts(trial) == []
