"""A trial on a disk that really fills up: a small file system in memory, where the machine lets us mount one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dreamerlab.runs.series import read_lines
from dreamerlab.runs.status import effective_state, read_status
from dreamerlab.train import checkpoint
from tests.train.trials import make_trial, tiny_config

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1400k", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a file system is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_trial_stops_cleanly_when_its_disk_is_full_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    trial = make_trial(small_disk, tiny_config(budget={"amount": 4000}, checkpoint={"every": 200}))
    command = [sys.executable, "-m", "dreamerlab.train", str(trial.path)]
    failed = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert failed.returncode == 7, failed.stderr
    status = read_status(trial)
    assert effective_state(status) == "failed"
    assert "No space left" in (status.reason or "") or "disk is full" in (status.reason or ""), status.reason
    assert json.loads(trial.attempts_path.read_text())[0]["state"] == "failed"
    for path in (trial.metrics_path(1), trial.evals_path, trial.episodes_path):
        assert read_lines(path)[1] == [], "a half line was left behind"
    kept = checkpoint.load_newest(trial.checkpoints)
    assert 0 < kept.info.env_steps <= status.env_steps

    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    finished = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert finished.returncode == 0, finished.stderr
    assert effective_state(read_status(trial)) == "finished"
    assert json.loads(trial.attempts_path.read_text())[1]["start_env_steps"] == kept.info.env_steps
