"""Launching one at a time, and mending what a launch left half-done when it was killed.

A launch prepares its runs, records their ids in an event, and completes them. Whatever was interrupted, the registry
decides: a prepared run that a record names is completed, one that nothing names is removed (nothing was trained in
it). Both happen under the launch lock, which every command that launches holds; a dead holder frees it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.entries import PILOT
from dreamerlab.protocol.registry import ENTRY
from dreamerlab.protocol.state import NOTED, hypotheses
from dreamerlab.runs.creation import complete_run, discard_run
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.store import Workspace, half_made

_PATIENCE_S = 120.0


def launch_lock_path(workspace: Workspace) -> Path:
    """Return the lock held by whoever launches or resumes, from the first check to the last claim."""
    return workspace.hidden / "launch.lock"


def launch_lock(workspace: Workspace) -> AbstractContextManager[None]:
    """Hold the launch lock for a block; Conflict names the holder when it stays taken."""
    return owned_lock(launch_lock_path(workspace), timeout_s=_PATIENCE_S, what="launching in this workspace")


def recorded_runs(workspace: Workspace) -> set[str]:
    """Return the ids of all runs that a launch or a pilot's entry names."""
    registry = registry_of(workspace)
    named = {state.run for state in hypotheses(registry) if state.run is not None}
    for record in registry.all(ENTRY):
        first = record.events[0] if record.events else None
        if first is not None and first.event == NOTED and first.data.get("kind") == PILOT:
            named.update(str(one) for one in first.data.get("about") or ())
    return named


def recover(workspace: Workspace) -> None:
    """Complete the prepared runs that are on record and remove the others; the launch lock must be held."""
    if not half_made(workspace):
        return
    with workspace.lock():  # a run made in one go is prepared under this one
        named = recorded_runs(workspace)
        for path in half_made(workspace):
            prepared = RunDirectory(path)
            if prepared.id in named:
                complete_run(workspace, prepared)
            else:
                discard_run(prepared)
