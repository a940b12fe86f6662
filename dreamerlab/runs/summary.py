"""The result of one trial: its score, its counts, thinned curves, and a hash of every file it left.

Computed from the files of the trial, never from what a process remembers, so that it can be computed again. The
score is the reducer frozen in the manifest, over all seeds alike; a score that cannot be given is None with a reason.
Scores of all runs in one file: `scores.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dreamerlab.atomic import atomic_write_json, number, read_object
from dreamerlab.errors import LabError, ToolFailed
from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.curves import write_curves
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.manifest import DEFAULT_SCORE, read_manifest
from dreamerlab.runs.reducers import parse_reducer, score
from dreamerlab.runs.series import read_episodes, read_evals
from dreamerlab.runs.status import Status, actor_updates, effective_state, read_status
from dreamerlab.runs.tombstone import dropped_files


def summarise(trial: TrialDirectory) -> dict[str, Any]:
    """Return the result of a trial as JSON-ready values.

    `score` (None with `score_reason`: too few evaluations, one not finite, or a trial that is not finished and must not
    read as a result), the evaluations it was computed from, counts, the last evaluation, the mean return of all
    training episodes, attempts, torn lines, `records`: sha256 of the text that scores are read from, and `files`: path
    relative to the run -> sha256 and size in bytes.
    """
    status = read_status(trial)
    evals, torn = read_evals(trial)
    episodes, torn_episodes = read_episodes(trial)
    reducer_text = _reducer_text(trial)
    found = score(trial, parse_reducer(reducer_text), budget_env_steps=_budget_env_steps(status))
    state = effective_state(status)
    finished = state == "finished"
    returns = [value for line in episodes if (value := number(line.get("return"))) is not None]
    last = evals[-1] if evals else None
    return {
        "schema": 1,
        "seed": trial.seed,
        "state": state,
        "reason": status.reason,
        "diverged": status.diverged,
        "env_steps": status.env_steps,
        "updates": status.updates,
        "actor_updates": actor_updates(status),
        "episodes": status.episodes,
        "budget_unit": status.budget_unit,
        "budget_amount": status.budget_amount,
        "spent": status.spent,
        "wall_s": status.wall_s,
        "reducer": reducer_text,
        "score": found.value if finished else None,
        "score_reason": found.reason if finished else f"the trial is {state}, not finished",
        "score_from": [{"env_steps": steps, "value": each} for steps, each in found.used],
        "evaluations": len(evals),
        "final_evaluation": None
        if last is None
        else {"env_steps": last.get("env_steps"), "values": last.get("values")},
        "training_return_mean": sum(returns) / len(returns) if returns else None,
        "attempts": len(read_attempts(trial)),
        "torn": [Path(report).name for report in [*torn, *torn_episodes]],
        "records": hash_records(trial),
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


def hash_records(trial: TrialDirectory) -> dict[str, str]:
    """Return name -> sha256 of the committed text that scores are read from, of what there is."""
    found = [path for path in (trial.evals_path, trial.curves_path) if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def hash_artifacts(trial: TrialDirectory) -> dict[str, dict[str, Any]]:
    """Return sha256 and size of the trial's artifacts by path relative to the run; hidden files are left out."""
    found = sorted(path for path in trial.artifacts.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(trial.run.path).as_posix(): _hash(path) for path in found}


def check_artifacts(trial: TrialDirectory, files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return one line per recorded file that is missing or different; one dropped on purpose is not checked."""
    faults: list[str] = []
    dropped = dropped_files(trial.run)
    for name, recorded in files.items():
        path = trial.run.path / name
        if name in dropped:
            continue
        if not path.is_file():
            faults.append(f"{name}: missing")
        elif _hash(path)["sha256"] != recorded.get("sha256"):
            faults.append(f"{name}: differs from its recorded sha256")
    return faults


def _budget_env_steps(status: Status) -> int:
    """Return the env steps a finished trial was given: its budget, or where another unit is counted what it made."""
    return status.budget_amount or 0 if status.budget_unit == "env_steps" else status.env_steps


def _reducer_text(trial: TrialDirectory) -> str:
    try:
        return read_manifest(trial.run.manifest_path).score
    except LabError:
        return DEFAULT_SCORE


def _hash(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"sha256": digest, "size": file.tell()}
