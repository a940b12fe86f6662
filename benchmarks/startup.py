"""How long the light commands take, in units of `python -c "import typer"`, with 1,000 runs in the workspace."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import Budget, Code, Manifest, write_manifest
from dreamerlab.runs.status import Status, write_status

RUNS, RECENT, SEEDS, ROUNDS = 1000, 30, 3, 7
LIMIT = 3.0


def measure() -> list[tuple[str, float, float | None]]:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        _fill(workspace)
        cli = [sys.executable, "-m", "dreamerlab"]
        commands = {
            "typer": [sys.executable, "-c", "import typer"],
            "--help": [*cli, "--help"],
            "list (newest 30 of 1,000 runs)": [*cli, "list"],
            "list --all (1,000 runs)": [*cli, "list", "--all"],
            "status (1,000 runs)": [*cli, "status"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        # Interleaved, so that a busy moment hits every command alike; CPU time, so that waiting does not count.
        for _ in range(ROUNDS):
            for name, command in commands.items():
                seconds[name].append(cpu_seconds(command, workspace))
    typer = statistics.median(seconds.pop("typer"))
    # Reading a thousand runs whole is what --all asks for; it is shown, not promised.
    return [
        (f"{name}, x typer", statistics.median(times) / typer, None if "--all" in name else LIMIT)
        for name, times in seconds.items()
    ]


def cpu_seconds(command: list[str], cwd: Path) -> float:
    before = os.times()
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _fill(workspace: Path) -> None:
    (workspace / "protocol").mkdir()
    (workspace / "protocol" / "workspace.yaml").write_text("autocommit: true\n")
    for number in range(1, RUNS + 1):
        run = RunDirectory(workspace / "runs" / f"R{number:04d}-abc")
        run.path.mkdir(parents=True)
        write_manifest(run.manifest_path, _manifest(run.id))
        for seed in range(SEEDS):
            trial = run.trial(seed)
            trial.path.mkdir()
            write_status(trial, _status(seed))
            trial.summary_path.write_text(json.dumps({"state": "finished", "score": 200.0 + seed}))
            if number <= RUNS - RECENT:
                os.utime(trial.path, (1.7e9, 1.7e9))


def _manifest(run_id: str) -> Manifest:
    return Manifest(
        id=run_id,
        kind="baseline",
        env="cartpole",
        family="cartpole/3f2a",
        created_at="2026-01-01T00:00:00+00:00",
        seeds=tuple(range(SEEDS)),
        budget=Budget("env_steps", 4000),
        code=Code("0" * 64),
    )


def _status(seed: int) -> Status:
    return Status(state="finished", seed=seed, attempt=1, env_steps=4000, updates=2000, episodes=90)
