"""`compare`: two or more runs side by side, the others against the first. Shows evidence and never judges it.

Collects from the committed text of the runs: what differs, scores per seed with their uncertainty, time to reach the
levels of the task, courses of the curves. What must be held against the figures is `comparability.py`, how it looks
is `report.comparison`, the arithmetic is `stats`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from dreamerlab.errors import UsageError
from dreamerlab.lab.comparability import caveats, fact_differences, leaf_differences, withheld
from dreamerlab.lab.show import RunDetails, TrialDetails, collect
from dreamerlab.metrics import CATALOGUE
from dreamerlab.report.evidence import Evidence, Pair, RunEvidence, SeedEvidence, Threshold
from dreamerlab.report.plots import Arm, Curve, ManyRuns, draw_comparison
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.series import Point, line_values, read_evals
from dreamerlab.runs.status import read_status
from dreamerlab.runs.store import Workspace, find_run
from dreamerlab.runs.summary import parse_reducer
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


def choose_runs(workspace: Workspace, texts: Sequence[str]) -> list[RunDirectory]:
    """Return the runs meant by `texts`; UsageError for fewer than two, or for one that is named twice."""
    if len(texts) < 2:
        raise UsageError(
            f"a comparison needs two runs or more, and only '{texts[0]}' is named",
            hint=f"dreamerlab compare {texts[0]} OTHER, or for one run: dreamerlab show {texts[0]}",
        )
    runs = [find_run(workspace, text) for text in texts]
    named: dict[str, str] = {}
    for run, text in zip(runs, texts, strict=True):
        if run.id in named:
            raise UsageError(
                f"a run cannot be compared with itself: '{named[run.id]}' and '{text}' both are {run.id}",
                hint="name different runs; dreamerlab list shows them",
            )
        named[run.id] = text
    return runs


def compare(workspace: Workspace, runs: Sequence[RunDirectory]) -> Evidence:
    """Return everything that can be said of `runs` beside each other; the first is what the others are set against.

    NotFound or ConfigError when the recorded config of a run is missing or damaged: what differs would be unknown.
    """
    from dreamerlab.config.recorded import load_recorded

    details = [collect(workspace, run) for run in runs]
    configs = [load_recorded(run.config_path) for run in runs]
    found = [_run(one, config) for one, config in zip(details, configs, strict=True)]
    leaves = leaf_differences(runs, configs)
    facts = fact_differences(found)
    pairs = [_pair(found[0], other) for other in found[1:]]
    return Evidence(found, leaves, facts, pairs, caveats(found, leaves, facts))


def draw(evidence: Evidence, path: Path) -> Path:
    """Write the learning curves of all runs and seeds to `path` and return it."""
    arms = [Arm(_arm_label(run), [_curve(seed) for seed in run.seeds]) for run in evidence.runs]
    same_task = len({run.env_id for run in evidence.runs}) == 1
    reference: Mapping[str, float | None] = evidence.runs[0].reference if same_task else {}
    envs = ", ".join(dict.fromkeys(run.manifest.env for run in evidence.runs))
    metrics = " / ".join(dict.fromkeys(run.metric for run in evidence.runs))
    picture = ManyRuns(envs, arms, y_label=metrics, random=reference.get("random"), solved=reference.get("solved"))
    draw_comparison(picture, path)
    return path


def _run(details: RunDetails, config: Mapping[str, object]) -> RunEvidence:
    made = details.manifest
    reducer = parse_reducer(made.score)
    levels = (details.reference["random"], details.reference["solved"])
    thresholds = _thresholds(details)
    seeds = [_seed(details, trial, reducer.metric, levels, thresholds) for trial in details.trials]
    evaluation = {
        "every": f"{config['eval.every']} env steps" if "eval.every" in config else "-",
        "episodes": str(config.get("eval.episodes", "-")),
        "score": made.score,
    }
    env_id = str(config.get("env.id", made.env))
    machine = _machine(made.environment, [attempt for trial in details.trials for attempt in trial.attempts])
    return RunEvidence(
        made, env_id, reducer.metric, evaluation, machine, details.reference, thresholds, seeds, details.caveats
    )


def _seed(
    details: RunDetails,
    trial: TrialDetails,
    metric: str,
    levels: tuple[float | None, float | None],
    thresholds: Sequence[Threshold],
) -> SeedEvidence:
    view, directory = trial.view, details.run.trial(trial.view.seed)
    points = _evaluations(directory, metric)
    values = [point.value for point in points]
    random, solved = levels
    known = random is not None and solved is not None and random != solved and bool(values)
    falling = random is not None and solved is not None and solved < random
    each = details.replayed_per_update
    return SeedEvidence(
        seed=view.seed,
        state=view.state,
        score=trial.score if trial.score is not None and trial.score - trial.score == 0 else None,
        so_far=trial.so_far,
        score_reason=trial.score_reason,
        env_steps=view.env_steps,
        updates=view.updates,
        replayed_steps=None if each is None else view.updates * each,
        episodes=view.episodes,
        wall_s=view.wall_s,
        evaluations=points,
        reached={each.name: _reached(points, each) for each in thresholds},
        course=course(values, falling=falling) if values else None,
        actor_loss=read_status(directory).latest.get("behavior/policy_loss"),
        pattern=pattern(values, random, solved) if known and random is not None and solved is not None else None,
    )


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


def _thresholds(details: RunDetails) -> list[Threshold]:
    """Return the levels worth reaching (M-PROT-19): halfway from random play to solved, and solved; of returns only."""
    random, solved = details.reference["random"], details.reference["solved"]
    if solved is None or "return" not in parse_reducer(details.manifest.score).metric:
        return []
    falling = random is not None and solved < random
    halfway = [] if random is None else [Threshold("halfway", (random + solved) / 2, falling)]
    return [*halfway, Threshold("solved", solved, falling)]


def _reached(points: Sequence[Point], threshold: Threshold) -> Point | None:
    index = first_reached([point.value for point in points], threshold.level, falling=threshold.falling)
    return None if index is None else points[index]


def _machine(environment: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the facts of the machine that can matter, each as text; of attempts that differ all values."""
    packages: Mapping[str, Any] = environment.get("packages") or {}
    facts = {name: environment.get(name) for name in ("python", "platform", "host", "cpu", "cores_usable", "gpus")}
    facts |= {name: packages.get(name) for name in ("torch", "numpy", "gymnasium", "box2d")}
    facts["other trainers at the start"] = environment.get("other_trainers")
    found = {name.replace("_", " "): _text(value) for name, value in facts.items()}
    for name in ("device", "threads", "cpu_capability"):
        values = sorted({_text(attempt[name]) for attempt in attempts if attempt.get(name) is not None})
        found[name.replace("_", " ")] = ", ".join(values) or "-"
    return found


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"  # pyright: ignore[reportUnknownArgumentType]
    return "-" if value is None else str(value)


def _pair(first: RunEvidence, other: RunEvidence) -> Pair:
    reason = withheld(first, other)
    if reason is not None:
        return Pair(first.id, other.id, withheld=reason)
    a, b = first.scores, other.scores
    lower = CATALOGUE[first.metric].direction == "lower" if first.metric in CATALOGUE else False
    enough = min(len(a), len(b)) >= FEWEST
    # Seeded by the runs compared: the same records give the same figures, whoever asks and whenever.
    generator = Random(f"{first.id} {other.id}")
    return Pair(
        first.id,
        other.id,
        welch=welch(a, b),
        permutation=exact_permutation(a, b),
        least_p=least_p(len(a), len(b)),
        improvement=probability_of_improvement(a, b, lower_is_better=lower),
        iqm_difference=interquartile_mean(b) - interquartile_mean(a) if enough else None,
        iqm_interval=percentile_bootstrap(a, b, interquartile_mean, generator) if enough else None,
        detectable_sd=minimum_detectable_effect(len(a), len(b)),
    )


def _curve(seed: SeedEvidence) -> Curve:
    return Curve(seed.seed, [p.env_steps for p in seed.evaluations], [p.value for p in seed.evaluations])


def _arm_label(run: RunEvidence) -> str:
    marks = [mark for mark, holds in (("pilot", run.manifest.kind == "pilot"), ("so far", run.so_far)) if holds]
    return f"{run.label} (n={len(run.seeds)}{''.join(f', {mark}' for mark in marks)})"
