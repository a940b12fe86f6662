"""After every change of the registry: the changed records, and what is rendered from them, into git together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dreamerlab.lab.ledger import commit_paths, left_behind, registry_of
from dreamerlab.runs.store import Workspace


def publish(
    workspace: Workspace,
    record_ids: Sequence[str],
    message: str,
    warn: Callable[[str], None],
    *,
    wanted: bool = True,
    also: Sequence[Path] = (),
) -> bool:
    """Commit the files of these records and `also`; return whether a commit was made.

    Records that an earlier command could not commit are committed with them.
    """
    registry = registry_of(workspace)
    paths = [*(path for record_id in record_ids for path in registry.files(record_id)), *also]
    if wanted:
        paths += left_behind(workspace)
    return commit_paths(workspace, list(dict.fromkeys(paths)), message, warn, wanted=wanted)
