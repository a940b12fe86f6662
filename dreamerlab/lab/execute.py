"""What `run` and `resume` share: claim the trials, start the mirror, supervise, finalise, judge, say how it ended.

The trials of all runs of a hypothesis go through one pool. With looks they go in stages: after each the declared rule
may find that enough is known, and the seeds that are left are spared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dreamerlab.errors import Conflict, Interrupted, LabError, TrialFailed
from dreamerlab.lab.aftercare import finalise_leftovers
from dreamerlab.lab.finalise import summarise_ended
from dreamerlab.lab.kill_rules import KillRules
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.mirror import start_mirror, tell
from dreamerlab.lab.publish import publish
from dreamerlab.launch.local import NOT_STARTED, LocalPool, Plan, Task
from dreamerlab.launch.trainer import mark
from dreamerlab.protocol.state import DONE_JUDGED, RUNNING, Hypothesis, fold, hypotheses
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.processes import own_identity
from dreamerlab.runs.status import ONGOING, Status, effective_state, is_over, read_status
from dreamerlab.runs.store import Workspace


@dataclass(frozen=True)
class Voice:
    """How a use case talks while it works; the command line says where to."""

    say: Callable[[str], None]
    warn: Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """Trials that are trained before anything is decided, in the order they are started."""

    tasks: tuple[Task, ...]
    look: int | None = None
    """How many seeds of the treatment are trained when it ends, where a look was declared for then."""


@dataclass(frozen=True)
class Execution:
    """Claimed trials that are ready to be started; without any, only what follows training is done."""

    workspace: Workspace
    runs: tuple[RunDirectory, ...]
    """What is shown: the treatment, then its baseline while that is trained as well."""
    stages: tuple[Stage, ...]
    jobs: int
    again: str
    """The command that goes on, should this be interrupted."""
    hypothesis: Hypothesis | None = None
    """Whose verdict this is about; None for a pilot, and for runs of before there were hypotheses."""
    owners: Mapping[str, Hypothesis] = field(default_factory=dict[str, Hypothesis])
    """Run id -> the hypothesis whose plan it follows."""
    commit: bool = True

    @property
    def trials(self) -> list[TrialDirectory]:
        """Every claimed trial."""
        return [task.trial for stage in self.stages for task in stage.tasks]


def claim(workspace: Workspace, trials: Sequence[TrialDirectory]) -> None:
    """Mark the trials as queued by this process, all or none; Conflict names one that is already under way."""
    with workspace.lock():
        for trial in trials:
            status = read_status(trial)
            # A queued trial without a process is one that was just created, or that lost its launcher.
            if effective_state(status) in ONGOING:
                raise Conflict(under_way(trial, status), hint=f"dreamerlab status {trial.run.id} --follow")
            if is_over(status):
                how = "diverged" if status.diverged else status.state
                raise Conflict(f"seed {trial.seed} of {trial.run.id} has just {how}", hint="repeat the command")
        mark(trials, "queued", None)


def under_way(trial: TrialDirectory, status: Status) -> str:
    """Return which trial is in whose hands, in one line."""
    where = f"pid {status.pid}" + (f" on {status.host}" if status.host else "")
    return f"seed {trial.seed} of {trial.run.id} is {status.state} ({where})"


def execute(execution: Execution, voice: Voice, look: Callable[[], None]) -> LabError | None:
    """Run claimed trials to their end, finalise and judge; return how it failed, or None when all went well.

    `look` is called a few times a second. Raises KeyboardInterrupt only once nothing is left to be stopped.
    """
    workspace = execution.workspace
    for run in {trial.run.id: trial.run for trial in execution.trials}.values():
        start_mirror(workspace, run, voice.warn)
    ended = _train(execution, voice, look)
    finalise_leftovers(workspace, voice.say, voice.warn, execution.runs, commit=execution.commit)
    settled(workspace, voice, commit=execution.commit)
    if any(not is_over(status) for status in ended.values()):
        _keep_unfinished(execution, voice)
    return _failure(execution, ended)


def settled(workspace: Workspace, voice: Voice, *, commit: bool) -> list[str]:
    """Put on record what has come to its end, and spare the trials it leaves; return the news, a line each.

    That this cannot be done now is a warning: it is done by the next command that can.
    """
    from dreamerlab.lab.settle import settle

    try:
        news = settle(workspace, voice, commit=commit)
        spare(workspace)
    except LabError as error:
        voice.warn(f"nothing is judged yet: {error.message}; later: dreamerlab doctor --fix")
        return []
    tell(workspace, [run for one in news for run in one.runs], voice.warn)
    return [one.line for one in news]


def spare(workspace: Workspace) -> None:
    """Mark the seeds as stopped that a look has made needless."""
    for state in hypotheses(registry_of(workspace)):
        if state.phase != DONE_JUDGED or state.run is None or not state.proposal.plan.looks:
            continue
        for trial in workspace.run(state.run).trials():
            status = read_status(trial)
            mine = status.state == "queued" and status.pid == own_identity().pid
            if not is_over(status) and (mine or effective_state(status) not in ONGOING):
                mark([trial], "stopped", "spared: a declared look had decided")


def _train(execution: Execution, voice: Voice, look: Callable[[], None]) -> dict[TrialDirectory, Status]:
    ended: dict[TrialDirectory, Status] = {}
    rules = KillRules(execution.workspace, execution.owners, voice.warn)
    for number, stage in enumerate(execution.stages):
        pool = LocalPool(Plan(stage.tasks, execution.workspace.path, max(1, execution.jobs)), voice.say, look, rules)
        ended |= pool.run()
        rest = [task.trial for later in execution.stages[number + 1 :] for task in later.tasks]
        if any(not is_over(status) for status in ended.values()):
            mark(rest, "interrupted", NOT_STARTED)
            ended |= {trial: read_status(trial) for trial in rest}
            break
        if stage.look is not None and rest and _decided(execution, voice):
            voice.say(f"the look of {stage.look} seeds has decided: {len(rest)} are spared")
            break
    return ended


def _decided(execution: Execution, voice: Voice) -> bool:
    """Take the look that is due; tell whether it ended the hypothesis."""
    assert execution.hypothesis is not None
    for run in execution.runs:
        summarise_ended(run)
    for line in settled(execution.workspace, voice, commit=execution.commit):
        voice.say(line)
    return fold(registry_of(execution.workspace).read(execution.hypothesis.id)).phase != RUNNING


def _keep_unfinished(execution: Execution, voice: Voice) -> None:
    """Commit what there is of runs that are not over, so that a clone can go on with them."""
    records = [owner.id for owner in execution.owners.values()]
    texts = [run.path for run in execution.runs]
    message = f"Record what there is of {', '.join(run.id for run in execution.runs)}"
    publish(execution.workspace, records, message, voice.warn, wanted=execution.commit, also=texts)


def _failure(execution: Execution, ended: Mapping[TrialDirectory, Status]) -> LabError | None:
    stopped = [trial for trial, status in ended.items() if status.state == "interrupted"]
    broken = [trial for trial, status in ended.items() if status.state == "failed" and not status.diverged]
    failed = sorted(broken, key=lambda trial: (trial.run.id, trial.seed))
    if stopped:
        one = len(execution.runs) == 1 or execution.hypothesis is None
        name = execution.runs[0].id if one or execution.hypothesis is None else execution.hypothesis.id
        return Interrupted(f"{name} is interrupted ({_named(stopped, one=one)}); nothing is lost", hint=execution.again)
    if failed:
        others = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        where = f"seed {failed[0].seed} of {failed[0].run.id}"
        return TrialFailed(f"{where} failed{others}; why is told above", hint=execution.again)
    return None


def _named(trials: Sequence[TrialDirectory], *, one: bool) -> str:
    """Return `seed 0, 1`, or with several runs `R0002-abc seed 0, 1; R0001-xyz seed 0`."""
    seeds: dict[str, list[int]] = {}
    for trial in trials:
        seeds.setdefault(trial.run.id, []).append(trial.seed)
    listed = {run: ", ".join(map(str, sorted(which))) for run, which in seeds.items()}
    return f"seed {next(iter(listed.values()))}" if one else "; ".join(f"{r} seed {s}" for r, s in listed.items())
