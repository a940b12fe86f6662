"""`log`: LOG.md and the page of every hypothesis, kept in step with registry and committed run records.

The same records give the same bytes, however they came about. One rendering at a time, under a lock of its own, so
that notes can be taken meanwhile: whoever wrote an event renders after it, and so the last rendering has seen every
event. A damaged record is named in the log and stops nothing. What is rendered again is decided in `log_rendering.py`,
layout is `report.notebook`, committing `publish.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreamerlab.atomic import atomic_write_bytes, disk_failure, read_small
from dreamerlab.lab.log_cache import Digest, load, save, stamp
from dreamerlab.lab.log_rendering import Rendering, render_changed
from dreamerlab.lab.publish import commit_log
from dreamerlab.report.links import LOG, PAGES, is_volume
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.store import Workspace

PATIENCE_S = 120.0


@dataclass(frozen=True)
class Refreshed:
    """What became of the log; paths from the workspace on."""

    log: str
    changed: Sequence[str]
    damaged: Mapping[str, Sequence[str]]
    """Record id -> what is wrong with it."""
    committed: bool

    def to_data(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        damaged = {key: list(faults) for key, faults in self.damaged.items()}
        return {"log": self.log, "changed": list(self.changed), "damaged": damaged, "committed": self.committed}


def refresh(workspace: Workspace, warn: Callable[[str], None], *, commit: bool, rebuild: bool = False) -> Refreshed:
    """Bring the log up to date, commit its files where that is wanted, and return what changed.

    `rebuild` renders all of it anew, whatever the cache knows.

    ToolFailed when the disk refuses, Conflict when another rendering does not end.
    """
    with log_lock(workspace):
        changed, rendering = _brought_up_to_date(workspace, rebuild=rebuild)
        committed = commit and commit_log(workspace, warn)
    damaged = {key: digest.faults for key, digest in rendering.digests.items() if digest.faults}
    names = [path.relative_to(workspace.path).as_posix() for path in changed]
    log = (workspace.protocol / LOG).relative_to(workspace.path).as_posix()
    return Refreshed(log, names, damaged, committed)


def render_log(workspace: Workspace) -> dict[str, str]:
    """Return path inside `protocol` -> text of every generated file, from the records alone; nothing is written."""
    return render_changed(workspace, {}).files


def write_log(workspace: Workspace) -> list[Path]:
    """Bring LOG.md, its volumes and the pages up to date; return the files that changed, by name.

    ToolFailed when the disk refuses, Conflict when another rendering does not end.
    """
    with log_lock(workspace):
        return write_log_locked(workspace)


def write_log_locked(workspace: Workspace) -> list[Path]:
    """Do what `write_log` does for a caller that holds `log_lock`, and goes on to commit under it."""
    return _brought_up_to_date(workspace)[0]


def log_lock(workspace: Workspace) -> AbstractContextManager[None]:
    """Hold the lock under which the log is rendered."""
    return owned_lock(workspace.hidden / "log.lock", timeout_s=PATIENCE_S, what="the log")


def _brought_up_to_date(workspace: Workspace, *, rebuild: bool = False) -> tuple[list[Path], Rendering]:
    known = load(workspace)
    before = {key: dict(digest.outputs) for key, digest in known.items()}
    rendering = render_changed(workspace, {} if rebuild else known)
    try:
        (workspace.protocol / PAGES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_failure(workspace.protocol / PAGES, error) from error
    changed = [path for name, text in rendering.files.items() if _replaced(path := workspace.protocol / name, text)]
    changed += _removed(workspace, rendering.files, before, rendering.digests)
    for digest in rendering.digests.values():
        digest.outputs = {name: mark or stamp(f"{workspace.protocol}/{name}") for name, mark in digest.outputs.items()}
    save(workspace, rendering.digests)
    return sorted(changed), rendering


def _replaced(path: Path, text: str) -> bool:
    """Write a file unless it holds this text already; return whether it was written."""
    content = text.encode()
    try:
        if read_small(str(path)) == content:
            return False
    except OSError:
        pass  # it is not there, or writing it will say what is wrong
    atomic_write_bytes(path, content, durable=False)
    return True


def _removed(
    workspace: Workspace, files: dict[str, str], before: dict[str, dict[str, str]], now: dict[str, Digest]
) -> list[Path]:
    """Remove what an earlier rendering wrote and this one has no use for: volumes that are no more, lost figures."""
    kept = {name for digest in now.values() for name in digest.outputs}
    old = {name for key, outputs in before.items() if key in now for name in outputs} - kept
    old |= {path.name for path in workspace.protocol.glob("LOG-*.md") if is_volume(path.name)} - files.keys()
    gone = [path for name in sorted(old) if (path := workspace.protocol / name).exists()]
    for path in gone:
        path.unlink()
    return gone
