"""How a comparison looks to people: the same tables in plain text for terminals and in markdown.

Lays out what `evidence.py` holds and adds no figure of its own but counts and medians. It puts no verdict into words:
which difference is believed is for the reader, or for the rule of a hypothesis, which is quoted. The larger tables are
`comparison_surroundings.py`, `difference_table.py`, `course_tables.py` and `tradeoffs.py`; for programs:
`comparison_data.py`; the picture is `plots.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from dreamerlab.metrics import ALIASES, CATALOGUE
from dreamerlab.report.comparison_data import threshold_names
from dreamerlab.report.comparison_section import Section
from dreamerlab.report.comparison_surroundings import configured_and_done, what_differs
from dreamerlab.report.course_tables import along_training, courses, times
from dreamerlab.report.difference_table import differences
from dreamerlab.report.evidence import Evidence, RunEvidence, SeedEvidence
from dreamerlab.report.prose import plain
from dreamerlab.report.tradeoffs import tradeoffs
from dreamerlab.report.wording import amount, duration, figure, seeds_text, state_counts
from dreamerlab.tables import Table


def to_text(evidence: Evidence) -> str:
    """Return the comparison for a terminal."""
    parts = [_title(evidence)]
    for section in sections(evidence):
        body = [section.table.to_text()] if section.table else []
        parts.append("\n".join([section.heading, *body, *section.lines]))
    return "\n\n".join(parts)


def to_markdown(evidence: Evidence, *, brief: bool = False) -> str:
    """Return the comparison as markdown; `brief`: as the entry of the log keeps it."""
    parts = [f"# {_title(evidence)}"]
    for section in sections(evidence):
        if brief and not section.in_log:
            continue
        parts.append(f"## {section.heading}")
        if section.table:
            parts.append(_escaped(section.table).to_markdown())
        if section.lines:
            parts.append("\n".join(f"- {plain(line.removeprefix('- '))}" for line in section.lines))
    return "\n\n".join(parts)


def _escaped(table: Table) -> Table:
    """Return the table with cells that markdown shows as they are: marks such as * would set half a row in italics."""
    return Table(table.columns, table.right, [tuple(map(plain, row)) for row in table.rows])


def sections(evidence: Evidence) -> list[Section]:
    """Return the parts of the page, in reading order."""
    found = [
        Section("Runs", [], _runs(evidence), in_log=False),
        _hypotheses(evidence),
        _configuration(evidence),
        what_differs(evidence),
        configured_and_done(evidence),
        Section("Evaluation", [], _evaluation(evidence), in_log=False),
        Section("Budget", ["spent: mean per seed, in every unit"], _budget(evidence), in_log=False),
        _scores(evidence),
        differences(evidence),
        tradeoffs(evidence),
        along_training(evidence),
        times(evidence) if threshold_names(evidence) else None,
        courses(evidence),
        Section("Caveats", [f"- {caveat}" for caveat in evidence.caveats] or ["none known"]),
    ]
    return [section for section in found if section is not None]


def _title(evidence: Evidence) -> str:
    first, *others = (run.id for run in evidence.runs)
    return f"{', '.join(others)} beside {first}"


def _runs(evidence: Evidence) -> Table:
    table = Table(("run", "name", "kind", "env", "family", "seeds", "state", "commit", "created"))
    for run in evidence.runs:
        made = run.manifest
        commit = f"{(made.code.commit or 'none')[:12]}{' + changes' if made.code.dirty else ''}"
        states, created = state_counts(seed.state for seed in run.seeds), made.created_at[:16].replace("T", " ")
        table.add(run.id, made.name, made.kind, made.env, made.family, seeds_text(made.seeds), states, commit, created)
    return table


def _hypotheses(evidence: Evidence) -> Section | None:
    """Return the hypotheses the runs belong to, with their verdicts as they stand in the registry."""
    if not evidence.hypotheses:
        return None
    table = Table(("hypothesis", "kind", "runs", "stands", "effect", "asked"))
    for one in evidence.hypotheses:
        name = f"{one.id} {one.name}" if one.name else one.id
        table.add(name, one.kind, " ".join(one.runs) or None, one.stands, one.effect, one.reading)
    return Section("Hypotheses", ["as judged by their own rules; what is below judges nothing"], table)


def _configuration(evidence: Evidence) -> Section:
    heading = "What differs: configuration"
    if not evidence.leaves:
        return Section(heading, ["no value"])
    ids = [run.id for run in evidence.runs]
    table = Table(("zone", "key", *ids, *(f"origin in {run_id}" for run_id in ids)))
    for leaf in evidence.leaves:
        table.add(leaf.zone, leaf.key + ("" if any(leaf.acts) else " (inert)"), *leaf.values, *leaf.origins)
    return Section(heading, [], table)


def _evaluation(evidence: Evidence) -> Table:
    table = Table(("run", "every", "episodes", "score"), frozenset({"episodes"}))
    for run in evidence.runs:
        table.add(run.id, run.evaluation["every"], run.evaluation["episodes"], run.evaluation["score"])
    return table


def _budget(evidence: Evidence) -> Table:
    columns = ("env steps", "updates", "replayed steps", "episodes", "training time")
    table = Table(("run", "budget per seed", *columns), frozenset(columns))
    for run in evidence.runs:
        budget = amount(run.manifest.budget.amount, run.manifest.budget.unit)
        counts = [
            _mean_count([seed.env_steps for seed in run.seeds]),
            _mean_count([seed.updates for seed in run.seeds]),
            _mean_count([seed.replayed_steps for seed in run.seeds]),
            _mean_count([seed.episodes for seed in run.seeds]),
        ]
        wall_s = sum(seed.wall_s for seed in run.seeds) / len(run.seeds)
        table.add(run.id, budget, *counts, duration(wall_s))
    return table


def _mean_count(values: Sequence[int | None]) -> str | None:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):,.0f}" if known and len(known) == len(values) else None


def _scores(evidence: Evidence) -> Section:
    numbers = ("n", "mean", "SD", "lowest", "highest", "of span")
    table = Table(("run", *numbers, "per seed"), frozenset(numbers))
    for run in evidence.runs:
        scores = run.scores
        seeds = ", ".join(f"{seed.seed}: {_score(seed)}" for seed in run.seeds)
        low, high = (figure(min(scores)), figure(max(scores))) if scores else (None, None)
        mean, deviation = run.mean, run.deviation
        cells = (figure(mean), None if deviation is None else figure(deviation), low, high, _of_span(run))
        table.add(run.id, len(scores), *cells, seeds)
    spans = {(run.reference.get("random"), run.reference.get("solved")) for run in evidence.runs if run.is_return}
    levels = [f"{figure(random)} to {figure(solved)}" for random, solved in spans if random is not None]
    lines = [f"of span: from random play (0 %) to solved (100 %), {' or '.join(sorted(levels))}"] if levels else []
    if any(_is_share(str(run.evaluation["score"])) for run in evidence.runs):
        lines.append("shares: 0.1 is 10 %, and a difference of 0.1 is 10 pp")
    if any(seed.so_far and seed.score is not None for run in evidence.runs for seed in run.seeds):
        lines.append("*: so far, the seed is not finished")
    if any(seed.failed is not None for run in evidence.runs for seed in run.seeds):
        lines.append("!: the fail score, see the caveats")
    if any(seed.censored for run in evidence.runs for seed in run.seeds):
        lines.append(">: cut off by the budget, the time is longer")
    return Section("Scores", lines, table)


def _is_share(score: str) -> bool:
    """Tell whether a score, as it is written, is a share of something: `final_mean(3) of eval/win_rate_mode`."""
    how, _, name = score.rpartition(" of ")
    metric = CATALOGUE.get(ALIASES.get(name, name))
    return metric is not None and metric.unit == "share" and not how.startswith("env_steps_to")


def _score(seed: SeedEvidence) -> str:
    if seed.spared:
        return "spared"
    if seed.score is None:
        return "none"
    mark = ">" if seed.censored else "!" if seed.failed is not None else "*" if seed.so_far else ""
    return figure(seed.score) + mark


def _of_span(run: RunEvidence) -> str | None:
    random, solved, mean = run.reference.get("random"), run.reference.get("solved"), run.mean
    if random is None or solved is None or mean is None or random == solved or not run.is_return:
        return None
    return f"{100 * (mean - random) / (solved - random):.0f} %"
