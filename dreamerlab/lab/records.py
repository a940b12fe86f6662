"""Committing our own records to git: exactly the named paths, never anything else, never more than a warning.

What a user has staged, or is editing, stays as it is. Whether records are committed is `autocommit` in
protocol/workspace.yaml.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.git_state import GitSilent, git

_TRIES = 10


def autocommit(workspace: Workspace) -> bool:
    """Return whether records are to be committed; true unless the settings say otherwise."""
    import yaml

    try:
        settings = yaml.safe_load(workspace.marker.read_text())
    except (OSError, yaml.YAMLError):
        return False  # what cannot be read is no permission
    return not isinstance(settings, dict) or cast("dict[str, Any]", settings).get("autocommit", True) is True


def in_git(folder: Path) -> bool:
    """Return whether `folder` lies in a git repository that would take it: an ignored folder is outside."""
    try:
        git(folder, "rev-parse", "--show-toplevel")
    except GitSilent:
        return False
    # Not through `git`: this command does not know the literal paths that every other one is given.
    asked = subprocess.run(["git", "check-ignore", "--quiet", "."], cwd=folder, capture_output=True, check=False)
    return asked.returncode == 1


def commit_run(workspace: Workspace, run: RunDirectory, warn: Callable[[str], None]) -> None:
    """Commit exactly the text of a run, the scores and the curves, where that is wanted and there is a repository."""
    if not autocommit(workspace) or not in_git(workspace.path):
        return
    try:
        commit(workspace.path, [run.path, workspace.scores_path, workspace.curve_files], f"Record {run.id}")
    except GitSilent as silence:
        warn(f"the records of {run.id} are not committed: {silence}")


def commit_leftovers(workspace: Workspace, runs: Sequence[RunDirectory], warn: Callable[[str], None]) -> None:
    """Commit those of `runs` whose records an interrupted command left uncommitted; one look at git for all of them."""
    if not autocommit(workspace) or not in_git(workspace.path):
        return
    try:
        changed = git(workspace.path, "status", "--porcelain", "-z", "--", str(workspace.runs)).decode(errors="replace")
    except GitSilent as silence:
        warn(f"it cannot be told which records are committed: {silence}")
        return
    for run in runs:
        # A folder that git does not know at all is listed with the slash, and nothing after it.
        if f"{workspace.runs.name}/{run.id}/" in changed:
            commit_run(workspace, run, warn)


def commit(folder: Path, paths: Sequence[Path], message: str) -> bool:
    """Commit `paths` as they are now; return whether there was anything to commit. GitSilent when git refuses."""
    names = [str(path) for path in paths if path.exists()]
    if not names:  # without a path git takes all that is staged, which is the user's
        return False
    for attempt in range(1, _TRIES + 1):
        try:
            git(folder, "add", "--", *names)
            if not git(folder, "status", "--porcelain", "--untracked-files=no", "--", *names).strip():
                return False
            # Hooks are for code; they must not reformat or hold up a record.
            git(folder, "commit", "--quiet", "--no-verify", "--message", message, "--", *names)
        except GitSilent as silence:
            if not silence.finds_lock or attempt == _TRIES:
                raise
            time.sleep(0.3)  # another git command is at work in this repository
        else:
            return True
    raise AssertionError("unreachable")
