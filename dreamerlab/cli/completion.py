"""What the shell may offer after a Tab: run ids, names, environments, experiments. Silent about every problem."""

from __future__ import annotations

from dreamerlab.errors import LabError


def run_ids(incomplete: str) -> list[str]:
    """Return the ids and names of runs that start with what is typed, newest first."""
    from dreamerlab.runs.store import Workspace, list_runs

    try:
        rows = list_runs(Workspace.find())[::-1]
    except (LabError, OSError):
        return []
    words = [row.id for row in rows] + [row.manifest.name for row in rows if row.manifest and row.manifest.name]
    return [word for word in words if word.startswith(incomplete)]


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
