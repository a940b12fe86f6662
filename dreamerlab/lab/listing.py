"""`list`: one line per run, newest first, from the small files alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dreamerlab.report.wording import amount, figure, seeds_text, state_counts
from dreamerlab.runs.store import RunRow, Workspace, newest_runs, run_ids
from dreamerlab.tables import Table

NEWEST = 30


@dataclass(frozen=True)
class Listing:
    """The rows that were asked for, newest first, and how many older ones were left out."""

    rows: Sequence[RunRow]
    left_out: int
    env: str | None = None


def select_runs(workspace: Workspace, *, everything: bool, env: str | None) -> Listing:
    """Return the newest runs of `workspace`, of one environment if `env` is given."""
    rows = newest_runs(workspace)
    if env is not None:
        rows = (row for row in rows if row.manifest is not None and row.manifest.env == env)
    if everything:
        return Listing(list(rows), 0, env)
    shown = list(islice(rows, NEWEST))
    # Of all environments the ids alone tell how many more there are; of one, the rest has to be read.
    left_out = len(run_ids(workspace)) - len(shown) if env is None else sum(1 for _ in rows)
    return Listing(shown, left_out, env)


def to_table(listing: Listing) -> Table:
    """Return the listing as a table."""
    table = Table(("run", "name", "kind", "env", "seeds", "state", "budget", "score", "created"), frozenset({"score"}))
    for row in listing.rows:
        if row.manifest is None:
            table.add(row.id, None, None, None, None, f"unreadable: {row.fault}", None, None, None)
            continue
        made, budget = row.manifest, row.manifest.budget
        states = state_counts(trial.state for trial in row.trials)
        created = made.created_at[:16].replace("T", " ")
        asked = amount(budget.amount, budget.unit)
        table.add(row.id, made.name, made.kind, made.env, seeds_text(made.seeds), states, asked, _score(row), created)
    return table


def to_data(listing: Listing) -> list[dict[str, Any]]:
    """Return the listing as JSON-ready values."""
    return [_data(row) for row in listing.rows]


def mean_score(row: RunRow) -> float | None:
    """Return the mean score over all declared seeds, or None while one of them has none."""
    scores = [trial.score for trial in row.trials]
    known = [score for score in scores if score is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(scores) else None


def _score(row: RunRow) -> str | None:
    mean = mean_score(row)
    if mean is None:
        return None
    return f"{figure(mean)} (n={len(row.trials)}{', pilot' if row.manifest and row.manifest.kind == 'pilot' else ''})"


def _data(row: RunRow) -> dict[str, Any]:
    if row.manifest is None:
        return {"run": row.id, "fault": row.fault}
    made = row.manifest
    return {
        "run": row.id,
        "name": made.name,
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
