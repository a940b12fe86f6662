"""The evidence of a hypothesis, collected from committed text, and the verdict on it.

Collects both arms (score, or why there is none), the protocol's faults, and the marks of the launch; the rules are
`protocol.verdict`. Computes and writes nothing: whether and when it is put on record is `settle.py`. The same records
give the same verdict to the byte, in any clone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dreamerlab.errors import LabError
from dreamerlab.lab.faults import find_faults, owner_of, summary_digest
from dreamerlab.lab.ledger import registry_of
from dreamerlab.metrics import ALIASES, is_return
from dreamerlab.protocol.figures import Arm
from dreamerlab.protocol.hypothesis import Expectation, Proposal
from dreamerlab.protocol.sequential import DECISIVE, first_seeds, stages
from dreamerlab.protocol.state import DONE_JUDGED, JUDGED, LOOK, MEASURED, TRIAL_KILLED, Hypothesis, fold
from dreamerlab.protocol.verdict import DIRTY, ORDER_UNPROVEN, Levels, Verdict, judge, measure, verdict_from_dict
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.reducers import Reducer, Scale, Score, curve_of, parse_reducer, recorded_reference, reduce, score
from dreamerlab.runs.status import effective_state, read_status
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.summary import read_summary

MEASURED_METRIC = "eval/return_mode"
"""What a baseline that predicts nothing is scored by."""


@dataclass(frozen=True)
class Evidence:
    """Everything a verdict is computed from."""

    hypothesis: Hypothesis
    treatment: Arm
    baseline: Arm | None
    ended: frozenset[int]
    """Seeds of the treatment after which nothing more comes."""
    baseline_ended: bool
    faults: tuple[str, ...]
    marks: tuple[str, ...]
    levels: Levels

    @property
    def proposal(self) -> Proposal:
        """What was frozen."""
        return self.hypothesis.proposal


def collect(workspace: Workspace, hypothesis: Hypothesis) -> Evidence:
    """Return the evidence of a launched hypothesis, complete or not."""
    assert hypothesis.run is not None, hypothesis.id
    run = workspace.run(hypothesis.run)
    base = workspace.run(hypothesis.baseline_run) if hypothesis.baseline_run is not None else None
    treatment, ended = _arm(workspace, run, hypothesis)
    baseline, baseline_ended = _arm(workspace, base, hypothesis) if base is not None else (None, frozenset[int]())
    marks: list[str] = []
    if hypothesis.launch.get("dirty") or (base is not None and _dirty(workspace, base)):
        marks.append(DIRTY)
    if hypothesis.launch.get("proposal_commit") is None:
        marks.append(ORDER_UNPROVEN)
    reducer = _reducer(hypothesis.proposal)
    reference = recorded_reference(run) if is_return(reducer.metric) and not reducer.is_time else {}
    return Evidence(
        hypothesis,
        treatment,
        baseline,
        ended,
        baseline is None or (_is_here(base) and baseline_ended >= set(baseline.scores)),
        tuple(find_faults(workspace, hypothesis)),
        tuple(marks),
        Levels(reference.get("random"), reference.get("solved")),
    )


def outcomes(evidence: Evidence) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the events that the evidence gives rise to: the looks that can be taken, and the end once it is there.

    Nothing depends on when one asks: a look at k seeds is taken at the first k declared, whatever else has finished.
    """
    plan = evidence.proposal.plan
    if not evidence.baseline_ended:
        return
    if evidence.proposal.expectation is None:
        if evidence.ended >= set(plan.seeds):
            yield MEASURED, measure(evidence.proposal, evidence.treatment, MEASURED_METRIC, marks=evidence.marks)
        return
    for seeds, alpha in _stages(evidence).items():
        if not evidence.ended >= set(plan.seeds[:seeds]):
            return
        found = _verdict(evidence, seeds, alpha)
        if seeds == len(plan.seeds) or found.outcome in DECISIVE:
            yield JUDGED, found.to_dict()
            return
        yield (
            LOOK,
            {
                "seeds": seeds,
                "alpha": alpha,
                "outcome": found.outcome,
                "reasons": list(found.reasons),
                "figures": dict(found.figures),
            },
        )


def verdict_now(workspace: Workspace, hypothesis: Hypothesis) -> Verdict | None:
    """Return what can be said of a hypothesis at this moment: INCOMPLETE while a seed is out; None before its launch.

    None too for a baseline that predicts nothing.
    """
    if hypothesis.run is None or hypothesis.proposal.expectation is None:
        return None
    plan = hypothesis.proposal.plan
    evidence = collect(workspace, hypothesis)
    for event, data in outcomes(evidence):
        if event == JUDGED:
            return verdict_from_dict(data)
    return _verdict(evidence, len(plan.seeds), _stages(evidence)[len(plan.seeds)])


def recompute(workspace: Workspace, hypothesis_id: str) -> tuple[str, dict[str, Any]] | None:
    """Return the event (`judged` or `measured`) and its data as today's records give it; None while it has no end."""
    hypothesis = fold(registry_of(workspace).read(hypothesis_id))
    if hypothesis.run is None:
        return None
    ends = [pair for pair in outcomes(collect(workspace, hypothesis)) if pair[0] != LOOK]
    return ends[0] if ends else None


def _stages(evidence: Evidence) -> dict[int, float]:
    expected = evidence.proposal.expectation
    assert expected is not None, evidence.hypothesis.id
    num_baseline = len(evidence.baseline.scores) if evidence.baseline is not None else 0
    return stages(evidence.proposal.plan, expected.form, num_baseline)


def _verdict(evidence: Evidence, seeds: int, alpha: float) -> Verdict:
    proposal = evidence.proposal
    return judge(
        proposal,
        first_seeds(evidence.treatment, proposal.plan.seeds[:seeds]),
        evidence.baseline,
        evidence.faults,
        marks=evidence.marks,
        alpha=alpha,
        levels=evidence.levels,
    )


def baseline_arm(workspace: Workspace, run_id: str, proposal: Proposal) -> Arm:
    """Return an existing run as the verdict on a proposal would see it, were it the baseline."""
    return _arm(workspace, workspace.run(run_id), Hypothesis("", proposal, "", ""))[0]


def _arm(workspace: Workspace, run: RunDirectory, hypothesis: Hypothesis) -> tuple[Arm, frozenset[int]]:
    """Return one run as the verdict sees it, and the seeds that have ended."""
    made = _manifest(run)
    treatment = run.id == hypothesis.run
    declared = hypothesis.proposal.plan.seeds if treatment else (made.seeds if made is not None else ())
    owner = hypothesis if treatment or made is None else owner_of(workspace, made)
    killed = _killed(owner, run.id)
    spared = frozenset[int]() if treatment else spared_seeds(owner, run.id)
    scores: dict[int, float | None] = {}
    missing: dict[int, str] = {}
    failed: dict[int, str] = {}
    reached: dict[int, int | None] = {}
    censored: set[int] = set()
    ended: set[int] = set()
    for seed in declared:
        trial = run.trial(seed)
        state, diverged = _state(trial)
        if state == "stopped" and seed in spared:
            continue
        why = killed.get(seed) or (_divergence(trial) if state == "failed" and diverged else None)
        found = _score(trial, state, why, hypothesis.proposal)
        scores[seed] = found.value
        if state == "finished" or why is not None:
            ended.add(seed)
        if found.value is None:
            missing[seed] = found.reason or "unknown why"
        if found.failed is not None:
            failed[seed] = found.failed
        if found.censored:
            censored.add(seed)
        if (expected := hypothesis.proposal.expectation) is not None and expected.form == "reaches":
            reached[seed] = None if state != "finished" or why else _reached(trial, expected)
    digests = {seed: digest for seed in scores if (digest := summary_digest(run.trial(seed))) is not None}
    return Arm(run.id, scores, missing, failed, frozenset(censored), reached, digests), frozenset(ended)


def _state(trial: TrialDirectory) -> tuple[str, bool]:
    """Return the state of a trial and whether it diverged; finished only once its summary says so too."""
    status = read_status(trial)
    state = effective_state(status)
    if state not in ("finished", "failed"):
        return state, False
    try:
        summary = read_summary(trial)
    except LabError:
        return "unreadable", False
    if summary is None or summary.get("state") != state:
        return "not summarised", False
    return state, status.diverged and summary.get("diverged") is True


def _score(trial: TrialDirectory, state: str, why: str | None, proposal: Proposal) -> Score:
    """Return the score of a trial; `why` says why it takes the fail score, when it does."""
    reducer = _reducer(proposal)
    fail, budget = _fail_score(trial, reducer, proposal)
    if why is None and state != "finished":
        return Score(None, f"it is {state}")
    if why is None:
        found = score(trial, reducer, fail=fail, budget_env_steps=budget or read_status(trial).env_steps)
        if not found.not_finite:
            return found
        why = found.reason or "not finite"
    if fail is None:
        return Score(None, f"{why}, and no fail score was declared", failed=why)
    return Score(fail, failed=why, censored=reducer.is_time)


def _fail_score(trial: TrialDirectory, reducer: Reducer, proposal: Proposal) -> tuple[float | None, int | None]:
    """Return the fail score, and the env steps at which a time is cut off."""
    plan, expected = proposal.plan, proposal.expectation
    budget = plan.budget_amount if plan.budget_unit == "env_steps" else expected and expected.by_env_steps
    if plan.fail_score is not None:
        return plan.fail_score, budget
    if reducer.is_time:
        return None if budget is None else float(budget), budget
    return recorded_reference(trial.run).get("fail") if is_return(reducer.metric) else None, budget


def _reached(trial: TrialDirectory, expected: Expectation) -> int | None:
    metric = ALIASES.get(expected.metric, expected.metric)
    levels = recorded_reference(trial.run)
    reducer = Reducer("env_steps_to", expected.amount, metric)
    curve = curve_of(trial, metric)
    found = reduce(curve, reducer, Scale(levels.get("random"), levels.get("solved")))
    return None if found.value is None else int(found.value)


def _divergence(trial: TrialDirectory) -> str:
    status = read_status(trial)
    return f"it diverged at env step {status.env_steps:,} ({status.reason or 'no reason given'})"


def _killed(owner: Hypothesis | None, run_id: str) -> dict[int, str]:
    """Return the seeds of a run that a declared kill rule ended, with its words; they stand with the run's owner."""
    return {
        int(event["seed"]): f"the kill rule {event.get('rule')} ended it at env step {event.get('env_steps')}"
        for event in (owner.trials if owner is not None else ())
        if event["event"] == TRIAL_KILLED and event["run"] == run_id
    }


def spared_seeds(owner: Hypothesis | None, run_id: str) -> frozenset[int]:
    """Return the seeds that a look of the hypothesis they were trained for made needless: its verdict has none."""
    if owner is None or owner.run != run_id or owner.phase != DONE_JUDGED or not owner.proposal.plan.looks:
        return frozenset()
    used = dict((owner.verdict or {})["figures"]["treatment"]["seeds"])
    return frozenset(seed for seed in owner.proposal.plan.seeds if str(seed) not in used)


def _is_here(run: RunDirectory | None) -> bool:
    """Tell whether a run is in this clone at all; one that is away is waited for, and no fault of the protocol."""
    return run is not None and run.manifest_path.is_file()


def _dirty(workspace: Workspace, run: RunDirectory) -> bool:
    """Tell whether a run was launched with uncommitted code; of one that no hypothesis launched its manifest knows."""
    made = _manifest(run)
    if made is None:
        return False
    owner = owner_of(workspace, made)
    return bool(made.code.dirty if owner is None else owner.launch.get("dirty"))


def _reducer(proposal: Proposal) -> Reducer:
    metric = MEASURED_METRIC if proposal.expectation is None else proposal.expectation.metric
    return parse_reducer(f"{proposal.plan.reducer} of {metric}")


def _manifest(run: RunDirectory) -> Manifest | None:
    try:
        return read_manifest(run.manifest_path)
    except LabError:
        return None
