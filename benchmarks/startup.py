"""How long the light commands take, in units of `python -c "import typer"`, among 1,000 hypotheses and 1,000 runs.

Both start from bytecode, as they do for a user from the second start on. Where the environment forbids writing it,
every command would compile all that it imports, but not typer, whose bytecode the installer wrote; so a folder of its
own holds it.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.workspace import Size, fill

HYPOTHESES, RECENT, SEEDS, ROUNDS = 1000, 30, 3, 15
LIMIT = 3.0
_BYTECODE = tempfile.TemporaryDirectory(prefix="bytecode-")


def measure() -> list[tuple[str, float, float | None]]:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "lab"
        fill(workspace, Size(HYPOTHESES, seeds=SEEDS, evaluations=40, notes=True, recent=RECENT))
        cli = [sys.executable, "-m", "dreamerlab"]
        commands = {
            "--help": [*cli, "--help"],
            "list (newest 30 of 1,000 hypotheses and of 1,000 runs)": [*cli, "list"],
            "list --all (all of them)": [*cli, "list", "--all"],
            "show H900 (judged, two runs)": [*cli, "show", "H900"],
            "show R900": [*cli, "show", "R900"],
            "show NAME (of a hypothesis)": [*cli, "show", "idea-500"],
            "status": [*cli, "status"],
        }
        typer = [sys.executable, "-c", "import typer"]
        for command in (typer, *commands.values()):
            cpu_seconds(command, workspace)
        ratios: dict[str, list[float]] = {name: [] for name in commands}
        # One right after the other, so that a slow moment hits both; CPU time, so that waiting does not count.
        for _ in range(ROUNDS):
            for name, command in commands.items():
                unit = cpu_seconds(typer, workspace)
                ratios[name].append(cpu_seconds(command, workspace) / unit)
    # Reading a thousand runs whole is what --all asks for; it is shown, not promised.
    return [
        (f"{name}, x typer", statistics.median(found), None if "--all" in name else LIMIT)
        for name, found in ratios.items()
    ]


def cpu_seconds(command: list[str], cwd: Path, code: int = 0) -> float:
    """Return user and system time of a command that ends with `code`; its bytecode is kept for the next call."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = _BYTECODE.name
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, cwd=cwd, check=False, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert done.returncode == code, command
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
