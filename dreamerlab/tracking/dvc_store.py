"""Artifacts of runs in DVC, used as a content store: add, push, pull. Never `dvc exp`, never in the foreground.

`runs/R…/artifacts.dvc` is committed text; what was added and pushed, and from which state of the files, is remembered
in `.dreamerlab/cache/data/`. What can be looked up is: a copy that is gone from the cache, or from a remote in a
folder, does not count. A run is valid without any of this: our own sha256 of every file are in its summaries.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from dreamerlab.atomic import atomic_write_json, atomic_write_text, read_object
from dreamerlab.errors import NotFound, ToolFailed
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.status import read_status
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.tombstone import dropped_files
from dreamerlab.tracking.dvc_project import (
    REMOTE,
    Remote,
    RemoteFailed,
    cache_folder,
    dvc,
    is_set_up,
    lock,
    remote,
    require_project,
)
from dreamerlab.tracking.git_state import GitSilent, git

DataState = Literal["no dvc", "local", "cached", "pushed", "absent", "archived"]
PUSH_PAUSES_S = (1.0, 4.0)
"""Waits between attempts of a push; what already arrived is not sent again."""


def state(workspace: Workspace, run: RunDirectory) -> DataState:
    """Return how far the run's artifacts have come, from files alone.

    no dvc: not installed, or not set up here. local: only in the run's folder, or changed since they were added.
    cached: added. pushed: the remote has them as they were added. absent: added elsewhere, not pulled into this clone.
    archived: some were dropped on purpose.
    """
    if dropped_files(run):
        return "archived"
    if not is_set_up(workspace):
        return "no dvc"
    digest = recorded_md5(run)
    if digest is None:
        return "local"
    if not run.artifacts.is_dir():
        return "absent"
    record = _read_record(workspace, run)
    if record.get("added_md5") == digest and _has_changed(run, record):
        return "local"
    if is_pushed(workspace, run):
        return "pushed"
    return "cached" if _is_whole(cache_folder(workspace), digest) else "local"


def is_behind(workspace: Workspace, run: RunDirectory) -> bool:
    """Return whether trials of the run have gone on since its artifacts were added, or these never were."""
    if not is_set_up(workspace) or not run.artifacts.is_dir() or dropped_files(run):
        return False
    digest, record = recorded_md5(run), _read_record(workspace, run)
    return digest is None or (record.get("added_md5") == digest and record.get("progress") != _progress(run))


def is_pushed(workspace: Workspace, run: RunDirectory) -> bool:
    """Return whether the present remote got what `artifacts.dvc` names, and as far as can be seen still has it."""
    digest, record, place = recorded_md5(run), _read_record(workspace, run), remote(workspace)
    if digest is None or place is None or record.get("pushed_md5") != digest or record.get("remote") != place.url:
        return False
    return place.folder is None or _is_whole(place.folder, digest)


def add(workspace: Workspace, run: RunDirectory) -> None:
    """Put the run's artifacts into DVC's cache and write `artifacts.dvc`; again after a resumed attempt.

    NotFound when there are none; ToolFailed with DVC's own words otherwise.
    """
    require_project(workspace)
    if not run.artifacts.is_dir():
        raise NotFound(f"{run.id} has no artifacts here", hint=f"dreamerlab data pull {run.id}")
    with lock(workspace):
        progress = _progress(run)
        _ignore_in_git(run)
        dvc(workspace, "add", str(run.artifacts.relative_to(workspace.path)))
        _make_writable(workspace, run)
        _remember_added(workspace, run, progress)


def push(workspace: Workspace, run: RunDirectory) -> None:
    """Send the added artifacts to the default remote, with a few attempts, and remember that they are there.

    RemoteFailed when it cannot be reached or refuses; nothing here has changed then. DVC itself sends what it finds
    in its cache, and is content when something is missing there.
    """
    require_project(workspace)
    digest = _require_added(run)
    if not _is_whole(cache_folder(workspace), digest):
        raise ToolFailed(f"DVC's cache does not hold all of {run.id}", hint=f"dreamerlab data pull {run.id}")
    place = remote(workspace)
    if place is None:
        raise RemoteFailed("this workspace knows no DVC remote", hint="name one: dreamerlab data remote URL")
    target = str(run.artifacts_dvc.relative_to(workspace.path))
    with lock(workspace):
        _show_gaps(place, digest)
        for pause in (*PUSH_PAUSES_S, None):
            try:
                dvc(workspace, "push", target)
                break
            except RemoteFailed as failure:
                if pause is None or "not installed" in failure.message:
                    raise
                time.sleep(pause)
        if place.folder is not None and not _is_whole(place.folder, digest):
            raise RemoteFailed(f"{place.folder} does not hold all of {run.id}, though DVC sent it")
        _write_record(workspace, run, pushed_md5=digest, pushed_at=round(time.time()), remote=place.url)


def pull(workspace: Workspace, run: RunDirectory, *, replace: bool = False) -> None:
    """Fetch the run's artifacts into its folder, writable, so that a checkpoint in it can be resumed.

    Artifacts changed since they were added are not overwritten unless `replace`: DVC refuses and says so. A clone on
    the machine of its original, without a remote of its own, uses the original's local one.
    """
    require_project(workspace)
    digest = _require_added(run)
    with lock(workspace):
        if remote(workspace) is None:
            _use_remote_of_origin(workspace)
        target = str(run.artifacts_dvc.relative_to(workspace.path))
        dvc(workspace, "pull", target, *(["--force"] if replace else []))
        _make_writable(workspace, run)
        _remember_added(workspace, run, _progress(run))
        place = remote(workspace)
        if place is not None and (place.folder is None or _is_whole(place.folder, digest)):
            _write_record(workspace, run, pushed_md5=digest, remote=place.url)


def recorded_md5(run: RunDirectory) -> str | None:
    """Return the digest in artifacts.dvc; None when there is no such file or it is damaged."""
    return _recorded(run, r"md5: (\S+)")


def recorded_size(run: RunDirectory) -> int | None:
    """Return the bytes of the artifacts that artifacts.dvc names; None when it does not say."""
    found = _recorded(run, r"size: (\d+)")
    return None if found is None else int(found)


def drop_from_cache(workspace: Workspace, run: RunDirectory, kept: frozenset[str]) -> None:
    """Remove DVC's copies of the run's artifacts but those of the files `kept` and those that other runs share."""
    digest = recorded_md5(run)
    if digest is None:
        return
    with lock(workspace):
        cache = cache_folder(workspace)
        files = _listed(cache, digest)
        shared = {md5 for md5, name in files.items() if name in kept}
        for other in workspace.runs.glob(f"*/{run.artifacts_dvc.name}"):
            if other != run.artifacts_dvc and (md5 := recorded_md5(RunDirectory(other.parent))) is not None:
                shared |= _listed(cache, md5).keys()
        for md5 in files.keys() - shared:
            _object(cache, md5).unlink(missing_ok=True)


def _recorded(run: RunDirectory, pattern: str) -> str | None:
    try:
        text = run.artifacts_dvc.read_text()
    except (OSError, UnicodeDecodeError):
        return None
    match = re.search(rf"^\s*-?\s*{pattern}", text, flags=re.MULTILINE)
    return match[1] if match else None


def _is_whole(store: Path, digest: str) -> bool:
    """Whether a cache, or a remote in a folder, holds every file of the artifacts under a digest."""
    return _object(store, digest).is_file() and all(_object(store, md5).is_file() for md5 in _listed(store, digest))


def _show_gaps(place: Remote, digest: str) -> None:
    """Let DVC see that files are gone from a remote: it takes them all to be there as long as their list is."""
    if place.folder is not None and not _is_whole(place.folder, digest):
        with suppress(OSError):
            _object(place.folder, digest).unlink(missing_ok=True)


def _object(store: Path, md5: str) -> Path:
    """Where a cache or a remote keeps what has a digest."""
    return store / "files" / "md5" / md5[:2] / md5[2:]


def _listed(store: Path, md5: str) -> dict[str, str]:
    """Digest -> path inside the run of the artifacts under one digest of a folder, as far as the store knows it."""
    try:
        found = json.loads(_object(store, md5).read_text())
        return {str(each["md5"]): f"artifacts/{each['relpath']}" for each in found}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _has_changed(run: RunDirectory, record: dict[str, Any]) -> bool:
    return record.get("progress") != _progress(run) or record.get("stamp") != _stamp(run)


def _progress(run: RunDirectory) -> list[list[int]]:
    """What changes whenever a trial goes on: [seed, attempt, env steps] of each."""
    statuses = [read_status(trial) for trial in run.trials()]
    return [[status.seed, status.attempt, status.env_steps] for status in statuses]


def _stamp(run: RunDirectory) -> str:
    """What changes whenever a file does: a hash over the name, size and time of each."""
    found: list[tuple[str, int, int]] = []
    for folder, _, names in os.walk(run.artifacts):
        for name in names:
            facts = os.lstat(f"{folder}/{name}")
            found.append((f"{folder}/{name}"[len(str(run.path)) :], facts.st_size, facts.st_mtime_ns))
    return hashlib.sha256(repr(sorted(found)).encode(errors="surrogateescape")).hexdigest()


def _remember_added(workspace: Workspace, run: RunDirectory, progress: list[list[int]]) -> None:
    _write_record(workspace, run, added_md5=recorded_md5(run), progress=progress, stamp=_stamp(run))


def _record_path(workspace: Workspace, run: RunDirectory) -> Path:
    return workspace.cache / "data" / f"{run.id}.json"


def _read_record(workspace: Workspace, run: RunDirectory) -> dict[str, Any]:
    try:
        return read_object(str(_record_path(workspace, run)))
    except (OSError, ValueError):
        return {}


def _write_record(workspace: Workspace, run: RunDirectory, **changes: Any) -> None:
    path = _record_path(workspace, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_json(path, {**_read_record(workspace, run), **changes})


def _require_added(run: RunDirectory) -> str:
    digest = recorded_md5(run)
    if digest is None:
        raise NotFound(f"the artifacts of {run.id} were never added to DVC", hint=f"dreamerlab data push {run.id}")
    return digest


def _use_remote_of_origin(workspace: Workspace) -> None:
    try:
        origin = Path(os.fsdecode(git(workspace.path, "remote", "get-url", "origin")).rstrip("\n"))
        within = os.fsdecode(git(workspace.path, "rev-parse", "--show-prefix")).rstrip("\n")
    except GitSilent:
        origin, within = Path(), ""
    store = Workspace(origin / within).dvc_remote  # a workspace may be a folder of its repository
    if not (origin.is_absolute() and store.is_dir()):
        raise ToolFailed(
            "this workspace knows no DVC remote",
            hint="name the place that 'data push' sent to: dreamerlab data remote URL --local",
        )
    dvc(workspace, "remote", "add", "--local", "--default", "--force", REMOTE, str(store))


def _ignore_in_git(run: RunDirectory) -> None:
    """Runs are born with this line; one that was brought from elsewhere may lack it."""
    line = f"/{run.artifacts.name}"
    text = run.gitignore_path.read_text() if run.gitignore_path.exists() else ""
    if line not in text.split():
        atomic_write_text(run.gitignore_path, f"{text}{line}\n")


def _make_writable(workspace: Workspace, run: RunDirectory) -> None:
    """Turn files that DVC linked to its cache into copies: writing to a link would damage the cache."""
    if any(_is_linked(path) for path in run.artifacts.rglob("*")):
        dvc(workspace, "unprotect", str(run.artifacts.relative_to(workspace.path)))


def _is_linked(path: Path) -> bool:
    facts = path.lstat()
    if stat.S_ISLNK(facts.st_mode):
        return True
    return stat.S_ISREG(facts.st_mode) and (facts.st_nlink > 1 or not facts.st_mode & stat.S_IWUSR)
