"""Writing to the registry of a workspace: who, when, under the lock, and into git.

The only door through which use cases write events. Reading needs no door: `registry_of(workspace)`. What writing
needs is imported when something is written, since every listing comes through here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dreamerlab.protocol.chain import Event, Record
from dreamerlab.protocol.registry import Registry
from dreamerlab.runs.attempts import now
from dreamerlab.runs.store import Workspace


def registry_of(workspace: Workspace) -> Registry:
    """Return the registry of a workspace, whether there is a record in it or not."""
    return Registry(workspace.protocol / "registry")


def author(workspace: Workspace) -> str:
    """Return the name git would put on a commit, else that of the account."""
    from dreamerlab.tracking.git_state import GitSilent, git

    try:
        return git(workspace.path, "config", "user.name").decode(errors="replace").strip() or _account()
    except GitSilent:
        return _account()


def open_record(
    workspace: Workspace,
    letter: str,
    event: str,
    data: Mapping[str, Any],
    *,
    provided: Callable[[Registry], None] | None = None,
) -> str:
    """Open a new record under the workspace lock and return its id.

    `provided` looks at the registry before anything is written, while nobody else can, and refuses by raising.
    """
    who, registry = author(workspace), registry_of(workspace)
    with workspace.lock():
        if provided is not None:
            provided(registry)
        return registry.create(letter, Event(event, now(), who, data))


def append(
    workspace: Workspace,
    record_id: str,
    event: str,
    data: Mapping[str, Any] | Callable[[Record], Mapping[str, Any]],
    *,
    provided: Callable[[Record], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> None:
    """Add an event to a record under the workspace lock.

    `provided` looks at the record as it is then and refuses by raising, so that two processes cannot take the same
    step; `data` may be made from it too. `report` hears of an unfinished line that was set aside.
    """
    who = author(workspace)

    def made(record: Record) -> Event:
        if provided is not None:
            provided(record)
        return Event(event, now(), who, data(record) if callable(data) else data)

    with workspace.lock():
        registry_of(workspace).append(record_id, made, report)


def commit_paths(
    workspace: Workspace, paths: Sequence[Path], message: str, warn: Callable[[str], None], *, wanted: bool = True
) -> bool:
    """Commit exactly `paths` where that is wanted and there is a repository; a refusal is one warning, never more."""
    from dreamerlab.lab.records import autocommit, commit, in_git
    from dreamerlab.tracking.git_state import GitSilent

    if not wanted or not autocommit(workspace) or not in_git(workspace.path):
        return False
    try:
        return commit(workspace.path, paths, message)
    except GitSilent as silence:
        warn(f"the records are kept, and not committed: {silence}{_advice(silence.finds_lock)}")
        return False


def _advice(finds_lock: bool) -> str:
    if finds_lock:
        return " If no git command is at work here, one died: remove that file, and the next record brings these along."
    return "; the next record that is committed brings these along"


def _account() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
