"""`list`: one line per hypothesis and one per run, newest first, from the small files alone.

Only what is shown is read: the newest thirty of each, unless all are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dreamerlab.errors import LabError
from dreamerlab.ids import parse_id
from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.hypothesis import Proposal
from dreamerlab.protocol.registry import HYPOTHESIS
from dreamerlab.protocol.state import OPEN, Hypothesis, fold
from dreamerlab.protocol.tally import champions
from dreamerlab.report.hypothesis_words import short_expectation, value
from dreamerlab.report.verdict_words import effect, figures_of, is_no_result, state_words
from dreamerlab.report.wording import amount, figure, seeds_text, state_counts
from dreamerlab.runs.store import RunRow, Workspace, newest_runs, run_ids
from dreamerlab.tables import Table

NEWEST = 30
_LONGEST = 52


@dataclass(frozen=True)
class HypothesisRow:
    """One hypothesis in a listing; `state` is None and `fault` says why when its record cannot be understood."""

    id: str
    state: Hypothesis | None
    fault: str | None = None


@dataclass(frozen=True)
class Listing:
    """The rows that were asked for, newest first, and how many older ones were left out."""

    hypotheses: Sequence[HypothesisRow] | None
    """None when they were not asked for."""
    runs: Sequence[RunRow] | None
    older_hypotheses: int = 0
    older_runs: int = 0


def select(
    workspace: Workspace, *, hypotheses: bool = True, runs: bool = True, everything: bool = False, env: str | None
) -> Listing:
    """Return the newest hypotheses and runs of `workspace`, of one environment if `env` is given."""
    asked, made = None, None
    older_hypotheses = older_runs = 0
    if hypotheses:
        found = (one for one in _newest_hypotheses(workspace) if env is None or _is_about(one, env))
        asked = list(found if everything else islice(found, NEWEST))
        # Of all environments the ids alone tell how many more there are; of one, the rest has to be read.
        older_hypotheses = _count(workspace) - len(asked) if env is None else sum(1 for _ in found)
    if runs:
        rows = (row for row in newest_runs(workspace) if env is None or (row.manifest and row.manifest.env == env))
        made = list(rows if everything else islice(rows, NEWEST))
        older_runs = len(run_ids(workspace)) - len(made) if env is None else sum(1 for _ in rows)
    return Listing(asked, made, older_hypotheses, older_runs)


def hypothesis_table(rows: Sequence[HypothesisRow]) -> Table:
    """Return hypotheses as a table: what each asked, where it stands, the figure that answers it."""
    table = Table(("hypothesis", "name", "kind", "env", "seeds", "state", "effect", "proposed", "change", "expects"))
    leading = {one.hypothesis for one in champions(row.state for row in rows if row.state is not None).values()}
    for row in rows:
        state = row.state
        if state is None:
            table.add(row.id, None, None, None, None, f"unreadable: {row.fault}", *[None] * 4)
            continue
        made = state.proposal
        proposed = state.proposed_at[:10]
        cells = (
            made.name,
            made.kind,
            made.base.env,
            seeds_text(made.plan.seeds),
            _stands(state, leads=row.id in leading),
            _effect(state),
        )
        table.add(row.id, *cells, proposed, shortened(changed(made)), shortened(short_expectation(made)))
    return table


def run_table(rows: Sequence[RunRow]) -> Table:
    """Return runs as a table."""
    columns = ("run", "name", "hypothesis", "kind", "env", "seeds", "state", "budget", "score", "created")
    table = Table(columns, frozenset({"score"}))
    for row in rows:
        if row.manifest is None:
            table.add(row.id, None, None, None, None, None, f"unreadable: {row.fault}", None, None, None)
            continue
        made, budget = row.manifest, row.manifest.budget
        states = state_counts(trial.state for trial in row.trials)
        created = made.created_at[:16].replace("T", " ")
        asked = amount(budget.amount, budget.unit)
        named = (made.name, made.hypothesis, made.kind, made.env, seeds_text(made.seeds))
        table.add(row.id, *named, states, asked, _score(row), created)
    return table


def to_data(listing: Listing) -> dict[str, Any]:
    """Return the listing as JSON-ready values: `hypotheses` and `runs`, those of them that were asked for."""
    data: dict[str, Any] = {}
    if listing.hypotheses is not None:
        data["hypotheses"] = [_hypothesis_data(row) for row in listing.hypotheses]
    if listing.runs is not None:
        data["runs"] = [_run_data(row) for row in listing.runs]
    return data


def first_run(workspace: Workspace, env: str | None = None) -> str:
    """Return the command that makes the first run of a workspace: of what is proposed, else of a baseline."""
    waiting = (row for row in _newest_hypotheses(workspace) if row.state is not None and row.state.phase == OPEN)
    found = [parse_id(row.id, HYPOTHESIS) for row in waiting if env is None or _is_about(row, env)]
    if found and found[-1] is not None:
        return f"dreamerlab run H{found[-1].number}"
    return f"dreamerlab run --baseline --env {env or 'cartpole'} --experiment nano --seeds 3"


def mean_score(row: RunRow) -> float | None:
    """Return the mean score over all declared seeds, or None while one of them has none."""
    scores = [trial.score for trial in row.trials]
    known = [score for score in scores if score is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(scores) else None


def changed(proposal: Proposal) -> str:
    """Return what a hypothesis changes in a few words: `optimizer.lr_actor 4e-5 -> 2e-5`."""
    if proposal.code is not None:
        return f"code: {proposal.code}"
    parts = [f"{one.key} {value(one.before)} -> {value(one.after)}" for one in proposal.changes]
    return ", ".join(parts) or "nothing"


def shortened(text: str, limit: int = _LONGEST) -> str:
    """Return `text` on one line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 3].rstrip()}..."


def _newest_hypotheses(workspace: Workspace) -> Iterator[HypothesisRow]:
    registry = registry_of(workspace)
    for record_id in map(str, reversed(registry.ids(HYPOTHESIS))):
        try:
            yield HypothesisRow(record_id, fold(registry.read(record_id)))
        except LabError as error:
            yield HypothesisRow(record_id, None, error.message)


def _count(workspace: Workspace) -> int:
    return len(registry_of(workspace).ids(HYPOTHESIS))


def _is_about(row: HypothesisRow, env: str) -> bool:
    return row.state is not None and row.state.proposal.base.env == env


def _stands(state: Hypothesis, *, leads: bool) -> str:
    words = [state_words(state)]
    words += ["adopted" if leads else "adopted once"] if state.adopted_at else []
    words += ["RECORD DAMAGED"] if state.faults else []
    return ", ".join(words)


def _effect(state: Hypothesis) -> str | None:
    figures = figures_of(state.verdict)
    return None if not figures or is_no_result(state.verdict) else effect(figures, state.proposal.expectation)


def _score(row: RunRow) -> str | None:
    mean = mean_score(row)
    if mean is None:
        return None
    return f"{figure(mean)} (n={len(row.trials)}{', pilot' if row.manifest and row.manifest.kind == 'pilot' else ''})"


def _hypothesis_data(row: HypothesisRow) -> dict[str, Any]:
    state = row.state
    if state is None:
        return {"hypothesis": row.id, "fault": row.fault}
    made = state.proposal
    return {
        "hypothesis": row.id,
        "name": made.name,
        "kind": made.kind,
        "env": made.base.env,
        "family": made.family,
        "sentence": made.sentence,
        "reading": made.reading,
        "seeds": list(made.plan.seeds),
        "proposed_at": state.proposed_at,
        "phase": state.phase,
        "outcome": (state.verdict or {}).get("outcome"),
        "label": (state.verdict or {}).get("label"),
        "qualifiers": list((state.verdict or {}).get("qualifiers") or ()),
        "effect": _effect(state),
        "run": state.run,
        "baseline_run": state.baseline_run,
        "adopted": state.adopted_at is not None,
        "faults": list(state.faults),
    }


def _run_data(row: RunRow) -> dict[str, Any]:
    if row.manifest is None:
        return {"run": row.id, "fault": row.fault}
    made = row.manifest
    return {
        "run": row.id,
        "name": made.name,
        "hypothesis": made.hypothesis,
        "kind": made.kind,
        "env": made.env,
        "family": made.family,
        "created_at": made.created_at,
        "budget": {"unit": made.budget.unit, "amount": made.budget.amount},
        "reducer": made.score,
        "mean_score": mean_score(row),
        "trials": [
            {"seed": trial.status.seed, "state": trial.state, "score": trial.score, "env_steps": trial.status.env_steps}
            for trial in row.trials
        ],
    }
