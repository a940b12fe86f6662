"""One attempt of one trial: from a trial directory on disk to a terminal state on disk.

Owns the attempt's record, the choice of checkpoint, and what every kind of failure looks like from outside: one
line in status.json, the traceback in `error.txt`, an exit code. status.json is written last, whatever else fails.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from dreamerlab.config.layers import load_config
from dreamerlab.envs.faults import ActionNotFinite
from dreamerlab.envs.watchdog import watchdog
from dreamerlab.errors import Conflict, Interrupted, LabError, NotFound, TrialFailed
from dreamerlab.experience.archive import damage
from dreamerlab.runs.attempts import close_attempt, open_attempt, read_attempts
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.processes import hostname, own_identity
from dreamerlab.runs.status import Status, read_status
from dreamerlab.runs.surroundings import busy
from dreamerlab.train import checkpoint
from dreamerlab.train.findings import LiveRules
from dreamerlab.train.finite import Diverged
from dreamerlab.train.keeper import KeepAll
from dreamerlab.train.loop import train
from dreamerlab.train.machine import machine
from dreamerlab.train.opponents import Company, find_company, require_the_same
from dreamerlab.train.pool import missing
from dreamerlab.train.recorder import Counters, Recorder
from dreamerlab.train.runtime import StopRequest, Supervisor, TrainingClock
from dreamerlab.train.session import Session
from dreamerlab.train.start_from import in_words, start_from

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
    in every case. Raises Conflict, and touches nothing, when the trial is finished already.
    """
    trial = TrialDirectory(path.resolve())
    manifest, before = read_manifest(trial.run.manifest_path), read_status(trial)
    if before.state == "finished":
        raise Conflict(f"{trial.run.id} seed {trial.seed} is finished: there is nothing to resume")
    if number is None:
        number = 1 + max([before.attempt, *trial.attempts()])
    attempt = Attempt(trial, number, manifest)
    stop = StopRequest(supervisor)
    stop.listen()
    recorder = Recorder(trial, number, _running(attempt, before))
    session: Session | None = None
    state, reason, failure = "failed", None, None
    watchdog.on_hang(lambda fault: _write_end(attempt, recorder, session, "failed", explain(fault), fault))
    try:
        trial.attempt_dir(number).mkdir(parents=True, exist_ok=True)
        _reserve(trial).write_bytes(bytes(_RESERVE_BYTES))
        recorder.write_status()
        config = load_config(trial.run.config_path)
        recorder.rules = LiveRules(config)
        company = find_company(trial, config, manifest.family)
        require_the_same(company, read_attempts(trial))
        session = Session(config, trial.seed, trial.replay, company)
        belongs = {"run": trial.run.id, "seed": trial.seed, "family": manifest.family}
        keeper = KeepAll(trial.checkpoints, session, recorder, belongs)
        finished = _restore(session, recorder, keeper, attempt, company)
        if not finished:
            clock = TrainingClock(session.counters.wall_s)
            finished = train(session, recorder, clock, stop, keeper)
            if finished:
                keeper.final()
                recorder.note_agent(checkpoint.fingerprint(session.agent.state_dict()))
        state, reason = ("finished", None) if finished else ("interrupted", stop.reason)
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: here they come from an environment
        failure, reason = error, explain(error)
    watchdog.on_hang(None)
    _write_end(attempt, recorder, session, state, reason, failure)
    if session is not None:
        _close(session)
    if failure is not None:
        raise TrialFailed(reason or "", hint=f"the traceback is in {trial.error_path(number)}") from failure
    if state == "interrupted":
        raise Interrupted(reason or "interrupted", hint=f"dreamerlab resume {trial.run.id}")


def _write_end(
    attempt: Attempt,
    recorder: Recorder,
    session: Session | None,
    state: Literal["finished", "interrupted", "failed"],
    reason: str | None,
    failure: BaseException | None,
) -> None:
    """Write how the attempt ended: also called from the watchdog's thread, when the main one hangs for good."""
    trial, number = attempt.trial, attempt.number
    # The reserve makes room for the last words, should the disk be full.
    with suppress(OSError):
        _reserve(trial).unlink(missing_ok=True)
    if failure is not None:
        _leave_traceback(trial.error_path(number), failure)
    if session is not None:
        recorder.note_progress(session.counters, session.spent())
    try:
        close_attempt(trial, number, state, reason, busy(os.getppid()))
    finally:
        recorder.write_status(state=state, reason=reason, diverged=isinstance(failure, Diverged | ActionNotFinite))


def _reserve(trial: TrialDirectory) -> Path:
    return trial.artifacts / ".reserve"


def explain(error: BaseException) -> str:
    """Say in one line what went wrong, for status.json and the terminal."""
    if isinstance(error, LabError):
        text = error.message
    elif isinstance(error, OSError) and error.errno in _FULL_DISK:
        where = f" while writing {error.filename}" if error.filename else ""
        text = f"the disk is full{where}; everything up to the last checkpoint is kept"
    else:
        said = [line for line in str(error).splitlines() if line.strip()]
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"({Path(last.filename).name}:{last.lineno})"
        text = f"{type(error).__name__}: {said[0]} {place}" if said else f"{type(error).__name__} {place}"
    # File names may hold bytes that are no text; they must not keep a state from being written.
    return " ".join(text.split()).encode(errors="backslashreplace").decode()


def _leave_traceback(path: Path, failure: BaseException) -> None:
    """Write the traceback of a failure; where the disk refuses, the console gets it."""
    text = "".join(traceback.format_exception(failure))
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        with suppress(OSError):
            print(text, file=sys.stderr)


def _close(session: Session) -> None:
    """Release the environments; the result is on disk already, so one that cannot be closed is only named."""
    try:
        session.close()
    except Exception as error:
        print(f"warning: an environment could not be closed: {explain(error)}", file=sys.stderr)


def _running(attempt: Attempt, before: Status) -> Status:
    """Return the first status of an attempt; progress of earlier attempts stays visible until restored."""
    me, now = own_identity(), time.time()
    return replace(
        before,
        state="running",
        seed=attempt.trial.seed,
        attempt=attempt.number,
        pid=me.pid,
        pid_start=me.start_ticks,
        boot_id=me.boot_id,
        host=me.host,
        started_at=now,
        heartbeat_at=now,
        budget_unit=attempt.manifest.budget.unit,
        budget_amount=attempt.manifest.budget.amount,
        reason=None,
        diverged=False,
        message=None,
    )


def _damage(state: Mapping[str, Any], trial: TrialDirectory) -> str | None:
    """Return what is wrong with the files that a checkpoint relies on beside its own, in words."""
    session = state["session"]
    members = session["collector"].get("matchmaker", {}).get("members")
    return damage(session["replay"], trial.replay) or (missing(members, trial.opponents) if members else None)


def _restore(session: Session, recorder: Recorder, keeper: KeepAll, attempt: Attempt, company: Company) -> bool:
    """Continue from the newest whole checkpoint, if this trial has one, and record the attempt's start.

    Returns whether that was the last checkpoint of a complete trial, killed before it could say that it had finished.
    """
    trial, complete = attempt.trial, False
    loaded, note, origin = None, None, None
    try:
        loaded = checkpoint.load_newest(trial.checkpoints, set_aside=True, damage=lambda state: _damage(state, trial))
    except NotFound as nothing:
        origin = start_from(session, trial, read_attempts(trial))
        said = [f"started again from env step 0: {nothing.message}"] if attempt.number > 1 else []
        said += [in_words(origin, trial.seed)] if origin is not None else []
        note = "; ".join(said) or None
    if loaded is not None:
        belongs = (loaded.info.run, loaded.info.seed)
        if belongs != (trial.run.id, trial.seed):
            raise Conflict(
                f"{loaded.info.file} belongs to {belongs[0]} seed {belongs[1]}, not to {trial.run.id} seed {trial.seed}"
            )
        # Replay is dropped from the last checkpoint only, once every line is written.
        complete = not loaded.info.has_replay
        if complete:
            session.counters = Counters(**loaded.state["session"]["counters"])
            recorder.note_agent(checkpoint.fingerprint(loaded.state["session"]["agent"]))
            session.sweep([])
            done = f"the trial had reached its end with {loaded.info.file}"
        else:
            given = loaded.state["session"]
            misfits = checkpoint.misfits(given["agent"], session.agent.state_dict())
            checkpoint.refuse_misfits(loaded.info.file, misfits)
            session.load_state_dict(given)
            recorder.load_state_dict(loaded.state["recorder"])
            if recorder.rules is not None:
                recorder.rules.catch_up(trial, attempt.number, session.counters.env_steps)
            keeper.load_state_dict(loaded.state["keeper"])
            done = f"resumed from {loaded.info.file}"
        note = "; ".join([done, *(f"passed over {line}" for line in loaded.passed_over)])
    open_attempt(
        trial,
        attempt.number,
        start_env_steps=session.counters.env_steps,
        start_updates=session.counters.updates,
        checkpoint=loaded.info.file if loaded else None,
        host=hostname(),
        pid=os.getpid(),
        **machine(session.config.execution),
        config_sha256=hashlib.sha256(trial.run.config_path.read_bytes()).hexdigest(),
        note=note,
        started_from=origin,
        **({"opponents": [guest.facts() for guest in company.guests]} if company.guests else {}),
        start=busy(os.getppid()),
    )
    recorder.note_progress(session.counters, session.spent())
    recorder.write_status(message=note)
    return complete
