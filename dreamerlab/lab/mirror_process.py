"""The process that copies runs into MLflow, beside training and with the lowest priority; it may die at any moment.

    python -m dreamerlab.lab.mirror_process WORKSPACE --prepare
    python -m dreamerlab.lab.mirror_process WORKSPACE RUN ...            once; one line of JSON a run on stdout
    python -m dreamerlab.lab.mirror_process WORKSPACE RUN --follow       until the run has ended and its verdict is told

A follower never gives up while its run goes on: why it fails is put down where `status`, `show` and `doctor` find it,
and it begins anew as a fresh process, since MLflow keeps hold of a database that was deleted or replaced under it.
Failures at the end are one line and exit code 5. Who starts it is `mirror.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dreamerlab.errors import Conflict, LabError, ToolFailed
from dreamerlab.lab.mirror_story import Teller
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.status import ONGOING, effective_state, read_status
from dreamerlab.runs.store import Workspace, find_run
from dreamerlab.tracking.mirror_state import URI_VARIABLE, lock_path, note_trouble
from dreamerlab.tracking.mlflow_backend import Backend, opening, require_mlflow
from dreamerlab.tracking.mlflow_database import is_damage, set_aside_if_damaged
from dreamerlab.tracking.mlflow_mirror import Mirror

POLL_S = 3.0
SETTLE_S = 10.0
"""A run that was quiet for this long is over: a resumed one needs a moment until its first trainer reports, and the
verdict comes seconds after the last trial."""
TURN_S = 60.0
"""How long a follower waits for another process that copies the same run."""
LONGEST_PAUSE_S = 300.0
_LOST = "the MLflow database was deleted or replaced"
LAST_TRIES = 3
"""How often a follower that fails is begun anew after its run has ended."""


def copy(workspace: Workspace, run: RunDirectory, backend: Backend, *, follow: bool) -> int:
    """Copy a run once, or until it has ended; return how many points were sent.

    Conflict when another process is at it, ToolFailed when MLflow fails or its database was taken away.
    """
    teller, sent = Teller(workspace, run), 0
    while True:
        told = teller.story()
        with owned_lock(
            lock_path(workspace, run.id), timeout_s=TURN_S if follow else 0.0, what=f"the mirror of {run.id}"
        ):
            copying = Mirror(workspace, run, backend)
            copying.open()
            torn, quiet_since = 0, time.monotonic()
            while True:
                began = time.monotonic()
                if copying.ongoing():
                    quiet_since = began
                torn += copying.drain()
                told = teller.story()
                copying.tell(told)
                note_trouble(workspace, run.id, None)
                if not follow or began - quiet_since >= SETTLE_S:  # by now a slow round may have missed its end
                    break
                time.sleep(POLL_S)
                if backend.is_lost():
                    raise ToolFailed(_LOST)
        sent += copying.sent
        if torn:
            _warn(f"{torn} lines of {run.id} could not be read and are not in MLflow")
        # Whoever judged meanwhile saw the lock and left the telling to its holder.
        if teller.story() == told:
            return sent


def follow(workspace: Workspace, run: RunDirectory, tries: int) -> None:
    """Copy a run until it has ended; on a failure begin anew, in this process' place, and do not return."""
    backend: Backend | None = None
    try:
        backend = Backend(workspace, _warn)
        copy(workspace, run, backend, follow=True)
        return
    except ToolFailed as error:
        failure = ToolFailed(_LOST) if backend is not None and backend.is_lost() else error
        with suppress(LabError):  # a full disk is one more reason, and no other
            note_trouble(workspace, run.id, failure)
            if is_damage(failure.message):
                _set_aside(workspace)
        over = not _ongoing(run)
        if over and tries >= LAST_TRIES:
            raise failure from error
        _warn(f"{failure.message}; it is tried again")
    pause = min(LONGEST_PAUSE_S, POLL_S * 2 ** min(tries, 10))
    deadline = time.monotonic() + pause
    while time.monotonic() < deadline and (over or _ongoing(run)):
        time.sleep(min(POLL_S, pause))
    again = 0 if not over and not _ongoing(run) else tries + 1  # its end begins the last tries
    _begin_anew(workspace, run.id, "--follow", "--tries", str(again))


def sync(workspace: Workspace, runs: Sequence[RunDirectory]) -> int:
    """Copy runs one after the other, and print a line of JSON on each; return the exit code."""
    try:
        backend = Backend(workspace, _warn)
    except ToolFailed as error:
        _begin_anew_if_damaged(workspace, error, runs)
        for run in runs:  # none of them will fare better
            _failed(workspace, run, error)
        return error.exit_code
    code = 0
    for place, run in enumerate(runs):
        try:
            _say(run=run.id, points=copy(workspace, run, backend, follow=False))
        except Conflict as error:
            _say(run=run.id, followed=error.message)
        except LabError as error:
            _begin_anew_if_damaged(workspace, error, runs[place:])
            code = error.exit_code
            _failed(workspace, run, error)
    return code


def _failed(workspace: Workspace, run: RunDirectory, error: LabError) -> None:
    if isinstance(error, ToolFailed):
        note_trouble(workspace, run.id, error)
    _say(run=run.id, failed=error.message, hint=error.hint)


def _begin_anew_if_damaged(workspace: Workspace, error: LabError, runs: Sequence[RunDirectory]) -> None:
    if is_damage(error.message) and (aside := _set_aside(workspace)) is not None:
        _warn(f"the MLflow database was damaged; it is {aside.name} now, and a new one is filled from the records")
        _begin_anew(workspace, *(run.id for run in runs))


def _begin_anew(workspace: Workspace, *words: str) -> None:
    """Go on as a fresh process in this one's place: MLflow keeps the connections that it has once opened."""
    command = [sys.executable, "-P", "-m", "dreamerlab.lab.mirror_process", str(workspace.path), *words]
    os.execv(sys.executable, command)


def _set_aside(workspace: Workspace) -> Path | None:
    """Move the workspace's own database away if it is damaged; one of the user's choice is theirs."""
    if os.environ.get(URI_VARIABLE):
        return None
    with opening(workspace):
        return set_aside_if_damaged(workspace.mlflow_db, thorough=True)


def _ongoing(run: RunDirectory) -> bool:
    try:
        seeds = read_manifest(run.manifest_path).seeds
    except LabError:
        return False  # the run is gone
    return any(effective_state(read_status(run.trial(seed))) in ONGOING for seed in seeds)


def _say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the mirror's command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m dreamerlab.lab.mirror_process", description="Copy runs to MLflow.")
    parser.add_argument("workspace", type=Path, help="the workspace's folder")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="ids of runs")
    parser.add_argument("--prepare", action="store_true", help="only create the database or bring it up to date")
    parser.add_argument("--follow", action="store_true", help="go on until every trial of the run has ended")
    parser.add_argument("--tries", type=int, default=0, help="how often following it has failed")
    chosen = parser.parse_args(arguments)
    if bool(chosen.runs) == chosen.prepare or (chosen.follow and len(chosen.runs) != 1):
        parser.error("give run ids, or one with --follow, or --prepare alone")
    warnings.simplefilter("ignore")
    workspace = Workspace(chosen.workspace)
    try:
        runs = [find_run(workspace, text) for text in chosen.runs]
        require_mlflow()
        workspace.hidden.mkdir(exist_ok=True)
        os.chdir(workspace.hidden)
        if chosen.prepare:
            Backend(workspace, _warn)
            return 0
        os.nice(19 if chosen.follow else 10)  # training comes first
        if not chosen.follow:
            return sync(workspace, runs)
        follow(workspace, runs[0], chosen.tries)
    except LabError as error:
        kind = "warning" if isinstance(error, ToolFailed) else "error"
        print(f"{kind}: {error.message}" + (f" (hint: {error.hint})" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
