"""Writing to the registry of a workspace: who, when, under the lock, and into git.

The only door through which use cases write events. Reading needs no door: `registry_of(workspace)`.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dreamerlab.lab.records import autocommit, commit, in_git
from dreamerlab.protocol.registry import Event, Registry
from dreamerlab.runs.attempts import now
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.git_state import GitSilent, git


def registry_of(workspace: Workspace) -> Registry:
    """Return the registry of a workspace, whether there is a record in it or not."""
    return Registry(workspace.protocol / "registry")


def new_event(workspace: Workspace, event: str, data: Mapping[str, Any]) -> Event:
    """Return an event that happens now, by whoever git says is at work here."""
    return Event(event, now(), author(workspace), data)


def author(workspace: Workspace) -> str:
    """Return the name git would put on a commit, else that of the account."""
    try:
        return git(workspace.path, "config", "user.name").decode(errors="replace").strip() or _account()
    except GitSilent:
        return _account()


def open_record(workspace: Workspace, letter: str, event: str, data: Mapping[str, Any]) -> str:
    """Open a new record under the workspace lock and return its id."""
    made = new_event(workspace, event, data)
    with workspace.lock():
        return registry_of(workspace).create(letter, made)


def append(workspace: Workspace, record_id: str, event: str, data: Mapping[str, Any]) -> None:
    """Add an event to a record under the workspace lock."""
    made = new_event(workspace, event, data)
    with workspace.lock():
        registry_of(workspace).append(record_id, made)


def commit_paths(
    workspace: Workspace, paths: Sequence[Path], message: str, warn: Callable[[str], None], *, wanted: bool = True
) -> bool:
    """Commit exactly `paths` where that is wanted and there is a repository; a refusal is one warning, never more."""
    if not wanted or not autocommit(workspace) or not in_git(workspace.path):
        return False
    try:
        return commit(workspace.path, paths, message)
    except GitSilent as silence:
        warn(f"the records are not committed: {silence}")
        return False


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
