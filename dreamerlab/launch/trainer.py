"""One trainer process: how it is started, and what is written when it ends without a word.

Owns the command line and environment of `python -m dreamerlab.train TRIAL_DIR`. The trainer itself writes its
status; only where it could not (killed, or broken before it began) is the end recorded here. Which trainers run, and
when, is `local.py`.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dreamerlab.runs.attempts import close_attempt
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.processes import SUPERVISOR_VARIABLE, TRAINER_MODULE, own_identity
from dreamerlab.runs.status import Status, read_status, write_status
from dreamerlab.runs.surroundings import COMMAND_VARIABLE, busy, masked_words

ENDED = frozenset({"finished", "failed", "interrupted", "stopped"})
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Trainer:
    """A started trainer of one attempt of one trial."""

    trial: TrialDirectory
    attempt: int
    process: subprocess.Popen[bytes]

    def ask_to_stop(self) -> None:
        """Send SIGTERM: the trainer writes a checkpoint and ends as interrupted."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the trainer and everything it started, at once; what came after its last checkpoint is lost."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


def trainer_command(trial: TrialDirectory, attempt: int) -> list[str]:
    """Return the command line of one attempt; `-P` keeps the current folder from shadowing the snapshot."""
    return [sys.executable, "-P", "-m", TRAINER_MODULE, str(trial.path), "--attempt", str(attempt)]


def code_environment(first: Sequence[Path], threads: int = 1) -> dict[str, str]:
    """Return this process's environment, changed so that Python looks into the folders `first` before any other.

    What the user put on PYTHONPATH comes after them, as absolute paths: the child works in another folder.
    """
    inherited = [str(Path(part).absolute()) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    pinned = dict.fromkeys(_THREAD_VARIABLES, str(threads))
    # A fixed hash seed keeps the order of sets, and whatever depends on it, the same from run to run.
    steady = {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **pinned, **steady, "PYTHONPATH": os.pathsep.join([*map(str, first), *inherited])}


def installed_code() -> list[Path]:
    """Return the folder this dreamerlab is imported from, unless Python finds it there anyway."""
    root = Path(__file__).resolve().parents[2]
    return [] if root.name in ("site-packages", "dist-packages") else [root]


def typed() -> str:
    """Return the command this process was started by, as a shell takes it, secrets masked."""
    return shlex.join(["dreamerlab", *masked_words(sys.argv[1:])])


def start_trainer(trial: TrialDirectory, snapshot: Path, folder: Path, threads: int) -> Trainer:
    """Start the next attempt of `trial` from `snapshot`, working in `folder`, in a session of its own.

    A session of its own: Ctrl-C in the terminal reaches the launcher only, which then asks its trainers to stop.
    Raises OSError when the process or its folder cannot be made.
    """
    attempt = 1 + max([read_status(trial).attempt, *trial.attempts()])
    trial.attempt_dir(attempt).mkdir(parents=True)
    told = {SUPERVISOR_VARIABLE: own_identity().supervisor_value(), COMMAND_VARIABLE: typed()}
    environment = code_environment([snapshot], threads) | told
    with trial.console_path(attempt).open("wb") as console:
        process = subprocess.Popen(
            trainer_command(trial, attempt),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Trainer(trial, attempt, process)


def settle(trainer: Trainer, *, asked_to_stop: bool = False, killed_by_us: bool = False) -> Status:
    """Return the final status of a trainer that has exited, and write it where the trainer could not."""
    status = read_status(trainer.trial)
    if status.attempt == trainer.attempt and status.state in ENDED:
        return status
    code = trainer.process.returncode
    if killed_by_us:
        return record_end(trainer.trial, trainer.attempt, "interrupted", "killed by a second Ctrl-C", seen=True)
    if asked_to_stop and code == -signal.SIGTERM:  # it was still starting, and did not listen yet
        return record_end(trainer.trial, trainer.attempt, "interrupted", "stopped before it began", seen=True)
    last_words = _last_line(trainer.trial.console_path(trainer.attempt))
    return record_end(trainer.trial, trainer.attempt, "failed", _why(code, last_words), seen=True)


def record_end(trial: TrialDirectory, attempt: int, state: str, reason: str, *, seen: bool = False) -> Status:
    """Write an end on behalf of a process that cannot: status.json, and the open record in attempts.json.

    `seen`: it has ended just now, and how busy the host is belongs to it.
    """
    status = read_status(trial)
    state_now = replace(status, state=state, reason=reason, attempt=attempt, heartbeat_at=time.time())
    write_status(trial, state_now)
    close_attempt(trial, attempt, state, reason, busy(os.getpid()) if seen else None)
    return state_now


def mark(trials: Sequence[TrialDirectory], state: str, reason: str | None) -> None:
    """Write `state` for trials that have no trainer; a queued one waits for this process to start it."""
    me = own_identity()
    for trial in trials:
        status = read_status(trial)
        mine = replace(status, pid=me.pid, pid_start=me.start_ticks, boot_id=me.boot_id, host=me.host)
        write_status(trial, replace(mine, state=state, reason=reason, message=None, heartbeat_at=time.time()))


def _why(code: int, last_words: str) -> str:
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        guess = " (out of memory?)" if code == -signal.SIGKILL else ""
        return f"killed by signal {-code}, {name}{guess}"
    said = f": {last_words}" if last_words else " and printed nothing"
    return f"ended with exit code {code} before it could report{said}"


def _last_line(console: Path) -> str:
    try:
        with console.open("rb") as file:
            file.seek(max(0, console.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
