"""The DVC project of a workspace: set up, given a remote, and asked through `python -m dvc`, one process at a time.

Which run's artifacts are where is `dvc_store.py`. A remote that only this machine can reach is kept in
`.dvc/config.local`, which git ignores; one that clones share is in `.dvc/config`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from configparser import Error as Unreadable
from configparser import RawConfigParser
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from dreamerlab.atomic import atomic_write_bytes, atomic_write_text
from dreamerlab.errors import ToolFailed, UsageError, did_you_mean
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.git_state import LEAKING_VARIABLES, GitSilent, git

REMOTE = "dreamerlab"
INSTALL_HINT = "pip install 'dreamerlab[track]'"
COMMAND_TIMEOUT_S = 3600.0
LOCK_TIMEOUT_S = 3600.0
EXTRAS = {
    "s3": "s3",
    "gs": "gs",
    "azure": "azure",
    "gdrive": "gdrive",
    "oss": "oss",
    "ssh": "ssh",
    "hdfs": "hdfs",
    "webhdfs": "webhdfs",
    "webdav": "webdav",
    "webdavs": "webdav",
    "http": "http",
    "https": "http",
}
"""Scheme of a URL -> the package `dvc-NAME` that speaks it; a path without a scheme needs none."""
_CORE_SETTINGS = "    analytics = false\n    autostage = false\n    check_update = false\n"
_LONGEST = 300


class RemoteFailed(ToolFailed):
    """The place that artifacts go to could not be reached, or refused: no other run would fare better now."""


@dataclass(frozen=True)
class Remote:
    """Where artifacts go; `url` as DVC's settings have it, `folder` where that is one on this machine."""

    name: str
    url: str
    folder: Path | None
    shared: bool
    """Whether clones learn of it through git."""


def installed() -> bool:
    """Tell whether the dvc package is there; does not import it."""
    return find_spec("dvc") is not None


def is_set_up(workspace: Workspace) -> bool:
    """Tell whether DVC can be used here: installed, and a project."""
    return installed() and (workspace.path / ".dvc").is_dir()


def require_project(workspace: Workspace) -> None:
    """Raise ToolFailed with the cure unless DVC can be used here."""
    if not installed():
        raise ToolFailed("DVC is not installed", hint=INSTALL_HINT)
    if not (workspace.path / ".dvc").is_dir():
        raise ToolFailed(f"DVC is not set up in {workspace.path}", hint="dreamerlab init")


def init(workspace: Workspace, remote_url: str | None = None) -> None:
    """Make the workspace a DVC project with a remote (default: a local folder); one that is there is left alone.

    In a git repository DVC stages its own small files (`.dvc/`, `.dvcignore`) for the next commit.
    """
    if not installed():
        raise ToolFailed("DVC is not installed", hint=INSTALL_HINT)
    if remote_url is not None:
        check_url(remote_url)
    with lock(workspace):
        if (workspace.path / ".dvc").is_dir():
            return
        dvc(workspace, "init", *_scm_option(workspace))
        settings = workspace.path / ".dvc" / "config"
        text = settings.read_text()
        core = text if "[core]\n" in text else f"[core]\n{text}"
        atomic_write_text(settings, core.replace("[core]\n", f"[core]\n{_CORE_SETTINGS}", 1))
        ignored = workspace.path / ".dvcignore"
        atomic_write_text(ignored, f"{ignored.read_text() if ignored.exists() else ''}/{workspace.hidden.name}/\n")
        if remote_url is not None:
            dvc(workspace, "remote", "add", "--default", REMOTE, remote_url)
            return
        workspace.dvc_remote.mkdir(parents=True, exist_ok=True)
        # Relative: the workspace can be moved or copied, and DVC's settings take no letters beyond ASCII.
        place = str(workspace.dvc_remote.relative_to(workspace.path))
        # The path means something on this machine only, so it goes into the part of the settings that git ignores.
        dvc(workspace, "remote", "add", "--local", "--default", "--force", REMOTE, place)


def set_up_here(workspace: Workspace) -> bool:
    """Tell whether the DVC project, if there is one, was made by `init` and not by a user."""
    try:
        return _CORE_SETTINGS in (workspace.path / ".dvc" / "config").read_text()
    except (OSError, UnicodeDecodeError):
        return False


def check_url(url: str) -> None:
    """Refuse what cannot be a remote: no known scheme, its package missing, or a password that git would carry."""
    if not url.strip() or "\n" in url:
        raise UsageError(f"{url!r} is no URL", hint="a folder, or a URL such as s3://bucket/path or ssh://host/path")
    scheme, found, _ = url.partition("://")
    if not found:
        return
    if scheme not in EXTRAS:
        near = did_you_mean(scheme, EXTRAS)
        raise UsageError(f"DVC knows no remotes of the kind {scheme}://{near}", hint=f"there are {', '.join(EXTRAS)}")
    package = EXTRAS[scheme]
    if find_spec(f"dvc_{package}") is None:
        raise ToolFailed(f"{url} needs the package dvc-{package}, which is not installed", hint=_install(package))
    with suppress(ValueError):
        if urlsplit(url).password is not None:
            raise UsageError(
                "the URL carries a password, which git would carry on",
                hint=f"leave it out, then: dvc remote modify --local {REMOTE} password ...",
            )


def set_remote(workspace: Workspace, url: str, *, shared: bool) -> None:
    """Make `url` the place that artifacts go to, for all clones or (not `shared`) for this machine only.

    What lies at another place stays there. When DVC refuses, its settings are as they were.
    """
    require_project(workspace)
    check_url(url)
    with lock(workspace):
        files = [workspace.path / ".dvc" / name for name in ("config", "config.local")]
        before = {path: path.read_bytes() if path.exists() else None for path in files}
        try:
            local = _settings(files[1])
            if shared and local.has_section(_section(REMOTE)):
                dvc(workspace, "remote", "remove", "--local", REMOTE)
            if shared and _settings(files[1]).has_option("core", "remote"):
                dvc(workspace, "config", "--local", "--unset", "core.remote")
            where = () if shared else ("--local",)
            dvc(workspace, "remote", "add", *where, "--default", "--force", REMOTE, url)
        except BaseException:
            for path, content in before.items():
                if content is None:
                    path.unlink(missing_ok=True)
                else:
                    atomic_write_bytes(path, content)
            raise


def remote(workspace: Workspace) -> Remote | None:
    """Return the default remote from DVC's settings, or None when none is configured."""
    folder = workspace.path / ".dvc"
    shared, local = _settings(folder / "config"), _settings(folder / "config.local")
    name = next((_text(one, "core", "remote") for one in (local, shared) if one.has_option("core", "remote")), None)
    if name is None:
        return None
    section = _section(name)
    holder = local if local.has_option(section, "url") else shared
    if not holder.has_option(section, "url"):
        return None
    url = _text(holder, section, "url")
    return Remote(name, url, None if "://" in url else Path(os.path.normpath(folder / url)), holder is shared)


def cache_folder(workspace: Workspace) -> Path:
    """Return where DVC keeps its own copies of what was added."""
    folder = workspace.path / ".dvc"
    for name in ("config.local", "config"):
        settings = _settings(folder / name)
        if settings.has_option("cache", "dir"):
            return Path(os.path.normpath(folder / _text(settings, "cache", "dir")))
    return folder / "cache"


def dvc(workspace: Workspace, *words: str) -> str:
    """Return what `dvc WORDS` prints; ToolFailed with its error in one line."""
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


def lock(workspace: Workspace) -> AbstractContextManager[None]:
    """Hold the lock under which DVC is asked."""
    return owned_lock(workspace.hidden / "dvc.lock", timeout_s=LOCK_TIMEOUT_S, what="DVC")


def _failure(verb: str, done: subprocess.CompletedProcess[str]) -> ToolFailed:
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    # The first error is the cause; later ones count what it spoilt.
    said = next(
        (line for line in lines if line.startswith("ERROR")), lines[-1] if lines else f"exit code {done.returncode}"
    )
    said = said.removeprefix("ERROR: ").removeprefix("unexpected error - ").removeprefix("configuration error - ")
    said = said if len(said) <= _LONGEST else f"{said[:_LONGEST]} ..."
    hint, kind = None, RemoteFailed if verb == "push" else ToolFailed
    if "No module named dvc" in said:
        hint = INSTALL_HINT
    elif lacking := re.search(r"requires 'dvc-(\w+)'", said):
        said, hint = f"the remote needs the package dvc-{lacking[1]}, which is not installed", _install(lacking[1])
    elif "no remote" in said:
        hint = "name a place for the data: dreamerlab data remote URL"
    elif "unsaved files" in said:
        said = "artifacts here have changed since they were stored, and are not overwritten"
        hint = "what changed: dreamerlab doctor; the stored ones instead: dreamerlab data pull RUN --replace"
    elif "tracked by SCM" in said:
        hint = "artifacts do not belong into git: git rm -r --cached runs/*/artifacts, then commit"
    elif kind is RemoteFailed:
        hint = "nothing is lost: it is still here. Where it goes: dreamerlab data remote; then push again"
    return kind(f"dvc {verb}: {said}", hint=hint)


def _install(package: str) -> str:
    return f"pip install 'dvc[{package}]'"


def _section(name: str) -> str:
    return f"'remote \"{name}\"'"


def _settings(path: Path) -> RawConfigParser:
    """Return DVC's settings in a file; none where there is no file, or it cannot be read."""
    settings = RawConfigParser(strict=False)
    with suppress(OSError, UnicodeDecodeError, Unreadable):
        settings.read_string(path.read_text())
    return settings


def _text(settings: RawConfigParser, section: str, option: str) -> str:
    text = settings.get(section, option)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _scm_option(workspace: Workspace) -> tuple[str, ...]:
    try:
        top = Path(os.fsdecode(git(workspace.path, "rev-parse", "--show-toplevel")).rstrip("\n"))
    except GitSilent:
        return ("--no-scm",)
    return () if top.resolve() == workspace.path.resolve() else ("--subdir",)
