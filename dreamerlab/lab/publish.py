"""After every change of the registry: the changed records, and what is rendered from them, into git together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dreamerlab.lab.ledger import commit_paths, registry_of
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
    """Commit the files of these records and `also`; return whether a commit was made."""
    registry = registry_of(workspace)
    paths = [*(registry.path(record_id) for record_id in record_ids), *also]
    return commit_paths(workspace, paths, message, warn, wanted=wanted)
