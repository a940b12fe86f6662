"""Checks of `doctor` on what killed processes leave behind: half-made runs and snapshots, temporary files."""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from shutil import rmtree

from dreamerlab.lab.doctor_findings import Finding
from dreamerlab.lab.recovery import launch_lock_path, recorded_runs
from dreamerlab.report.wording import duration, size
from dreamerlab.runs.creation import complete_run
from dreamerlab.runs.directory import HALF_MADE, RunDirectory
from dreamerlab.runs.lock import lock_holder
from dreamerlab.runs.processes import alive
from dreamerlab.runs.store import Workspace, half_made

SETTLED_S = 60.0
"""A temporary file that was not touched for so long is nobody's, unless its name names a living process."""
# `.name.PID-N.tmp` and `.name.PID.tmp` of atomic writes, `.name.tmp` of checkpoints and replay, `.lock.TOKEN` of locks.
_TEMPORARY = re.compile(r"\..+?(?:\.(?P<pid>[0-9]+)(?:-[0-9]+)?)?\.tmp|\..*lock\.[0-9a-f]{16}")


def half_made_runs(workspace: Workspace) -> Iterator[Finding]:
    """Yield runs that a killed launch left without their name; the registry decides what becomes of them."""
    found = half_made(workspace)
    if not found or any(lock_holder(path) is not None for path in (workspace.lock_path, launch_lock_path(workspace))):
        return  # somebody may be making one at this moment
    named = recorded_runs(workspace)
    for path in found:
        run = RunDirectory(path)
        if run.id in named:
            complete = partial(complete_run, workspace, run)
            yield Finding(
                "half-made run", str(path), "its launch is on record, and was cut short", "complete it", complete
            )
        elif any(file.is_file() for trial in run.trials() for file in trial.artifacts.rglob("*")):
            text = "it holds artifacts, and no record names it"
            yield Finding("half-made run", str(path), text, hint=f"look at it, then: rm -r '{path}'")
        else:
            text = "the run was never completed; nothing was trained in it"
            yield Finding("half-made run", str(path), text, "remove it", partial(rmtree, path))


def half_made_snapshots(workspace: Workspace) -> Iterator[Finding]:
    """Yield copies of code that were never finished."""
    for path in sorted(workspace.snapshots.glob(f"{HALF_MADE}*")):
        pid = path.name.rpartition("-")[2]
        if not (pid.isdecimal() and alive(int(pid))) and _idle_s(path) > SETTLED_S:
            text = "a copy of the code that was never finished"
            yield Finding("half-made snapshot", str(path), text, "remove it", partial(rmtree, path))


def temporary_files(workspace: Workspace) -> Iterator[Finding]:
    """Yield the temporary files of processes that were killed while they wrote, by folder."""
    by_folder: dict[str, list[Path]] = defaultdict(list)
    for path in _all_files(workspace):
        match = _TEMPORARY.fullmatch(path.name)
        if match is None or (match["pid"] and alive(int(match["pid"]))) or _idle_s(path) <= SETTLED_S:
            continue
        by_folder[str(path.parent)].append(path)
    for folder, paths in sorted(by_folder.items()):
        what = "a temporary file" if len(paths) == 1 else f"{len(paths)} temporary files"
        total, age = size(sum(_size(path) for path in paths)), duration(max(map(_idle_s, paths)))
        text = f"{what} of a process that was killed ({total}, up to {age} old)"
        yield Finding("temporary file", folder, text, f"remove {what}", partial(_remove, paths))


def _all_files(workspace: Workspace) -> Iterator[Path]:
    """Yield the hidden files of every place we write to; a half-made run goes or stays as a whole."""
    apart = {str(workspace.dvc_remote), str(workspace.snapshots), str(workspace.hidden / "mlflow-artifacts")}
    for top in (workspace.runs, workspace.protocol, workspace.hidden):
        for folder, inner, names in os.walk(top):
            inner[:] = [name for name in inner if not name.startswith(HALF_MADE) and f"{folder}/{name}" not in apart]
            yield from (Path(folder, name) for name in names if name.startswith("."))
    for snapshot in workspace.snapshots.glob("[!.]*"):
        yield from snapshot.rglob(".*.tmp")


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _idle_s(path: Path) -> float:
    """Return the seconds since a path was last written; 0 for one that has just gone."""
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
