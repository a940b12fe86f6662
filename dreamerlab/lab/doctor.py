"""`doctor`: what is wrong in a workspace, and what of it can be mended without losing anything.

Every check yields findings as data; a finding that can be mended safely brings its remedy along. No remedy deletes
what a user made: trainers are asked to stop, false statuses are corrected, generated records are generated again.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import rmtree, which
from typing import Any

from dreamerlab.atomic import read_object
from dreamerlab.errors import LabError
from dreamerlab.lab.aftercare import finalise_in_own_process
from dreamerlab.lab.execute import Voice, settled
from dreamerlab.lab.finalise import is_summarised, needs_finalising
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.preflight import is_installed
from dreamerlab.lab.recovery import launch_lock_path, recorded_runs
from dreamerlab.launch.trainer import record_end
from dreamerlab.protocol.state import RUNNING, hypotheses
from dreamerlab.report.wording import size
from dreamerlab.runs.creation import complete_run
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.lock import lock_holder
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.processes import Trainer, trainers
from dreamerlab.runs.series import read_lines
from dreamerlab.runs.status import effective_state, is_over, read_status
from dreamerlab.runs.store import Workspace, half_made, run_ids
from dreamerlab.runs.summary import check_artifacts, read_summary

Say = Callable[[str], None]

_PARTS = {
    "torch": "training: pip install 'dreamerlab[train]'",
    "gymnasium": "environments: pip install 'dreamerlab[train]'",
    "dvc": "storing artifacts: pip install 'dreamerlab[track]'",
    "mlflow": "curves in a browser: pip install 'dreamerlab[track]'",
    "matplotlib": "plots: pip install 'dreamerlab[track]'",
}


@dataclass
class Finding:
    """One thing that is wrong: a short kind, where, what, and the remedy if there is a safe one."""

    kind: str
    where: str
    message: str
    remedy: str | None = None
    """What `--fix` does about it; None when a person has to decide."""
    mend: Callable[[], object] | None = None
    mended: bool = False

    def to_data(self) -> dict[str, Any]:
        """Return the finding as JSON-ready values."""
        shown = ("kind", "where", "message", "remedy", "mended")
        return {name: getattr(self, name) for name in shown}


@dataclass
class Report:
    """All findings, what is merely worth knowing, and how much disk each run takes in bytes."""

    findings: list[Finding] = field(default_factory=list[Finding])
    notes: list[str] = field(default_factory=list[str])
    """What is not installed, and what other workspaces do on this machine: nothing is wrong here because of it."""
    disk: dict[str, int] = field(default_factory=dict[str, int])

    def to_data(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        found = [finding.to_data() for finding in self.findings]
        return {"findings": found, "notes": self.notes, "disk_bytes": self.disk}


def examine(workspace: Workspace, say: Say) -> Report:
    """Return what is wrong in `workspace`; changes nothing. `say` takes the warnings of remedies applied later."""
    report = Report(notes=[*missing_parts(), *_strangers(workspace)])
    report.findings += [*_orphans(workspace), *_lock(workspace), *_half_made(workspace)]
    for run_id in run_ids(workspace):
        run = workspace.run(str(run_id))
        report.findings += _examine_run(workspace, run, say)
        report.disk[run.id] = _disk_use(run.path)
    report.findings += _unjudged(workspace, say)
    return report


def mend(report: Report) -> None:
    """Apply every safe remedy of `report`."""
    for finding in report.findings:
        if finding.mend is not None:
            try:
                finding.mend()
                finding.mended = True
            except (LabError, OSError) as error:
                finding.message += f"; mending it failed: {error}"


def missing_parts() -> list[str]:
    """Return one line for each optional part that is not installed, with what it is for."""
    lines = [f"{name} is not installed ({use})" for name, use in _PARTS.items() if not is_installed(name)]
    return lines if which("git") else [*lines, "git is not installed (commits of records, provenance of code)"]


def _examine_run(workspace: Workspace, run: RunDirectory, say: Say) -> Iterator[Finding]:
    try:
        read_manifest(run.manifest_path)
    except LabError as error:
        yield Finding("damaged record", run.id, error.message)
        return
    for trial in run.trials():
        yield from _status(trial)
        yield from _torn_lines(trial)
        yield from _checkpoints(trial)
        yield from _changed_artifacts(trial)
    if needs_finalising(workspace, run):
        finalise = partial(finalise_in_own_process, workspace, run, say, say)
        yield Finding(
            "not finalised", run.id, "all trials have ended, summaries are missing or old", "finalise", finalise
        )


def _orphans(workspace: Workspace) -> Iterator[Finding]:
    for trainer in trainers():
        if not trainer.supervised and _is_ours(workspace, trainer):
            text = f"trainer {trainer.pid} has outlived the process that started it"
            yield Finding(
                "orphan trainer", str(trainer.trial), text, "ask it to stop (SIGTERM)", partial(_stop, trainer)
            )


def _strangers(workspace: Workspace) -> Iterator[str]:
    for trainer in trainers():
        if not trainer.supervised and not _is_ours(workspace, trainer):
            yield f"trainer {trainer.pid} of another workspace has outlived its starter: {trainer.trial}"


def _is_ours(workspace: Workspace, trainer: Trainer) -> bool:
    return trainer.trial is not None and trainer.trial.is_relative_to(workspace.runs)


def _stop(trainer: Trainer) -> None:
    os.kill(trainer.pid, signal.SIGTERM)


def _lock(workspace: Workspace) -> Iterator[Finding]:
    path = workspace.lock_path
    if path.exists() and lock_holder(path) is None:
        yield Finding("stale lock", str(path), "its owner is dead", "free it", partial(_free_lock, workspace))


def _free_lock(workspace: Workspace) -> None:
    with workspace.lock():
        pass  # taking it breaks the dead owner's hold, leaving it frees it


def _half_made(workspace: Workspace) -> Iterator[Finding]:
    if any(lock_holder(path) is not None for path in (workspace.lock_path, launch_lock_path(workspace))):
        return  # somebody may be making one at this moment
    named = recorded_runs(workspace) if half_made(workspace) else set[str]()
    for path in half_made(workspace):
        run = RunDirectory(path)
        if run.id in named:
            complete = partial(complete_run, workspace, run)
            yield Finding(
                "half-made run", str(path), "its launch is on record, and was cut short", "complete it", complete
            )
        elif any(run.artifacts.rglob("*.*")):
            yield Finding("half-made run", str(path), "it holds artifacts: look at it before you remove it")
        else:
            text = "the run was never completed; nothing was trained in it"
            yield Finding("half-made run", str(path), text, "remove it", partial(rmtree, path))


def _unjudged(workspace: Workspace, say: Say) -> Iterator[Finding]:
    """Yield hypotheses all of whose seeds have ended while nobody was there to judge them."""
    for state in hypotheses(registry_of(workspace)):
        runs = [workspace.run(run) for run in (state.run, state.baseline_run) if run is not None]
        if state.phase != RUNNING or not all(run.manifest_path.is_file() for run in runs):
            continue
        if all(is_over(read_status(trial)) for run in runs for trial in run.trials()):
            judge = partial(settled, workspace, Voice(say, say), commit=True)
            yield Finding("not judged", state.id, "every seed has ended, and there is no verdict", "judge it", judge)


def _status(trial: TrialDirectory) -> Iterator[Finding]:
    where, status = f"{trial.run.id} seed {trial.seed}", read_status(trial)
    state = effective_state(status)
    if state == "unreadable":
        yield Finding("damaged record", where, status.reason or "status.json cannot be read")
    elif state == "killed":
        reason = f"its process (pid {status.pid}) died without a word"
        remedy = partial(record_end, trial, status.attempt, "interrupted", reason)
        yield Finding("false status", where, f"it says running, but {reason}", "mark it as interrupted", remedy)
    elif state == "waiting":
        reason = "its launcher died before it could start"
        remedy = partial(record_end, trial, status.attempt, "interrupted", reason)
        yield Finding("false status", where, f"it says queued, but {reason}", "mark it as interrupted", remedy)


def _torn_lines(trial: TrialDirectory) -> Iterator[Finding]:
    """Yield torn lines until a summary has put them on record; they stay in the files as evidence."""
    where = f"{trial.run.id} seed {trial.seed}"
    try:
        if read_summary(trial) is not None:
            return
    except LabError as error:
        yield Finding("damaged record", where, error.message)
        return
    paths = [trial.evals_path, trial.episodes_path, *(trial.metrics_path(number) for number in trial.attempts())]
    for path in paths:
        for report in read_lines(path)[1]:
            yield Finding("torn line", where, report)


def _checkpoints(trial: TrialDirectory) -> Iterator[Finding]:
    where = f"{trial.run.id} seed {trial.seed}"
    for described in sorted(trial.checkpoints.glob("*.json")):
        try:
            facts = read_object(str(described))
            path = trial.checkpoints / str(facts["file"])
            with path.open("rb") as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == facts["sha256"]
        except (OSError, ValueError, KeyError) as error:
            yield Finding("damaged checkpoint", where, f"{described.name}: {getattr(error, 'strerror', None) or error}")
            continue
        if not same:
            text = f"{path.name} differs from its recorded sha256; resume passes over it"
            yield Finding("damaged checkpoint", where, text)


def _changed_artifacts(trial: TrialDirectory) -> Iterator[Finding]:
    """Yield what is no longer as the summary of the ended trial recorded it; absent artifacts are not checked."""
    if not trial.artifacts.is_dir() or not is_summarised(trial):
        return
    files: dict[str, Any] = (read_summary(trial) or {}).get("files", {})
    described = {path.with_suffix(".pt").name for path in trial.checkpoints.glob("*.json")}  # checked by `_checkpoints`
    mine = {name: facts for name, facts in files.items() if Path(name).name not in described}
    for fault in check_artifacts(trial, mine):
        yield Finding("changed artifact", f"{trial.run.id} seed {trial.seed}", fault)


def _disk_use(path: Path) -> int:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(f"{folder}/{name}").st_blocks * 512
            except OSError:
                continue
    return total


def disk_text(disk: dict[str, int]) -> str:
    """Return the total use of disk and the largest runs in one line."""
    largest = sorted(disk.items(), key=lambda item: -item[1])[:3]
    shown = ", ".join(f"{run} {size(used)}" for run, used in largest)
    return f"runs take {size(sum(disk.values()))}" + (f" ({shown})" if shown else "")
