"""What follows training, in a process of its own: the finaliser. Also how such processes are started.

It cannot harm a run: when it is missing or fails there is one warning line, and it can be started again at any time
(`resume`, `doctor --fix` and the next `run` do). What the finaliser does is `finalise.py`; the other process beside
training, the MLflow mirror, is `mirror.py`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dreamerlab.errors import LabError
from dreamerlab.lab.finalise import NO_COMMIT, needs_finalising
from dreamerlab.lab.records import commit_leftovers
from dreamerlab.launch.trainer import code_environment, installed_code
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.status import ONGOING, effective_state, read_status
from dreamerlab.runs.store import Workspace, run_ids

Say = Callable[[str], None]


def finalise_in_own_process(
    workspace: Workspace, run: RunDirectory, say: Say, warn: Say, *, commit: bool = True
) -> None:
    """Summarise, hash and store an ended run, and wait for it; a failure is one warning, the run is not touched."""
    say(f"finalising {run.id}: summaries, scores, storage")
    try:
        log = log_path(workspace, f"finalise-{run.id}.txt")
        words = [*_FINALISER, str(workspace.path), run.id, *([] if commit else [NO_COMMIT])]
        process = start_detached(words, workspace, log)
        code = process.wait()
    except OSError as error:
        warn(f"the finaliser did not start: {error.strerror or error}; later: dreamerlab doctor --fix")
        return
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    for line in lines:
        if line.startswith("warning: "):
            warn(line.removeprefix("warning: "))
    if code != 0:
        warn(f"finalising {run.id} failed: {last_line(log, code)}; later: dreamerlab doctor --fix")


def finalise_leftovers(
    workspace: Workspace,
    say: Say,
    warn: Say,
    runs: Sequence[RunDirectory] | None = None,
    *,
    commit: bool = True,
) -> list[RunDirectory]:
    """Finalise those of `runs` (default: all) that ended while nobody was there to do it; return them."""
    if runs is None:
        runs = [workspace.run(str(run_id)) for run_id in run_ids(workspace)]
    waiting = [run for run in runs if needs_finalising(workspace, run)]
    for run in waiting:
        _mend_kills(workspace, run, warn)
        finalise_in_own_process(workspace, run, say, warn, commit=commit)
    if commit:
        commit_leftovers(workspace, [run for run in runs if run not in waiting and _is_quiet(run)], warn)
    return waiting


def _mend_kills(workspace: Workspace, run: RunDirectory, warn: Say) -> None:
    """Let declared kill rules have their say before a trial is summarised: whoever should have asked may have died."""
    from dreamerlab.lab.faults import owner_of
    from dreamerlab.lab.kill_rules import mend_kills

    try:
        owner = owner_of(workspace, read_manifest(run.manifest_path))
        if owner is not None:
            mend_kills(workspace, owner)
    except LabError as error:
        warn(f"whether a kill rule ended a trial of {run.id} is not on record: {error.message}")


def _is_quiet(run: RunDirectory) -> bool:
    return not any(effective_state(read_status(trial)) in ONGOING for trial in run.trials())


_FINALISER = ("-P", "-m", "dreamerlab.lab.finalise")


def start_detached(arguments: Sequence[str], workspace: Workspace, log: Path) -> subprocess.Popen[bytes]:
    """Start Python in a session of its own: neither Ctrl-C nor the end of this process reaches it."""
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=workspace.path,
            env=code_environment(installed_code()),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def last_line(log: Path, code: int) -> str:
    """Return the last line of a process' log, or its exit code where it said nothing."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return next((line for line in reversed(lines) if line.strip()), f"exit code {code}")


def log_path(workspace: Workspace, name: str) -> Path:
    """Return the file for what a process says, its folder made."""
    folder = workspace.hidden / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name
