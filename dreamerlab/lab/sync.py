"""`data sync`: what the local records have and the outside does not, to where it belongs: DVC's remote and MLflow.

Both are copies of what is here. One that fails does not keep the other from being brought up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dreamerlab.lab.data import Moved, push
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.store import Workspace

Say = Callable[[str], None]


def synchronise(workspace: Workspace, runs: Sequence[RunDirectory], say: Say, warn: Say) -> Moved:
    """Add and push the artifacts of `runs` and replay their metrics; return what became of each."""
    return push(workspace, runs, say, warn)
