"""What of a run's artifacts is kept: disk use by run, and `data archive`, which drops what is heavy and says so.

The rule: of a checkpoint the best and the newest are kept, with the text of what went wrong; older checkpoints,
replay, agents of a pool of self-play, full rows of metrics, films and pictures go. What is dropped is first written
down in the run's committed `archived.json`, so that verdict, log and lint stay as they are and read the dropped files
as not checked. Nothing that the remote does not have is dropped unless that is wanted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dreamerlab.errors import Conflict, UsageError
from dreamerlab.lab.data import require_at_rest
from dreamerlab.lab.ledger import author
from dreamerlab.lab.records import commit_run
from dreamerlab.report.wording import size
from dreamerlab.runs.attempts import now
from dreamerlab.runs.checkpoints import BEST, LATEST, Damaged, choose, describe, names
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.status import is_over, read_status
from dreamerlab.runs.store import Workspace, run_ids
from dreamerlab.runs.summary import hash_artifacts
from dreamerlab.runs.tombstone import Dropped, add_to_tombstone
from dreamerlab.tracking import dvc_store
from dreamerlab.tracking.dvc_project import is_set_up, remote

_TOLD = ("console.txt", "error.txt")
_BLOCK = 512


@dataclass(frozen=True)
class DiskUse:
    """What one run takes on this disk, in bytes as the file system counts them."""

    run: str
    text: int
    """What git carries."""
    checkpoints: int
    replay: int
    other: int
    """Full rows of metrics, episodes, agents of a pool of self-play, pictures, films."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.text + self.checkpoints + self.replay + self.other

    def to_data(self) -> dict[str, Any]:
        """Return the amounts as JSON-ready values."""
        return {**asdict(self), "total": self.total}


@dataclass(frozen=True)
class Archived:
    """What was dropped of a run."""

    run: str
    dropped: Dropped

    def to_data(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {"run": self.run, "size_bytes": self.dropped.size_bytes, **asdict(self.dropped)}


def disk_use(workspace: Workspace) -> list[DiskUse]:
    """Return what each run takes on this disk, by id; DVC's copies and remote are not in it (`shared_use`)."""
    return [_of_run(workspace.run(str(run_id))) for run_id in run_ids(workspace)]


def shared_use(workspace: Workspace) -> dict[str, int]:
    """Return the bytes of what all runs share: DVC's cache, a remote in this workspace, snapshots of code, MLflow."""
    folders = {
        "DVC cache": workspace.path / ".dvc" / "cache",
        "DVC remote": workspace.dvc_remote,
        "snapshots": workspace.snapshots,
        "MLflow": workspace.mlflow_db,
    }
    return {name: used for name, path in folders.items() if (used := _bytes(path))}


def archive(
    workspace: Workspace,
    run: RunDirectory,
    why: str,
    warn: Callable[[str], None],
    *,
    everything: bool = False,
    force: bool = False,
) -> Archived | None:
    """Drop the heavy artifacts of an ended run (`everything`: all of them) and return what went; None when none did.

    Conflict while a trial is not over, or when the remote does not have them and `force` was not given; UsageError
    without a reason.
    """
    if not why.strip():
        raise UsageError("archiving needs a reason", hint=f'dreamerlab data archive {run.id} --why "..."')
    require_at_rest(run)
    for trial in run.trials():
        if not (is_over(read_status(trial)) or force):
            text = f"seed {trial.seed} of {run.id} is {read_status(trial).state}, and can be resumed from what is here"
            raise Conflict(text, hint=f"dreamerlab resume {run.id}, or --force to give that up")
    doomed = [path for trial in run.trials() for path in _doomed(trial, everything=everything)]
    if not doomed:
        return None
    is_stored = dvc_store.is_pushed(workspace, run) and dvc_store.state(workspace, run) in ("pushed", "archived")
    if not is_stored and not force:
        amount = size(sum(path.stat().st_size for path in doomed))
        raise Conflict(
            f"{amount} of {run.id} are nowhere but here: dropped they would be gone",
            hint=f"dreamerlab data push {run.id} first, or --force to lose them",
        )
    hashes = {name: facts for trial in run.trials() for name, facts in hash_artifacts(trial).items()}
    listed = [path.relative_to(run.path).as_posix() for path in doomed]
    place = remote(workspace)
    stored = place.url if is_stored and place is not None else None
    files = {name: hashes[name] for name in listed if name in hashes}
    dropped = Dropped(now(), author(workspace), why.strip(), stored, files)
    add_to_tombstone(run, dropped)
    for path in doomed:
        path.unlink(missing_ok=True)
    _remove_empty(run.artifacts)
    if is_set_up(workspace):
        left = {path.relative_to(run.path).as_posix() for path in run.artifacts.rglob("*") if path.is_file()}
        dvc_store.drop_from_cache(workspace, run, frozenset(left))
    commit_run(workspace, run, warn)
    return Archived(run.id, dropped)


def kept_checkpoints(trial: TrialDirectory) -> list[str]:
    """Return the stems of the checkpoints that the rule keeps: the newest, and the best."""
    best = [choose(trial.checkpoints, "best")] if names(trial.checkpoints, BEST) else []
    return [*names(trial.checkpoints, LATEST)[:1], *best]


def _doomed(trial: TrialDirectory, *, everything: bool) -> Sequence[Path]:
    """Return the files that are dropped, by name."""
    found = sorted(path for path in trial.artifacts.rglob("*") if path.is_file())
    if everything:
        return found
    kept = set(kept_checkpoints(trial))
    for stem in list(kept):
        try:
            kept.add(describe(trial.checkpoints, stem).file)
        except Damaged:
            kept.add(f"{stem}.pt")
    return [
        path
        for path in found
        if path.name not in _TOLD and not (path.parent == trial.checkpoints and {path.name, path.stem} & kept)
    ]


def _of_run(run: RunDirectory) -> DiskUse:
    trials = run.trials()
    checkpoints = sum(_bytes(trial.checkpoints) for trial in trials)
    replay = sum(_bytes(trial.replay) for trial in trials)
    artifacts = _bytes(run.artifacts)
    return DiskUse(run.id, _bytes(run.path) - artifacts, checkpoints, replay, other=artifacts - checkpoints - replay)


def _bytes(path: Path) -> int:
    """Return what a file or folder takes on the disk; nothing when it is not there."""
    if not path.is_dir():
        return path.lstat().st_blocks * _BLOCK if path.is_file() else 0
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(f"{folder}/{name}").st_blocks * _BLOCK
            except OSError:
                continue  # somebody has just removed it
    return total


def _remove_empty(folder: Path) -> None:
    """Remove the folders that hold nothing any more, the innermost first; `folder` itself stays."""
    for inner, _, _ in os.walk(folder, topdown=False):
        if inner != str(folder) and not os.listdir(inner):  # noqa: PTH208
            Path(inner).rmdir()
