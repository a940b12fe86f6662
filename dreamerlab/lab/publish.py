"""After every change of the registry: the log is rendered anew, and goes into git together with the changed records.

The log is rendered and committed under one lock, so that a commit never holds the pages of one moment and another's
LOG.md. A log that cannot be rendered is one warning: the records are what counts, and `dreamerlab log` catches up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from dreamerlab.errors import LabError
from dreamerlab.lab.ledger import commit_paths, left_behind, registry_of
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.git_state import GitSilent, git


def publish(
    workspace: Workspace,
    record_ids: Sequence[str],
    message: str,
    warn: Callable[[str], None],
    *,
    wanted: bool = True,
    also: Sequence[Path] = (),
) -> bool:
    """Render the log, and commit it with the files of these records and `also`; return whether a commit was made.

    Records and pages that an earlier command could not commit are committed with them.
    """
    from dreamerlab.lab.log import log_lock, write_log_locked

    registry = registry_of(workspace)
    paths = [*(path for record_id in record_ids for path in registry.files(record_id)), *also]
    with ExitStack() as held:
        try:
            held.enter_context(log_lock(workspace))
            write_log_locked(workspace)
        except LabError as error:
            warn(f"the log is not up to date: {error.message}; later: dreamerlab log")
        if wanted:
            paths += [*left_behind(workspace), *_pages_behind(workspace)]
        return commit_paths(workspace, list(dict.fromkeys(paths)), message, warn, wanted=wanted)


def commit_log(workspace: Workspace, warn: Callable[[str], None]) -> bool:
    """Commit the generated pages, and the records they tell of that git lacks; return whether a commit was made."""
    paths = [*left_behind(workspace), *_pages_behind(workspace)]
    return bool(paths) and commit_paths(workspace, paths, "Render the log", warn)


def _pages_behind(workspace: Workspace) -> list[Path]:
    """Return the generated pages that git lacks or has in an older state; never a file of the user's beside them."""
    from dreamerlab.report.links import is_generated

    protocol = workspace.protocol
    try:
        top = Path(os.fsdecode(git(protocol, "rev-parse", "--show-toplevel")).rstrip("\n"))
        told = git(protocol, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".")
    except GitSilent:
        return []
    found = [(line[:2], top / os.fsdecode(line[3:])) for line in told.split(b"\0") if line]
    here = [path for state, path in found if b"D" not in state and path.is_relative_to(protocol)]
    return [path for path in here if is_generated(path.relative_to(protocol).as_posix())]
