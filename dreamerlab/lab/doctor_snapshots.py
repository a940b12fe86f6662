"""Checks of `doctor` on the snapshots of code: those that no run needs, and those that are not what they were.

A snapshot is named after the identity of its code, so which runs need it is read off their manifests. One that is
damaged matters while a trial is still to be trained by it; `resume` would refuse it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shutil import rmtree

from dreamerlab.errors import LabError
from dreamerlab.lab.doctor_findings import Finding
from dreamerlab.lab.recovery import launch_lock_path
from dreamerlab.report.wording import duration, size
from dreamerlab.runs.lock import lock_holder
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.status import is_over, read_status
from dreamerlab.runs.store import Workspace, directory_names
from dreamerlab.tracking.code_identity import recorded_fault, restore, snapshot_path

UNUSED_S = 86_400.0
"""So long a snapshot without a run is left alone: a proof of inertness or a launch may be about to use it."""


def snapshots(workspace: Workspace) -> Iterator[Finding]:
    """Yield snapshots that no run needs any more, and damaged ones by which something is still to be trained."""
    needed: dict[Path, list[Manifest]] = {}
    all_known = True
    for name in directory_names(workspace):  # half-made runs too
        try:
            manifest = read_manifest(workspace.run(name).manifest_path)
        except LabError:
            all_known = False  # it may need any of them; the check of records names it
            continue
        needed.setdefault(snapshot_path(workspace, manifest.code.identity), []).append(manifest)
    for path in sorted(workspace.snapshots.glob("[!.]*")):
        if path in needed:
            yield from _damaged(workspace, path, needed[path])
        elif all_known:
            yield from _unused(workspace, path)


def _damaged(workspace: Workspace, path: Path, runs: list[Manifest]) -> Iterator[Finding]:
    waiting = [made for made in runs if not _is_over(workspace, made)]
    fault = recorded_fault(path, runs[0].code.identity) if waiting else None
    if fault is None:
        return
    text = f"the code of {', '.join(made.id for made in waiting)} {fault}, and it is not trained to its end"
    remedy = "make it again from the tree, if the code there is the same"
    yield Finding("damaged snapshot", str(path), text, remedy, partial(restore, workspace, waiting[0]))


def _unused(workspace: Workspace, path: Path) -> Iterator[Finding]:
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return
    if age < UNUSED_S or not path.is_dir() or lock_holder(launch_lock_path(workspace)) is not None:
        return
    total = sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())
    text = f"no run here executes this copy of the code ({size(total)}, {duration(age)} old)"
    yield Finding("unused snapshot", str(path), text, "remove it", partial(rmtree, path))


def _is_over(workspace: Workspace, made: Manifest) -> bool:
    return all(is_over(read_status(workspace.run(made.id).trial(seed))) for seed in made.seeds)
