"""The tables and figures of a hypothesis' page: every seed of both arms, and what the arms were worth on the way.

Computes only medians, means over seeds and the pattern of a course (M-PROT-17); scores are those of the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from dreamerlab.metrics import is_return
from dreamerlab.protocol.figures import shown
from dreamerlab.protocol.hypothesis import Expectation
from dreamerlab.report.figures import CurvesFigure, EffectFigure, Level, ScoreRow, draw_curves, draw_effect
from dreamerlab.report.log_data import RunRecord, SeedRecord, Story
from dreamerlab.report.plots import Arm, Curve, mean_and_range
from dreamerlab.report.prose import plain
from dreamerlab.report.verdict_words import figures_of, is_no_result, state_words
from dreamerlab.report.wording import duration, figure
from dreamerlab.runs.reducers import parse_reducer
from dreamerlab.stats.curves import FEWEST, first_reached, pattern
from dreamerlab.tables import Table

_ON_THE_WAY = 6


def arms_of(story: Story) -> list[tuple[str, RunRecord, Mapping[str, Any]]]:
    """Return (what it is, run, its figures) of the arms that exist, the change first.

    The task's levels are returns: beside the values of another metric a run is shown without them.
    """
    figures, levels = figures_of(story.state.verdict), is_return(metric_of(story))
    words = "baseline" if story.state.proposal.kind == "baseline" else "with the change"
    found: list[tuple[str, RunRecord, Mapping[str, Any]]] = []
    for what, run, key in ((words, story.treatment, "treatment"), ("baseline", story.control, "baseline")):
        if run is not None:
            run = run if levels else replace(run, random=None, solved=None)
            found.append((what, run, cast("Mapping[str, Any]", figures.get(key) or {})))
    return found


def seed_table(story: Story) -> Table:
    """Return one row per seed: score, how the course ended, when it solved the task, what it cost, what is special."""
    numbers = ("seed", "score", "last evaluation", "solved at", "env steps", "training time")
    table = Table(("arm", *numbers, "course", "remark"), frozenset(numbers))
    told = {(one.get("run"), one.get("seed")): one.get("score") for one in story.state.trials}
    for what, run, figures in arms_of(story):
        scores = _by_seed(figures, "seeds")
        for seed in run.seeds:
            score = scores.get(str(seed.seed)) if figures else told.get((run.id, seed.seed))
            last = seed.curve[-1][1] if seed.curve else None
            steps = f"{seed.env_steps:,}" if seed.state is not None else None
            time = duration(seed.wall_s) if seed.state is not None else None
            cells = (None if score is None else figure(score), None if last is None else figure(last))
            levelled = None if _counts_time(story) else score
            row = (
                *cells,
                _solved_at(seed, run),
                steps,
                time,
                _course(seed, run),
                _remark(seed, run, figures, levelled),
            )
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
    if runs:
        levels += [Level("solved", runs[0].solved, "8 4")] if runs[0].solved is not None else []
        levels += [Level("random play", runs[0].random)] if runs[0].random is not None else []
    if expected is not None and expected.form in ("at_least", "at_most", "reaches") and expected.amount is not None:
        same = expected.metric == metric and not _counts_time(story)
        levels += [Level("expected", expected.amount, "1 3")] if same else []
    return draw_curves(CurvesFigure(f"{story.state.id}: {metric} while training", arms, metric, levels))


def effect_svg(story: Story) -> str | None:
    """Return every seed's score and the effect beside what was expected; None when nothing was judged or measured."""
    state, figures, found = story.state, figures_of(story.state.verdict), story.state.proposal.expectation
    if not figures:
        return None
    title, by_time = f"{state.id}: {state_words(state)}", found is not None and found.form == "reaches"
    picture = EffectFigure(title, _score_label(story), _rows(story), with_means=not by_time)
    if found is not None and not is_no_result(state.verdict):
        value, low, high, label = _answer(found, figures)
        region, words, zero = _region(found, figures)
        expected = {"expected": region, "expected_label": words, "zero": zero}
        picture = replace(picture, value=value, low=low, high=high, effect_label=label, **expected)
    return draw_effect(picture)


def _score_label(story: Story) -> str:
    figures, found = figures_of(story.state.verdict), story.state.proposal.expectation
    if found is not None and found.form == "reaches":
        return f"env step at which {found.metric} reached {shown(found.amount or 0.0)}, one circle a seed"
    return f"{figures.get('reducer')} of {figures.get('metric')}: one circle a seed, a diamond for the mean"


def _rows(story: Story) -> list[ScoreRow]:
    """Return what each seed scored, or when it got there, one row an arm."""
    found = story.state.proposal.expectation
    by_time = found is not None and found.form == "reaches"
    rows: list[ScoreRow] = []
    for (what, run, arm), ink in zip(arms_of(story), ("treatment", "control"), strict=False):
        values = list(_by_seed(arm, "reached" if by_time else "seeds").values())
        never = f" ({values.count(None)} of {len(values)} never)" if by_time and None in values else ""
        rows.append(ScoreRow(f"{what}, {run.id}{never}", ink, [value for value in values if value is not None]))
    return rows


def _by_seed(arm: Mapping[str, Any], name: str) -> dict[str, float | None]:
    return dict(cast("Mapping[str, float | None]", arm.get(name) or {}))


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


def _remark(seed: SeedRecord, run: RunRecord, figures: Mapping[str, Any], score: float | None) -> str:
    """Return what is special about a seed; `score` only where it can be held against the task's levels."""
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
    if _below_random(score, run):
        said.append("worse than random play")
    return plain("; ".join(said))


def _below_random(score: float | None, run: RunRecord) -> bool:
    if score is None or run.random is None or run.solved is None:
        return False
    return score > run.random if run.solved < run.random else score < run.random


def _answer(expected: Expectation, figures: Mapping[str, Any]) -> tuple[float | None, float | None, float | None, str]:
    """Return the value that answers the expectation with its interval, and what the axis shows."""
    if expected.form in ("rise", "fall", "within"):
        level = 100 * float(figures.get("level") or 0.95)
        label = f"difference of means, with the change minus baseline, and its {level:.4g} % interval"
        return figures.get("difference"), figures.get("low"), figures.get("high"), label
    if expected.form in ("at_least", "at_most"):
        arm = cast("Mapping[str, Any]", figures.get("treatment") or {})
        return arm.get("mean"), arm.get("low"), arm.get("high"), "mean and its 95 % interval"
    return None, None, None, ""


def _region(expected: Expectation, figures: Mapping[str, Any]) -> tuple[tuple[float, float] | None, str, bool]:
    """Return where the value was expected, the words for it, and whether 0 means no effect."""
    delta = figures.get("delta") if expected.amount is None else expected.amount
    if delta is None:
        return None, "", False
    if expected.form == "rise":
        return (delta, math.inf), f"expected: at least +{shown(delta)}", True
    if expected.form == "fall":
        return (-math.inf, -delta), f"expected: at most {shown(-delta)}", True
    if expected.form == "within":
        return (-delta, delta), f"expected: within {shown(delta)} of the baseline", True
    if expected.form == "at_least":
        return (delta, math.inf), f"expected: at least {shown(delta)}", False
    if expected.form == "at_most":
        return (-math.inf, delta), f"expected: at most {shown(delta)}", False
    return None, "", False


def reducer_is_optimistic(story: Story) -> bool:
    """Tell whether scores were picked by looking at the whole curve."""
    return parse_reducer(f"{story.state.proposal.plan.reducer} of {metric_of(story)}").is_optimistic
