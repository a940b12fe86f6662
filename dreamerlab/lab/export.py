"""`export`: hypotheses, runs and scores for other programs, and citations of hypotheses.

    hypotheses   one row each: sentence, plan, verdict, effect         runs   one row each
    scores       one row per run and seed: state, score, what it cost

All of the workspace, or of one hypothesis with its runs. Records that cannot be read have a row with their fault.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dreamerlab.atomic import atomic_write_text
from dreamerlab.errors import LabError, NotFound, UsageError
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.listing import select, to_data
from dreamerlab.protocol.state import Hypothesis, fold, hypotheses
from dreamerlab.report.citing import citation_of, to_bibtex, to_cff
from dreamerlab.report.wording import seeds_text
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.store import RunRow, Workspace

TABLES = ("hypotheses", "runs", "scores")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Exported:
    """Rows by the name of their table."""

    tables: Mapping[str, Sequence[Row]]

    def to_csv(self, name: str) -> str:
        """Return one table with a header; an empty cell where there is no value."""
        rows = self.tables[name]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
        return text.getvalue().rstrip("\n")


def export(workspace: Workspace, hypothesis: str | None = None) -> Exported:
    """Return all tables, oldest first; of one hypothesis (its full id) only itself and its runs."""
    listing = select(workspace, everything=True, env=None)
    data = to_data(listing)
    asked: list[Row] = [row for row in data["hypotheses"][::-1] if hypothesis in (None, row["hypothesis"])]
    wanted = {run for row in asked for run in (row.get("run"), row.get("baseline_run"))}
    made = [row for row in (listing.runs or ())[::-1] if hypothesis is None or row.id in wanted]
    of_runs: list[Row] = [row for row in data["runs"][::-1] if hypothesis is None or row["run"] in wanted]
    scores = [score for row in made for score in _scores(row)]
    return Exported({"hypotheses": asked, "runs": [_flat_run(row) for row in of_runs], "scores": scores})


def bibtex(workspace: Workspace, hypothesis: str | None = None) -> str:
    """Return an entry for a hypothesis, or one for each; NotFound when there is none."""
    registry = registry_of(workspace)
    states = list(hypotheses(registry)) if hypothesis is None else [fold(registry.read(hypothesis))]
    if not states:
        raise NotFound("there is no hypothesis to cite yet", hint="dreamerlab propose --help")
    return "\n\n".join(to_bibtex(citation_of(state, _code_commit(workspace, state))) for state in states)


def cff(workspace: Workspace, hypothesis: str) -> str:
    """Return a CITATION.cff for a hypothesis by its full id."""
    state = fold(registry_of(workspace).read(hypothesis))
    return to_cff(citation_of(state, _code_commit(workspace, state)))


def write(path: Path, text: str) -> None:
    """Write an export to a file, all at once; UsageError or NotFound where none can stand."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name a file in it")
    if not path.absolute().parent.is_dir():
        raise NotFound(f"there is no folder {path.parent}", hint=f"mkdir -p '{path.parent}'")
    atomic_write_text(path, text + "\n")


def _code_commit(workspace: Workspace, state: Hypothesis) -> str | None:
    if state.run is not None:
        with suppress(LabError):
            return read_manifest(workspace.run(state.run).manifest_path).code.commit
    return None


def _scores(row: RunRow) -> list[Row]:
    made = row.manifest
    if made is None:
        return [{"run": row.id, "fault": row.fault}]
    facts = {"run": row.id, "hypothesis": made.hypothesis, "kind": made.kind, "env": made.env, "family": made.family}
    more = {
        "reducer": made.score,
        "code": made.code.identity,
        "commit": made.code.commit,
        "created_at": made.created_at,
    }
    return [
        {
            **facts,
            "seed": trial.status.seed,
            "state": trial.state,
            "score": trial.score,
            "env_steps": trial.status.env_steps,
            "updates": trial.status.updates,
            "wall_s": trial.status.wall_s,
            **more,
        }
        for trial in row.trials
    ]


def _flat_run(row: Row) -> Row:
    """Return a run without its trials, which are the table of scores."""
    if "budget" not in row:
        return row
    budget, trials = row["budget"], row["trials"]
    rest = {key: value for key, value in row.items() if key not in ("budget", "trials")}
    seeds = seeds_text(trial["seed"] for trial in trials)
    return {**rest, "budget_unit": budget["unit"], "budget_amount": budget["amount"], "seeds": seeds}


def _cell(value: object) -> object:
    if isinstance(value, list | tuple):
        return "; ".join(map(str, cast("Sequence[object]", value)))
    return value
