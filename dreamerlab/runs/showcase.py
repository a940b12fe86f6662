"""Showcases: small policies that git carries beside their run, so that any clone can evaluate and watch them.

A showcase is a checkpoint like any other, stripped of what acting has no use for, in `seed-3/showcase/`. It is looked
at only where the trial's own checkpoints are not here.
"""

from __future__ import annotations

from pathlib import Path

from dreamerlab.runs.checkpoints import KINDS, LATEST, names
from dreamerlab.runs.directory import TrialDirectory

LARGEST_BYTES = 3_000_000
"""A showcase is committed to git, which keeps it for ever."""


def agents_folder(trial: TrialDirectory) -> Path:
    """Return the folder to look for agents in: of the trial's checkpoints, or of its showcases where it has no other.

    Without either the folder of checkpoints, so that what is said about it is right.
    """
    here = any(trial.checkpoints.glob("*.json"))
    return trial.showcase if not here and any(trial.showcase.glob("*.json")) else trial.checkpoints


def as_asked(folder: Path, which: str) -> str:
    """Return the name to open for `which` in a folder of agents: of showcases the latest is the newest there is."""
    if which != "latest" or folder.name != "showcase" or names(folder, LATEST):
        return which
    steps = [int(name.partition("-")[2]) for kind in KINDS for name in names(folder, kind)]
    return str(max(steps)) if steps else which
