"""`data push`, `pull` and `sync`: the artifacts of runs to and from the DVC remote, run by run.

What was moved stays moved: a command that is interrupted or repeated goes on with what is missing. A run that fails
does not keep the others from being moved, but a remote that does ends the command, for the others would fare no
better. What is where is `data_status.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dreamerlab.errors import Conflict, LabError, NotFound, ToolFailed, UsageError
from dreamerlab.ids import letter_of
from dreamerlab.lab.finalise import is_summarised
from dreamerlab.lab.lookup import find_record, read_hypothesis
from dreamerlab.lab.records import commit_run
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.status import ONGOING, effective_state, read_status
from dreamerlab.runs.store import Workspace, list_runs, run_ids
from dreamerlab.runs.summary import check_artifacts, read_summary
from dreamerlab.tracking import dvc_store
from dreamerlab.tracking.dvc_project import RemoteFailed, require_project

Say = Callable[[str], None]


@dataclass
class Moved:
    """What became of each run, and what failed; the first failure says what to do."""

    rows: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    failures: list[LabError] = field(default_factory=list[LabError])

    def raise_failures(self) -> None:
        """Raise when something failed: its own error when it was the only one, else how many there were."""
        if not self.failures:
            return
        first = self.failures[0]
        if len(self.failures) == 1:
            raise first
        raise ToolFailed(f"{len(self.failures)} failures; first: {first.message}", hint=first.hint)


def chosen_runs(workspace: Workspace, words: Sequence[str], *, everything: bool, verb: str) -> list[RunDirectory]:
    """Return the runs meant: ids or names of runs, of hypotheses (all runs of theirs), or every run there is."""
    if bool(words) == everything:
        hint = f"dreamerlab data {verb} R12, or H7 for its runs"
        raise UsageError("name runs or hypotheses, or all of them with --all", hint=hint)
    if everything:
        return [workspace.run(str(run_id)) for run_id in run_ids(workspace)]
    found: list[str] = []
    for word in words:
        found += _runs_of(workspace, find_record(workspace, word))
    return [workspace.run(run_id) for run_id in dict.fromkeys(found)]


def push(workspace: Workspace, runs: Sequence[RunDirectory], say: Say, warn: Say) -> Moved:
    """Send artifacts to the remote, adding those that DVC does not know as they are now."""
    require_project(workspace)
    return _each(workspace, runs, say, partial(_push, warn))


def pull(workspace: Workspace, runs: Sequence[RunDirectory], say: Say, *, replace: bool = False) -> Moved:
    """Fetch artifacts that are absent here; with `replace` also where others lie in their place."""
    require_project(workspace)
    return _each(workspace, runs, say, partial(_pull, replace))


def refuse_hand_edits(run: RunDirectory) -> None:
    """Raise Conflict when artifacts of an ended trial are not what its summary recorded: they would pass for them."""
    for trial in run.trials():
        if not trial.artifacts.is_dir() or not is_summarised(trial):
            continue
        files: dict[str, Any] = (read_summary(trial) or {}).get("files", {})
        faults = check_artifacts(trial, files)
        if faults:
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            stored = run.artifacts_dvc.exists()
            raise Conflict(
                f"{run.id} seed {trial.seed} is not stored, for its artifacts have changed since it ended: "
                f"{faults[0]}{more}",
                hint=f"the stored ones again: dreamerlab data pull {run.id} --replace" if stored else None,
            )


def require_at_rest(run: RunDirectory) -> None:
    """Refuse to move files that a trainer is writing."""
    for trial in run.trials():
        if effective_state(read_status(trial)) in ONGOING:
            raise Conflict(
                f"seed {trial.seed} of {run.id} is still at work on its artifacts",
                hint=f"wait for it (dreamerlab status {run.id} --follow), then repeat the command",
            )


def _runs_of(workspace: Workspace, record_id: str) -> list[str]:
    letter = letter_of(record_id)
    if letter == "R":
        return [record_id]
    if letter != "H":
        raise UsageError(f"{record_id} is an entry of the log, and has no artifacts", hint="name a run or a hypothesis")
    owner = read_hypothesis(workspace, record_id)
    claimed = [row.id for row in list_runs(workspace) if row.manifest and row.manifest.hypothesis == record_id]
    found = [run for run in dict.fromkeys([owner.run, owner.baseline_run, *claimed]) if run is not None]
    if not found:
        raise NotFound(f"{record_id} has no run yet", hint=f"dreamerlab run {record_id}")
    return [run for run in found if workspace.run(run).path.is_dir()]


def _push(warn: Say, workspace: Workspace, run: RunDirectory) -> str:
    require_at_rest(run)
    state = dvc_store.state(workspace, run)
    if state == "pushed":
        return "pushed already"
    if state == "absent" or not run.artifacts.is_dir():
        return "absent here: nothing to push"
    if state == "archived":
        return "archived: nothing to push"
    if not any(path.is_file() for path in run.artifacts.rglob("*")):
        return "nothing yet to push"
    if state == "local":
        refuse_hand_edits(run)
        dvc_store.add(workspace, run)
        commit_run(workspace, run, warn)
    dvc_store.push(workspace, run)
    return "pushed"


def _pull(replace: bool, workspace: Workspace, run: RunDirectory) -> str:
    if not run.artifacts_dvc.exists():
        raise NotFound(
            f"the artifacts of {run.id} were never stored",
            hint=f"dreamerlab data push {run.id}, on the machine that ran it",
        )
    require_at_rest(run)
    dvc_store.pull(workspace, run, replace=replace)
    return "here"


def _each(
    workspace: Workspace, runs: Sequence[RunDirectory], say: Say, move: Callable[[Workspace, RunDirectory], str]
) -> Moved:
    moved = Moved()
    for position, run in enumerate(runs):
        try:
            moved.rows.append({"run": run.id, "data": move(workspace, run)})
        except LabError as error:
            moved.rows.append({"run": run.id, "data": f"failed: {error.message}"})
            moved.failures.append(error)
            if len(runs) > 1:
                say(f"{run.id}: {error.message}")
            if isinstance(error, RemoteFailed) and position + 1 < len(runs):
                say(f"the other {len(runs) - position - 1} runs were not tried: the remote is the same")
                break
    return moved
