"""After every change of the registry: the log is rendered anew, and goes into git together with the changed records.

The log is rendered and committed under one lock, so that a commit never holds the pages of one moment and another's
LOG.md. A log that cannot be rendered is one warning: the records are what counts, and `dreamerlab log` catches up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from dreamerlab.errors import LabError
from dreamerlab.lab.ledger import commit_paths, registry_of
from dreamerlab.protocol.registry import SUFFIX, TORN
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.git_state import GitSilent, uncommitted


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
            paths += _left_behind(workspace)
        return commit_paths(workspace, list(dict.fromkeys(paths)), message, warn, wanted=wanted)


def commit_log(workspace: Workspace, warn: Callable[[str], None]) -> bool:
    """Commit the generated pages, and the records they tell of that git lacks; return whether a commit was made."""
    paths = _left_behind(workspace)
    return bool(paths) and commit_paths(workspace, paths, "Render the log", warn)


def _left_behind(workspace: Workspace) -> list[Path]:
    """Return the records and pages that git lacks or has in an older state: a commit failed or was not wanted.

    One that is gone is not among them: that is never ours to commit. Nor is a file of the user's beside them.
    """
    from dreamerlab.report.links import is_generated

    protocol, registry = workspace.protocol, registry_of(workspace).folder
    try:
        changed = uncommitted(protocol)
    except GitSilent:
        return []
    records = [path for path in changed if path.is_relative_to(registry) and path.suffix in (SUFFIX, TORN)]
    return [*records, *(path for path in changed if is_generated(path.relative_to(protocol).as_posix()))]
