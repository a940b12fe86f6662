"""What the protocol costs a trial: time spent in snapshot, hashing, status, metric lines and checkpoints.

Every call from the trial into those modules is timed inside a real trial of the `nano` preset, and the sum is divided
by the trial's wall time (evaluation and training included, process start included).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT_PERCENT = 2.0


def measure() -> list[tuple[str, float, float | None]]:
    from dreamerlab.train import attempt, recorder

    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "lab"
        cli = [sys.executable, "-m", "dreamerlab"]
        subprocess.run([*cli, "init", str(workspace), "--no-git"], check=True, capture_output=True)
        started = time.monotonic()
        command = "run --baseline --env cartpole --experiment nano --seeds 1 budget.amount=1000"
        subprocess.run([*cli, *command.split()], cwd=workspace, check=True, capture_output=True)
        outside_s = time.monotonic() - started
        trial = next((workspace / "runs").glob("R*/seed-*"))
        # The same trial again in this process, with every protocol call timed.
        spent = [0.0]
        for owner, name in (
            (recorder, "append_line"),
            (recorder, "write_status"),
            (attempt.checkpoint, "save"),
            (attempt, "write_json"),
        ):
            setattr(owner, name, _timed(getattr(owner, name), spent))
        for path in (trial.parent / "artifacts" / trial.name / "checkpoints").iterdir():
            path.unlink()
        started = time.monotonic()
        attempt.execute(trial, 2, None)
        inside_s = time.monotonic() - started
        snapshot_s = _snapshot_seconds(workspace)
    return [
        ("protocol calls inside a trial, % of its wall time", 100 * (spent[0] + snapshot_s) / inside_s, LIMIT_PERCENT),
        ("whole `run` command with finaliser over bare trial, x", outside_s / inside_s, None),
    ]


def _timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.monotonic()
        try:
            return function(*args, **kwargs)
        finally:
            spent[0] += time.monotonic() - started

    return timed


def _snapshot_seconds(workspace: Path) -> float:
    from dreamerlab.runs.store import find_workspace
    from dreamerlab.tracking.code_identity import code_identity, snapshot

    started = time.monotonic()
    snapshot(find_workspace(workspace), code_identity(find_workspace(workspace)))
    return time.monotonic() - started
