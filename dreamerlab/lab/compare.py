"""`compare`: runs and hypotheses side by side. Shows evidence and never judges it; verdicts are quoted.

Collects from the committed text of the runs: what differs, scores per seed with their uncertainty, time to reach the
levels of the task, courses of the curves. Which runs, and which against which, is `compare_choice.py`; what must be
held against the figures `comparability.py`; how it looks `report.comparison`; the arithmetic is `stats`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from dreamerlab.errors import LabError, UsageError
from dreamerlab.lab import surroundings
from dreamerlab.lab.code_differences import source_files
from dreamerlab.lab.comparability import caveats, leaf_differences, withheld
from dreamerlab.lab.compare_choice import Choice
from dreamerlab.lab.effective import effective
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.scoring import DEFAULT_METRIC, SeedScore, reducer_of, seed_scores
from dreamerlab.lab.show import RunDetails, TrialDetails, collect
from dreamerlab.metrics import CATALOGUE, is_return
from dreamerlab.protocol.hypothesis import Plan
from dreamerlab.protocol.state import Hypothesis, fold
from dreamerlab.report.evidence import Evidence, HypothesisEvidence, Pair, RunEvidence, SeedEvidence, Threshold
from dreamerlab.report.verdict_words import effect, figures_of, is_no_result, state_words
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.reducers import Reducer, parse_reducer
from dreamerlab.runs.series import Point, line_values, read_evals
from dreamerlab.runs.status import read_status
from dreamerlab.runs.store import Workspace
from dreamerlab.stats.bootstrap import (
    FEWEST,
    interquartile_mean,
    percentile_bootstrap,
    probability_of_improvement,
)
from dreamerlab.stats.curves import course, first_reached, pattern
from dreamerlab.stats.permutation import exact_permutation, least_p
from dreamerlab.stats.power import minimum_detectable_effect
from dreamerlab.stats.welch import welch


def compare(
    workspace: Workspace, choice: Choice, *, reducer: str | None = None, levels: Sequence[float] = ()
) -> Evidence:
    """Return everything that can be said of the chosen runs beside each other.

    Scores are made by `reducer`; without one by that of the first hypothesis named, else by each run's own. `levels`
    are values of the metric to time beside those of the task. NotFound or ConfigError when the recorded config of a
    run is missing or damaged: what differs would be unknown.
    """
    from dreamerlab.config.recorded import load_recorded

    details = [collect(workspace, run) for run in choice.runs]
    configs = [load_recorded(run.config_path) for run in choice.runs]
    owners, unreadable = _hypotheses(workspace, choice, details)
    rule, plan = _rule(reducer, choice)
    found: list[RunEvidence] = []
    for one, config in zip(details, configs, strict=True):
        owner = owners.get(one.manifest.hypothesis or "")
        judged_by = plan if plan is not None or owner is None else owner.proposal.plan
        found.append(_run(one, config, rule or one.manifest.score, owner, judged_by, levels))
    sides = [surroundings.of_run(one.run, one.manifest) for one in details]
    told = zip(found, sides, surroundings.unrecorded(sides), strict=True)
    found = [replace(run, machine=surroundings.flat(side), not_recorded=lacks) for run, side, lacks in told]
    leaves = leaf_differences(choice.runs, configs)
    facts = [*source_files(workspace, [one.manifest for one in details]), *surroundings.differences(sides)]
    pairs = [_pair(found[first], found[other]) for first, other in choice.pairs]
    lines = [*unreadable, *caveats(found, leaves, facts, choice.pairs)]
    return Evidence(found, leaves, facts, pairs, lines, _quoted(owners, found))


def _rule(reducer: str | None, choice: Choice) -> tuple[str | None, Plan | None]:
    """Return the reducer for all runs and the plan whose fail score counts; None where each run has its own."""
    first = choice.hypotheses[0] if choice.hypotheses else None
    if reducer is None:
        return (None, None) if first is None else (reducer_of(first), first.proposal.plan)
    text = reducer if " of " in reducer else f"{reducer} of {DEFAULT_METRIC}"
    parsed = parse_reducer(text)
    if parsed.metric not in CATALOGUE:
        from dreamerlab.errors import did_you_mean

        near = did_you_mean(parsed.metric, CATALOGUE)
        raise UsageError(
            f"no metric is called '{parsed.metric}'{near}", hint="protocol/reference/metrics.md lists them all"
        )
    return f"{parsed.text} of {parsed.metric}", None


def _hypotheses(
    workspace: Workspace, choice: Choice, details: Sequence[RunDetails]
) -> tuple[dict[str, Hypothesis], list[str]]:
    """Return the hypotheses that were named, then those the runs belong to, and a line for each unreadable one."""
    found = {one.id: one for one in choice.hypotheses}
    unreadable: list[str] = []
    for one in details:
        named = one.manifest.hypothesis
        if named is None or named in found:
            continue
        try:
            found[named] = fold(registry_of(workspace).read(named))
        except LabError as error:
            unreadable.append(f"{one.manifest.id}: its hypothesis {named} cannot be read: {error.message}")
    return found, list(dict.fromkeys(unreadable))


def _quoted(owners: Mapping[str, Hypothesis], runs: Sequence[RunEvidence]) -> list[HypothesisEvidence]:
    quoted: list[HypothesisEvidence] = []
    for state in owners.values():
        made, figures = state.proposal, figures_of(state.verdict)
        known = bool(figures) and not is_no_result(state.verdict)
        answer = effect(figures, made.expectation) if known else None
        own = [run.id for run in runs if run.id in (state.run, state.baseline_run)]
        quoted.append(HypothesisEvidence(state.id, made.name, made.kind, made.reading, state_words(state), answer, own))
    return quoted


def _run(
    details: RunDetails,
    config: Mapping[str, object],
    rule: str,
    owner: Hypothesis | None,
    plan: Plan | None,
    extra_levels: Sequence[float],
) -> RunEvidence:
    made = details.manifest
    reducer = parse_reducer(rule)
    thresholds = _thresholds(details, reducer, extra_levels)
    scores = seed_scores(details, rule, owner, plan)
    seeds = [_seed(details, trial, reducer.metric, scores[trial.view.seed], thresholds) for trial in details.trials]
    evaluation = {
        "every": f"{config['eval.every']} env steps" if "eval.every" in config else "-",
        "episodes": str(config.get("eval.episodes", "-")),
        "score": rule,
    }
    return RunEvidence(
        made,
        str(config.get("env.id", made.env)),
        reducer.metric,
        evaluation,
        {},  # filled in by `compare`: what a run lacks is known only beside the others
        details.reference,
        thresholds,
        seeds,
        details.caveats,
        is_return=is_return(reducer.metric) and not reducer.is_time,
        is_time=reducer.is_time,
        effective=effective(details, config),
    )


def _seed(
    details: RunDetails, trial: TrialDetails, metric: str, score: SeedScore, thresholds: Sequence[Threshold]
) -> SeedEvidence:
    view, directory = trial.view, details.run.trial(trial.view.seed)
    points = _evaluations(directory, metric)
    values = [point.value for point in points]
    random, solved = details.reference["random"], details.reference["solved"]
    known = random is not None and solved is not None and random != solved and bool(values) and is_return(metric)
    each = details.replayed_per_update
    return SeedEvidence(
        seed=view.seed,
        state=view.state,
        score=score.value,
        so_far=score.so_far,
        score_reason=score.reason,
        env_steps=view.env_steps,
        updates=view.updates,
        replayed_steps=None if each is None else view.updates * each,
        episodes=view.episodes,
        wall_s=view.wall_s,
        evaluations=points,
        reached={each.name: _reached(points, each) for each in thresholds},
        course=course(values, falling=_falling(details, metric)) if values else None,
        actor_loss=read_status(directory).latest.get("behavior/policy_loss"),
        pattern=pattern(values, random, solved) if known and random is not None and solved is not None else None,
        failed=score.failed,
        censored=score.censored,
        spared=score.spared,
    )


def _falling(details: RunDetails, metric: str) -> bool:
    """Tell whether lower is better: of returns by the levels of the task, of the rest by the metric's direction."""
    random, solved = details.reference["random"], details.reference["solved"]
    if is_return(metric):
        return random is not None and solved is not None and solved < random
    return metric in CATALOGUE and CATALOGUE[metric].direction == "lower"


def _evaluations(trial: TrialDirectory, metric: str) -> list[Point]:
    """Return the finite evaluations that count, with every clock they can be placed on."""
    found: list[Point] = []
    for line in read_evals(trial)[0]:
        value = line_values(line).get(metric)
        if value is not None and value - value == 0:
            clocks = (line.get("env_steps"), line.get("updates"), line.get("wall_s"), line.get("time"))
            env_steps, updates, wall_s, time = (_number(clock) for clock in clocks)
            attempt = int(_number(line.get("attempt")))
            found.append(Point(int(env_steps), int(updates), wall_s, time, attempt, value))
    return found


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _thresholds(details: RunDetails, reducer: Reducer, extra: Sequence[float]) -> list[Threshold]:
    """Return the levels worth reaching (M-PROT-19): of returns halfway from random play to solved, and solved."""
    random, solved = details.reference["random"], details.reference["solved"]
    falling = _falling(details, reducer.metric)
    found: list[Threshold] = []
    if solved is not None and is_return(reducer.metric):
        found += [] if random is None else [Threshold("halfway", (random + solved) / 2, falling)]
        found.append(Threshold("solved", solved, falling))
    if reducer.is_time and reducer.argument is not None:
        extra = [reducer.argument, *extra]
    levels = [level for level in dict.fromkeys(extra) if all(level != one.level for one in found)]
    return [*found, *(Threshold(f"level {level:g}", level, falling) for level in levels)]


def _reached(points: Sequence[Point], threshold: Threshold) -> Point | None:
    index = first_reached([point.value for point in points], threshold.level, falling=threshold.falling)
    return None if index is None else points[index]


def _pair(first: RunEvidence, other: RunEvidence) -> Pair:
    reason = withheld(first, other)
    if reason is not None:
        return Pair(first.id, other.id, withheld=reason)
    a, b = first.scores, other.scores
    enough = min(len(a), len(b)) >= FEWEST
    # Seeded by the runs compared: the same records give the same figures, whoever asks and whenever.
    generator = Random(f"{first.id} {other.id}")
    return Pair(
        first.id,
        other.id,
        welch=welch(a, b),
        permutation=exact_permutation(a, b),
        least_p=least_p(len(a), len(b)),
        improvement=probability_of_improvement(a, b, lower_is_better=first.lower_is_better),
        iqm_difference=interquartile_mean(b) - interquartile_mean(a) if enough else None,
        iqm_interval=percentile_bootstrap(a, b, interquartile_mean, generator) if enough else None,
        detectable_sd=minimum_detectable_effect(len(a), len(b)),
    )
