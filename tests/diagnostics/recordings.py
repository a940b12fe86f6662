"""Series of real runs that were provoked to show a symptom, small enough for git: `recorded/RULE.json`.

    python -m tests.diagnostics.recordings RUN_FOLDER RULE "what was planted"

keeps of every seed what the rules watch, at most 120 points a metric in four digits, and what was planted. The file is
named after the rule that must be named first. The recorded config is not kept: rules are judged by metrics alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from dreamerlab.diagnostics.series import Course, Series
from dreamerlab.lab.diagnose_reading import read_trial
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import read_manifest

FOLDER = Path(__file__).parent / "recorded"
POINTS = 120


def names(folder: Path = FOLDER) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.json"))


def load(name: str, folder: Path = FOLDER) -> tuple[dict[int, Course], dict[str, Any]]:
    """Return the courses of a recording by seed, and what is known about it."""
    told = json.loads((folder / f"{name}.json").read_text())
    courses = {
        int(seed): Course({metric: Series(*columns) for metric, columns in one["series"].items()}, one["spent"])
        for seed, one in told.pop("seeds").items()
    }
    return courses, told


def record(folder: Path, name: str, planted: str, into: Path = FOLDER) -> Path:
    run = RunDirectory(folder)
    made = read_manifest(run.manifest_path)
    seeds = {}
    for trial in run.trials():
        course = read_trial(trial, {}).course
        seeds[trial.seed] = {"spent": course.spent, "series": {k: _thin(v) for k, v in sorted(course.series.items())}}
    facts = {"planted": planted, "env": made.env, "budget": made.budget.amount, "seeds": seeds}
    path = into / f"{name}.json"
    path.write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    return path


def _thin(one: Series) -> list[list[float]]:
    count = min(POINTS, len(one))
    at = [round(i * (len(one) - 1) / max(1, count - 1)) for i in range(count)]
    return [[one.steps[i] for i in at], [float(f"{one.values[i]:.4g}") for i in at]]


if __name__ == "__main__":
    print(record(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
