from __future__ import annotations

from pathlib import Path

import pytest

from dreamerlab.errors import UsageError
from dreamerlab.ids import RecordId
from dreamerlab.runs.directory import RunDirectory, TrialDirectory, parse_run_id


def test_a_trial_is_known_by_its_path_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trial = TrialDirectory(Path("runs/R0012-9qd/seed-3"))
    assert (trial.seed, trial.run.id) == (3, "R0012-9qd")
    run = tmp_path / "runs" / "R0012-9qd"
    assert trial == RunDirectory(run).trial(3)
    assert trial.status_path == run / "seed-3" / "status.json"
    assert trial.metrics_path(2) == run / "artifacts" / "seed-3" / "attempt-2" / "metrics.jsonl"
    assert trial.checkpoints == run / "artifacts" / "seed-3" / "checkpoints"
    assert trial.error_path(1).parent == trial.console_path(1).parent == trial.attempt_dir(1)


@pytest.mark.parametrize("name", ["seed-", "seed-x", "artifacts", "seed-3x", "SEED-3"])
def test_another_folder_is_no_trial(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="seed-N"):
        TrialDirectory(tmp_path / name)


def test_trials_and_attempts_are_in_numerical_order(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "R0001-abc")
    for seed in (10, 2, 1):
        run.trial(seed).path.mkdir(parents=True)
    (run.path / "seed-x").mkdir()
    (run.path / "seed-7").write_text("a file, no trial")
    assert [trial.seed for trial in run.trials()] == [1, 2, 10]
    for attempt in (11, 3):
        run.trial(1).attempt_dir(attempt).mkdir(parents=True)
    assert run.trial(1).attempts() == [3, 11]
    assert run.trial(2).attempts() == []


@pytest.mark.parametrize("text", ["R0012-9qd", "R12345-aaa"])
def test_ids_read_back_as_written(text: str) -> None:
    assert str(parse_run_id(text)) == text


@pytest.mark.parametrize(
    "text", ["", "R12-9qd", "R0012", "R0012-9QD", "R0012-9qdx", ".new-R0012-9qd", "R٠٠١٢-9qd", "R0012-9qd\n"]
)
def test_what_is_no_id(text: str) -> None:
    assert parse_run_id(text) is None


def test_ids_are_ordered_by_number() -> None:
    assert RecordId("R", 9999, "zzz") < RecordId("R", 10000, "aaa")


def test_a_half_made_run_knows_its_id(tmp_path: Path) -> None:
    assert RunDirectory(tmp_path / ".new-R0012-9qd").id == "R0012-9qd"
