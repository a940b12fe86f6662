"""One run being copied into MLflow: its runs, its lines, its states, and what is told about it.

Experiment = family, parent run = run, child run = trial; step = env steps; parameters = what differs from the defaults,
the whole config is an artifact. Lines are the truth and are never touched. After every accepted batch the place reached
in each file is saved, so a mirror killed between the two sends one batch again, which MLflow, keyed by the times in the
lines, stores once. NaN is shown as NaN; an infinite value too, with the tag `not_finite.METRIC`.

What is told of a run (`Story`) is composed by `lab.mirror_story`; the process around all this is `lab.mirror`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from dreamerlab.errors import ConfigError, NotFound
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.status import ONGOING, OVER, Status, effective_state, read_status
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.mirror_lines import Batch, last_values, read_batches
from dreamerlab.tracking.mirror_state import Place, TrialPlace, files_of, load_place, save_place, store_key
from dreamerlab.tracking.mlflow_backend import Backend

NOTE = "mlflow.note.content"
_STATUS = {
    "finished": "FINISHED",
    "failed": "FAILED",
    "running": "RUNNING",
    "queued": "SCHEDULED",
    "waiting": "SCHEDULED",
}


class Attachment(NamedTuple):
    """A file to attach, as it was when it was looked at."""

    path: Path
    stamp: str
    """Changes when the file does."""


@dataclass(frozen=True)
class Story:
    """What a run is about and what came of it; told again whenever it has changed."""

    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    note: str = ""
    """Markdown shown at the top of the run's page."""
    files: Mapping[str, Attachment] = field(default_factory=dict[str, Attachment])
    """By artifact path."""
    page: str | None = None
    """The artifact path that the note links to."""


class Mirror:
    """One run being copied; `sent` counts the points that MLflow took."""

    def __init__(self, workspace: Workspace, run: RunDirectory, backend: Backend) -> None:
        self._workspace, self._run, self._backend = workspace, run, backend
        self._manifest = read_manifest(run.manifest_path)
        self._place = self._load()
        self.sent = 0

    def open(self) -> None:
        """Find or make the MLflow runs, describe the run, and remember their ids."""
        backend, manifest, place = self._backend, self._manifest, self._place
        place.experiment = backend.experiment(manifest.family)
        if place.parent is None:
            name = manifest.name or manifest.id
            start = round(1000 * datetime.fromisoformat(manifest.created_at).timestamp())
            place.parent = backend.run(place.experiment, ("dreamerlab.path", manifest.id), name, start, None)
            self._save()
        if not place.described:
            backend.set_tags(place.parent, _describe(manifest))
            self._show_config(place.parent)
            place.described = True
            self._save()
        for seed in manifest.seeds:
            trial = place.trials.setdefault(str(seed), TrialPlace())
            if trial.run is None:
                tag = ("dreamerlab.path", f"{manifest.id}/seed {seed}")
                started = read_status(self._run.trial(seed)).started_at or time.time()
                trial.run = backend.run(place.experiment, tag, f"seed {seed}", round(1000 * started), place.parent)
                backend.set_tags(trial.run, {"dreamerlab.run": manifest.id, "dreamerlab.seed": str(seed)})
                self._save()

    def drain(self) -> int:
        """Copy everything that is new, then the states; return how many lines could not be read."""
        statuses = [read_status(self._run.trial(seed)) for seed in self._manifest.seeds]
        torn = sum(self._drain_trial(self._run.trial(seed)) for seed in self._manifest.seeds)
        for status in statuses:
            self._show_state(status)
        self._show_run(statuses)
        return torn

    def tell(self, story: Story) -> None:
        """Write what has changed since it was told last: tags, note, attached files."""
        place = self._place
        assert place.parent is not None
        for name, (path, stamp) in story.files.items():
            if place.attached.get(name) != stamp and path.is_file():
                self._backend.log_file(place.parent, path, name)
                place.attached[name] = stamp
                self._save()
        note = story.note
        if story.page is not None:
            where = f"#/experiments/{place.experiment}/runs/{place.parent}/artifacts/{story.page}"
            note += f"\n\nThe page: [{story.page.rpartition('/')[2]}]({where})"
        tags = {**story.tags, NOTE: note}
        digest = hashlib.sha256(json.dumps(tags, sort_keys=True).encode()).hexdigest()
        if place.story != digest:
            self._backend.set_tags(place.parent, tags)
            place.story = digest
            self._save()

    def ongoing(self) -> bool:
        """Tell whether any trial may still write."""
        trials = [self._run.trial(seed) for seed in self._manifest.seeds]
        return any(effective_state(read_status(trial)) in ONGOING for trial in trials)

    def _show_config(self, run_id: str) -> None:
        """Send the config, whole and as parameters; one that cannot be read is no reason to go without the curves."""
        path = self._run.config_path
        try:
            self._backend.log_params(run_id, changed_leaves(path))
        except (ConfigError, NotFound) as error:
            self._backend.set_tags(run_id, {"dreamerlab.config_fault": error.message})
        if path.is_file():
            self._backend.log_file(run_id, path, path.name)

    def _drain_trial(self, trial: TrialDirectory) -> int:
        place, budget = self._place.trials[str(trial.seed)], self._manifest.budget
        torn = 0
        for kind, path, complete in files_of(trial):  # what is complete was so before it is read to its end
            name = path.relative_to(self._run.path).as_posix()
            for batch in read_batches(path, place.files.get(name, 0), place.cells, kind, budget):
                self._send(place, name, batch)
                torn += batch.torn
            if complete and place.files.get(name) and name not in place.closed:
                self._send(place, name, last_values(path, place.cells, kind, budget))
                place.closed.append(name)
                self._save()
            elif not complete and name in place.closed:
                place.closed.remove(name)  # a resumed trial goes on in its file of evaluations
        return torn

    def _send(self, place: TrialPlace, name: str, batch: Batch) -> None:
        assert place.run is not None
        self._backend.log_values(place.run, batch.values)
        if batch.not_finite:
            self._backend.set_tags(place.run, {f"not_finite.{k}": v for k, v in batch.not_finite.items()})
        self.sent += len(batch.values)
        place.files[name], place.cells = batch.end, batch.cells
        self._save()

    def _show_state(self, status: Status) -> None:
        place, state = self._place.trials[str(status.seed)], effective_state(status)
        shown, found = f"{state} (attempt {status.attempt})", "; ".join(status.findings)
        told = f"{shown}; {found}" if found else shown
        if place.run is None or place.state == told:
            return
        end = round(1000 * (status.heartbeat_at or time.time()))
        tags = {"dreamerlab.state": shown, "dreamerlab.reason": status.reason or "", "dreamerlab.findings": found}
        self._backend.set_tags(place.run, tags)
        self._backend.set_status(place.run, _STATUS.get(state, "KILLED"), end)
        place.state = told
        self._save()

    def _show_run(self, statuses: list[Status]) -> None:
        place, states = self._place, [effective_state(status) for status in statuses]
        shown = ", ".join(f"{count} {state}" for state, count in sorted(Counter(states).items()))
        if place.parent is None or place.state == shown:
            return
        end = round(1000 * max((status.heartbeat_at or 0.0 for status in statuses), default=0.0)) or None
        self._backend.set_tags(place.parent, {"dreamerlab.state": shown})
        self._backend.set_status(place.parent, run_status(states), end)
        place.state = shown
        self._save()

    def _load(self) -> Place:
        """The saved place, or the beginning: without one, for another store, or when MLflow has lost the runs."""
        place, fresh = load_place(self._workspace, self._run.id), Place(store=store_key(self._workspace))
        if place is None:
            return fresh
        known = [place.parent, *(trial.run for trial in place.trials.values())]
        return place if all(self._backend.is_active(run) for run in known if run) else fresh

    def _save(self) -> None:
        save_place(self._workspace, self._run.id, self._place)


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
    tags: dict[str, Any] = {
        "dreamerlab.run": manifest.id,
        "dreamerlab.kind": manifest.kind,
        "dreamerlab.env": manifest.env,
        "dreamerlab.score": manifest.score,
        "dreamerlab.code": manifest.code.identity,
        "mlflow.source.git.commit": manifest.code.commit,
    }
    return {key: str(value) for key, value in tags.items() if value is not None}
