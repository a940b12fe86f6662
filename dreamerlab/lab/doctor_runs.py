"""Checks of `doctor` on each run: records, states, torn lines, checkpoints, artifacts, what was left undone."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from dreamerlab.atomic import read_object
from dreamerlab.errors import LabError, ToolFailed
from dreamerlab.lab.aftercare import finalise_in_own_process
from dreamerlab.lab.doctor_findings import Finding, Say
from dreamerlab.lab.execute import Voice, settled
from dreamerlab.lab.finalise import is_summarised, needs_finalising
from dreamerlab.lab.ledger import registry_of
from dreamerlab.launch.trainer import record_end
from dreamerlab.protocol.state import RUNNING, fold, hypotheses
from dreamerlab.report.wording import duration
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.processes import hostname
from dreamerlab.runs.series import read_lines
from dreamerlab.runs.status import Status, effective_state, is_over, read_status
from dreamerlab.runs.store import Workspace, run_ids
from dreamerlab.runs.summary import check_artifacts, read_summary

SILENCE_S = 86_400.0
_TORN = "readers pass over it; the summary at the end of the trial puts it on record (dreamerlab resume)"


def examine_run(workspace: Workspace, run: RunDirectory, say: Say) -> Iterator[Finding]:
    """Yield what is wrong with one run; `say` takes the talk of remedies applied later."""
    try:
        made = read_manifest(run.manifest_path)
    except LabError as error:
        yield _damaged_record(run, run.id, error.message)
        return
    if made.id != run.id:
        text = f"its manifest says it is {made.id}: a folder that was copied or renamed"
        yield Finding("misnamed run", run.id, text, hint=f"mv runs/{run.id} runs/{made.id}, or remove the copy")
    for trial in run.trials():
        yield from _status(trial)
        yield from _torn_lines(trial)
        yield from _checkpoints(trial)
        yield from _changed_artifacts(trial)
    if needs_finalising(workspace, run):
        finalise = partial(_finalise, workspace, run, say)
        yield Finding(
            "not finalised", run.id, "all trials have ended, summaries are missing or old", "finalise", finalise
        )


def unjudged(workspace: Workspace, say: Say) -> Iterator[Finding]:
    """Yield hypotheses all of whose seeds have ended while nobody was there to judge them."""
    for state in hypotheses(registry_of(workspace)):
        runs = [workspace.run(run) for run in (state.run, state.baseline_run) if run is not None]
        if state.phase != RUNNING or not all(run.manifest_path.is_file() for run in runs):
            continue
        if all(is_over(read_status(trial)) for run in runs for trial in run.trials()):
            judge = partial(_judge, workspace, state.id, say)
            yield Finding("not judged", state.id, "every seed has ended, and there is no verdict", "judge it", judge)


def left_queues(workspace: Workspace) -> Iterator[Finding]:
    """Yield trials that say they are queued on another host, while nothing on it has shown a sign of life for a day.

    So it is in a run that was copied from there. A living launcher always has a trial that beats.
    """
    heard: dict[str, float] = {}
    queued: list[tuple[TrialDirectory, Status, str]] = []
    for run_id in run_ids(workspace):
        for trial in workspace.run(str(run_id)).trials():
            status = read_status(trial)
            if status.host is None or status.host == hostname():
                continue
            heard[status.host] = max(heard.get(status.host, 0.0), status.heartbeat_at or status.started_at or 0.0)
            if effective_state(status) == "queued":
                queued.append((trial, status, status.host))
    for trial, status, host in queued:
        silent = time.time() - heard[host]
        if silent > SILENCE_S:
            reason = f"{host}, where it was to be trained, has not been heard of for {duration(silent)}"
            remedy = partial(record_end, trial, status.attempt, "interrupted", reason)
            where = f"{trial.run.id} seed {trial.seed}"
            yield Finding("false status", where, f"it says queued, but {reason}", "mark it as interrupted", remedy)


def _finalise(workspace: Workspace, run: RunDirectory, say: Say) -> None:
    told: list[str] = []
    finalise_in_own_process(workspace, run, say, told.append)
    if needs_finalising(workspace, run):
        raise ToolFailed("; ".join(told) or "it is as unfinished as before")


def _judge(workspace: Workspace, hypothesis: str, say: Say) -> None:
    told: list[str] = []
    for line in settled(workspace, Voice(say, told.append), commit=True):
        say(line)
    if fold(registry_of(workspace).read(hypothesis)).phase == RUNNING:
        raise ToolFailed("; ".join(told) or "there is still no verdict")


def _damaged_record(run: RunDirectory, where: str, message: str) -> Finding:
    hint = f"git checkout -- runs/{run.id} brings back what was committed"
    return Finding("damaged record", where, message, hint=hint)


def _status(trial: TrialDirectory) -> Iterator[Finding]:
    where, status = f"{trial.run.id} seed {trial.seed}", read_status(trial)
    state = effective_state(status)
    if state == "unreadable":
        yield _damaged_record(trial.run, where, status.reason or "status.json cannot be read")
    elif state == "killed":
        reason = f"its process (pid {status.pid} on {status.host}) died without a word"
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
        yield _damaged_record(trial.run, where, error.message)
        return
    paths = [trial.evals_path, trial.episodes_path, *(trial.metrics_path(number) for number in trial.attempts())]
    for path in paths:
        for report in read_lines(path)[1]:
            yield Finding("torn line", where, report, hint=_TORN)


def _checkpoints(trial: TrialDirectory) -> Iterator[Finding]:
    where = f"{trial.run.id} seed {trial.seed}"
    again = f"stored ones, if there are any: dreamerlab data pull {trial.run.id} --replace"
    for described in sorted(trial.checkpoints.glob("*.json")):
        try:
            facts = read_object(str(described))
            path = trial.checkpoints / str(facts["file"])
            with path.open("rb") as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == facts["sha256"]
        except (OSError, ValueError, KeyError) as error:
            text = f"{described.name}: {getattr(error, 'strerror', None) or error}"
            yield Finding("damaged checkpoint", where, text, hint=again)
            continue
        if not same:
            text = f"{path.name} differs from its recorded sha256; resume passes over it"
            yield Finding("damaged checkpoint", where, text, hint=again)


def _changed_artifacts(trial: TrialDirectory) -> Iterator[Finding]:
    """Yield what is no longer as the summary of the ended trial recorded it; absent artifacts are not checked."""
    if not trial.artifacts.is_dir() or not is_summarised(trial):
        return
    files: dict[str, Any] = (read_summary(trial) or {}).get("files", {})
    described = {path.with_suffix(".pt").name for path in trial.checkpoints.glob("*.json")}  # checked by `_checkpoints`
    mine = {name: facts for name, facts in files.items() if Path(name).name not in described}
    for fault in check_artifacts(trial, mine):
        hint = f"stored ones, if there are any: dreamerlab data pull {trial.run.id} --replace"
        yield Finding("changed artifact", f"{trial.run.id} seed {trial.seed}", fault, hint=hint)
