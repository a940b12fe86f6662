"""Which runs there are: the workspace, and listing them all; finding one in a folder of runs is `finding.py`.

A workspace is a folder with `protocol/workspace.yaml`. Listing reads a manifest and two small files per trial and
nothing else: a thousand runs in a blink. How a run comes to be is `creation.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from dreamerlab.atomic import number, read_object
from dreamerlab.errors import NotFound
from dreamerlab.ids import RecordId
from dreamerlab.runs.directory import (
    HALF_MADE,
    MANIFEST,
    STATUS,
    SUMMARY,
    TRIAL,
    RunDirectory,
    trial_name,
)
from dreamerlab.runs.finding import aliases_in, called_in, find_run_in, ids_in, names_in
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.manifest import Manifest, manifest_from_dict
from dreamerlab.runs.status import Status, effective_state, load_status

MARKER = Path("protocol", "workspace.yaml")


@dataclass(frozen=True)
class Workspace:
    """The folder everything lives in, made absolute; every path directly under it has its name here."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path.absolute())

    @classmethod
    def find(cls, start: Path | None = None) -> Workspace:
        """Return the nearest workspace at or above `start` (default: the current directory); NotFound when none."""
        here = (start or Path.cwd()).absolute()
        for folder in (here, *here.parents):
            if (folder / MARKER).is_file():
                return cls(folder)
        raise NotFound(f"no dreamerlab workspace at or above {here}", hint="make one here: dreamerlab init")

    @property
    def marker(self) -> Path:
        """The file that makes a folder a workspace; its settings are read by whoever owns them."""
        return self.path / MARKER

    @property
    def runs(self) -> Path:
        """All runs."""
        return self.path / "runs"

    @property
    def scores_path(self) -> Path:
        """The scores of all runs in one generated file."""
        return self.runs / "scores.json"

    @property
    def curve_files(self) -> Path:
        """One generated file a run: the curve behind its score."""
        return self.runs / "curves"

    def curve_file(self, run_id: str) -> Path:
        """The generated file of one run: `curve_files.py`."""
        return self.curve_files / f"{run_id}.csv"

    @property
    def env_configs(self) -> Path:
        """One yaml per environment, and experiments."""
        return self.path / "env_configs"

    @property
    def protocol(self) -> Path:
        """Registry, log, decisions, reference."""
        return self.path / "protocol"

    @property
    def hidden(self) -> Path:
        """What git does not carry: lock, caches, snapshots, the MLflow database, the local DVC remote."""
        return self.path / ".dreamerlab"

    @property
    def snapshots(self) -> Path:
        """Copies of the code that runs execute, by code identity."""
        return self.hidden / "snapshots"

    @property
    def cache(self) -> Path:
        """What can be computed or fetched again."""
        return self.hidden / "cache"

    @property
    def lock_path(self) -> Path:
        """The workspace lock."""
        return self.hidden / "lock"

    @property
    def mlflow_db(self) -> Path:
        """The MLflow mirror."""
        return self.hidden / "mlflow.db"

    @property
    def dvc_remote(self) -> Path:
        """The DVC remote that is used unless another one is configured."""
        return self.hidden / "dvc-remote"

    def lock(self, timeout_s: float = 10.0) -> AbstractContextManager[None]:
        """Hold the workspace lock for a block; Conflict names the holder's pid when it stays taken that long."""
        return owned_lock(self.lock_path, timeout_s=timeout_s, what="the workspace")

    def run(self, run_id: str) -> RunDirectory:
        """Return the directory of a full run id, whether it exists or not."""
        return RunDirectory(self.runs / run_id)


@dataclass(frozen=True)
class TrialRow:
    """One trial in a listing: its status as written, the state that is true now, its score once it is finished."""

    status: Status
    state: str
    score: float | None


@dataclass(frozen=True)
class RunRow:
    """One run in a listing; `manifest` is None and `fault` says why when its manifest cannot be read."""

    id: str
    manifest: Manifest | None
    trials: tuple[TrialRow, ...] = ()
    fault: str | None = None


def find_run(workspace: Workspace, text: str) -> RunDirectory:
    """Return the run meant by `text`, as `find_run_in` does."""
    return find_run_in(workspace.runs, text)


def run_ids(workspace: Workspace) -> list[RecordId]:
    """Return the ids of all whole runs, ascending."""
    return ids_in(workspace.runs)


def directory_names(workspace: Workspace) -> list[str]:
    """Return the names of the folders in `runs/` that are runs, whole or half-made."""
    return names_in(workspace.runs)


def aliases(workspace: Workspace) -> dict[str, str]:
    """Return alias -> run id; a run whose manifest cannot be read has none."""
    return aliases_in(workspace.runs)


def run_called(workspace: Workspace, name: str) -> str | None:
    """Return the id of the run with an alias, None when there is none."""
    return called_in(workspace.runs, name)


def half_made(workspace: Workspace) -> list[Path]:
    """Return the folders that a crashed `create_run` left behind; while another process creates a run, also its own."""
    return sorted(workspace.runs / name for name in directory_names(workspace) if name.startswith(HALF_MADE))


def list_runs(workspace: Workspace, *, now: float | None = None) -> list[RunRow]:
    """Return every run with the true state and score of each trial, by id; a damaged record is a fault, no error."""
    return list(newest_runs(workspace, now=now))[::-1]


def newest_runs(workspace: Workspace, *, now: float | None = None) -> Iterator[RunRow]:
    """Yield runs as `list_runs` shows them, newest first; each is read only when it is asked for."""
    for run_id in reversed(run_ids(workspace)):
        yield _row(f"{workspace.runs}/{run_id}", str(run_id), now)


def touched_runs(workspace: Workspace, since: float, *, now: float | None = None) -> list[RunRow]:
    """Return the runs of which something was written after `since` (unix seconds), by id.

    Every status is a new file, so a trial's folder carries the time of its last sign of life: runs that have long
    been silent cost one look at each folder and are not read.
    """
    return [
        _row(f"{workspace.runs}/{run_id}", str(run_id), now)
        for run_id in run_ids(workspace)
        if _last_touched(f"{workspace.runs}/{run_id}") >= since
    ]


def _last_touched(path: str) -> float:
    latest = 0.0
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith(TRIAL) and entry.is_dir():
                latest = max(latest, entry.stat().st_mtime)
    return latest


def run_row(run: RunDirectory, *, now: float | None = None) -> RunRow:
    """Return one run as `list_runs` shows it."""
    return _row(str(run.path), run.id, now)


def _row(path: str, run_id: str, now: float | None) -> RunRow:
    try:
        manifest = manifest_from_dict(read_object(f"{path}/{MANIFEST}"))
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        return RunRow(run_id, None, fault=f"{MANIFEST}: {getattr(error, 'strerror', None) or error}")
    return RunRow(run_id, manifest, tuple(_trial_row(path, seed, now) for seed in manifest.seeds))


def _trial_row(path: str, seed: int, now: float | None) -> TrialRow:
    folder = f"{path}/{trial_name(seed)}"
    status = load_status(f"{folder}/{STATUS}", seed)
    state = effective_state(status, now)
    return TrialRow(status, state, _score(f"{folder}/{SUMMARY}") if state == "finished" else None)


def _score(path: str) -> float | None:
    try:
        return number(read_object(path).get("score"))
    except (OSError, ValueError):
        return None
