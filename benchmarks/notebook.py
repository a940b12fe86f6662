"""What the log costs with 1,000 hypotheses and 1,000 runs in it: after one event, and rendered from nothing."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.startup import cpu_seconds
from benchmarks.workspace import Size, fill
from dreamerlab.lab.ledger import registry_of
from tests.report.notebooks import Notebook

HYPOTHESES, ROUNDS = 1000, 3
LIMIT_S = 1.0


def measure() -> list[tuple[str, float, float | None]]:
    with tempfile.TemporaryDirectory() as folder:
        workspace = fill(Path(folder) / "lab", Size(HYPOTHESES))
        command = [sys.executable, "-m", "dreamerlab", "log"]
        whole = cpu_seconds(command, workspace.path)
        book = Notebook(workspace)
        once: list[float] = []
        for number in range(ROUNDS):
            book.note("observation", f"Seen {number} times.", str(registry_of(workspace).ids("H")[number]))
            once.append(cpu_seconds(command, workspace.path))
        return [
            ("log after one event, 1,000 hypotheses and runs, CPU s", statistics.median(once), LIMIT_S),
            ("log rendered from nothing, CPU s", whole, None),
        ]
