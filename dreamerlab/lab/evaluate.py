"""`eval`: measure the stored agents of a run again, each in a process of its own, on the code that trained them.

Without the code's snapshot (in a clone) today's code is used, with a caveat when it is not the same. Nothing is
written into the run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dreamerlab
from dreamerlab.errors import LabError, NotFound, TrialFailed
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.preflight import require_training_parts
from dreamerlab.launch.trainer import code_environment, installed_code
from dreamerlab.report.wording import figure, seeds_text
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.store import Workspace, find_run
from dreamerlab.tables import Table

# A file, not a module: the program that asks may be of today while the agent it builds is the snapshot's.
_PROGRAM = Path(dreamerlab.__file__).parent / "train" / "eval_checkpoint.py"


@dataclass(frozen=True)
class Measured:
    """The evaluations that were made, one per seed, and what must be known beside them."""

    run: str
    rows: list[dict[str, Any]]
    caveats: list[str]

    def to_data(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return {"run": self.run, "trials": self.rows, "caveats": self.caveats}


def measure(workspace: Workspace, text: str, seed: int | None, episodes: int | None, voice: Voice) -> Measured:
    """Evaluate the newest checkpoint of every seed (or of one) of the run meant by `text`.

    NotFound when no checkpoint is here; TrialFailed with the reason when an evaluation breaks down.
    """
    run = find_run(workspace, text)
    manifest = read_manifest(run.manifest_path)
    if seed is not None and seed not in manifest.seeds:
        raise NotFound(f"{run.id} has no seed {seed}; it has {seeds_text(manifest.seeds)}")
    seeds = manifest.seeds if seed is None else (seed,)
    here = [trial for trial in map(run.trial, seeds) if any(trial.checkpoints.glob("*.json"))]
    if not here:
        stored = run.artifacts_dvc.exists()
        hint = f"dreamerlab data pull {run.id}" if stored else f"dreamerlab status {run.id}"
        raise NotFound(f"{run.id} has no checkpoint here", hint=hint)
    caveats = [f"seed {one} has no checkpoint here" for one in seeds if one not in {trial.seed for trial in here}]
    require_training_parts(workspace)
    code = _code(workspace, manifest, caveats)
    rows: list[dict[str, Any]] = []
    for trial in here:
        voice.say(f"evaluating {run.id} seed {trial.seed}")
        row = _evaluate(trial, code, episodes)
        caveats += [f"seed {trial.seed}: passed over {line}" for line in row.get("passed_over", [])]
        rows.append(row)
    return Measured(run.id, rows, caveats)


def to_table(measured: Measured) -> Table:
    """Return the evaluations as a table."""
    columns = ("seed", "checkpoint", "env steps", "episodes", "mode mean", "mode range", "sample mean", "sample range")
    table = Table(columns, frozenset(columns) - {"checkpoint"})
    for row in measured.rows:
        values, returns = row["values"], row["returns"]
        shown: list[str] = []
        for policy in ("mode", "sample"):
            shown.append(figure(values.get(f"eval/return_{policy}")))
            shown.append(f"{figure(min(returns[policy]))} to {figure(max(returns[policy]))}")
        table.add(row["seed"], row["checkpoint"], f"{row['env_steps']:,}", row["episodes"], *shown)
    return table


def _code(workspace: Workspace, manifest: Manifest, caveats: list[str]) -> list[Path]:
    from dreamerlab.tracking.code_identity import compute, restore

    try:
        return [restore(workspace, manifest)]
    except LabError:
        now = compute(workspace)
        caveats.append(f"evaluated by today's code ({now.identity[:16]}), trained by {manifest.code.identity[:16]}")
        return [*installed_code(), workspace.path]


def _evaluate(trial: TrialDirectory, code: list[Path], episodes: int | None) -> dict[str, Any]:
    command = [sys.executable, "-P", str(_PROGRAM), str(trial.path)]
    command += ["--episodes", str(episodes)] if episodes is not None else []
    done = subprocess.run(
        command,
        cwd=RunDirectory(trial.path.parent).path.parent.parent,
        env=code_environment(code),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    try:
        row = json.loads(done.stdout.strip().splitlines()[-1]) if done.returncode == 0 else None
    except (ValueError, IndexError):
        row = None
    if not isinstance(row, dict):
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), None)
        last = said or (lines[-1] if lines else f"exit code {done.returncode}")
        raise TrialFailed(f"seed {trial.seed} of {trial.run.id} cannot be evaluated: {last}")
    return row  # pyright: ignore[reportUnknownVariableType]
