"""What `run` and `resume` share: claim the trials, start the mirror, supervise, finalise, say how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dreamerlab.errors import Conflict, Interrupted, LabError, TrialFailed
from dreamerlab.lab.aftercare import finalise_leftovers, start_mirror
from dreamerlab.launch.local import LocalPool, Plan, Task
from dreamerlab.launch.trainer import mark
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.status import ONGOING, OVER, effective_state, read_status
from dreamerlab.runs.store import Workspace


@dataclass(frozen=True)
class Voice:
    """How a use case talks while it works; the command line says where to."""

    say: Callable[[str], None]
    warn: Callable[[str], None]


@dataclass(frozen=True)
class Execution:
    """Trials of one run that are ready to be started."""

    workspace: Workspace
    run: RunDirectory
    trials: Sequence[TrialDirectory]
    snapshot: Path
    threads: int
    jobs: int


def claim(workspace: Workspace, trials: Sequence[TrialDirectory]) -> None:
    """Mark the trials as queued by this process, all or none; Conflict names one that is already under way."""
    with workspace.lock():
        for trial in trials:
            status = read_status(trial)
            # A queued trial without a process is one that was just created, or that lost its launcher.
            if effective_state(status) in ONGOING:
                where = f"pid {status.pid}" + (f" on {status.host}" if status.host else "")
                raise Conflict(
                    f"seed {trial.seed} of {trial.run.id} is {status.state} ({where})",
                    hint=f"dreamerlab status {trial.run.id} --follow",
                )
            if status.state in OVER:
                raise Conflict(
                    f"seed {trial.seed} of {trial.run.id} has just {status.state}", hint="repeat the command"
                )
        mark(trials, "queued", None)


def execute(execution: Execution, voice: Voice, look: Callable[[], None]) -> LabError | None:
    """Run claimed trials to their end and finalise the run; return how it failed, or None when all went well.

    `look` is called a few times a second. Raises KeyboardInterrupt only once nothing is left to be stopped.
    """
    start_mirror(execution.workspace, execution.run, voice.warn)
    tasks = [Task(trial, execution.snapshot, execution.threads) for trial in execution.trials]
    pool = LocalPool(Plan(tasks, execution.workspace.path, max(1, execution.jobs)), voice.say, look)
    ended = {trial.seed: status for trial, status in pool.run().items()}
    finalise_leftovers(execution.workspace, voice.say, voice.warn, [execution.run])
    resume = f"dreamerlab resume {execution.run.id}"
    stopped = sorted(seed for seed, status in ended.items() if status.state == "interrupted")
    failed = sorted(seed for seed, status in ended.items() if status.state == "failed")
    if stopped:
        seeds = ", ".join(map(str, stopped))
        return Interrupted(f"{execution.run.id} is interrupted (seed {seeds}); nothing is lost", hint=resume)
    if failed:
        first = ended[failed[0]]
        others = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        return TrialFailed(f"seed {failed[0]} of {execution.run.id} failed: {first.reason}{others}", hint=resume)
    return None
