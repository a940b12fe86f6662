"""Launching a hypothesis: from an examination that found nothing against it to runs on record.

The order is what makes a kill harmless: the proposal is committed, the runs are prepared aside, the events that name
them are written, the runs are completed, and all of it is committed. What a crash left of this is completed or
removed by the next command that launches (`recovery.py`), as the events say; no event of a launch is written twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamerlab.errors import Conflict
from dreamerlab.lab.baseline import METRIC, linked
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.faults import setup_digest
from dreamerlab.lab.ledger import append, registry_of
from dreamerlab.lab.preflight import check_environment, require_training_parts
from dreamerlab.lab.provenance import code_state, copies, manifest_code
from dreamerlab.lab.publish import publish
from dreamerlab.lab.recovery import recover
from dreamerlab.protocol.families import family
from dreamerlab.protocol.registry import Record
from dreamerlab.protocol.state import LAUNCHED, OPEN, QUEUED, Hypothesis, fold
from dreamerlab.runs.attempts import now
from dreamerlab.runs.creation import RunFiles, complete_run, prepare_run
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import Budget, Code, Manifest, read_manifest
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.surroundings import masked_words
from dreamerlab.tracking.git_state import GitSilent, git

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved
    from dreamerlab.lab.check import Examination
    from dreamerlab.tracking.code_identity import CodeIdentity
    from dreamerlab.tracking.git_state import GitState


@dataclass(frozen=True)
class Order:
    """What the command line adds to a launch."""

    command: tuple[str, ...]
    name: str | None = None
    """Alias of the run, where it has one of its own."""
    commit: bool = True


@dataclass(frozen=True)
class Surroundings:
    """Code, machine and software at this moment, as every run that is created now records them."""

    code: CodeIdentity
    git: GitState
    environment: Mapping[str, Any]
    freeze: str
    copies: Mapping[str, Path]


def surroundings(workspace: Workspace, code: CodeIdentity) -> Surroundings:
    """Return what surrounds a launch; the snapshot of the code must be there."""
    from dreamerlab.tracking import environment

    state = code_state(workspace)
    copied = copies(workspace, code, state)
    return Surroundings(code, state, environment.capture(), environment.freeze(), copied)


def run_files(manifest: Manifest, resolved: Resolved, around: Surroundings) -> RunFiles:
    """Return what is written into a new run; code and environment are filled into its manifest."""
    from dreamerlab.config.layers import to_yaml

    code, command = manifest_code(around.code, around.git, around.copies), masked_words(manifest.command)
    made = replace(manifest, code=code, environment=around.environment, command=command)
    return RunFiles(made, to_yaml(resolved.config), resolved.origins, around.git.patch, around.freeze, around.copies)


def require_trainable(workspace: Workspace, resolved: Resolved) -> None:
    """Refuse to launch what could not be trained here: parts that are missing, an environment that cannot be made."""
    from dreamerlab.tracking.code_identity import code_paths

    require_training_parts(workspace)
    check_environment([workspace.path] if code_paths(workspace) else [], resolved.config.env)


def launch(
    workspace: Workspace, hypothesis: Hypothesis, examined: Examination, order: Order, voice: Voice
) -> Hypothesis:
    """Put an examined hypothesis on record as running, with its runs created, and return it as it is then.

    The launch lock must be held. Raises a LabError, with nothing launched, when something on the way refuses.
    """
    from dreamerlab.tracking.code_identity import snapshot

    snapshot(workspace, examined.code)
    arms = [(hypothesis, examined.treatment)]
    baseline_run = examined.baseline_run
    if hypothesis.proposal.kind != "baseline" and baseline_run is None:
        baseline = linked(workspace, hypothesis, examined.code.identity)
        baseline_run = baseline.run
        if baseline_run is None:
            arms.insert(0, (baseline, examined.control))
    records = [state.id for state, _ in arms]
    publish(workspace, records, f"Propose {' and '.join(records)}", voice.warn, wanted=order.commit)
    try:
        around = surroundings(workspace, examined.code)
        files = [_files(state, resolved, examined, order, around) for state, resolved in arms]
        prepared = [prepare_run(workspace, one) for one in files]
        baseline_run = baseline_run or (prepared[0].id if len(arms) > 1 else None)
        # One that is launched beside another is still prepared.
        here = {run.id: run for run in prepared}
        for (state, _), run in zip(arms, prepared, strict=True):
            beside = baseline_run if state is hypothesis else None
            baseline = None if beside is None else here.get(beside) or workspace.run(beside)
            _record(workspace, state, _facts(workspace, state, run, baseline, examined))
    except BaseException:
        recover(workspace)
        raise
    runs = [complete_run(workspace, run) for run in prepared]
    publish(
        workspace,
        records,
        f"Launch {' and '.join(records)}",
        voice.warn,
        wanted=order.commit,
        also=[run.path for run in runs],
    )
    return fold(registry_of(workspace).read(hypothesis.id))


def proposal_commit(workspace: Workspace, record_id: str) -> str | None:
    """Return the commit that holds a record as it is now, or None: then no order can be proven."""
    path = str(registry_of(workspace).path(record_id))
    try:
        if git(workspace.path, "status", "--porcelain", "--untracked-files=all", "--", path).strip():
            return None
        return git(workspace.path, "log", "-1", "--format=%H", "--", path).decode().strip() or None
    except GitSilent:
        return None


def _files(
    state: Hypothesis, resolved: Resolved, examined: Examination, order: Order, around: Surroundings
) -> RunFiles:
    proposal, config = state.proposal, resolved.config
    metric = METRIC if proposal.expectation is None else proposal.expectation.metric
    manifest = Manifest(
        id="",
        kind="baseline" if proposal.kind == "baseline" else "treatment",
        env=proposal.base.env,
        family=family(proposal.base.env, resolved.flat),
        created_at=now(),
        seeds=proposal.plan.seeds,
        budget=Budget(config.budget.unit, config.budget.amount),
        code=Code(around.code.identity),
        name=order.name if state.id == examined.hypothesis else None,
        command=order.command,
        hypothesis=state.id,
        score=f"{proposal.plan.reducer} of {metric}",
    )
    return run_files(manifest, resolved, around)


def _facts(
    workspace: Workspace, state: Hypothesis, run: RunDirectory, baseline: RunDirectory | None, examined: Examination
) -> dict[str, Any]:
    """Return the data of the event `launched`."""
    runs = [run] if baseline is None else [run, baseline]
    return {
        "run": run.id,
        "baseline_run": None if baseline is None else baseline.id,
        "code": {one.id: read_manifest(one.manifest_path).code.identity for one in runs},
        "sealed": {one.id: setup_digest(one) for one in runs},
        "proposal_commit": proposal_commit(workspace, state.id),
        "dirty": examined.dirty,
        "caveats": list(examined.caveats),
        "gates": list(examined.passed),
    }


def _record(workspace: Workspace, state: Hypothesis, facts: dict[str, Any]) -> None:
    def still_open(record: Record) -> None:
        phase = fold(record).phase
        if phase not in (OPEN, QUEUED):
            raise Conflict(f"{state.id} is {phase} already", hint=f"dreamerlab show {state.id}")

    append(workspace, state.id, LAUNCHED, facts, provided=still_open)
