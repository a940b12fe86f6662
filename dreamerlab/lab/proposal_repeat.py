"""`propose --replicates H`: the same prediction once more, on fresh seeds.

A judged hypothesis never gets more seeds, since they would be added knowing the result; repeating it is a hypothesis of
its own. Change, expectation, base, reducer, kill rules and budget are taken over as they were frozen.
"""

from __future__ import annotations

from dataclasses import dataclass

from dreamerlab.errors import GateRefused, UsageError
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.proposal_base import spelled
from dreamerlab.lab.proposal_words import ProposeRequest
from dreamerlab.protocol.hypothesis import Proposal
from dreamerlab.protocol.sentence import SaidChange, Sentence, parse_sentence
from dreamerlab.protocol.state import DONE_JUDGED, DONE_MEASURED, DONE_WITHDRAWN, fold, hypotheses
from dreamerlab.runs.store import Workspace


@dataclass(frozen=True)
class Repeated:
    """What is repeated: the hypothesis as it was frozen, its sentence, and every seed it was trained on so far."""

    id: str
    frozen: Proposal
    text: str
    sentence: Sentence
    used: tuple[int, ...]


def open_repetition(workspace: Workspace, request: ProposeRequest) -> Repeated:
    """Return what `--replicates` names; GateRefused before its verdict, UsageError when something else is said too."""
    assert request.replicates is not None
    registry = registry_of(workspace)
    state = fold(registry.read(registry.find(request.replicates)))
    if state.phase == DONE_WITHDRAWN:
        raise GateRefused(
            f"{state.id} was withdrawn; only what has its verdict can be repeated",
            hint=f'propose it anew: dreamerlab propose "{state.proposal.sentence}" --follows {state.id}',
        )
    if state.phase not in (DONE_JUDGED, DONE_MEASURED):
        raise GateRefused(
            f"{state.id} is {state.phase}; only what has its verdict can be repeated",
            hint=f"dreamerlab run {state.id}, or declare more seeds in a hypothesis of their own",
        )
    frozen = state.proposal
    _refuse_more(request, state.id, frozen)
    parsed = parse_sentence(frozen.reading)
    changes = tuple(SaidChange(one.key, spelled(one.after), spelled(one.before)) for one in frozen.changes)
    used = set(frozen.plan.seeds)
    for other in hypotheses(registry):
        if other.proposal.replicates == state.id:
            used |= set(other.proposal.plan.seeds)
    sentence = Sentence(changes, frozen.code, parsed.expectation)
    return Repeated(state.id, frozen, frozen.sentence, sentence, tuple(sorted(used)))


def _refuse_more(request: ProposeRequest, repeated: str, frozen: Proposal) -> None:
    said = " ".join((request.sentence or frozen.sentence).split())
    if said not in (" ".join(frozen.sentence.split()), frozen.reading) or request.says_something:
        raise UsageError(
            f"--replicates {repeated} repeats its sentence, and another one is given",
            hint=f"leave it out, or propose it on its own: --follows {repeated}",
        )
    plan = request.plan
    given = {
        "--env": request.env,
        "--experiment": request.experiment,
        "--set": request.overrides,
        "--budget": request.budget,
        "--baseline": request.baseline,
        "--reducer": plan.reducer,
        "--kill": plan.kill,
        "--fail-score": plan.fail_score,
    }
    named = [flag for flag, value in given.items() if value]
    if named:
        raise UsageError(
            f"a repetition takes everything from {repeated}, and {named[0]} would change it",
            hint=f"leave it out, or propose it on its own: --follows {repeated} in place of --replicates",
        )
