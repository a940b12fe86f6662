"""The score of every seed of a run by any reducer, also by another one than the run was started with.

From committed text, and by the rule of the verdict (`lab.judge`): a trial that diverged or that a declared kill rule
ended takes the fail score; one that a look spared was never needed; one that is not over has a score so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dreamerlab.lab.judge import spared_seeds
from dreamerlab.lab.show import RunDetails, TrialDetails
from dreamerlab.metrics import is_return
from dreamerlab.protocol.hypothesis import Plan
from dreamerlab.protocol.state import TRIAL_KILLED, Hypothesis
from dreamerlab.runs.reducers import Reducer, Scale, Score, curve_of, parse_reducer, reduce, score
from dreamerlab.runs.status import read_status

DEFAULT_METRIC = "eval/return_mode"


class SeedScore(NamedTuple):
    """The score of one seed, or why there is none."""

    value: float | None
    so_far: bool
    reason: str | None
    failed: str | None = None
    """Why it is the fail score."""
    censored: bool = False
    """Whether it is a time that the budget cut off."""
    spared: bool = False
    """Whether a declared look ended the run before this seed was needed."""


def reducer_of(hypothesis: Hypothesis) -> str:
    """Return the reducer and metric that a hypothesis is judged by, as a manifest spells them."""
    made = hypothesis.proposal
    metric = DEFAULT_METRIC if made.expectation is None else made.expectation.metric
    return f"{made.plan.reducer} of {metric}"


def seed_scores(details: RunDetails, rule: str, owner: Hypothesis | None, plan: Plan | None) -> dict[int, SeedScore]:
    """Return seed -> score by the reducer `rule`.

    `owner` is the hypothesis the run was trained for, which knows of kill rules and looks; `plan` the one whose fail
    score counts (None: the task's).
    """
    reducer = parse_reducer(rule)
    run_id = details.manifest.id
    killed, spared = _killed(run_id, owner), spared_seeds(owner, run_id)
    return {trial.view.seed: _seed_score(details, trial, reducer, killed, spared, plan) for trial in details.trials}


def _seed_score(
    details: RunDetails,
    trial: TrialDetails,
    reducer: Reducer,
    killed: Mapping[int, str],
    spared: frozenset[int],
    plan: Plan | None,
) -> SeedScore:
    view = trial.view
    directory = details.run.trial(view.seed)
    fail, budget = _fail_score(details, reducer, plan)
    status = read_status(directory)
    why = killed.get(view.seed)
    if why is None and view.state == "failed" and status.diverged:
        why = f"diverged at env step {status.env_steps:,}"
    if why is None and view.state == "stopped" and view.seed in spared:
        return SeedScore(None, so_far=False, reason="a declared look ended the run without it", spared=True)
    if why is None and view.state == "finished":
        if reducer == parse_reducer(details.manifest.score) and not reducer.is_time and trial.score is not None:
            return SeedScore(trial.score, trial.so_far, None)
        found = score(directory, reducer, fail=fail, budget_env_steps=budget or status.env_steps)
        if not found.not_finite:
            return _finite(found, so_far=trial.so_far)
        why = found.reason or "not finite"
    if why is not None:
        reason = None if fail is not None else f"{why}, and no fail score is known"
        return SeedScore(fail, so_far=False, reason=reason, failed=why, censored=reducer.is_time)
    curve = curve_of(directory, reducer.metric)
    scale = Scale(details.reference["random"], details.reference["solved"])
    return _finite(reduce(curve, reducer, scale), so_far=True)


def _finite(found: Score, *, so_far: bool) -> SeedScore:
    value = found.value if found.value is not None and found.value - found.value == 0 else None
    return SeedScore(value, so_far, found.reason, found.failed, found.censored)


def _fail_score(details: RunDetails, reducer: Reducer, plan: Plan | None) -> tuple[float | None, int | None]:
    """Return the fail score, and the env steps at which a time is cut off."""
    budget = details.manifest.budget
    env_steps = budget.amount if budget.unit == "env_steps" else None
    if plan is not None and plan.fail_score is not None:
        return plan.fail_score, env_steps
    if reducer.is_time:
        return None if env_steps is None else float(env_steps), env_steps
    return details.reference["fail"] if is_return(reducer.metric) else None, env_steps


def _killed(run_id: str, owner: Hypothesis | None) -> dict[int, str]:
    events = () if owner is None else owner.trials
    return {
        int(event["seed"]): f"ended by the declared rule {event.get('rule')} at env step {event.get('env_steps')}"
        for event in events
        if event["event"] == TRIAL_KILLED and event["run"] == run_id
    }
