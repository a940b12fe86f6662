"""What is still to be trained of a hypothesis, and in which order: the same whether it begins, goes on, or was killed.

The seeds of both arms alternate, so that whatever changes on the machine meanwhile meets both. With looks, the first
stage holds the first seeds of the treatment and all of the baseline's; each later stage the treatment's next seeds.
What is over is never trained again, what somebody else is training is left to them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from dreamerlab.errors import Conflict, GateRefused, NotFound, ToolFailed
from dreamerlab.lab.execute import Execution, Stage, Voice, claim, under_way
from dreamerlab.lab.kill_rules import mend_kills
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.preflight import require_training_parts
from dreamerlab.launch.local import Task, default_jobs
from dreamerlab.protocol.state import Hypothesis, fold
from dreamerlab.report.wording import amount, seeds_text
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.processes import trainers
from dreamerlab.runs.status import ONGOING, effective_state, is_over, read_status
from dreamerlab.runs.store import Workspace

_LAST_WORDS_S = 30.0
"""How long trainers whose launcher was killed may take to notice, and to write their checkpoints."""


def open_execution(
    workspace: Workspace, hypothesis: Hypothesis, *, jobs: int | None, commit: bool, voice: Voice
) -> Execution:
    """Claim everything that a launched hypothesis still lacks; the launch lock must be held.

    Conflict when another process is at it; NotFound when a run or its checkpoints are not in this clone.
    """
    assert hypothesis.run is not None, hypothesis.id
    runs = [here(workspace, hypothesis.run, hypothesis)]
    if hypothesis.baseline_run is not None:
        runs.append(here(workspace, hypothesis.baseline_run, hypothesis))
    owners = owners_of(workspace, runs)
    for owner in owners.values():
        mend_kills(workspace, owner)
    lacking = {run.id: _lacking(run, voice, must=run is runs[0], of=hypothesis.id) for run in runs}
    tasks = tasks_of(workspace, [trial for trials in lacking.values() for trial in trials])
    stages = _stages(hypothesis, [lacking[run.id] for run in runs], tasks)
    claim(workspace, [task.trial for stage in stages for task in stage.tasks])
    workers = at_once(tasks.values(), jobs)
    for run in runs:
        if lacking[run.id]:
            voice.say(_announced(run, lacking[run.id], workers))
    shown = tuple(runs)
    again = f"dreamerlab resume {runs[0].id}" if len(runs) == 1 else f"dreamerlab run {hypothesis.id}"
    return Execution(workspace, shown, tuple(stages), workers, again, hypothesis, owners, commit)


def here(workspace: Workspace, run_id: str, hypothesis: Hypothesis) -> RunDirectory:
    """Return a run that a record names; NotFound when it is in no folder here."""
    run = workspace.run(run_id)
    if not run.manifest_path.is_file():
        raise NotFound(
            f"{hypothesis.id} was launched as {run_id}, and that run is not here",
            hint="get its records from where it was launched: git pull",
        )
    return run


def owners_of(workspace: Workspace, runs: Sequence[RunDirectory]) -> dict[str, Hypothesis]:
    """Return run id -> the hypothesis it belongs to, for the runs that have one on record."""
    registry, found = registry_of(workspace), dict[str, Hypothesis]()
    for run in runs:
        record_id = read_manifest(run.manifest_path).hypothesis
        if record_id is not None and registry.path(record_id).exists():
            found[run.id] = fold(registry.read(record_id))
    return found


def tasks_of(workspace: Workspace, trials: Sequence[TrialDirectory]) -> dict[TrialDirectory, Task]:
    """Return what each trial is executed with: the code and the number of threads its run began with."""
    from dreamerlab.config.layers import load_config

    if not trials:
        return {}
    require_training_parts(workspace)
    known: dict[str, tuple[Path, int]] = {}
    for trial in trials:
        require_checkpoints(trial)
        run = trial.run
        if run.id not in known:
            manifest = read_manifest(run.manifest_path)
            known[run.id] = (_code(workspace, manifest), load_config(run.config_path).execution.threads)
    return {trial: Task(trial, *known[trial.run.id]) for trial in trials}


def at_once(tasks: Iterable[Task], jobs: int | None) -> int:
    """Return how many trials run at once: as asked, or as many as the cores carry; never more than there are."""
    listed = list(tasks)
    threads = max((task.threads for task in listed), default=1)
    return max(1, min(jobs or default_jobs(len(listed), threads), len(listed)))


def require_checkpoints(trial: TrialDirectory) -> None:
    """Refuse to start again from nothing what has trained and was stored away; running trials are named by `claim`."""
    status = read_status(trial)
    if effective_state(status) in ONGOING or status.env_steps == 0 or any(trial.checkpoints.glob("*.json")):
        return
    if trial.run.artifacts_dvc.exists():
        raise NotFound(
            f"the checkpoints of seed {trial.seed} of {trial.run.id} are not here",
            hint=f"dreamerlab data pull {trial.run.id}",
        )


def wait_for_orphans(run: RunDirectory, voice: Voice) -> None:
    """Wait for trainers of a run whose launcher is gone: they notice, write a checkpoint and end."""
    deadline, told = time.monotonic() + _LAST_WORDS_S, False
    while left := [
        one for one in trainers() if one.trial and one.trial.is_relative_to(run.path) and not one.supervised
    ]:
        if time.monotonic() > deadline:
            pids = ", ".join(str(one.pid) for one in left)
            raise Conflict(
                f"trainers of {run.id} have outlived their launcher (pid {pids})", hint="dreamerlab doctor --fix"
            )
        if not told:
            voice.say(f"waiting for the trainers of {run.id} that were left behind")
            told = True
        time.sleep(0.2)


def _lacking(run: RunDirectory, voice: Voice, *, must: bool, of: str) -> list[TrialDirectory]:
    """Return the trials that are neither over nor in other hands; those of the treatment may be in no other hands."""
    wait_for_orphans(run, voice)
    found: list[TrialDirectory] = []
    for seed in read_manifest(run.manifest_path).seeds:
        trial = run.trial(seed)
        status = read_status(trial)
        if is_over(status):
            continue
        if effective_state(status) not in ONGOING:
            found.append(trial)
        elif must:
            raise Conflict(
                f"{of} is being run by another process: {under_way(trial, status)}",
                hint=f"dreamerlab status {run.id} --follow",
            )
        else:
            voice.say(f"{under_way(trial, status)}: left to that process; the verdict comes when both are done")
    return found


def _stages(
    hypothesis: Hypothesis, arms: Sequence[Sequence[TrialDirectory]], tasks: Mapping[TrialDirectory, Task]
) -> list[Stage]:
    plan, (treatment, *others) = hypothesis.proposal.plan, arms
    baseline = [trial for arm in others for trial in arm]
    stages: list[Stage] = []
    begin = 0
    for look in plan.looks or (len(plan.seeds),):
        seeds = plan.seeds[begin:look]
        mine = [trial for trial in treatment if trial.seed in seeds]
        both = zip_longest(mine, () if begin else baseline)
        ordered = [tasks[trial] for pair in both for trial in pair if trial is not None]
        stages.append(Stage(tuple(ordered), look if plan.looks else None))
        begin = look
    return stages if plan.looks else [stage for stage in stages if stage.tasks]


def _announced(run: RunDirectory, trials: Sequence[TrialDirectory], workers: int) -> str:
    made = read_manifest(run.manifest_path)
    seeds = seeds_text(trial.seed for trial in trials)
    if any(read_status(trial).attempt for trial in trials) or len(trials) < len(made.seeds):
        return f"going on with {run.id} ({made.kind}), seeds {seeds}"
    each = amount(made.budget.amount, made.budget.unit)
    kind = "" if made.kind == "baseline" else f"{made.kind}, "
    return f"{run.id}: {kind}{made.env}, seeds {seeds}, {each} each, {workers} at once"


def _code(workspace: Workspace, manifest: Manifest) -> Path:
    from dreamerlab.tracking.code_identity import restore

    try:
        return restore(workspace, manifest)
    except (NotFound, ToolFailed) as error:
        raise GateRefused(error.message, hint=error.hint) from error
