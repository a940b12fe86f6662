"""`compare --lag METRIC`: correlations over lags as text, markdown, CSV and data, and what may be said of them.

    lead    the seeds agree that changes of the metric come before changes of the score
    lag     ... after them           together    ... within one evaluation           none    they do not agree

Words follow from `stats.lagged.clearest` on changes alone. A lead is a hint of where to look, no cause (M-PROT-20).
"""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import Any

from dreamerlab.report.course_tables import median
from dreamerlab.report.lag_evidence import LagEvidence, RunLag
from dreamerlab.report.prose import plain
from dreamerlab.stats.lagged import FEWEST_PAIRS, FEWEST_SEEDS, Lag, clearest
from dreamerlab.tables import Table

CAUTION = (
    "lag > 0: the metric comes first; its value is the mean since the evaluation before, so lag 0 is already training "
    "that led up to the evaluation",
    "changes (from one evaluation to the next) decide; levels contain trends, and two curves that both rise are "
    "correlated at every lag",
    f"interval: of the mean over seeds at 95 %, widened for the number of lags; from {FEWEST_SEEDS} seeds on, and "
    f"{FEWEST_PAIRS} pairs a seed",
    "a lead is a hint of where to look, not a cause: runs of one task take a similar course",
)


def to_text(evidence: LagEvidence) -> str:
    """Return the correlations for a terminal."""
    parts = [f"{evidence.signal} against {evidence.performance}"]
    for run in evidence.runs:
        parts.append(
            "\n".join([run.label, *([_table(run).to_text()] if run.changes or run.levels else []), *_lines(run)])
        )
    return "\n\n".join([*parts, "\n".join(CAUTION)])


def to_markdown(evidence: LagEvidence) -> str:
    """Return the correlations as markdown."""
    parts = [f"# {plain(evidence.signal)} against {plain(evidence.performance)}"]
    for run in evidence.runs:
        parts.append(f"## {plain(run.label)}")
        parts += [_table(run).to_markdown()] if run.changes or run.levels else []
        parts.append("\n".join(f"- {plain(line)}" for line in _lines(run)))
    return "\n\n".join([*parts, "\n".join(f"- {line}" for line in CAUTION)])


def to_csv(evidence: LagEvidence) -> str:
    """Return one row per run, seed and lag."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "seed", "of", "lag_env_steps", "pairs", "correlation"])
    for run in evidence.runs:
        for of, lags in (("changes", run.changes), ("levels", run.levels)):
            for one in lags:
                for seed, r in one.by_seed.items():
                    writer.writerow([run.id, seed, of, one.lag * run.spacing, one.pairs[seed], r])
    return text.getvalue().rstrip("\n")


def to_data(evidence: LagEvidence) -> dict[str, Any]:
    """Return everything as JSON-ready values."""
    runs: list[dict[str, Any]] = []
    for run in evidence.runs:
        data = {**asdict(run), "relation": relation(run)}
        for of, lags in (("changes", run.changes), ("levels", run.levels)):
            data[of] = [
                {**asdict(one), "lag_env_steps": one.lag * run.spacing, "median": one.median, "clear": one.clear}
                for one in lags
            ]
        runs.append(data)
    return {"signal": evidence.signal, "performance": evidence.performance, "runs": runs}


def relation(run: RunLag) -> str:
    """Return `lead`, `lag`, `together` or `none`."""
    best = clearest(run.changes)
    if best is None:
        return "none"
    return "lead" if best.lag > 0 else "lag" if best.lag < 0 else "together"


def _table(run: RunLag) -> Table:
    seeds = [f"seed {seed}" for seed in run.seeds]
    columns = ("lag, env steps", *seeds, "changes: median", "interval", "pairs", "levels: median", "interval of levels")
    table = Table(columns, frozenset(columns))
    changes, levels = {one.lag: one for one in run.changes}, {one.lag: one for one in run.levels}
    for lag in sorted({*changes, *levels}):
        change, level = changes.get(lag), levels.get(lag)
        cells = [_r(change.by_seed.get(seed)) if change else None for seed in run.seeds]
        pairs = f"{min(change.pairs.values())}" if change else None
        middle = (_r(change.median) if change else None, _interval(change), pairs)
        table.add(
            f"{lag * run.spacing:+,}" if lag else "0",
            *cells,
            *middle,
            _r(level.median) if level else None,
            _interval(level),
        )
    return table


def _lines(run: RunLag) -> list[str]:
    lines = [_said(run)]
    if run.worth:
        evaluations = median([float(count) for count in run.evaluations.values()])
        worth = median(list(run.worth.values()))
        lines.append(
            f"few points: {evaluations:.0f} evaluations a seed (median); neighbours resemble each other "
            f"({_memory(run)}), so their levels are worth about {worth:.0f} independent pairs"
        )
    return [*lines, *(f"seed {seed} takes no part: {why}" for seed, why in run.lacking.items())]


def _said(run: RunLag) -> str:
    best = clearest(run.changes)
    if best is None:
        if len(run.seeds) < FEWEST_SEEDS:
            return (
                f"nothing can be said of {len(run.seeds)} seed{'' if len(run.seeds) == 1 else 's'}: a description only"
            )
        return f"no lead and no lag that these {len(run.seeds)} seeds agree on"
    how = "same way" if (best.median or 0.0) > 0 else "opposite way"
    steps = f"{abs(best.lag) * run.spacing:,} env steps"
    when = {
        "lead": f"leading: it changes {steps} before the score does",
        "lag": f"lagging: it changes {steps} after the score did",
        "together": "neither leading nor lagging: it changes with the score",
    }[relation(run)]
    also = [one for one in run.changes if one.clear and one.lag != best.lag]
    others = f"; the seeds also agree at {', '.join(f'{one.lag * run.spacing:+,}' for one in also)}" if also else ""
    return f"{when}, the {how} (median r {_r(best.median)}, interval {_interval(best)}){others}"


def _memory(run: RunLag) -> str:
    sides = [[pair[side] for pair in run.memory.values()] for side in (0, 1)]
    known = [[r for r in side if r is not None] for side in sides]
    words = [_r(median(side)) if side else "-" for side in known]
    return f"r with the next one: metric {words[0]}, score {words[1]}"


def _r(value: float | None) -> str | None:
    return None if value is None else f"{value:+.2f}"


def _interval(one: Lag | None) -> str | None:
    if one is None or one.low is None or one.high is None:
        return None
    return f"{one.low:+.2f} to {one.high:+.2f}{' *' if one.clear else ''}"
