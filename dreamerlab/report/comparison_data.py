"""A comparison for programs: one row a seed as CSV, everything as JSON-ready values. For people: `comparison.py`."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import Any

from dreamerlab.report.evidence import Evidence, RunEvidence, SeedEvidence
from dreamerlab.runs.series import Point


def to_csv(evidence: Evidence) -> str:
    """Return one row per run and seed, with a header; an empty cell where there is no value."""
    names = threshold_names(evidence)
    clocks = ("env_steps", "updates", "wall_s")
    counts = ("env_steps", "updates", "replayed_steps", "episodes", "wall_s")
    courses = ("peak", "peak_env_steps", "lowest_after_peak", "last", "actor_loss", "pattern")
    reached = [f"{name}_{clock}" for name in names for clock in clocks]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "run",
            "name",
            "hypothesis",
            "kind",
            "seed",
            "state",
            "score",
            "so_far",
            "failed",
            "censored",
            *counts,
            *reached,
            *courses,
        ]
    )
    for run in evidence.runs:
        for seed in run.seeds:
            points = [seed.reached.get(name) for name in names]
            writer.writerow(
                [
                    run.id,
                    run.manifest.name,
                    run.manifest.hypothesis,
                    run.manifest.kind,
                    seed.seed,
                    seed.state,
                    seed.score,
                ]
                + [seed.so_far, seed.failed, seed.censored]
                + [getattr(seed, count) for count in counts]
                + [None if point is None else getattr(point, clock) for point in points for clock in clocks]
                + course_values(seed)
            )
    return text.getvalue().rstrip("\n")


def to_data(evidence: Evidence) -> dict[str, Any]:
    """Return everything as JSON-ready values."""
    return {
        "hypotheses": [asdict(one) for one in evidence.hypotheses],
        "runs": [_run_data(run) for run in evidence.runs],
        "differences": {
            "config": [asdict(leaf) for leaf in evidence.leaves],
            "code_and_machine": [asdict(fact) for fact in evidence.facts],
        },
        "pairs": [{**asdict(pair), "detectable": pair.detectable} for pair in evidence.pairs],
        "caveats": list(evidence.caveats),
    }


def threshold_names(evidence: Evidence) -> list[str]:
    """Return the names of all levels that some run could reach, each once."""
    return list(dict.fromkeys(threshold.name for run in evidence.runs for threshold in run.thresholds))


def course_values(seed: SeedEvidence) -> list[Any]:
    """Return peak, its env steps, lowest after it, last, actor loss, pattern; None where there is nothing."""
    found = seed.course
    if found is None:
        return [None, None, None, None, seed.actor_loss, seed.pattern]
    at = seed.evaluations[found.peak_index].env_steps
    return [found.peak, at, found.lowest_after, found.last, seed.actor_loss, seed.pattern]


def _run_data(run: RunEvidence) -> dict[str, Any]:
    made = run.manifest
    return {
        "run": run.id,
        "name": made.name,
        "hypothesis": made.hypothesis,
        "kind": made.kind,
        "env": made.env,
        "env_id": run.env_id,
        "family": made.family,
        "budget": {"unit": made.budget.unit, "amount": made.budget.amount},
        "metric": run.metric,
        "evaluation": dict(run.evaluation),
        "code": {"identity": made.code.identity, "commit": made.code.commit, "dirty": made.code.dirty},
        "machine": dict(run.machine),
        "not_recorded": list(run.not_recorded),
        "effective": [asdict(line) for line in run.effective],
        "reference": dict(run.reference),
        "thresholds": [asdict(threshold) for threshold in run.thresholds],
        "mean": run.mean,
        "sd": run.deviation,
        "so_far": run.so_far,
        "seeds": [_seed_data(seed) for seed in run.seeds],
    }


def _seed_data(seed: SeedEvidence) -> dict[str, Any]:
    return {
        **{key: value for key, value in vars(seed).items() if key not in ("evaluations", "reached", "course")},
        "evaluations": [_point_data(point) for point in seed.evaluations],
        "reached": {name: None if point is None else _point_data(point) for name, point in seed.reached.items()},
        **dict(zip(("peak", "peak_env_steps", "lowest_after_peak", "last"), course_values(seed)[:4], strict=True)),
    }


def _point_data(point: Point) -> dict[str, float]:
    return {"env_steps": point.env_steps, "updates": point.updates, "wall_s": point.wall_s, "value": point.value}
