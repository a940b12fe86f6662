"""The result of one trial: its score, its counts, thinned curves, and a hash of every file it left.

Computed from the files of the trial, never from what a process remembers, so that it can be computed again. The
score is the reducer frozen in the manifest, over all seeds alike; a score that cannot be given is None with a reason.
Scores of all runs in one file: `scores.py`.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dreamerlab.atomic import atomic_write_json, atomic_write_text, number, read_object, to_json
from dreamerlab.errors import LabError, ToolFailed, UsageError
from dreamerlab.metrics import ALIASES
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.manifest import DEFAULT_SCORE, read_manifest
from dreamerlab.runs.series import (
    Line,
    Point,
    line_values,
    read_attempts,
    read_episodes,
    read_evals,
    read_lines,
    read_series,
    reduce_final_mean,
    thin,
)
from dreamerlab.runs.status import effective_state, read_status

_REDUCER = re.compile(r"final_mean\((\d+)\) of (\S+)")


class Reducer(NamedTuple):
    """How a curve becomes one score: the mean of the last `k` evaluations of `metric`."""

    k: int
    metric: str


def parse_reducer(text: str) -> Reducer:
    """Return the reducer written as `final_mean(3) of eval/return_mode`; UsageError for anything else."""
    match = _REDUCER.fullmatch(text.strip())
    if match is None or int(match[1]) < 1:
        raise UsageError(f"'{text}' is no reducer", hint=f"write it like '{DEFAULT_SCORE}'")
    return Reducer(int(match[1]), ALIASES.get(match[2], match[2]))


def summarise(trial: TrialDirectory) -> dict[str, Any]:
    """Return the result of a trial as JSON-ready values.

    `score` (None with `score_reason`: too few evaluations, one not finite, or a trial that is not finished and must not
    read as a result), the evaluations it was computed from, counts, the last evaluation, the mean return of all
    training episodes, attempts, torn lines, and `files`: path relative to the run -> sha256 and size in bytes.
    """
    status = read_status(trial)
    evals, torn = read_evals(trial)
    episodes, torn_episodes = read_episodes(trial)
    reducer_text = _reducer_text(trial)
    score, reason, used = _score(evals, parse_reducer(reducer_text))
    state = effective_state(status)
    if state != "finished":
        score, reason = None, f"the trial is {state}, not finished"
    returns = [value for line in episodes if (value := number(line.get("return"))) is not None]
    last = evals[-1] if evals else None
    return {
        "schema": 1,
        "seed": trial.seed,
        "state": state,
        "reason": status.reason,
        "env_steps": status.env_steps,
        "updates": status.updates,
        "episodes": status.episodes,
        "budget_unit": status.budget_unit,
        "budget_amount": status.budget_amount,
        "spent": status.spent,
        "wall_s": status.wall_s,
        "reducer": reducer_text,
        "score": score,
        "score_reason": reason,
        "score_from": used,
        "evaluations": len(evals),
        "final_evaluation": None
        if last is None
        else {"env_steps": last.get("env_steps"), "values": last.get("values")},
        "training_return_mean": sum(returns) / len(returns) if returns else None,
        "attempts": len(read_attempts(trial)),
        "torn": [Path(report).name for report in [*torn, *torn_episodes]],
        "files": hash_artifacts(trial),
    }


def write_summary(trial: TrialDirectory) -> dict[str, Any]:
    """Write `curves.jsonl` and then `summary.json` of a trial; return the summary."""
    write_curves(trial)
    summary = summarise(trial)
    atomic_write_json(trial.summary_path, summary)
    return summary


def read_summary(trial: TrialDirectory) -> dict[str, Any] | None:
    """Return the trial's summary, or None when there is none yet; ToolFailed when it is damaged."""
    try:
        return read_object(str(trial.summary_path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ToolFailed(
            f"{trial.summary_path} is damaged: {error}", hint="write it anew: dreamerlab resume"
        ) from error


def write_curves(trial: TrialDirectory) -> None:
    """Write every metric of a trial, attempts joined and thinned, one line a metric, names ascending."""
    series = read_series(trial)
    lines = [to_json(_curve(name, series.points[name])) for name in sorted(series.points)]
    atomic_write_text(trial.curves_path, "".join(line + "\n" for line in lines))


def read_curves(trial: TrialDirectory) -> dict[str, list[Point]]:
    """Return the thinned curves by metric, readable in any clone; none when they were not written yet."""
    lines, _ = read_lines(trial.curves_path)
    curves: dict[str, list[Point]] = {}
    for line in lines:
        columns = [line.get(key, []) for key in ("env_steps", "updates", "wall_s", "time", "attempt", "values")]
        rows = zip(*columns, strict=False)
        curves[str(line.get("metric"))] = [Point(*row[:5], value=_float(row[5])) for row in rows]
    return curves


def hash_artifacts(trial: TrialDirectory) -> dict[str, dict[str, Any]]:
    """Return sha256 and size of the trial's artifacts by path relative to the run; hidden files are left out."""
    found = sorted(path for path in trial.artifacts.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(trial.run.path).as_posix(): _hash(path) for path in found}


def check_artifacts(trial: TrialDirectory, files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return one line per recorded file that is missing or different; none when all is as recorded."""
    faults: list[str] = []
    for name, recorded in files.items():
        path = trial.run.path / name
        if not path.is_file():
            faults.append(f"{name}: missing")
        elif _hash(path)["sha256"] != recorded.get("sha256"):
            faults.append(f"{name}: differs from its recorded sha256")
    return faults


def _reducer_text(trial: TrialDirectory) -> str:
    try:
        return read_manifest(trial.run.manifest_path).score
    except LabError:
        return DEFAULT_SCORE


def _score(evals: Sequence[Line], reducer: Reducer) -> tuple[float | None, str | None, list[dict[str, Any]]]:
    """(score, why there is none, the evaluations that were used)."""
    pairs = [(line.get("env_steps"), line_values(line).get(reducer.metric)) for line in evals]
    known = [(steps, value) for steps, value in pairs if value is not None]
    used: list[dict[str, Any]] = [{"env_steps": steps, "value": value} for steps, value in known[-reducer.k :]]
    if len(known) < reducer.k:
        return None, f"{len(known)} of the {reducer.k} evaluations of {reducer.metric} it needs", used
    score = reduce_final_mean([value for _, value in known], reducer.k)
    reason = None if score is not None else f"{reducer.metric} is not finite in the last {reducer.k} evaluations"
    return score, reason, used


def _curve(name: str, points: Sequence[Point]) -> dict[str, Any]:
    kept = thin(points)
    return {
        "metric": name,
        "of": len(points),
        "env_steps": [point.env_steps for point in kept],
        "updates": [point.updates for point in kept],
        "wall_s": [round(point.wall_s, 3) for point in kept],
        "time": [round(point.time, 3) for point in kept],
        "attempt": [point.attempt for point in kept],
        "values": [point.value for point in kept],
    }


def _float(value: object) -> float:
    known = number(value)
    return math.nan if known is None else known


def _hash(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"sha256": digest, "size": file.tell()}
