"""The MLflow mirror: a process of its own that copies what a run writes into MLflow, and may die at any moment.

    python -m dreamerlab.tracking.mlflow_mirror WORKSPACE RUN_ID [--follow]
    python -m dreamerlab.tracking.mlflow_mirror WORKSPACE --prepare

Experiment = family, parent run = run, child run = trial; step = env steps; parameters = what differs from the defaults.
Lines are the truth and are never touched. After every accepted batch the place reached in each file is saved, so a
mirror killed between the two sends one batch again, which MLflow, keyed by the times in the lines, stores once. NaN is
shown as NaN; an infinite value too, with the tag `not_finite.METRIC`. Failures are one line and exit code 5.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from dreamerlab.atomic import atomic_write_json, read_object
from dreamerlab.errors import LabError, ToolFailed
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.status import ONGOING, OVER, Status, effective_state, read_status
from dreamerlab.runs.store import Workspace, find_run
from dreamerlab.tracking.mirror_lines import read_batches
from dreamerlab.tracking.mlflow_backend import Backend, require_mlflow

POLL_S = 3.0
SETTLE_S = 5.0
"""A run that was quiet for this long is over; a resumed one may need a moment until its first trainer reports."""
_STATUS = {
    "finished": "FINISHED",
    "failed": "FAILED",
    "running": "RUNNING",
    "queued": "SCHEDULED",
    "waiting": "SCHEDULED",
}


@dataclass
class TrialCursor:
    """How far one trial is mirrored: its MLflow run, the byte reached in each file, the cells taken by each metric."""

    run: str | None = None
    files: dict[str, int] = field(default_factory=dict[str, int])
    cells: dict[str, int] = field(default_factory=dict[str, int])
    state: str | None = None
    """The state last written to MLflow."""


@dataclass
class Cursor:
    """How far a run is mirrored; kept in `.dreamerlab/cache/mlflow/<run>.json`, and safe to delete."""

    store: str
    parent: str | None = None
    described: bool = False
    state: str | None = None
    trials: dict[str, TrialCursor] = field(default_factory=dict[str, TrialCursor])


def prepare(workspace: Workspace) -> None:
    """Create the database or bring it up to date, which takes MLflow seconds; ToolFailed without MLflow."""
    Backend(workspace)


class Mirror:
    """One run being copied."""

    def __init__(self, workspace: Workspace, run: RunDirectory, backend: Backend) -> None:
        self._workspace, self._run, self._backend = workspace, run, backend
        self._manifest = read_manifest(run.manifest_path)
        self._path = cursor_path(workspace, run.id)
        self._cursor = self._load()

    def open(self) -> None:
        """Find or make the MLflow runs, describe the run, and remember their ids."""
        backend, manifest, cursor = self._backend, self._manifest, self._cursor
        experiment = backend.experiment(manifest.family)
        if cursor.parent is None:
            name = manifest.name or manifest.id
            start = round(1000 * datetime.fromisoformat(manifest.created_at).timestamp())
            cursor.parent = backend.run(experiment, ("dreamerlab.path", manifest.id), name, start, None)
            self._save()
        if not cursor.described:
            backend.set_tags(cursor.parent, _describe(manifest))
            backend.log_params(cursor.parent, changed_leaves(self._run.config_path))
            backend.log_file(cursor.parent, self._run.config_path)
            cursor.described = True
            self._save()
        for seed in manifest.seeds:
            place = cursor.trials.setdefault(str(seed), TrialCursor())
            if place.run is None:
                tag = ("dreamerlab.path", f"{manifest.id}/seed {seed}")
                started = read_status(self._run.trial(seed)).started_at or time.time()
                place.run = backend.run(experiment, tag, f"seed {seed}", round(1000 * started), cursor.parent)
                backend.set_tags(place.run, {"dreamerlab.run": manifest.id, "dreamerlab.seed": str(seed)})
                self._save()

    def drain(self) -> int:
        """Copy everything that is new, then the states; return how many lines could not be read."""
        statuses = [read_status(self._run.trial(seed)) for seed in self._manifest.seeds]
        torn = sum(self._drain_trial(self._run.trial(seed)) for seed in self._manifest.seeds)
        for status in statuses:
            self._show_state(status)
        self._show_run(statuses)
        return torn

    def ongoing(self) -> bool:
        """Tell whether any trial may still write."""
        trials = [self._run.trial(seed) for seed in self._manifest.seeds]
        return any(effective_state(read_status(trial)) in ONGOING for trial in trials)

    def _drain_trial(self, trial: TrialDirectory) -> int:
        place = self._cursor.trials[str(trial.seed)]
        assert place.run is not None
        files = [("train", trial.metrics_path(attempt)) for attempt in trial.attempts()]
        torn = 0
        for kind, path in [*files, ("eval", trial.evals_path)]:
            name = path.relative_to(self._run.path).as_posix()
            offset = place.files.get(name, 0)
            for batch in read_batches(path, offset, place.cells, kind, self._manifest.budget):
                self._backend.log_values(place.run, batch.values)
                if batch.not_finite:
                    self._backend.set_tags(place.run, {f"not_finite.{k}": v for k, v in batch.not_finite.items()})
                place.files[name], place.cells = batch.end, batch.cells
                torn += batch.torn
                self._save()
        return torn

    def _show_state(self, status: Status) -> None:
        place, state = self._cursor.trials[str(status.seed)], effective_state(status)
        shown = f"{state} (attempt {status.attempt})"
        if place.run is None or place.state == shown:
            return
        end = round(1000 * (status.heartbeat_at or time.time()))
        self._backend.set_tags(place.run, {"dreamerlab.state": shown, "dreamerlab.reason": status.reason or ""})
        self._backend.set_status(place.run, _STATUS.get(state, "KILLED"), end)
        place.state = shown
        self._save()

    def _show_run(self, statuses: list[Status]) -> None:
        cursor, states = self._cursor, [effective_state(status) for status in statuses]
        shown = ", ".join(f"{count} {state}" for state, count in sorted(Counter(states).items()))
        if cursor.parent is None or cursor.state == shown:
            return
        end = round(1000 * max((status.heartbeat_at or 0.0 for status in statuses), default=0.0)) or None
        self._backend.set_tags(cursor.parent, {"dreamerlab.state": shown})
        self._backend.set_status(cursor.parent, run_status(states), end)
        cursor.state = shown
        self._save()

    def _load(self) -> Cursor:
        """The saved place, or the beginning: without one, for another store, or when MLflow has lost the runs."""
        fresh = Cursor(store=self._backend.uri)
        try:
            data = read_object(str(self._path))
            trials = {seed: TrialCursor(**place) for seed, place in data.pop("trials").items()}
            cursor = Cursor(**data, trials=trials)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return fresh
        known = [cursor.parent, *(place.run for place in cursor.trials.values())]
        if cursor.store != fresh.store or not all(self._backend.is_active(run) for run in known if run):
            return fresh
        return cursor

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_json(self._path, asdict(self._cursor))


def mirror(workspace: Workspace, run: RunDirectory, *, follow: bool) -> None:
    """Copy a run into MLflow once, or until it has ended; Conflict when another process is already doing it."""
    require_mlflow()
    lock = cursor_path(workspace, run.id).with_suffix(".lock")
    with owned_lock(lock, timeout_s=0.0, what=f"the mirror of {run.id}"):
        copying = Mirror(workspace, run, Backend(workspace))
        copying.open()
        torn, quiet_since = 0, time.monotonic()
        while True:
            if copying.ongoing():
                quiet_since = time.monotonic()
            torn += copying.drain()
            if not follow or time.monotonic() - quiet_since >= SETTLE_S:
                break
            time.sleep(POLL_S)
    if torn:
        print(f"warning: {torn} lines of {run.id} could not be read and are not in MLflow", file=sys.stderr)


def cursor_path(workspace: Workspace, run_id: str) -> Path:
    """Return where the mirror of a run remembers how far it is."""
    return workspace.cache / "mlflow" / f"{run_id}.json"


def run_status(states: list[str]) -> str:
    """Return MLflow's word for a run whose trials are in these effective states."""
    for state in ("running", "queued", "failed"):
        if state in states:
            return _STATUS[state] if state != "queued" else "RUNNING"
    return "FINISHED" if "finished" in states and set(states) <= OVER else "KILLED"


def changed_leaves(config: Path) -> dict[str, str]:
    """Return the leaves of a recorded config that differ from today's defaults, spelled as in the config."""
    from dreamerlab.config.catalogue import leaves
    from dreamerlab.config.record import load_recorded, spell

    known = leaves()
    recorded = load_recorded(config)
    return {key: spell(value) for key, value in recorded.items() if key not in known or known[key].default != value}


def _describe(manifest: Manifest) -> dict[str, str]:
    budget = manifest.budget
    note = f"{manifest.kind} on {manifest.env}, {len(manifest.seeds)} seeds, {budget.amount} {budget.unit} each"
    tags: dict[str, Any] = {
        "dreamerlab.run": manifest.id,
        "dreamerlab.kind": manifest.kind,
        "dreamerlab.env": manifest.env,
        "dreamerlab.score": manifest.score,
        "dreamerlab.code": manifest.code.identity,
        "dreamerlab.hypothesis": manifest.hypothesis,
        "mlflow.source.git.commit": manifest.code.commit,
        "mlflow.note.content": note,
    }
    return {key: str(value) for key, value in tags.items() if value is not None}


def main(arguments: list[str] | None = None) -> int:
    """Run the mirror's command line; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m dreamerlab.tracking.mlflow_mirror", description="Copy a run to MLflow."
    )
    parser.add_argument("workspace", type=Path, help="the workspace's folder")
    parser.add_argument("run", nargs="?", help="id of the run")
    parser.add_argument("--follow", action="store_true", help="go on until every trial has ended")
    parser.add_argument("--prepare", action="store_true", help="only create the database or bring it up to date")
    chosen = parser.parse_args(arguments)
    if bool(chosen.run) == chosen.prepare:
        parser.error("give a run id or --prepare")
    warnings.simplefilter("ignore")
    workspace = Workspace(chosen.workspace)
    try:
        if chosen.prepare:
            prepare(workspace)
        else:
            os.nice(19)
            mirror(workspace, find_run(workspace, chosen.run), follow=chosen.follow)
    except LabError as error:
        kind = "warning" if isinstance(error, ToolFailed) else "error"
        print(f"{kind}: {error.message}" + (f" (hint: {error.hint})" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
