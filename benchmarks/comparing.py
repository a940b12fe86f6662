"""What `dreamerlab compare` of two runs costs, five seeds and forty evaluations each, in CPU seconds."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.startup import ROUNDS, cpu_seconds
from tests.lab.arms import make_arm
from tests.lab.workspaces import light_workspace

LIMIT_S = 1.5


def measure() -> list[tuple[str, float, float | None]]:
    with tempfile.TemporaryDirectory() as folder:
        workspace = light_workspace(Path(folder) / "lab")
        for name, rate in (("slow", "1e-5"), ("fast", "1e-3")):
            curves = [[20.0 + (7 * seed + 11 * i) % 400 for i in range(40)] for seed in range(5)]
            make_arm(workspace, name, curves, f"optimizer.lr_actor={rate}")
        command = [sys.executable, "-m", "dreamerlab", "compare", "slow", "fast"]
        seconds = [cpu_seconds(command, workspace.path) for _ in range(ROUNDS)]
    return [("compare of two runs of 5 seeds, CPU s", statistics.median(seconds), LIMIT_S)]
