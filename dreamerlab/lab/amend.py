"""`amend`: a hypothesis is said again before its launch, and both wordings stay readable.

What is not said again stays as it was frozen, and the whole is read anew as `propose` reads it. From the launch on
nothing can be amended: knowing a result, one would.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from dreamerlab.atomic import to_json
from dreamerlab.errors import Conflict, GateRefused, UsageError
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.ledger import append, registry_of
from dreamerlab.lab.proposal_base import merged
from dreamerlab.lab.proposal_plan import PlanRequest
from dreamerlab.lab.proposal_words import read_request
from dreamerlab.lab.propose import ProposeRequest, propose
from dreamerlab.lab.publish import publish
from dreamerlab.protocol.chain import Record
from dreamerlab.protocol.hypothesis import DEFAULT_REDUCER, KillRule, Proposal
from dreamerlab.protocol.state import AMENDED, OPEN, QUEUED, Hypothesis, fold
from dreamerlab.runs.creation import check_alias
from dreamerlab.runs.store import Workspace

_SAID_ANEW = ("forecast",)
"""Parts that follow from the others, and alone are no amendment."""


@dataclass(frozen=True)
class Amended:
    """What a hypothesis says now, and which parts of it are new."""

    id: str
    proposal: Proposal
    changes: dict[str, Any]


def amend(
    workspace: Workspace, text: str, said: ProposeRequest, why: str | None, voice: Voice, *, commit: bool = True
) -> Amended:
    """Store what `said` says otherwise than the hypothesis does, with the reason, and commit that.

    GateRefused from the launch on, UsageError when nothing changes or no reason is given.
    """
    registry = registry_of(workspace)
    state = fold(registry.read(registry.find(text)))
    _check_open(state)
    if not (why or "").strip():
        raise UsageError(
            f"amending {state.id} needs a reason: both wordings stay in the log",
            hint=f'dreamerlab amend {state.id} ... --why "..."',
        )
    frozen = state.proposal
    made = propose(workspace, _said_again(frozen, said), voice, rehearse=True).proposal
    name = frozen.name if said.name is None else _free_name(workspace, said.name, state.id)
    made = replace(made, name=name, why=frozen.why, queued=frozen.queued, follows=frozen.follows, extra=frozen.extra)
    before, after = _plain(frozen), _plain(made)
    changes = {key: value for key, value in after.items() if value != before.get(key)}
    if not changes.keys() - set(_SAID_ANEW):
        raise UsageError(f"{state.id} says that already", hint=f"see what it says: dreamerlab show {state.id}")
    append(
        workspace,
        state.id,
        AMENDED,
        {"changes": changes, "why": why},
        provided=_unchanged_since(before),
        report=voice.warn,
    )
    publish(workspace, [state.id], f"Amend {state.id} before its launch", voice.warn, wanted=commit)
    return Amended(state.id, made, changes)


def _said_again(frozen: Proposal, said: ProposeRequest) -> ProposeRequest:
    """Return the request that gives the frozen hypothesis with what is `said` in place of its own words."""
    if frozen.replicates is not None:
        return replace(said, replicates=frozen.replicates, name=None)
    new_words = said.sentence is not None or said.says_something
    new_base = bool(said.env or said.experiment or said.overrides or said.budget or said.baseline)
    base = frozen.base
    same_env = said.env in (None, base.env)
    return replace(
        said,
        sentence=said.sentence if new_words else frozen.sentence,
        env=None if said.baseline else said.env or base.env,
        experiment=None if said.baseline else said.experiment or (base.experiment if same_env else None),
        overrides=said.overrides if said.baseline else merged(base.overrides, said.overrides),
        baseline=said.baseline if new_base or base.run is None else base.run,
        plan=_plan_again(frozen, said.plan, new_words=_form(said) if new_words else None, new_base=new_base),
        new_family=said.new_family or frozen.new_family,
        reason=said.reason or frozen.reason,
        name=None,
    )


def _form(said: ProposeRequest) -> str:
    expected = read_request(said)[1].expectation
    return "nothing" if expected is None else expected.form


def _plan_again(frozen: Proposal, said: PlanRequest, *, new_words: str | None, new_base: bool) -> PlanRequest:
    """Return what was planned where it was chosen, and nothing where it followed from words that are new now."""
    plan = frozen.plan
    chosen = plan.reducer != DEFAULT_REDUCER and (frozen.expectation is None or frozen.expectation.form != "reaches")
    keep_reducer = new_words is None or (chosen and new_words != "reaches")
    keep_score = not (new_words or new_base or said.reducer) and plan.fail_score is not None
    return PlanRequest(
        seeds=said.seeds or _named(plan.seeds),
        baseline_seeds=said.baseline_seeds or (_named(plan.baseline_seeds) if said.seeds is None else None),
        reducer=said.reducer or (plan.reducer if keep_reducer else None),
        looks=said.looks or (",".join(map(str, plan.looks)) if plan.looks and said.seeds is None else None),
        kill=said.kill or tuple(_rule_text(rule) for rule in plan.kill),
        fail_score=said.fail_score or (repr(plan.fail_score) if keep_score else None),
    )


def _named(seeds: tuple[int, ...]) -> str | None:
    """Return seeds one by one; a lone number would say how many."""
    return ",".join(f"{seed}-{seed}" for seed in seeds) or None


def _rule_text(rule: KillRule) -> str:
    return f"{rule.metric} {rule.operator} {rule.value!r} at {rule.env_steps} env_steps"


def _free_name(workspace: Workspace, name: str, own: str) -> str:
    check_alias(name)
    holder = registry_of(workspace).names().get(name)
    if holder not in (None, own):
        raise Conflict(f"the name '{name}' belongs to {holder}", hint="choose another --name")
    return name


def _check_open(state: Hypothesis) -> None:
    if state.phase not in (QUEUED, OPEN):
        raise GateRefused(
            f"{state.id} is {state.phase}: what was launched stays as it was said",
            hint=f'say it anew, as a hypothesis of its own: dreamerlab propose "..." --follows {state.id}',
        )


def _plain(proposal: Proposal) -> dict[str, Any]:
    """Return a proposal as it reads from disk, so that two can be compared."""
    return json.loads(to_json(proposal.to_dict()))


def _unchanged_since(before: dict[str, Any]) -> Callable[[Record], None]:
    def check(record: Record) -> None:
        state = fold(record)
        _check_open(state)
        if _plain(state.proposal) != before:
            raise Conflict(f"{state.id} was amended by another process", hint=f"dreamerlab show {state.id}")

    return check
