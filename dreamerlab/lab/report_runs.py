"""Runs as the HTML report tells of them: a row in the table, and everything its page shows.

From the committed text of a run and the true states of its trials; a damaged part is a fault in words, never an error.
Evaluations of the score's metric always go along, all other curves as long as there is room: newest runs first. What
the rules find is read as `diagnose` reads it, of the newest runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dreamerlab.atomic import number, read_object
from dreamerlab.config.recorded import load_recorded
from dreamerlab.diagnostics.rule import SEVERITIES, Rule
from dreamerlab.errors import LabError
from dreamerlab.lab.diagnose_proposal import propose_for
from dreamerlab.lab.log_records import without_folder
from dreamerlab.lab.report_films import Films
from dreamerlab.lab.run_findings import Findings, findings_of
from dreamerlab.metrics import is_return
from dreamerlab.protocol.state import Hypothesis
from dreamerlab.report.findings_data import findings_data, rules_data
from dreamerlab.report.html_tables import RUNS, Cell, Row, damaged_row
from dreamerlab.report.html_text import escaped
from dreamerlab.report.hypothesis_words import moment, value
from dreamerlab.report.run_data import Pool, curves_data, flattened
from dreamerlab.report.wording import amount, duration, figure, seeds_text, state_counts
from dreamerlab.runs.curves import read_curves
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Manifest
from dreamerlab.runs.series import Point, line_values, read_evals
from dreamerlab.runs.store import RunRow, Workspace, newest_runs
from dreamerlab.runs.summary import read_summary
from dreamerlab.stats.one_sample import mean_interval

POINTS, EVALUATIONS = 100, 500
"""At most so many points of a training metric, and of the score's, are carried for each seed."""
DIAGNOSED = 1_000
"""So many runs, the newest ones, are put to the rules."""


@dataclass
class RunPages:
    """Makes the rows and pages of all runs, and counts what had no room."""

    workspace: Workspace
    films: Films
    room_bytes: int
    """For curves other than the score's."""
    pool: Pool = field(default_factory=Pool)
    rows: list[Row] = field(default_factory=list[Row])
    faults: dict[str, str] = field(default_factory=dict[str, str])
    without_curves: int = 0
    """Runs whose other curves had no room."""
    rules: dict[str, Rule] = field(default_factory=dict[str, Rule])
    """Those that fired in some run."""
    undiagnosed: int = 0
    """Runs that were not put to the rules."""

    def pages(self, states: Sequence[Hypothesis]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (element id, what its page shows) run by run, newest first, and at the end what they share."""
        serves = _uses(states)
        for row in newest_runs(self.workspace):
            if row.manifest is None:
                self.faults[row.id] = str(row.fault)
                self.rows.append(damaged_row(row.id, str(row.fault), RUNS))
                yield row.id, {"id": row.id, "fault": row.fault}
                continue
            page = self._page(row, row.manifest, serves.get(row.id, ()))
            self.rows.append(_table_row(row, row.manifest, page["mean"], page["findings"]["roots"]))
            yield row.id, page
        yield "pool", {"rows": self.pool.rows}
        yield "rules", rules_data(self.rules)

    def _page(self, row: RunRow, made: Manifest, serves: Sequence[tuple[str, str]]) -> dict[str, Any]:
        run = self.workspace.run(row.id)
        metric = made.score.rpartition(" of ")[2]
        faults: list[str] = []
        seeds = [self._seed(row, index, faults) for index in range(len(row.trials))]
        if faults:
            self.faults[row.id] = "; ".join(faults)
        recorded = self._recorded(run)
        config = self._config(run, recorded)
        reference = {row[0].rpartition(".")[2]: row[1] for row in config if row[0].startswith("reference.")}
        levels = {name: number(json.loads(reference[name])) for name in ("random", "solved") if name in reference}
        curves, whole = self._curves(run, metric, faults)
        return {
            "id": row.id,
            "facts": _facts(made),
            "serves": [list(one) for one in serves],
            "faults": faults,
            "seeds": seeds,
            "mean": _mean([trial.score for trial in row.trials]),
            "score": made.score,
            "metric": metric,
            "levels": levels,
            "return_metrics": sorted({name for curve in curves for name in curve["of"] if is_return(name)}),
            "curves": curves,
            "left_out": not whole,
            "findings": self._findings(run, made, recorded, {name for curve in curves for name in curve["of"]}),
            "config": self.pool.numbers(config),
            "provenance": self.pool.numbers(flattened({"code": made.to_dict()["code"], **made.environment})),
            "films": self.films.of(row.id),
        }

    def _seed(self, row: RunRow, index: int, faults: list[str]) -> list[Any]:
        trial = row.trials[index]
        summary: Mapping[str, Any] | None = None
        try:
            summary = read_summary(self.workspace.run(row.id).trial(trial.status.seed))
        except LabError as error:
            faults.append(without_folder(error.message, self.workspace))
        why = (summary or {}).get("score_reason") if trial.score is None else None
        status = trial.status
        counts = [f"{status.env_steps:,}", f"{status.updates:,}", duration(status.wall_s), status.attempt]
        score = None if trial.score is None else figure(trial.score)
        return [status.seed, trial.state, score, str(why or status.reason or ""), *counts]

    def _findings(
        self, run: RunDirectory, made: Manifest, config: Mapping[str, object], carried: set[str]
    ) -> dict[str, Any]:
        """Return what the rules say of a run: `all` of them with evidence, the `roots` in short, and `remarks`."""
        if len(self.rows) >= DIAGNOSED:
            self.undiagnosed += 1
            remark = f"not looked at in this file, which has many runs: dreamerlab diagnose {run.id}"
            return {"all": [], "roots": [], "remarks": [remark], "looked": False}
        found = findings_of(run, made.seeds, config)
        told = found.diagnosis.findings
        self.rules |= {one.rule.id: one.rule for one in told}
        tries = propose_for(self.workspace, run.id, [one for one in told if one.is_root], found.courses)
        return {
            "all": findings_data(found.diagnosis, tries, carried),
            "roots": [one.to_data() | {"words": one.words} for one in found.roots],
            "remarks": list(found.remarks),
            "looked": _was_looked_at(found),
        }

    def _recorded(self, run: RunDirectory) -> Mapping[str, object]:
        with suppress(LabError):
            return load_recorded(run.config_path)
        return {}

    def _config(self, run: RunDirectory, recorded: Mapping[str, object]) -> list[tuple[str, ...]]:
        """Return (key, value, origin) of every leaf of the recorded configuration."""
        origins: Mapping[str, Any] = {}
        with suppress(OSError, ValueError):
            origins = read_object(str(run.origins_path))
        return [(key, value(item), str(origins.get(key, "not recorded"))) for key, item in recorded.items()]

    def _curves(self, run: RunDirectory, metric: str, faults: list[str]) -> tuple[list[dict[str, Any]], bool]:
        """Return the curves of every trial, and whether all metrics are among them."""
        found: list[dict[str, Any]] = []
        whole = self.room_bytes > 0
        for trial in run.trials():
            try:
                scored = _evaluations(trial, metric)
                others = read_curves(trial) if whole else {}
            except (OSError, LabError, TypeError, ValueError) as error:
                faults.append(f"seed {trial.seed}: curves cannot be read: {error}")
                continue
            others.pop(metric, None)
            data = curves_data(trial.seed, {metric: scored} if scored else {}, EVALUATIONS)
            found.append(data)
            if others:
                more = curves_data(trial.seed, others, POINTS)
                self.room_bytes -= len(json.dumps(more))
                found.append(more)
        self.without_curves += not whole
        return found, whole


def _evaluations(trial: TrialDirectory, metric: str) -> list[Point]:
    lines, _ = read_evals(trial)
    found: list[Point] = []
    for line in lines:
        worth = line_values(line).get(metric)
        if worth is not None:
            clocks = [number(line.get(name)) or 0.0 for name in ("env_steps", "updates", "wall_s")]
            found.append(Point(int(clocks[0]), int(clocks[1]), clocks[2], 0.0, 1, worth))
    return found


def _was_looked_at(found: Findings) -> bool:
    return bool(found.courses or found.roots)


def _mean(scores: Sequence[float | None]) -> dict[str, Any] | None:
    """Return the mean over all declared seeds in words; None while one of them has none."""
    known = [score for score in scores if score is not None and score - score == 0]
    if not known or len(known) < len(scores):
        return None
    found = mean_interval(known)
    span = None if found.low is None or found.high is None else f"{figure(found.low)} to {figure(found.high)}"
    return {"value": found.mean, "words": figure(found.mean), "interval": span, "n": found.num}


def _facts(made: Manifest) -> list[list[str]]:
    facts = [("name", made.name), ("kind", made.kind), ("environment", made.env), ("family", made.family)]
    facts += [("hypothesis", made.hypothesis), ("seeds", seeds_text(made.seeds))]
    facts += [("budget", f"{amount(made.budget.amount, made.budget.unit)} each"), ("score", made.score)]
    facts += [("made", moment(made.created_at)), ("command", " ".join(made.command))]
    return [[name, words] for name, words in facts if words]


def _uses(states: Sequence[Hypothesis]) -> dict[str, list[tuple[str, str]]]:
    """Return run -> the hypotheses it is an arm of, with its part in each."""
    found: dict[str, list[tuple[str, str]]] = {}
    for state in states:
        part = "measures the reference" if state.proposal.kind == "baseline" else "carries the change"
        for run, words in ((state.run, part), (state.baseline_run, "is the baseline")):
            if run is not None:
                found.setdefault(run, []).append((state.id, words))
    return found


def _table_row(row: RunRow, made: Manifest, mean: Mapping[str, Any] | None, roots: Sequence[Mapping[str, Any]]) -> Row:
    worst = min((str(one["severity"]) for one in roots), key=SEVERITIES.index, default="note")
    states = state_counts(trial.state for trial in row.trials)
    of = made.hypothesis
    span = f" <small>[{mean['interval'].replace(' to ', ', ')}]</small>" if mean and mean["interval"] else ""
    score = Cell(f"{mean['words']}{span}", mean["value"]) if mean else Cell("")
    name = f"<br><small>{escaped(made.name)}</small>" if made.name else ""
    cells = (
        Cell(f'<a href="#{row.id}">{row.id}</a>{name}', int(row.id[1:].partition("-")[0])),
        Cell(f'<a href="#{escaped(of)}">{escaped(of)}</a>' if of else ""),
        Cell(escaped(made.kind)),
        Cell(f"{escaped(made.env)}<br><small>{escaped(made.family)}</small>"),
        Cell(escaped(seeds_text(made.seeds))),
        Cell(escaped(states)),
        Cell(escaped(amount(made.budget.amount, made.budget.unit)), made.budget.amount),
        score,
        Cell(_worst_words(roots, worst), len(roots) and len(roots) + 100 * (len(SEVERITIES) - SEVERITIES.index(worst))),
        Cell(escaped(made.created_at[:10]), made.created_at),
    )
    state = states if states in ("finished", "running", "queued") else "other"
    choices = {"state": state, "family": made.family, "env": made.env, "kind": made.kind}
    return Row(cells, choices | ({"finding": worst} if roots else {}))


def _worst_words(roots: Sequence[Mapping[str, Any]], worst: str) -> str:
    if not roots:
        return ""
    return f'<span class="severity {worst}">{worst}</span>' + (f" <small>of {len(roots)}</small>" if roots[1:] else "")
