"""A trial on a disk that really fills up: a small file system in memory, where the machine lets us mount one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.experience.archive import damage
from dreamerlab.runs.series import read_lines
from dreamerlab.runs.status import effective_state, read_status
from dreamerlab.train import checkpoint
from tests.train.trials import make_trial, tiny_config

pytestmark = pytest.mark.slow


MAPPED: dict[str, dict[str, Any]] = {
    "budget": {"amount": 450},
    "model": {"deter": 2048, "blocks": 128},
    "train": {"train_ratio": 1.0},
    "eval": {"every": 450},
    "replay": {"memory_bytes": 1_000_000},
}
"""So much latent state in a row, 8 kB, that replay lies in files of the trial after the first hundred."""

IN_SMALL_STEPS = """
import runpy
from dreamerlab.experience import storage
storage._FIRST_ROWS, storage._RESERVE_BYTES = 64, 2**18
runpy.run_module("dreamerlab.train", run_name="__main__", alter_sys=True)
"""
"""The trainer with replay that reserves a quarter of a megabyte at a time: a small disk takes a while to fill."""


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of 1400 kB, or of what the test names."""
    folder, size = tmp_path / "disk", getattr(request, "param", "1400k")
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
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


@pytest.mark.parametrize(
    ("small_disk", "every", "full"),
    [("9600k", 200, "artifacts/seed-0/replay"), ("11m", 100, "artifacts/seed-0/checkpoints/.ckpt-000000200.pt.tmp")],
    indirect=["small_disk"],
    ids=["rows do not fit", "a checkpoint does not fit"],
)
def test_a_trial_whose_replay_lies_in_files_stops_cleanly_too(
    small_disk: Path, tmp_path: Path, every: int, full: str
) -> None:
    """FACTS D4: no signal from the mapping, but an error that names the disk; later the trial is as if nothing was."""
    config = tiny_config(**MAPPED, checkpoint={"every": every})
    trial = make_trial(small_disk, config)
    command = [sys.executable, "-c", IN_SMALL_STEPS]
    failed = subprocess.run([*command, str(trial.path)], capture_output=True, text=True, timeout=240)
    assert failed.returncode == 7, failed.stderr
    status = read_status(trial)
    assert effective_state(status) == "failed"
    assert f"the disk is full while writing {trial.run.path}/{full};" in (status.reason or ""), status.reason
    assert "the disk is full while writing" in failed.stderr
    kept = checkpoint.load_newest(trial.checkpoints)
    assert kept.info.env_steps == every
    assert kept.info.has_replay
    assert damage(kept.state["session"]["replay"], trial.replay) is None
    assert len(kept.state["session"]["replay"]["files"]["changes"]) > 0

    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    finished = subprocess.run([*command, str(trial.path)], capture_output=True, text=True, timeout=240)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(trial.attempts_path.read_text())[1]["start_env_steps"] == every
    whole = make_trial(tmp_path, config)
    subprocess.run([*command, str(whole.path)], capture_output=True, check=True, timeout=240)
    assert read_status(trial).agent_sha256 == read_status(whole).agent_sha256 is not None
