"""`python -m dreamerlab.lab.finalise WORKSPACE RUN [--no-commit]`: everything that follows the end of the last trial.

Summaries and thinned curves, the files of all scores and of the run's curve, the artifacts into DVC, the text into
git: in this order, each step whole, one finaliser at a time. It may be killed at any moment and started again; what is
done is done the same way once more. The records are complete after the first two steps: DVC and git missing or failing
is a warning.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from dreamerlab.errors import LabError
from dreamerlab.lab.records import commit_run
from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.curve_files import write_curve_files
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.scores import write_scores
from dreamerlab.runs.status import read_status
from dreamerlab.runs.store import Workspace, find_run
from dreamerlab.runs.summary import read_summary, write_summary
from dreamerlab.tracking import dvc_store

ENDED_FOR_GOOD = frozenset({"finished", "failed", "stopped"})
"""Only resuming by hand leads on from here; an interrupted trial is expected to go on."""
NO_COMMIT = "--no-commit"
_PATIENCE_S = 1800.0


def needs_finalising(workspace: Workspace, run: RunDirectory) -> bool:
    """Return whether every trial has ended for good while records of it are missing or older than that end."""
    try:
        trials = [run.trial(seed) for seed in read_manifest(run.manifest_path).seeds]
    except LabError:
        return False
    if any(read_status(trial).state not in ENDED_FOR_GOOD for trial in trials):
        return False
    return not all(is_summarised(trial) for trial in trials) or _stored_late(workspace, run)


def summarise_ended(run: RunDirectory) -> None:
    """Write the summaries that ended trials lack, while others of the run may still be trained."""
    for trial in run.trials():
        if read_status(trial).state in ENDED_FOR_GOOD and not is_summarised(trial):
            write_summary(trial)


def finalise(workspace: Workspace, run: RunDirectory, warn: Callable[[str], None], *, wanted: bool = True) -> None:
    """Write the records that an ended run lacks; raises LabError only where the records themselves cannot be written.

    A summary that is there stays: it holds what the artifacts were at the end, and must not follow them should they
    be damaged later. `wanted` is whether the records may be committed.
    """
    with owned_lock(workspace.hidden / "finalise.lock", timeout_s=_PATIENCE_S, what="the finaliser"):
        summarise_ended(run)
        write_scores(workspace)
        write_curve_files(workspace, run)
        _store(workspace, run, warn)
        if wanted:
            commit_run(workspace, run, warn)


def is_summarised(trial: TrialDirectory) -> bool:
    """Return whether the trial has a whole summary of its newest attempt."""
    status = read_status(trial)
    try:
        summary = read_summary(trial)
    except LabError:
        return False
    if summary is None or not trial.curves_path.is_file():
        return False
    seen = (summary.get("state"), summary.get("env_steps"), summary.get("attempts"))
    return seen == (status.state, status.env_steps, len(read_attempts(trial)))


def _stored_late(workspace: Workspace, run: RunDirectory) -> bool:
    return dvc_store.is_behind(workspace, run)


def _store(workspace: Workspace, run: RunDirectory, warn: Callable[[str], None]) -> None:
    """Put the artifacts into DVC, where it is set up and they are here."""
    if not _stored_late(workspace, run):
        return
    try:
        dvc_store.add(workspace, run)
    except LabError as error:
        warn(f"the artifacts of {run.id} are not in DVC: {error.message}")


def main() -> int:
    """Finalise the run named on the command line; warnings go to stdout, one a line."""
    workspace = Workspace(Path(sys.argv[1]))
    try:
        run = find_run(workspace, sys.argv[2])
        finalise(workspace, run, lambda line: print(f"warning: {line}", flush=True), wanted=NO_COMMIT not in sys.argv)
    except LabError as error:
        print(error.message, flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
