"""How long the light commands take, in units of `python -c "import typer"`, among 1,000 hypotheses and 1,000 runs."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.workspace import Size, fill

HYPOTHESES, RECENT, SEEDS, ROUNDS = 1000, 30, 3, 7
LIMIT = 3.0


def measure() -> list[tuple[str, float, float | None]]:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "lab"
        fill(workspace, Size(HYPOTHESES, seeds=SEEDS, evaluations=40, notes=True, recent=RECENT))
        cli = [sys.executable, "-m", "dreamerlab"]
        commands = {
            "typer": [sys.executable, "-c", "import typer"],
            "--help": [*cli, "--help"],
            "list (newest 30 of 1,000 hypotheses and of 1,000 runs)": [*cli, "list"],
            "list --all (all of them)": [*cli, "list", "--all"],
            "show H900 (judged, two runs)": [*cli, "show", "H900"],
            "show R900": [*cli, "show", "R900"],
            "show NAME (of a hypothesis)": [*cli, "show", "idea-500"],
            "status": [*cli, "status"],
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


def cpu_seconds(command: list[str], cwd: Path, code: int = 0) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=cwd, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert done.returncode == code, command
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
