"""What `dreamerlab diagnose` costs, in CPU seconds: five seeds of 40,000 metric lines each, as the trainer writes them.

And what the same rules cost live: a line taken in, and a look at everything, against the time of a line's training.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from benchmarks.startup import cpu_seconds
from benchmarks.update import training
from dreamerlab.diagnostics.live import Watch
from dreamerlab.metrics import CATALOGUE
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.status import read_status, write_status
from tests.diagnostics.courses import LEARNS, course
from tests.diagnostics.stories import STORIES
from tests.lab.diagnosed import a_run, a_workspace

LIMIT_S, ROUNDS = 2.0, 7
LIVE_LIMIT = 0.005
SEEDS, LINES = 5, 40_000
PROBED = 10
"""Lines from one evaluation to the next."""


def measure() -> list[tuple[str, float, float | None]]:
    with tempfile.TemporaryDirectory() as folder, patch("os.fsync"):
        workspace = a_workspace(Path(folder) / "lab")
        run = a_run(workspace, STORIES["entropy-scale-too-high"].shapes, seeds=SEEDS)
        size = sum(_lengthen(trial) for trial in run.trials())
        words = [sys.executable, "-m", "dreamerlab", "diagnose", "R1"]
        told = subprocess.run(words, cwd=workspace.path, capture_output=True, text=True, check=False)
        assert told.returncode == 6, told.stderr
        heavy = _imported(words, workspace.path)
        full = [cpu_seconds(words, workspace.path, code=6) for _ in range(ROUNDS)]
        page = [cpu_seconds([*words, "--html", f"{folder}/d.html"], workspace.path, code=6) for _ in range(ROUNDS)]
    taking, looking = _live()
    return [
        (f"{SEEDS} seeds, {SEEDS * LINES:,} lines, {size / 1e6:.0f} MB, CPU s", statistics.median(full), LIMIT_S),
        ("the same with its page, CPU s", statistics.median(page), LIMIT_S),
        ("torch, scipy or numpy imported", float(heavy), 0.0),
        ("live: a line, ms", 1000 * taking, None),
        ("live: a look at all rules, ms", 1000 * looking, None),
        (
            "live: a look at every tenth line, share of training",
            (taking + looking / 10) / training("nano").line,
            LIVE_LIMIT,
        ),
    ]


def _lengthen(trial: TrialDirectory) -> int:
    """Repeat the lines of a trial until there are enough, with every metric of the catalogue; return its bytes."""
    path = trial.metrics_path(1)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    others = {name: 0.123456789012 for name in CATALOGUE if not name.startswith(("eval/", "probe/", "control/"))}
    with path.open("w") as file:
        for i in range(LINES):
            line = lines[i * len(lines) // LINES]
            probed = i % PROBED == 0
            told = {name: value for name, value in line["values"].items() if probed or not name.startswith("probe/")}
            values = {**others, **{name: value * (1 + 1e-9 * i) for name, value in told.items()}}
            file.write(json.dumps({**line, "env_steps": 100 * (i + 1), "values": values}) + "\n")
    write_status(
        trial, replace(read_status(trial), env_steps=100 * LINES, spent=100 * LINES, budget_amount=100 * LINES)
    )
    return path.stat().st_size


def _imported(words: list[str], folder: Path) -> bool:
    traced = subprocess.run(
        [words[0], "-X", "importtime", *words[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in traced.stderr.splitlines()}
    return bool(names & {"torch", "scipy", "numpy"})


def _live() -> tuple[float, float]:
    """Return the CPU seconds of taking in one line, and of asking every rule, of a trial of 10,000 lines."""
    values = {name: one.values[50] for name, one in course(LEARNS).series.items()}
    watch = Watch()
    start = time.process_time()
    for i in range(10_000):
        watch.add(100 * (i + 1), values)
    taking = (time.process_time() - start) / 10_000
    start = time.process_time()
    for _ in range(20):
        watch.findings(1.0)
    return taking, (time.process_time() - start) / 20
