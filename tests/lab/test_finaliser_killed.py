"""The finaliser may be killed at any moment: what it leaves is whole or absent, and running it again completes it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dreamerlab.lab.finalise import needs_finalising
from tests.lab.conftest import Ran
from tests.lab.workspaces import dreamerlab, git


def summaries(ran: Ran) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in ran.run.path.glob("seed-*/summary.json")}


@pytest.mark.parametrize("kills", [2, pytest.param(15, marks=pytest.mark.slow)])
def test_a_killed_finaliser_is_completed_by_the_next_one(ran: Ran, tmp_path: Path, kills: int) -> None:
    mine = ran.copy(tmp_path / "lab")
    if kills > 2:
        assert dreamerlab(mine.workspace.path, "init").returncode == 0  # with DVC, which takes longer
    whole, rng = summaries(ran), random.Random(kills)
    command = [sys.executable, "-m", "dreamerlab.lab.finalise", str(mine.workspace.path), mine.run.id]
    for _ in range(kills):
        for path in mine.run.path.glob("seed-*/summary.json"):
            path.unlink()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.0, 0.5 if kills == 2 else 3.0))
        process.kill()
        process.wait()
        for seed, data in summaries(mine).items():
            assert json.loads(data)["state"] == "finished", seed
        assert json.loads(mine.workspace.scores_path.read_text()).keys() == {mine.run.id}
    repaired = dreamerlab(mine.workspace.path, "doctor", "--fix", "--yes")
    assert repaired.returncode in (0, 6), repaired.stderr
    assert summaries(mine) == whole
    assert not needs_finalising(mine.workspace, mine.run)
    assert dreamerlab(mine.workspace.path, "doctor").returncode == 0
    assert "artifacts/" not in git(mine.workspace.path, "ls-files")
