"""How a comparison looks to people: the same tables in plain text for terminals and in markdown.

Lays out what `evidence.py` holds and adds no figure of its own but counts and medians. It puts no verdict into words:
which difference is believed is for the reader, or for the rule of a hypothesis. For programs: `comparison_data.py`;
the picture is `plots.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dreamerlab.report.comparison_data import course_values, threshold_names
from dreamerlab.report.evidence import Evidence, Pair, RunEvidence, SeedEvidence, Threshold
from dreamerlab.report.wording import amount, duration, figure, seeds_text, state_counts
from dreamerlab.tables import Table

NOT_REACHED = "not reached"


@dataclass(frozen=True)
class Section:
    """One part of the page: a heading, words, and a table where there is one."""

    heading: str
    lines: Sequence[str]
    table: Table | None = None


def to_text(evidence: Evidence) -> str:
    """Return the comparison for a terminal."""
    parts = [_title(evidence)]
    for section in sections(evidence):
        body = [section.table.to_text()] if section.table else []
        parts.append("\n".join([section.heading, *body, *section.lines]))
    return "\n\n".join(parts)


def to_markdown(evidence: Evidence) -> str:
    """Return the comparison as markdown."""
    parts = [f"# {_title(evidence)}"]
    for section in sections(evidence):
        parts.append(f"## {section.heading}")
        if section.table:
            parts.append(section.table.to_markdown())
        if section.lines:
            parts.append("\n".join(f"- {line.removeprefix('- ')}" for line in section.lines))
    return "\n\n".join(parts)


def sections(evidence: Evidence) -> list[Section]:
    """Return the parts of the page, in reading order."""
    return [
        Section("Runs", [], _runs(evidence)),
        _configuration(evidence),
        _code_and_machine(evidence),
        Section("Evaluation", [], _evaluation(evidence)),
        Section("Budget", ["spent: mean per seed, in every unit"], _budget(evidence)),
        _scores(evidence),
        _differences(evidence),
        *([_times(evidence)] if threshold_names(evidence) else []),
        _curves(evidence),
        Section("Caveats", [f"- {caveat}" for caveat in evidence.caveats] or ["none known"]),
    ]


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


def _configuration(evidence: Evidence) -> Section:
    heading = "What differs: configuration"
    if not evidence.leaves:
        return Section(heading, ["no value"])
    ids = [run.id for run in evidence.runs]
    table = Table(("zone", "key", *ids, *(f"origin in {run_id}" for run_id in ids)))
    for leaf in evidence.leaves:
        table.add(leaf.zone, leaf.key + ("" if any(leaf.acts) else " (inert)"), *leaf.values, *leaf.origins)
    return Section(heading, [], table)


def _code_and_machine(evidence: Evidence) -> Section:
    heading = "What differs: code and machine"
    first = evidence.runs[0]
    differing = {fact.name for fact in evidence.facts}
    named = ("torch", "numpy", "gymnasium", "cpu", "device", "threads")
    same = ", ".join(f"{name} {first.machine[name]}" for name in named if name not in differing)
    code = [] if "code identity" in differing else [f"code {first.manifest.code.identity[:16]}"]
    lines = [f"the same: {', '.join([*code, same])}"]
    if not evidence.facts:
        return Section(heading, ["nothing that is recorded", *lines])
    table = Table(("", *(run.id for run in evidence.runs)))
    for fact in evidence.facts:
        table.add(fact.name, *fact.values)
    return Section(heading, lines, table)


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
    spans = {(run.reference.get("random"), run.reference.get("solved")) for run in evidence.runs}
    levels = [f"{figure(random)} to {figure(solved)}" for random, solved in spans if random is not None]
    lines = [f"of span: from random play (0 %) to solved (100 %), {' or '.join(sorted(levels))}"] if levels else []
    if any(seed.so_far and seed.score is not None for run in evidence.runs for seed in run.seeds):
        lines.append("*: so far, the seed is not finished")
    return Section("Scores", lines, table)


def _score(seed: SeedEvidence) -> str:
    return "none" if seed.score is None else figure(seed.score) + ("*" if seed.so_far else "")


def _of_span(run: RunEvidence) -> str | None:
    random, solved, mean = run.reference.get("random"), run.reference.get("solved"), run.mean
    if random is None or solved is None or mean is None or random == solved:
        return None
    return f"{100 * (mean - random) / (solved - random):.0f} %"


def _differences(evidence: Evidence) -> Section:
    first, computed = evidence.runs[0].id, [pair for pair in evidence.pairs if pair.withheld is None]
    lines = [f"{pair.other}: no difference is computed: {pair.withheld}" for pair in evidence.pairs if pair.withheld]
    heading = f"Difference of mean scores from {first}"
    if not computed:
        return Section(heading, lines)
    table = Table(("", *(f"{pair.other} minus {first}" for pair in computed)))
    table.add("difference", *map(_difference, computed))
    table.add("95 % interval (Welch)", *map(_interval, computed))
    table.add("exact permutation p", *map(_permutation, computed))
    table.add("detectable at these n", *map(_detectable, computed))
    table.add("probability of improvement", *map(_improvement, computed))
    table.add("difference of IQM", *map(_iqm, computed))
    lines.append("detectable: true difference found with 80 % probability, two-sided 5 %, at the spread seen here")
    lines.append("the last two rows describe; bootstrap intervals are too narrow at few seeds")
    if len(computed) > 1:
        lines.append(f"{len(computed)} intervals are shown; by luck alone one in twenty leaves out 0")
    return Section(heading, lines, table)


def _difference(pair: Pair) -> str:
    assert pair.welch is not None
    return _signed(pair.welch.difference)


def _interval(pair: Pair) -> str:
    found = pair.welch
    assert found is not None
    if found.low is None or found.high is None:
        return f"none: {found.reason}"
    return f"{_signed(found.low)} to {_signed(found.high)}, n={found.num_a} and {found.num_b}"


def _permutation(pair: Pair) -> str:
    assert pair.welch is not None
    if pair.permutation is None or pair.least_p is None:
        return "not enumerated: too many splits"
    text = f"{pair.permutation.p:.3g} over all {pair.permutation.splits:,} splits"
    if pair.least_p > 0.05:
        counts = f"n={pair.welch.num_a} and {pair.welch.num_b}"
        text += f"; {counts} cannot give less than {pair.least_p:.3g}: 5 % is out of reach"
    return text


def _detectable(pair: Pair) -> str:
    if pair.detectable_sd is None:
        return "unknown: one seed has no spread"
    if pair.detectable is None:
        return f"{pair.detectable_sd:.2f} SD; there is no spread here"
    return f"{pair.detectable_sd:.2f} SD = {figure(pair.detectable)}"


def _improvement(pair: Pair) -> str:
    assert pair.improvement is not None
    return f"{100 * pair.improvement:.0f} % of seed pairs"


def _iqm(pair: Pair) -> str:
    if pair.iqm_difference is None or pair.iqm_interval is None:
        return "from 4 seeds a run on"
    low, high = pair.iqm_interval
    return f"{_signed(pair.iqm_difference)}, bootstrap {_signed(low)} to {_signed(high)}"


def _signed(value: float) -> str:
    return figure(value) if value < 0 or value == 0 else f"+{figure(value)}"


def _times(evidence: Evidence) -> Section:
    columns = ("env steps", "updates", "training time")
    table = Table(("level", "run", "seed", *columns), frozenset({"seed", *columns}))
    lines: list[str] = []
    for wanted in threshold_names(evidence):
        levels = [(run, each) for run in evidence.runs for each in run.thresholds if each.name == wanted]
        for run, threshold in levels:
            name = f"{threshold.name} ({figure(threshold.level)})"
            for seed in run.seeds:
                point = seed.reached[threshold.name]
                cells = (
                    (f"{NOT_REACHED} in {seed.env_steps:,}", None, None)
                    if point is None
                    else (f"{point.env_steps:,}", f"{point.updates:,}", duration(point.wall_s))
                )
                table.add(name, run.id, seed.seed, *cells)
            lines.append(f"{name}, {run.id}: {_reached_by(run, threshold)}")
    lines.append(
        "reached: the first evaluation at or beyond the level, not interpolated; training time includes evaluations"
    )
    return Section("Time to reach a level", lines, table)


def _reached_by(run: RunEvidence, threshold: Threshold) -> str:
    """Return how many seeds reached a level, and the median over all seeds; the censored ones count as later."""
    steps = [math.inf if (p := seed.reached[threshold.name]) is None else p.env_steps for seed in run.seeds]
    ordered, reached = sorted(steps), sum(math.isfinite(step) for step in steps)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    shown = f"{median:,.0f} env steps" if math.isfinite(median) else NOT_REACHED
    return f"{reached} of {len(steps)} seeds, median {shown}"


def _curves(evidence: Evidence) -> Section:
    """Return the table of courses (M-PROT-16)."""
    numbers = ("seed", "peak", "at env step", "lowest after it", "last", "actor loss")
    table = Table(("run", *numbers, "pattern"), frozenset(numbers))
    for run in evidence.runs:
        for seed in run.seeds:
            peak, at, lowest, last, loss, pattern = course_values(seed)
            at_text = None if at is None else f"{at:,}"
            values = (figure(peak), at_text, figure(lowest), figure(last), None if loss is None else f"{loss:.3g}")
            table.add(run.id, seed.seed, *values, pattern)
    lines = ["a peak is a maximum over training: optimistic by construction, and no score"]
    if any(seed.pattern is None for run in evidence.runs for seed in run.seeds):
        lines.append("no pattern without evaluations, or where random and solved returns of the task are not known")
    return Section("Courses of the curves", lines, table)
