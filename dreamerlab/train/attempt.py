"""One attempt of one trial: from a trial directory on disk to a terminal state on disk.

Owns the attempt's record, the choice of checkpoint, and what every kind of failure looks like from outside: one
line in status.json, the traceback in `error.txt`, an exit code.
"""

from __future__ import annotations

import errno
import os
import time
import traceback
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from dreamerlab.config.layers import load_config
from dreamerlab.errors import Conflict, Interrupted, LabError, NotFound, TrialFailed
from dreamerlab.runs.attempts import close_attempt, open_attempt, read_attempts
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.processes import hostname, own_identity
from dreamerlab.runs.status import Status, read_status
from dreamerlab.train import checkpoint
from dreamerlab.train.loop import train
from dreamerlab.train.recorder import Recorder
from dreamerlab.train.runtime import StopRequest, Supervisor, TrainingClock
from dreamerlab.train.session import Session

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
_RESERVE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Attempt:
    """Which execution of which trial this is."""

    trial: TrialDirectory
    number: int
    manifest: Manifest


def execute(path: Path, number: int | None, supervisor: Supervisor | None) -> None:
    """Run one attempt of the trial at `path` to its end.

    Raises Interrupted when asked to stop and TrialFailed when the trial failed; the state on disk is written first
    in every case.
    """
    trial = TrialDirectory(path.resolve())
    manifest = read_manifest(trial.run.manifest_path)
    if number is None:
        number = 1 + max((int(entry["attempt"]) for entry in read_attempts(trial)), default=0)
    attempt = Attempt(trial, number, manifest)
    trial.attempt_dir(number).mkdir(parents=True, exist_ok=True)
    reserve = trial.artifacts / ".reserve"
    reserve.write_bytes(bytes(_RESERVE_BYTES))
    stop = StopRequest(supervisor)
    stop.listen()
    recorder = Recorder(trial, number, _running(trial, manifest, number))
    session: Session | None = None
    state, reason, failure = "failed", None, None
    try:
        recorder.write_status()
        session = Session(load_config(trial.run.config_path), trial.seed)
        _restore(session, recorder, attempt)
        clock = TrainingClock(session.counters.wall_s)
        finished = train(session, recorder, clock, stop, partial(_save, session, recorder, attempt))
        if finished:
            _save(session, recorder, attempt, final=True)
        state, reason = ("finished", None) if finished else ("interrupted", stop.reason)
    except Exception as error:
        failure, reason = error, explain(error)
        # The reserve makes room for the last words, should the disk be full.
        reserve.unlink(missing_ok=True)
        trial.error_path(number).write_text(traceback.format_exc())
    reserve.unlink(missing_ok=True)
    if session is not None:
        session.evaluator.close()
        recorder.note_progress(session.counters, session.spent())
    close_attempt(trial, number, state, reason)
    recorder.write_status(state=state, reason=reason)
    if failure is not None:
        raise TrialFailed(reason or "", hint=f"the traceback is in {trial.error_path(number)}") from failure
    if state == "interrupted":
        raise Interrupted(reason or "interrupted", hint=f"dreamerlab resume {trial.run.id}")


def explain(error: Exception) -> str:
    """Say in one line what went wrong, for status.json and the terminal."""
    if isinstance(error, LabError):
        return error.message
    if isinstance(error, OSError) and error.errno in _FULL_DISK:
        where = f" while writing {error.filename}" if error.filename else ""
        return f"the disk is full{where}; everything up to the last checkpoint is kept"
    first_line = (str(error).splitlines() or [""])[0]
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {first_line} ({Path(last.filename).name}:{last.lineno})"


def _running(trial: TrialDirectory, manifest: Manifest, number: int) -> Status:
    """Return the first status of an attempt; progress of earlier attempts stays visible until restored."""
    me, now, before = own_identity(), time.time(), read_status(trial)
    return replace(
        before,
        state="running",
        seed=trial.seed,
        attempt=number,
        pid=me.pid,
        pid_start=me.start_ticks,
        boot_id=me.boot_id,
        host=me.host,
        started_at=now,
        heartbeat_at=now,
        budget_unit=manifest.budget.unit,
        budget_amount=manifest.budget.amount,
        reason=None,
        message=None,
    )


def _restore(session: Session, recorder: Recorder, attempt: Attempt) -> None:
    """Continue from the newest whole checkpoint, if this trial has one, and record the attempt's start."""
    trial = attempt.trial
    loaded, note = None, None
    try:
        loaded = checkpoint.load_newest(trial.checkpoints)
    except NotFound as nothing:
        if attempt.number > 1:
            note = f"started again from env step 0: {nothing.message}"
    if loaded is not None:
        belongs = (loaded.info.run, loaded.info.seed)
        if belongs != (trial.run.id, trial.seed):
            raise Conflict(
                f"{loaded.info.file} belongs to {belongs[0]} seed {belongs[1]}, not to {trial.run.id} seed {trial.seed}"
            )
        if not loaded.info.has_replay:
            raise Conflict(f"{loaded.info.file} is the end of a finished trial: there is nothing to resume")
        session.load_state_dict(loaded.state["session"])
        recorder.load_state_dict(loaded.state["recorder"])
        note = "; ".join([f"resumed from {loaded.info.file}", *(f"passed over {line}" for line in loaded.passed_over)])
    open_attempt(
        trial,
        attempt.number,
        start_env_steps=session.counters.env_steps,
        start_updates=session.counters.updates,
        checkpoint=loaded.info.file if loaded else None,
        host=hostname(),
        pid=os.getpid(),
        torch=torch.__version__,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
        device=session.config.execution.device,
        note=note,
    )
    recorder.note_progress(session.counters, session.spent())
    recorder.write_status(message=note)


def _save(session: Session, recorder: Recorder, attempt: Attempt, *, final: bool = False) -> None:
    """Write a checkpoint; the one of a finished trial drops replay, and its predecessors, unless told to keep them."""
    settings, at = session.config.checkpoint, session.counters
    session.check_finite()
    with_replay = settings.keep_replay or not final
    checkpoint.save(
        attempt.trial.checkpoints,
        {"session": session.state_dict(with_replay=with_replay), "recorder": recorder.state_dict()},
        keep=settings.keep if with_replay else 1,
        run=attempt.trial.run.id,
        seed=attempt.trial.seed,
        family=attempt.manifest.family,
        env_steps=at.env_steps,
        updates=at.updates,
        episodes=at.episodes,
        wall_s=at.wall_s,
        has_replay=with_replay,
    )
