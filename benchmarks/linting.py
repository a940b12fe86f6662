"""What `dreamerlab lint` of 1,000 hypotheses with 1,000 runs costs, all judged and rendered, in CPU seconds."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.startup import cpu_seconds
from tests.lab.told import multiply, tell

LIMIT_S = 20.0
HYPOTHESES = 1000


def measure() -> list[tuple[str, float, float | None]]:
    with tempfile.TemporaryDirectory() as folder:
        told = tell(Path(folder) / "lab")
        command = [sys.executable, "-m", "dreamerlab", "lint"]
        cpu_seconds(command, told.workspace.path)  # the start that writes the bytecode
        multiply(told, HYPOTHESES - 1)
        seconds = cpu_seconds(command, told.workspace.path)
    return [("lint of 1,000 hypotheses and 1,000 runs, CPU s", seconds, LIMIT_S)]
