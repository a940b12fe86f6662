"""`data push` and `data pull`: the artifacts of runs to and from the DVC remote, run by run.

One run that fails does not keep the others from being moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from dreamerlab.errors import Conflict, LabError, NotFound, ToolFailed, UsageError
from dreamerlab.lab.records import commit_run
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.status import ONGOING, effective_state, read_status
from dreamerlab.runs.store import Workspace, find_run, run_ids
from dreamerlab.tracking import dvc_store

Say = Callable[[str], None]


def chosen_runs(workspace: Workspace, text: str | None, *, everything: bool, verb: str) -> list[RunDirectory]:
    """Return the run meant by `text`, or all runs; exactly one of the two must be asked for."""
    if (text is None) == (not everything):
        raise UsageError("name one run, or all of them with --all", hint=f"dreamerlab data {verb} R12")
    if text is not None:
        return [find_run(workspace, text)]
    return [workspace.run(str(run_id)) for run_id in run_ids(workspace)]


def push(workspace: Workspace, runs: Sequence[RunDirectory], say: Say, warn: Say) -> list[dict[str, str]]:
    """Send artifacts to the remote, adding those that DVC does not know as they are now; return what became of each."""
    return _each(workspace, runs, say, partial(_push, warn))


def pull(workspace: Workspace, runs: Sequence[RunDirectory], say: Say) -> list[dict[str, str]]:
    """Fetch artifacts that are absent here; return what became of each run."""
    return _each(workspace, runs, say, _pull)


def _require_at_rest(run: RunDirectory) -> None:
    """Refuse to move files that a trainer is writing."""
    for trial in run.trials():
        if effective_state(read_status(trial)) in ONGOING:
            raise Conflict(
                f"seed {trial.seed} of {run.id} is still at work on its artifacts",
                hint=f"wait for it (dreamerlab status {run.id} --follow), then repeat the command",
            )


def _push(warn: Say, workspace: Workspace, run: RunDirectory) -> str:
    _require_at_rest(run)
    state = dvc_store.state(workspace, run)
    if state == "pushed":
        return "pushed already"
    if state == "absent":
        return "absent here: nothing to push"
    if state != "cached":
        dvc_store.add(workspace, run)
        commit_run(workspace, run, warn)
    dvc_store.push(workspace, run)
    return "pushed"


def _pull(workspace: Workspace, run: RunDirectory) -> str:
    if not run.artifacts_dvc.exists():
        raise NotFound(
            f"the artifacts of {run.id} were never stored",
            hint=f"dreamerlab data push {run.id}, on the machine that ran it",
        )
    _require_at_rest(run)
    dvc_store.pull(workspace, run)
    return "here"


def _each(
    workspace: Workspace, runs: Sequence[RunDirectory], say: Say, move: Callable[[Workspace, RunDirectory], str]
) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    failures: list[LabError] = []
    for run in runs:
        try:
            rows.append({"run": run.id, "data": move(workspace, run)})
        except LabError as error:
            if len(runs) == 1:
                raise
            failures.append(error)
            say(f"{run.id}: {error.message}")
    if not failures:
        return rows
    first = failures[0]
    raise ToolFailed(f"{len(failures)} of {len(runs)} runs failed; first: {first.message}", hint=first.hint)
