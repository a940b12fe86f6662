"""What `dreamerlab compare` of two runs costs, five seeds and forty evaluations each, in CPU seconds."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.startup import cpu_seconds
from tests.lab.arms import make_arm
from tests.lab.hypotheses import launched
from tests.lab.workspaces import light_workspace

LIMIT_S, ROUNDS = 1.5, 7


def measure() -> list[tuple[str, float, float | None]]:
    with tempfile.TemporaryDirectory() as folder:
        workspace = light_workspace(Path(folder) / "lab")
        runs = []
        for name, rate in (("slow", "1e-5"), ("fast", "1e-3")):
            curves = [[20.0 + (7 * seed + 11 * i) % 400 for i in range(40)] for seed in range(5)]
            runs.append(make_arm(workspace, name, curves, f"optimizer.lr_actor={rate}"))
        launched(workspace, runs[1].id, runs[0].id)
        compare = [sys.executable, "-m", "dreamerlab", "compare"]
        shown = [cpu_seconds([*compare, "slow", "fast", "--no-log"], workspace.path) for _ in range(ROUNDS)]
        # Another reducer each time is another comparison: every one of them becomes an entry, and the log is rendered.
        words = [["H1", "--reducer", f"final_mean({k})"] for k in range(1, ROUNDS + 1)]
        entered = [cpu_seconds([*compare, *each], workspace.path) for each in words]
    return [
        ("compare of two runs of 5 seeds, CPU s", statistics.median(shown), LIMIT_S),
        ("compare of a hypothesis with its entry in the log, CPU s", statistics.median(entered), LIMIT_S),
    ]
