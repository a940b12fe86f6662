"""A long trial holds as much memory and as many files at its end as it did near its beginning."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dreamerlab.config.layers import resolve
from dreamerlab.runs.status import effective_state, read_status
from tests.train.trials import make_trial

ROOT = Path(__file__).parents[2]
MIB = 2**20


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_memory_and_files_stay_flat_over_fifty_thousand_updates(tmp_path: Path) -> None:
    """50,000 updates of `nano` on CartPole; a leak of 400 bytes an update would show. Replay is full after a tenth."""
    changes = ["budget.unit=updates", "budget.amount=50000", "replay.capacity=10000"]
    pace = ["eval.every=5000", "eval.episodes=2", "checkpoint.every=5000"]
    trial = make_trial(tmp_path, resolve(ROOT, "cartpole", "nano", [*changes, *pace]).config)
    process = subprocess.Popen([sys.executable, "-m", "dreamerlab.train", str(trial.path)], cwd=ROOT)
    memory: dict[int, int] = {}
    files: dict[int, int] = {}
    while process.poll() is None:
        time.sleep(0.2)
        tenth = read_status(trial).updates // 5000
        if tenth not in memory and process.poll() is None:
            memory[tenth] = resident_bytes(process.pid)
            files[tenth] = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
    assert process.returncode == 0
    assert effective_state(read_status(trial)) == "finished"
    print({tenth: round(size / MIB, 1) for tenth, size in memory.items()}, files)
    assert len(memory) >= 8
    settled = [size for tenth, size in memory.items() if tenth >= 2]
    assert max(settled) - settled[0] < 16 * MIB, memory
    assert max(files.values()) - files[2] <= 2, files
    # Latest, the one before and the best, each with 10,000 steps of replay at most.
    assert sum(path.stat().st_size for path in trial.checkpoints.iterdir()) < 40 * MIB
