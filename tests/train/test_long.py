"""A long trial holds as much memory and as many files at its end as it did near its beginning."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dreamerlab.runs.status import effective_state, read_status
from tests.train.trials import make_trial, tiny_config

ROOT = Path(__file__).parents[2]
MIB = 2**20


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_memory_and_files_stay_flat_over_fifty_thousand_updates(tmp_path: Path) -> None:
    """50,000 updates; a leak of 400 bytes an update would show. Replay is full after a twentieth of them."""
    config = tiny_config(
        env={"id": "tests.toy_envs:Bandit-v0"},
        budget={"unit": "updates", "amount": 50_000},
        replay={"capacity": 1000},
        model={"deter": 2, "hidden": 2, "units": 2, "stoch": 1, "classes": 2, "blocks": 1},
        twohot={"bins": 3},
        behavior={"horizon": 1},
        train={"batch_size": 1, "batch_length": 2, "train_ratio": 40.0, "imagination_starts": 2, "learning_starts": 5},
        eval={"every": 500, "episodes": 2},
        log={"every": 50},
        checkpoint={"every": 500},
    )
    trial = make_trial(tmp_path, config)
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
    assert sum(path.stat().st_size for path in trial.checkpoints.iterdir()) < 4 * MIB
