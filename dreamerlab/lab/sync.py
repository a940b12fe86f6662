"""`data sync`: what the local records have and the outside does not, to where it belongs: DVC's remote and MLflow.

Both are copies of what is here. One that fails does not keep the other from being brought up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dreamerlab.errors import LabError, ToolFailed
from dreamerlab.lab import mirror
from dreamerlab.lab.data import Moved, push
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.store import Workspace

Say = Callable[[str], None]


def synchronise(workspace: Workspace, runs: Sequence[RunDirectory], say: Say, warn: Say) -> Moved:
    """Add and push the artifacts of `runs` and replay their metrics; return what became of each, MLflow's half too."""
    failures: list[LabError] = []
    try:
        moved = push(workspace, runs, say, warn)
    except LabError as error:  # no run could be tried
        say(f"artifacts: {error.message}")
        moved, failures = Moved([{"run": run.id, "data": f"failed: {error.message}"} for run in runs]), [error]
    try:
        replayed = {one.run: one for one in mirror.sync(workspace, runs)}
    except LabError as error:
        say(f"MLflow: {error.message}")
        failures.append(error)
        replayed = {}
    for run in runs:
        one = replayed.get(run.id)
        row = next((row for row in moved.rows if row["run"] == run.id), None)
        if row is None:
            moved.rows.append(row := {"run": run.id, "data": "not tried"})
        row["mlflow"] = "not replayed" if one is None else one.words
        if one is not None and one.state == "failed":
            failures.append(ToolFailed(f"MLflow of {run.id}: {one.message}", hint=one.hint))
    moved.failures += failures
    return moved
