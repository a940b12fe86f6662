"""Baselines: the hypothesis that nothing is changed, opened by `run --baseline` or beside a treatment that needs one.

A baseline that was opened for a hypothesis follows it: same layers, same plan, its own record. One that was opened
and never launched, because the command was killed in between, is found again and not opened twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dreamerlab.lab.ledger import open_record, registry_of
from dreamerlab.lab.proposal_plan import PlanRequest, make_plan
from dreamerlab.protocol.hypothesis import Base, Proposal
from dreamerlab.protocol.registry import HYPOTHESIS
from dreamerlab.protocol.state import OPEN, PROPOSED, RUNNING, Hypothesis, fold, hypotheses
from dreamerlab.runs.status import ONGOING, effective_state, read_status
from dreamerlab.runs.store import Workspace

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved

METRIC = "eval/return_mode"
"""What a baseline that predicts nothing is scored by."""
_SENTENCE = "nothing"


def measurement(base: Base, resolved: Resolved, seeds: str | None) -> Proposal:
    """Return the proposal of `run --baseline`: to measure these layers, which give `resolved`, predicting nothing."""
    from dreamerlab.protocol.families import family

    plan = make_plan(PlanRequest(seeds=seeds), resolved.config, None, METRIC, baseline=True)
    of = family(base.env, resolved.flat)
    return Proposal("baseline", _SENTENCE, _SENTENCE, base, plan, of, of)


def opened(workspace: Workspace, proposal: Proposal) -> str:
    """Return the id of an open hypothesis that is exactly `proposal` and was never launched, opening one if need be."""
    wanted = proposal.to_dict()
    for state in hypotheses(registry_of(workspace)):
        if state.phase == OPEN and state.proposal.kind == "baseline" and state.proposal.to_dict() == wanted:
            return state.id
    return open_record(workspace, HYPOTHESIS, PROPOSED, wanted)


def halted(workspace: Workspace, proposal: Proposal, code: str) -> Hypothesis | None:
    """Return the hypothesis that is exactly `proposal` and was interrupted, on this code: to go on with."""
    wanted = proposal.to_dict()
    for state in hypotheses(registry_of(workspace)):
        if state.phase != RUNNING or state.run is None or state.proposal.to_dict() != wanted:
            continue
        trials = workspace.run(state.run).trials()
        under_way = any(effective_state(read_status(trial)) in ONGOING for trial in trials)
        if trials and not under_way and _code_of(state) == code:
            return state
    return None


def linked(workspace: Workspace, hypothesis: Hypothesis, code: str) -> Hypothesis:
    """Return the baseline hypothesis that goes with a treatment: launched on this code, open, or opened now."""
    for state in hypotheses(registry_of(workspace)):
        mine = state.proposal.kind == "baseline" and state.proposal.follows == hypothesis.id
        if mine and state.phase == RUNNING and _code_of(state) == code:
            return state
    record_id = opened(workspace, follower(hypothesis))
    return fold(registry_of(workspace).read(record_id))


def follower(hypothesis: Hypothesis) -> Proposal:
    """Return the proposal of the baseline that a hypothesis needs: its base, with all of its baseline seeds."""
    proposal = hypothesis.proposal
    # A look decides about the treatment's seeds only: a baseline serves later hypotheses, and always with all of its.
    plan = replace(proposal.plan, seeds=proposal.plan.baseline_seeds, baseline_seeds=(), looks=())
    return Proposal(
        kind="baseline",
        sentence=_SENTENCE,
        reading=_SENTENCE,
        base=replace(proposal.base, run=None),
        plan=plan,
        family=proposal.baseline_family,
        baseline_family=proposal.baseline_family,
        follows=hypothesis.id,
    )


def _code_of(state: Hypothesis) -> str | None:
    """Return the code identity that a launched hypothesis' own run is on record with."""
    return dict(state.launch.get("code") or {}).get(state.run)
