"""Artifacts of runs in DVC, used as a content store: add, push, pull. Never `dvc exp`, never in the foreground.

DVC runs as `python -m dvc` in a process of its own, one at a time per workspace. `runs/R…/artifacts.dvc` is committed
text; what was pushed, and from which state of the run, is remembered in `.dreamerlab/cache/data/`. A run is valid
without any of this: our own sha256 of every file are in its summaries.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from dreamerlab.atomic import atomic_write_json, atomic_write_text, read_object
from dreamerlab.errors import NotFound, ToolFailed
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.status import read_status
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.git_state import LEAKING_VARIABLES, GitSilent, git

DataState = Literal["no dvc", "local", "cached", "pushed", "absent"]
REMOTE = "dreamerlab"
INSTALL_HINT = "pip install 'dreamerlab[track]'"
COMMAND_TIMEOUT_S = 3600.0
LOCK_TIMEOUT_S = 3600.0
PUSH_PAUSES_S = (1.0, 4.0)
"""Waits between attempts of a push; what already arrived is not sent again."""
_CORE_SETTINGS = "    analytics = false\n    autostage = false\n    check_update = false\n"


def installed() -> bool:
    """Tell whether the dvc package is there; does not import it."""
    return find_spec("dvc") is not None


def init(workspace: Workspace, remote_url: str | None = None) -> None:
    """Make the workspace a DVC project with a remote (default: a local folder); one that is there is left alone.

    In a git repository DVC stages its own small files (`.dvc/`, `.dvcignore`) for the next commit.
    """
    _require_package()
    if (workspace.path / ".dvc").is_dir():
        return
    _dvc(workspace, "init", *_scm_option(workspace))
    settings = workspace.path / ".dvc" / "config"
    text = settings.read_text()
    core = text if "[core]\n" in text else f"[core]\n{text}"
    atomic_write_text(settings, core.replace("[core]\n", f"[core]\n{_CORE_SETTINGS}", 1))
    ignored = workspace.path / ".dvcignore"
    atomic_write_text(ignored, f"{ignored.read_text() if ignored.exists() else ''}/{workspace.hidden.name}/\n")
    if remote_url is not None:
        _dvc(workspace, "remote", "add", "--default", REMOTE, remote_url)
        return
    workspace.dvc_remote.mkdir(parents=True, exist_ok=True)
    # Relative: the workspace can be moved or copied, and DVC's settings take no letters beyond ASCII.
    place = str(workspace.dvc_remote.relative_to(workspace.path))
    # The path means something on this machine only, so it goes into the part of the settings that git ignores.
    _dvc(workspace, "remote", "add", "--local", "--default", "--force", REMOTE, place)


def set_up_here(workspace: Workspace) -> bool:
    """Tell whether the DVC project, if there is one, was made by `init` and not by a user."""
    try:
        return _CORE_SETTINGS in (workspace.path / ".dvc" / "config").read_text()
    except (OSError, UnicodeDecodeError):
        return False


def state(workspace: Workspace, run: RunDirectory) -> DataState:
    """Return how far the run's artifacts have come, from files alone.

    no dvc: not installed, or not set up here. local: only in the run's folder, or changed since they were added.
    cached: added. pushed: the remote has them as they were added. absent: added elsewhere, not pulled into this clone.
    """
    if not installed() or not (workspace.path / ".dvc").is_dir():
        return "no dvc"
    digest = _recorded_md5(run)
    if digest is None:
        return "local"
    if not run.artifacts.is_dir():
        return "absent"
    record = _read_record(workspace, run)
    if record.get("added_md5") == digest and record.get("progress") != _progress(run):
        return "local"
    return "pushed" if record.get("pushed_md5") == digest else "cached"


def add(workspace: Workspace, run: RunDirectory) -> None:
    """Put the run's artifacts into DVC's cache and write `artifacts.dvc`; again after a resumed attempt.

    NotFound when there are none; ToolFailed with DVC's own words otherwise.
    """
    _require_project(workspace)
    if not run.artifacts.is_dir():
        raise NotFound(f"{run.id} has no artifacts here", hint=f"dreamerlab data pull {run.id}")
    with _lock(workspace):
        progress = _progress(run)
        _ignore_in_git(run)
        _dvc(workspace, "add", str(run.artifacts.relative_to(workspace.path)))
        _make_writable(workspace, run)
        _write_record(workspace, run, added_md5=_recorded_md5(run), progress=progress)


def push(workspace: Workspace, run: RunDirectory) -> None:
    """Send the added artifacts to the default remote, with a few attempts, and remember that they are there."""
    _require_project(workspace)
    digest = _require_added(run)
    target = str(run.artifacts_dvc.relative_to(workspace.path))
    with _lock(workspace):
        for pause in (*PUSH_PAUSES_S, None):
            try:
                _dvc(workspace, "push", target)
                break
            except ToolFailed:
                if pause is None:
                    raise
                time.sleep(pause)
        _write_record(workspace, run, pushed_md5=digest, pushed_at=round(time.time()), remote=remote_name(workspace))


def pull(workspace: Workspace, run: RunDirectory) -> None:
    """Fetch the run's artifacts into its folder, writable, so that a checkpoint in it can be resumed.

    Artifacts changed since they were added are not overwritten: DVC refuses and says so. A clone on the machine of
    its original, without a remote of its own, uses the original's local one.
    """
    _require_project(workspace)
    _require_added(run)
    with _lock(workspace):
        if remote_name(workspace) is None:
            _use_remote_of_origin(workspace)
        _dvc(workspace, "pull", str(run.artifacts_dvc.relative_to(workspace.path)))
        _make_writable(workspace, run)


def _use_remote_of_origin(workspace: Workspace) -> None:
    try:
        origin = Path(os.fsdecode(git(workspace.path, "remote", "get-url", "origin")).rstrip("\n"))
    except GitSilent:
        origin = Path()
    store = Workspace(origin).dvc_remote
    if not (origin.is_absolute() and store.is_dir()):
        raise ToolFailed(
            "this workspace knows no DVC remote",
            hint=f"name the place that 'data push' sent to: dvc remote add --local --default {REMOTE} URL",
        )
    _dvc(workspace, "remote", "add", "--local", "--default", "--force", REMOTE, str(store))


def remote_name(workspace: Workspace) -> str | None:
    """Return the name of the default remote, or None when none is configured."""
    for name in ("config.local", "config"):
        path = workspace.path / ".dvc" / name
        match = re.search(r"^\s*remote\s*=\s*(\S+)", path.read_text(), flags=re.MULTILINE) if path.is_file() else None
        if match:
            return match[1]
    return None


def _dvc(workspace: Workspace, *words: str) -> str:
    """Return what `dvc WORDS` prints; ToolFailed with its error line."""
    environment = {key: value for key, value in os.environ.items() if key not in LEAKING_VARIABLES}
    environment["DVC_NO_ANALYTICS"] = "1"
    # Lock and index files of DVC's own; its default place belongs to whoever used DVC first on this machine.
    environment.setdefault("DVC_SITE_CACHE_DIR", str(workspace.cache / "dvc"))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "dvc", *words],
            cwd=workspace.path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolFailed(f"dvc {words[0]} did not end within {COMMAND_TIMEOUT_S:g} s") from error
    except OSError as error:
        raise ToolFailed(f"dvc {words[0]} cannot be started: {error.strerror or error}") from error
    if done.returncode != 0:
        raise _failure(words[0], done)
    return done.stdout


def _failure(verb: str, done: subprocess.CompletedProcess[str]) -> ToolFailed:
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    said = next(
        (line for line in lines if line.startswith("ERROR")), lines[-1] if lines else f"exit code {done.returncode}"
    )
    said = said.removeprefix("ERROR: ")
    hint = None
    if "No module named dvc" in said:
        hint = INSTALL_HINT
    elif "no remote" in said:
        hint = "name a place for the data: dvc remote add --default NAME URL"
    elif "unsaved files" in said:
        said = "artifacts here have changed since they were stored, and are not overwritten"
        hint = "what changed: dreamerlab doctor; move the artifacts folder away to get the stored ones"
    elif "tracked by SCM" in said:
        hint = "artifacts do not belong into git: git rm -r --cached runs/*/artifacts, then commit"
    return ToolFailed(f"dvc {verb}: {said}", hint=hint)


def _scm_option(workspace: Workspace) -> tuple[str, ...]:
    try:
        top = Path(os.fsdecode(git(workspace.path, "rev-parse", "--show-toplevel")).rstrip("\n"))
    except GitSilent:
        return ("--no-scm",)
    return () if top.resolve() == workspace.path.resolve() else ("--subdir",)


def _lock(workspace: Workspace) -> AbstractContextManager[None]:
    return owned_lock(workspace.hidden / "dvc.lock", timeout_s=LOCK_TIMEOUT_S, what="DVC")


def _require_package() -> None:
    if not installed():
        raise ToolFailed("DVC is not installed", hint=INSTALL_HINT)


def _require_project(workspace: Workspace) -> None:
    _require_package()
    if not (workspace.path / ".dvc").is_dir():
        raise ToolFailed(f"DVC is not set up in {workspace.path}", hint="dreamerlab init")


def _require_added(run: RunDirectory) -> str:
    digest = _recorded_md5(run)
    if digest is None:
        raise NotFound(f"the artifacts of {run.id} were never added to DVC", hint=f"dreamerlab data push {run.id}")
    return digest


def _recorded_md5(run: RunDirectory) -> str | None:
    """The digest in artifacts.dvc; None when there is no such file or it is damaged."""
    try:
        text = run.artifacts_dvc.read_text()
    except (OSError, UnicodeDecodeError):
        return None
    match = re.search(r"^\s*-?\s*md5: (\S+)", text, flags=re.MULTILINE)
    return match[1] if match else None


def _progress(run: RunDirectory) -> list[list[int]]:
    """What changes whenever a trial goes on: [seed, attempt, env steps] of each."""
    statuses = [read_status(trial) for trial in run.trials()]
    return [[status.seed, status.attempt, status.env_steps] for status in statuses]


def _record_path(workspace: Workspace, run: RunDirectory) -> Path:
    return workspace.cache / "data" / f"{run.id}.json"


def _read_record(workspace: Workspace, run: RunDirectory) -> dict[str, Any]:
    try:
        return read_object(str(_record_path(workspace, run)))
    except (OSError, ValueError):
        return {}


def _write_record(workspace: Workspace, run: RunDirectory, **changes: Any) -> None:
    path = _record_path(workspace, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_json(path, {**_read_record(workspace, run), **changes})


def _ignore_in_git(run: RunDirectory) -> None:
    """Runs are born with this line; one that was brought from elsewhere may lack it."""
    line = f"/{run.artifacts.name}"
    text = run.gitignore_path.read_text() if run.gitignore_path.exists() else ""
    if line not in text.split():
        atomic_write_text(run.gitignore_path, f"{text}{line}\n")


def _make_writable(workspace: Workspace, run: RunDirectory) -> None:
    """Turn files that DVC linked to its cache into copies: writing to a link would damage the cache."""
    if any(_is_linked(path) for path in run.artifacts.rglob("*")):
        _dvc(workspace, "unprotect", str(run.artifacts.relative_to(workspace.path)))


def _is_linked(path: Path) -> bool:
    facts = path.lstat()
    if stat.S_ISLNK(facts.st_mode):
        return True
    return stat.S_ISREG(facts.st_mode) and (facts.st_nlink > 1 or not facts.st_mode & stat.S_IWUSR)
