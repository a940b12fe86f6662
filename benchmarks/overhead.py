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
    from dreamerlab.runs.directory import TrialDirectory
    from dreamerlab.runs.status import Status, write_status
    from dreamerlab.train import attempt, recorder

    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "lab"
        cli = [sys.executable, "-m", "dreamerlab"]
        subprocess.run([*cli, "init", str(workspace), "--no-git"], check=True, capture_output=True)
        started = time.monotonic()
        command = "run --baseline --env cartpole --experiment nano --seeds 1 budget.amount=1500"
        subprocess.run([*cli, *command.split()], cwd=workspace, check=True, capture_output=True)
        outside_s = time.monotonic() - started
        trial = next((workspace / "runs").glob("R*/seed-*"))
        # The same trial again in this process, with every protocol call timed.
        spent = [0.0]
        for owner, name in (
            (recorder, "append_line"),
            (recorder, "write_status"),
            (attempt.checkpoint, "save"),
            (attempt, "open_attempt"),
            (attempt, "close_attempt"),
        ):
            setattr(owner, name, _timed(getattr(owner, name), spent))
        for path in TrialDirectory(trial).checkpoints.iterdir():
            path.unlink()
        write_status(TrialDirectory(trial), Status("queued", 0))
        started = time.monotonic()
        attempt.execute(trial, 2, None)
        inside_s = time.monotonic() - started
        around_s = _snapshot_seconds(workspace) + _finaliser_seconds(workspace, trial)
    return [
        (
            "snapshot, hashes, status, lines, checkpoints, % of a trial",
            100 * (spent[0] + around_s) / inside_s,
            LIMIT_PERCENT,
        ),
        ("whole `run` command, mirror and storage included, over the bare trial, x", outside_s / inside_s, None),
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
    from dreamerlab.runs.store import Workspace
    from dreamerlab.tracking import code_identity

    started = time.monotonic()
    found = Workspace(workspace)
    code_identity.snapshot(found, code_identity.compute(found))
    return time.monotonic() - started


def _finaliser_seconds(workspace: Path, trial: Path) -> float:
    from dreamerlab.runs.directory import TrialDirectory
    from dreamerlab.runs.summary import write_summary

    started = time.monotonic()
    write_summary(TrialDirectory(trial))
    return time.monotonic() - started
