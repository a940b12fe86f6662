"""`adopt` and `withdraw`: the steps in a hypothesis' life that a person decides.

What a person may decide is narrow: a champion has been judged or measured on enough seeds, and a hypothesis that has a
verdict keeps it. Withdrawing after the launch is allowed and counts: it stays in the tally of its family. Changing a
hypothesis before its launch is `amend.py`, taking it from the queue `queue.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dreamerlab.errors import Conflict, GateRefused, UsageError
from dreamerlab.ids import letter_of
from dreamerlab.lab.ledger import append, registry_of
from dreamerlab.lab.mirror import tell
from dreamerlab.lab.proposal_base import champion_runs
from dreamerlab.lab.publish import publish
from dreamerlab.protocol.chain import Record
from dreamerlab.protocol.hypothesis import FEWEST_SEEDS
from dreamerlab.protocol.rules import SUPPORTED
from dreamerlab.protocol.state import (
    ADOPTED,
    DONE_JUDGED,
    DONE_MEASURED,
    DONE_WITHDRAWN,
    OPEN,
    QUEUED,
    RUNNING,
    WITHDRAWN,
    Hypothesis,
    fold,
    hypotheses,
)
from dreamerlab.protocol.verdict import INCOMPLETE, INVALID, UNREPLICATED, headline
from dreamerlab.runs.status import ONGOING
from dreamerlab.runs.store import Workspace, find_run, run_row

_NO_CHAMPION = (INVALID, INCOMPLETE, UNREPLICATED)


@dataclass(frozen=True)
class Adopted:
    """A new champion."""

    hypothesis: str
    family: str
    run: str
    before: str | None
    """The champion until now."""


def find_hypothesis(workspace: Workspace, text: str) -> Hypothesis:
    """Return the hypothesis meant by an id, a unique prefix, a name, or its run."""
    registry = registry_of(workspace)
    if letter_of(text) != "R":
        return fold(registry.read(registry.find(text)))
    run = find_run(workspace, text)
    owner = next((state for state in hypotheses(registry) if state.run == run.id), None)
    if owner is None:
        raise GateRefused(
            f"{run.id} belongs to no hypothesis, so no verdict stands behind it",
            hint="measure it as a baseline: dreamerlab run --baseline",
        )
    return owner


def adopt(
    workspace: Workspace, text: str, why: str | None, warn: Callable[[str], None], *, wanted: bool = True
) -> Adopted:
    """Make the run of a judged or measured hypothesis the champion of its family, and commit that.

    GateRefused for what carries no verdict, Conflict when it is the champion already.
    """
    state = find_hypothesis(workspace, text)
    _check_adoptable(state, why)
    family, run = state.proposal.family, str(state.run)
    before = champion_runs(workspace).get(family)
    if before == run:
        raise Conflict(f"{run} is the champion of {family} already", hint=f"dreamerlab show {state.id}")

    def still(record: Record) -> None:
        _check_adoptable(fold(record), why)

    data = {"family": family, "run": run, "why": why, "before": before}
    append(workspace, state.id, ADOPTED, data, provided=still, report=warn)
    publish(workspace, [state.id], f"Adopt {run} as champion of {family} ({state.id})", warn, wanted=wanted)
    return Adopted(state.id, family, run, before)


def withdraw(
    workspace: Workspace, text: str, why: str | None, warn: Callable[[str], None], *, wanted: bool = True
) -> Hypothesis:
    """Withdraw a hypothesis that has no verdict yet, with its reason, commit that, and return it as it is now.

    GateRefused once there is a verdict, Conflict while its trials run.
    """
    state = find_hypothesis(workspace, text)
    if not (why or "").strip():
        raise UsageError(
            f"withdrawing {state.id} needs a reason: it stays in the log",
            hint=f'dreamerlab withdraw {state.id} --why "..."',
        )

    def allowed(record: Record) -> None:
        _check_withdrawable(workspace, fold(record))

    append(workspace, state.id, WITHDRAWN, {"why": why}, provided=allowed, report=warn)
    publish(workspace, [state.id], f"Withdraw {state.id}", warn, wanted=wanted)
    tell(workspace, [state.run] if state.run is not None else [], warn)
    return fold(registry_of(workspace).read(state.id))


def _check_adoptable(state: Hypothesis, why: str | None) -> None:
    if state.phase not in (DONE_JUDGED, DONE_MEASURED):
        todo = {
            QUEUED: f"take it from the queue and run it: dreamerlab run {state.id}",
            OPEN: f"run it first: dreamerlab run {state.id}",
            RUNNING: f"wait for its trials, or continue them: dreamerlab resume {state.run}",
            DONE_WITHDRAWN: "propose it again, and run it",
        }
        raise GateRefused(f"{state.id} is {state.phase}: a champion must have been judged", hint=todo[state.phase])
    verdict = state.verdict or {}
    outcome = str(verdict.get("outcome", ""))
    if outcome in _NO_CHAMPION:
        raise GateRefused(
            f"{state.id} is {headline(verdict)}: that says nothing a champion could stand on",
            hint=f'repeat it on fresh seeds: dreamerlab propose "{state.proposal.sentence}" --replicates {state.id}',
        )
    if len(state.proposal.plan.seeds) < FEWEST_SEEDS:
        raise GateRefused(
            f"{state.id} has {len(state.proposal.plan.seeds)} seeds: a champion needs at least {FEWEST_SEEDS}, "
            "or luck becomes the reference",
            hint=f'dreamerlab propose "{state.proposal.sentence}" --seeds {FEWEST_SEEDS}',
        )
    if state.phase == DONE_JUDGED and outcome != SUPPORTED and not (why or "").strip():
        raise GateRefused(
            f"{state.id} is {headline(verdict)}: adopting it all the same needs a reason",
            hint=f'dreamerlab adopt {state.id} --why "..."',
        )


def _check_withdrawable(workspace: Workspace, state: Hypothesis) -> None:
    if state.phase == DONE_WITHDRAWN:
        raise Conflict(f"{state.id} was withdrawn already: {state.withdrawn}", hint=f"dreamerlab show {state.id}")
    if state.phase in (DONE_JUDGED, DONE_MEASURED):
        raise GateRefused(
            f"{state.id} is {state.phase}: what was found stays",
            hint=f'say what you think of it now: dreamerlab note {state.id} --conclusion "..."',
        )
    alive = [] if state.run is None else [t for t in run_row(workspace.run(state.run)).trials if t.state in ONGOING]
    if alive:
        raise Conflict(
            f"{len(alive)} trials of {state.id} are at work (process {alive[0].status.pid})",
            hint="stop them first with Ctrl-C; then withdraw",
        )
