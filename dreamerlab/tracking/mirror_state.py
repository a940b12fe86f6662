"""How far each run is mirrored and what is in the way, in files that every command may read: no MLflow needed.

.dreamerlab/cache/mlflow/R0012-9qd.json          the place reached; safe to delete, all is sent again then
.dreamerlab/cache/mlflow/R0012-9qd.lock          held by the process that copies the run
.dreamerlab/cache/mlflow/R0012-9qd.trouble.json  why it failed last, gone once it has worked again
.dreamerlab/cache/mlflow/prepared.json           the MLflow that the database was last opened with
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dreamerlab.atomic import atomic_write_json, read_object
from dreamerlab.errors import LabError
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.lock import lock_holder
from dreamerlab.runs.status import ONGOING, effective_state, read_status
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.mirror_lines import EVAL, TRAIN, Cells, Taken

URI_VARIABLE = "MLFLOW_TRACKING_URI"
_SCHEMA = 2


@dataclass
class TrialPlace:
    """How far one trial is mirrored: its MLflow run, the byte reached in each file, what is sent of each metric."""

    run: str | None = None
    files: dict[str, int] = field(default_factory=dict[str, int])
    cells: Cells = field(default_factory=dict[str, Taken])
    closed: list[str] = field(default_factory=list[str])
    """Files that are complete, and their last values sent."""
    state: str | None = None
    """The state last written to MLflow."""


@dataclass
class Place:
    """How far a run is mirrored."""

    store: str
    """`store_key`."""
    experiment: str | None = None
    parent: str | None = None
    described: bool = False
    state: str | None = None
    story: str | None = None
    """Digest of the tags and the note last written."""
    attached: dict[str, str] = field(default_factory=dict[str, str])
    """Artifact path -> size and time of the file last sent."""
    trials: dict[str, TrialPlace] = field(default_factory=dict[str, TrialPlace])
    schema: int = _SCHEMA


@dataclass(frozen=True)
class Trouble:
    """Why a run cannot be mirrored; times in unix seconds."""

    message: str
    hint: str | None
    since: float
    at: float

    @property
    def line(self) -> str:
        """The trouble in one line."""
        return f"{self.message} (since {time.strftime('%Y-%m-%d %H:%M', time.localtime(self.since))})"


def store_uri(workspace: Workspace) -> str:
    """Return where MLflow keeps its records: MLFLOW_TRACKING_URI when set, else the workspace's own database.

    The own one is named relative to `workspace.hidden`, where the mirror and `ui` work: a path with quotes, question
    marks or newlines is no URI, and a workspace that moves keeps its place. A relative database of the user's lies in
    the workspace.
    """
    theirs = os.environ.get(URI_VARIABLE)
    if not theirs:
        return f"sqlite:///{workspace.mlflow_db.name}"
    path = theirs.removeprefix("sqlite:///")
    if path == theirs or path.startswith("/"):
        return theirs
    return f"sqlite:///{workspace.path / path}"


def store_key(workspace: Workspace) -> str:
    """Return what tells one store from another without spelling a password that its address may hold."""
    return hashlib.sha256(store_uri(workspace).encode()).hexdigest()[:16]


def is_wanted(workspace: Workspace) -> bool:
    """Tell whether runs are to be mirrored at all: there is a database of `init`, or the user has named a store."""
    return bool(os.environ.get(URI_VARIABLE)) or workspace.mlflow_db.exists()


def folder(workspace: Workspace) -> Path:
    """Return where the mirror remembers what it has done."""
    return workspace.cache / "mlflow"


def place_path(workspace: Workspace, run_id: str) -> Path:
    """Return the file with the place reached in a run."""
    return folder(workspace) / f"{run_id}.json"


def lock_path(workspace: Workspace, run_id: str) -> Path:
    """Return the lock of the process that copies a run."""
    return folder(workspace) / f"{run_id}.lock"


def load_place(workspace: Workspace, run_id: str) -> Place | None:
    """Return the place reached in a run, None when it is not known or of another store."""
    try:
        data = read_object(str(place_path(workspace, run_id)))
        trials = {seed: _trial_place(found) for seed, found in data.pop("trials").items()}
        place = Place(**data, trials=trials)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return place if (place.store, place.schema) == (store_key(workspace), _SCHEMA) else None


def save_place(workspace: Workspace, run_id: str, place: Place) -> None:
    """Remember the place reached in a run."""
    path = place_path(workspace, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_json(path, asdict(place))


def trouble(workspace: Workspace, run_id: str) -> Trouble | None:
    """Return why the last attempt to mirror a run failed, None when it did not."""
    try:
        data = read_object(str(_trouble_path(workspace, run_id)))
        return Trouble(str(data["message"]), data.get("hint"), float(data["since"]), float(data["at"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def note_trouble(workspace: Workspace, run_id: str, error: LabError | None) -> None:
    """Put down that mirroring a run failed, or with None that it works."""
    path = _trouble_path(workspace, run_id)
    if error is None:
        path.unlink(missing_ok=True)
        return
    known, now = trouble(workspace, run_id), time.time()
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_json(path, asdict(Trouble(error.message, error.hint, known.since if known else now, now)))


def standing(workspace: Workspace, run: RunDirectory) -> str | None:
    """Return where the mirror of a run stands, in one line; None where nothing is mirrored.

    `up to date`, `follows (process 12)`, `fails: WHY`, `behind: WHY`, `not there yet`.
    """
    if not is_wanted(workspace):
        return None
    failed = trouble(workspace, run.id)
    if failed is not None:
        return f"fails: {failed.line}"
    holder = lock_holder(lock_path(workspace, run.id))
    if holder is not None:
        return f"follows (process {holder})"
    trials = run.trials()
    place = load_place(workspace, run.id)
    if place is None:
        return "not there yet"
    if any(_waits(run, trial, place.trials.get(str(trial.seed))) for trial in trials):
        return "behind: the process that copied it is gone"
    return "up to date"


def standing_and_cure(workspace: Workspace, run: RunDirectory) -> str | None:
    """Return the same with the command that helps, where it takes one."""
    line = standing(workspace, run)
    return f"{line}; dreamerlab data sync {run.id}" if is_behind(line) else line


def is_behind(line: str | None) -> bool:
    """Tell whether what `standing` said asks for `data sync`."""
    return line is not None and line.startswith(("fails", "behind", "not there"))


def files_of(trial: TrialDirectory) -> list[tuple[str, Path, bool]]:
    """Return (kind, path, complete) of the files of a trial that are mirrored; nothing follows in a complete one."""
    over = effective_state(read_status(trial)) not in ONGOING
    attempts = trial.attempts()
    train = [(TRAIN, trial.metrics_path(number), over or number < attempts[-1]) for number in attempts]
    return [*train, (EVAL, trial.evals_path, over)]


def prepared_with(workspace: Workspace) -> str | None:
    """Return the version of MLflow that last opened the workspace's own database, None when that is not known."""
    try:
        return str(read_object(str(folder(workspace) / "prepared.json"))["mlflow"])
    except (OSError, ValueError, KeyError):
        return None


def note_prepared(workspace: Workspace) -> None:
    """Put down that the workspace's own database fits the installed MLflow."""
    folder(workspace).mkdir(parents=True, exist_ok=True)
    atomic_write_json(folder(workspace) / "prepared.json", {"mlflow": installed_version()})


def installed_version() -> str | None:
    """Return the version of MLflow that is installed, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mlflow")
    except PackageNotFoundError:
        return None


def _waits(run: RunDirectory, trial: TrialDirectory, place: TrialPlace | None) -> bool:
    """Tell whether a trial has lines that were not sent."""
    for _, path, _ in files_of(trial):
        try:
            size = path.stat().st_size
        except OSError:
            continue
        if place is None or size > place.files.get(path.relative_to(run.path).as_posix(), 0):
            return True
    return False


def _trial_place(data: dict[str, Any]) -> TrialPlace:
    cells = {metric: Taken(*found) for metric, found in data.pop("cells").items()}
    return TrialPlace(**data, cells=cells)


def _trouble_path(workspace: Workspace, run_id: str) -> Path:
    return folder(workspace) / f"{run_id}.trouble.json"
