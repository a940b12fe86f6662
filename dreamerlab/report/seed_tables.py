"""The tables and figures of a hypothesis' page: every seed of both arms, and what the arms were worth on the way.

Computes only medians, means over seeds and the pattern of a course (M-PROT-17); scores are those of the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from dreamerlab.protocol.hypothesis import Expectation
from dreamerlab.report.figures import CurvesFigure, EffectFigure, Level, ScoreRow, draw_curves, draw_effect
from dreamerlab.report.hypothesis_words import figures_of, short_expectation, signed, state_words
from dreamerlab.report.log_data import RunRecord, SeedRecord, Story
from dreamerlab.report.plots import Arm, Curve, mean_and_range
from dreamerlab.report.prose import plain
from dreamerlab.report.wording import duration, figure
from dreamerlab.runs.reducers import parse_reducer
from dreamerlab.stats.curves import FEWEST, first_reached, pattern
from dreamerlab.tables import Table

_ON_THE_WAY = 6


def arms_of(story: Story) -> list[tuple[str, RunRecord, Mapping[str, Any]]]:
    """Return (what it is, run, its figures) of the arms that exist, the change first."""
    figures = figures_of(story.state.verdict)
    words = "baseline" if story.state.proposal.kind == "baseline" else "with the change"
    found: list[tuple[str, RunRecord, Mapping[str, Any]]] = []
    for what, run, key in ((words, story.treatment, "treatment"), ("baseline", story.control, "baseline")):
        if run is not None:
            found.append((what, run, cast("Mapping[str, Any]", figures.get(key) or {})))
    return found


def seed_table(story: Story) -> Table:
    """Return one row per seed: score, how the course ended, when it solved the task, what it cost, what is special."""
    numbers = ("seed", "score", "last evaluation", "solved at", "env steps", "training time")
    table = Table(("arm", *numbers, "course", "remark"), frozenset(numbers))
    for what, run, figures in arms_of(story):
        for seed in run.seeds:
            score = dict(figures.get("seeds") or {}).get(str(seed.seed))
            last = seed.curve[-1][1] if seed.curve else None
            steps = f"{seed.env_steps:,}" if seed.state is not None else None
            time = duration(seed.wall_s) if seed.state is not None else None
            cells = (None if score is None else figure(score), None if last is None else figure(last))
            row = (*cells, _solved_at(seed, run), steps, time, _course(seed, run), _remark(seed, run, figures) or "")
            table.add(what, seed.seed, *row)
    return table


def way_table(story: Story) -> Table | None:
    """Return the mean of both arms' evaluations at a few env steps that all seeds share; None when there are none."""
    found: list[tuple[str, Mapping[float, float]]] = []
    for what, run, _ in arms_of(story):
        xs, means, _, _ = mean_and_range(_curves(run))
        found.append((f"{what}, {run.id}", dict(zip(xs, means, strict=True))))
    first, *others = [points for _, points in found] or [{}]
    shared = sorted(step for step in first if all(step in points for points in others))
    if len(shared) < 2:
        return None
    count = min(_ON_THE_WAY, len(shared))
    chosen = sorted({shared[math.ceil((i + 1) * len(shared) / count) - 1] for i in range(count)})
    columns = tuple(f"{step:,.0f}" for step in chosen)
    table = Table(("mean of all seeds at env step", *columns), frozenset(columns))
    for label, points in found:
        table.add(label, *(figure(points[step]) for step in chosen))
    return table


def curves_svg(story: Story) -> str | None:
    """Return the learning curves of both arms; None when there is no evaluation."""
    expected = story.state.proposal.expectation
    arms = [Arm(f"{what}, {run.id}", _curves(run)) for what, run, _ in arms_of(story)]
    runs = [run for _, run, _ in arms_of(story)]
    metric = metric_of(story)
    levels: list[Level] = []
    if runs and "return" in metric:
        levels += [Level("solved", runs[0].solved, "8 4")] if runs[0].solved is not None else []
        levels += [Level("random play", runs[0].random)] if runs[0].random is not None else []
    if expected is not None and expected.form in ("at_least", "at_most", "reaches") and expected.amount is not None:
        same = expected.metric == metric and not _counts_time(story)
        levels += [Level("expected", expected.amount, "1 3")] if same else []
    return draw_curves(CurvesFigure(f"{story.state.id}: {metric} while training", arms, metric, levels))


def effect_svg(story: Story) -> str | None:
    """Return every seed's score and the effect beside what was expected; None when nothing was judged or measured."""
    state, figures = story.state, figures_of(story.state.verdict)
    if not figures:
        return None
    inks = iter(("treatment", "control"))
    rows = [
        ScoreRow(f"{what}, {run.id}", ink, [s for s in dict(arm.get("seeds") or {}).values() if s is not None])
        for (what, run, arm), ink in zip(arms_of(story), inks, strict=False)
    ]
    words = f"{figures.get('reducer')} of {figures.get('metric')}: one circle a seed, a diamond for the mean"
    value, low, high, label = _answer(state.proposal.expectation, figures)
    region, expected_label, zero = _region(state.proposal.expectation, figures)
    title = f"{state.id}: {state_words(state)}"
    return draw_effect(
        EffectFigure(
            title, words, rows, label, value, low, high, expected=region, expected_label=expected_label, zero=zero
        )
    )


def metric_of(story: Story) -> str:
    """Return the metric the hypothesis is about; of a baseline without prediction, that of its run's score."""
    state, run = story.state, story.treatment
    if state.proposal.expectation is not None:
        return state.proposal.expectation.metric
    found = figures_of(state.verdict).get("metric")
    if found:
        return str(found)
    manifest = run.manifest if run is not None else None
    return manifest.score.rpartition(" of ")[2] if manifest is not None else "eval/return_mode"


def _counts_time(story: Story) -> bool:
    return story.state.proposal.plan.reducer.startswith("env_steps_to")


def _curves(run: RunRecord) -> list[Curve]:
    return [
        Curve(seed.seed, [x for x, _ in seed.curve], [y for _, y in seed.curve]) for seed in run.seeds if seed.curve
    ]


def _solved_at(seed: SeedRecord, run: RunRecord) -> str | None:
    if run.solved is None or not seed.curve:
        return None
    falling = run.random is not None and run.solved < run.random
    index = first_reached([value for _, value in seed.curve], run.solved, falling=falling)
    return "never" if index is None else f"{seed.curve[index][0]:,}"


def _course(seed: SeedRecord, run: RunRecord) -> str | None:
    values = [value for _, value in seed.curve if math.isfinite(value)]
    if run.random is None or run.solved is None or run.random == run.solved or len(values) < FEWEST:
        return None
    return pattern(values, run.random, run.solved)


def _remark(seed: SeedRecord, run: RunRecord, figures: Mapping[str, Any]) -> str:
    key, said = str(seed.seed), [seed.fault] if seed.fault else []
    if seed.state is None:
        said.append("not ended")
    elif seed.state != "finished":
        said.append(f"{seed.state}{f': {seed.reason}' if seed.reason else ''}")
    for name, words in (("failed", "takes the fail score"), ("missing", "no score")):
        why = dict(figures.get(name) or {}).get(key)
        said += [f"{words}: {why}"] if why else []
    said += ["time cut off by the budget"] if seed.seed in (figures.get("censored") or ()) else []
    said += [f"{seed.attempts} attempts"] if seed.attempts > 1 else []
    score = dict(figures.get("seeds") or {}).get(key)
    if _below_random(score, run, figures):
        said.append("worse than random play")
    return plain("; ".join(said))


def _below_random(score: float | None, run: RunRecord, figures: Mapping[str, Any]) -> bool:
    known = score is not None and run.random is not None and run.solved is not None
    if not known or "return" not in str(figures.get("metric", "return")):
        return False
    assert score is not None
    assert run.random is not None
    assert run.solved is not None
    return score > run.random if run.solved < run.random else score < run.random


def _answer(
    expected: Expectation | None, figures: Mapping[str, Any]
) -> tuple[float | None, float | None, float | None, str]:
    """Return the value that answers the expectation with its interval, and what the axis shows."""
    if expected is not None and expected.form in ("rise", "fall", "within"):
        level = 100 * float(figures.get("level") or 0.95)
        label = f"difference of means, with the change minus baseline, and its {level:.4g} % interval"
        return figures.get("difference"), figures.get("low"), figures.get("high"), label
    if expected is not None and expected.form in ("at_least", "at_most"):
        arm = cast("Mapping[str, Any]", figures.get("treatment") or {})
        return arm.get("mean"), arm.get("low"), arm.get("high"), "mean and its 95 % interval"
    return None, None, None, ""


def _region(expected: Expectation | None, figures: Mapping[str, Any]) -> tuple[tuple[float, float] | None, str, bool]:
    """Return where the value was expected, the words for it, and whether 0 means no effect."""
    delta = figures.get("delta") if expected is None or expected.amount is None else expected.amount
    if expected is None or delta is None:
        return None, "", False
    if expected.form == "rise":
        return (delta, math.inf), f"expected: at least {signed(delta)}", True
    if expected.form == "fall":
        return (-math.inf, -delta), f"expected: at most {signed(-delta)}", True
    if expected.form == "within":
        return (-delta, delta), f"expected: within {figure(delta)} of the baseline", True
    if expected.form == "at_least":
        return (delta, math.inf), f"expected: at least {figure(delta)}", False
    if expected.form == "at_most":
        return (-math.inf, delta), f"expected: at most {figure(delta)}", False
    return None, short_expectation(expected), False


def reducer_is_optimistic(story: Story) -> bool:
    """Tell whether scores were picked by looking at the whole curve."""
    return parse_reducer(f"{story.state.proposal.plan.reducer} of {metric_of(story)}").is_optimistic


def total_time(runs: Sequence[RunRecord]) -> float:
    """Return the training time of all seeds of these runs, in seconds."""
    return math.fsum(seed.wall_s for run in runs for seed in run.seeds)
