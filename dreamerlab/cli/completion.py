"""What the shell may offer after a Tab: ids and names of records, environments, experiments. Silent about problems."""

from __future__ import annotations

from dreamerlab.errors import LabError


def run_ids(incomplete: str) -> list[str]:
    """Return the ids and names of runs that start with what is typed, newest first."""
    from dreamerlab.runs.store import Workspace, aliases, run_ids

    try:
        workspace = Workspace.find()
        words = [*map(str, reversed(run_ids(workspace))), *reversed(aliases(workspace))]
    except (LabError, OSError):
        return []
    return [word for word in words if word.startswith(incomplete)]


def hypothesis_ids(incomplete: str) -> list[str]:
    """Return the ids and names of hypotheses that start with what is typed, newest first."""
    from dreamerlab.lab.ledger import registry_of
    from dreamerlab.protocol.registry import HYPOTHESIS
    from dreamerlab.runs.store import Workspace

    try:
        registry = registry_of(Workspace.find())
        words = [*map(str, reversed(registry.ids(HYPOTHESIS))), *reversed(registry.names())]
    except (LabError, OSError):
        return []
    return [word for word in words if word.startswith(incomplete)]


def record_ids(incomplete: str) -> list[str]:
    """Return the ids and names of hypotheses, then those of runs, that start with what is typed."""
    return list(dict.fromkeys([*hypothesis_ids(incomplete), *run_ids(incomplete)]))


def checkpoints(incomplete: str) -> list[str]:
    """Return the checkpoints that have a name of their own."""
    return [word for word in ("latest", "best") if word.startswith(incomplete)]


def envs(incomplete: str) -> list[str]:
    """Return the names of environments with a file here."""
    return _files("*.yaml", incomplete)


def experiments(incomplete: str) -> list[str]:
    """Return the names of experiments with a file here."""
    return _files("experiments/*.yaml", incomplete)


def _files(pattern: str, incomplete: str) -> list[str]:
    from dreamerlab.runs.store import Workspace

    try:
        found = Workspace.find().env_configs.glob(pattern)
        return sorted(path.stem for path in found if path.stem.startswith(incomplete))
    except (LabError, OSError):
        return []
