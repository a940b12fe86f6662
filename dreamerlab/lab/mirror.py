"""The MLflow mirror as commands see it: started beside a run, asked to tell a verdict, made to catch up, looked at.

Nothing here imports MLflow, waits for it while a run goes on, or fails because of it: the work is done by
`mirror_process.py` in processes of their own, and how far they are stands in `tracking.mirror_state`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dreamerlab.errors import ToolFailed
from dreamerlab.lab.aftercare import last_line, log_path, start_detached
from dreamerlab.lab.preflight import is_installed
from dreamerlab.launch.trainer import code_environment, installed_code
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.lock import lock_holder
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.mirror_state import is_wanted, lock_path

Say = Callable[[str], None]
INSTALL_HINT = "pip install 'dreamerlab[track]'"
_PROCESS = ("-P", "-m", "dreamerlab.lab.mirror_process")


@dataclass(frozen=True)
class Synced:
    """What became of one run in `sync`."""

    run: str
    state: str
    """`sent`, `up to date`, `followed` (another process copies it now) or `failed`."""
    points: int = 0
    message: str | None = None
    hint: str | None = None

    @property
    def words(self) -> str:
        """The state for people: `312 points sent`, `failed: WHY`."""
        if self.state == "sent":
            return f"{self.points:,} points sent"
        return f"failed: {self.message}" if self.state == "failed" else self.state

    def to_data(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return asdict(self)


def start_mirror(workspace: Workspace, run: RunDirectory, warn: Say) -> None:
    """Start copying the run's metrics into MLflow, in the background and with low priority, until the run ends."""
    if not is_installed("mlflow") or not is_wanted(workspace):
        return  # said by `init`, which prepares the database
    try:
        start_detached(
            [*_PROCESS, str(workspace.path), run.id, "--follow"], workspace, log_path(workspace, f"mirror-{run.id}.txt")
        )
    except OSError as error:
        warn(f"the MLflow mirror did not start: {error.strerror or error}; the run goes on without it")


def tell(workspace: Workspace, run_ids: Iterable[str], warn: Say) -> None:
    """Have MLflow told, in the background, what has come of runs: by the process that copies one, or by a new one."""
    if not is_installed("mlflow") or not is_wanted(workspace):
        return
    # Who holds the lock of a run looks at the records once more after freeing it.
    waiting = [one for one in dict.fromkeys(run_ids) if lock_holder(lock_path(workspace, one)) is None]
    waiting = [one for one in waiting if workspace.run(one).manifest_path.is_file()]
    if not waiting:
        return
    try:
        words = [*_PROCESS, str(workspace.path), *waiting]
        start_detached(words, workspace, log_path(workspace, f"mirror-{waiting[0]}.txt"))
    except OSError as error:
        warn(f"MLflow is not told: {error.strerror or error}; later: dreamerlab data sync {waiting[0]}")


def prepare(workspace: Workspace) -> str | None:
    """Make the workspace's database or bring it up to date, and wait; return why that failed in one line, or None."""
    try:
        log = log_path(workspace, "mirror.txt")
        code = start_detached([*_PROCESS, str(workspace.path), "--prepare"], workspace, log).wait()
    except OSError as error:
        return f"{error.strerror or error}"
    return None if code == 0 else last_line(log, code).removeprefix("warning: ").removeprefix("error: ")


def sync(workspace: Workspace, runs: Sequence[RunDirectory], say: Say | None = None) -> list[Synced]:
    """Send MLflow what it lacks of `runs`, from the records, and wait; return what became of each.

    Safe at any time and as often as one likes: after a kill, a deleted, damaged or locked database, in a clone. What
    is there is not sent twice. `say` is told each run as it is done. ToolFailed without MLflow, or when the process
    itself breaks; that MLflow refuses a run is its state, and the others are sent all the same.
    """
    if not is_installed("mlflow"):
        raise ToolFailed("MLflow is not installed", hint=INSTALL_HINT)
    if not runs:
        return []
    log = log_path(workspace, "mirror-sync.txt")
    command = [sys.executable, *_PROCESS, str(workspace.path), *(run.id for run in runs)]
    found: list[Synced] = []
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command,
            cwd=workspace.path,
            env=code_environment(installed_code()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith(b'{"run":'):
                continue  # MLflow likes to talk
            found.append(_synced(json.loads(line)))
            if say is not None:
                say(f"{found[-1].run}: {found[-1].words}")
    if len(found) < len(runs):
        raise ToolFailed(
            f"the mirror ended early: {last_line(log, process.returncode)}", hint=f"its words are in {log}"
        )
    return found


def _synced(facts: dict[str, Any]) -> Synced:
    run = str(facts["run"])
    if "failed" in facts:
        return Synced(run, "failed", message=facts["failed"], hint=facts.get("hint"))
    if "followed" in facts:
        return Synced(run, "followed", message=facts["followed"])
    points = int(facts["points"])
    return Synced(run, "sent" if points else "up to date", points)
