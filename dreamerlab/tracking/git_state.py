"""Where the code stands in git: commit, branch, what differs, and a patch that rebuilds it from the commit.

Provenance only: which code a run executes is decided by `code_identity.py`. Git is asked, never changed, and never
waited for longer than a few seconds; without git, or outside a repository, everything is None and `note` says why.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 20.0
LARGEST_UNTRACKED = 1_000_000
"""Bytes; a larger untracked file is listed but not put into the patch."""
LEAKING_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
)
"""Set inside git hooks, these would point every question at another repository."""


@dataclass(frozen=True)
class GitState:
    """The state of the code scope; paths are relative to the top of the repository."""

    commit: str | None = None
    branch: str | None = None
    """None also when no branch is checked out."""
    dirty: bool | None = None
    """Whether the scope differs from the commit: staged, unstaged or untracked."""
    patch: bytes = b""
    """`git apply` of it on the commit gives the scope as it was, untracked files included; empty when clean."""
    untracked: tuple[str, ...] = ()
    note: str | None = None
    """What could not be found out, in one line."""
    left_out: tuple[str, ...] = ()
    """Those of `untracked` that are too large for the patch."""
    top: Path | None = None
    """The top of the repository, None outside one."""


class GitSilent(Exception):
    """Git is missing, too slow, or answered with an error; the message is one line."""

    @property
    def finds_lock(self) -> bool:
        """Whether a lock is in the way, of the index, HEAD or a branch: another git is at work, or one was killed."""
        return ".lock'" in str(self) and "File exists" in str(self)


def capture(folder: Path, scope: Sequence[str]) -> GitState:
    """Return the state of the paths in `scope` (relative to `folder`) of the repository that holds `folder`."""
    try:
        top = Path(os.fsdecode(git(folder, "rev-parse", "--show-toplevel")).rstrip("\n"))
    except GitSilent as silence:
        return GitState(note=str(silence))
    try:
        commit = _optional(folder, "rev-parse", "--quiet", "--verify", "HEAD")
        branch = _optional(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
        base = commit or git(folder, "hash-object", "-t", "tree", os.devnull).decode().strip()
        quiet = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
        patch = git(folder, "diff", *quiet, base, "--", *scope)
        listed = git(folder, "ls-files", "-z", "--full-name", "--others", "--exclude-standard", "--", *scope)
        untracked = tuple(sorted(os.fsdecode(name) for name in listed.split(b"\0") if name))
        large = [name for name in untracked if (top / name).stat().st_size > LARGEST_UNTRACKED]
        for name in untracked:
            if name not in large:
                # Against nothing at all: git answers 1 because the two differ.
                patch += git(top, "diff", "--no-index", *quiet, "--", os.devnull, name, accepted=(0, 1))
    except (GitSilent, OSError) as silence:
        return GitState(note=str(silence), top=top)
    notes = [] if commit else ["the repository has no commit yet"]
    notes += [f"too large for the patch: {', '.join(large)}"] if large else []
    note = "; ".join(notes) or None
    return GitState(commit, branch, bool(patch or untracked), patch, untracked, note, tuple(large), top)


def unknown_to_git(folder: Path, paths: Sequence[Path], *, changed: bool = False) -> list[Path]:
    """Return which of these files the repository of `folder` has never been given: untracked or ignored ones.

    With `changed` also those that differ from the commit. GitSilent when git cannot tell.
    """
    top = Path(os.fsdecode(git(folder, "rev-parse", "--show-toplevel")).rstrip("\n")).resolve()
    wanted = {path.resolve(): path for path in paths if path.resolve().is_relative_to(top)}
    listed = [path.relative_to(top).as_posix() for path in wanted]
    if not listed:
        return []
    options = ("--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignored=matching")
    told = git(top, "status", *options, "--", *listed).split(b"\0")
    marks = {(top / os.fsdecode(line[3:])): line[:2] for line in told if len(line) > 3}
    # A folder that is ignored as a whole is named alone, and stands for all that is in it.
    found = {path: next((marks[one] for one in (path, *path.parents) if one in marks), None) for path in wanted}
    return [wanted[path] for path, mark in found.items() if mark in (b"??", b"!!") or (changed and mark is not None)]


def quiet_environment() -> dict[str, str]:
    """Return the variables under which git tells the truth about its folder, in English, without locks or questions."""
    environment = {key: value for key, value in os.environ.items() if key not in LEAKING_VARIABLES}
    fixed = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_REPLACE_OBJECTS": "1"}
    return environment | fixed


def git(folder: Path, *words: str, accepted: tuple[int, ...] = (0,), timeout_s: float | None = None) -> bytes:
    """Return what `git WORDS` prints in `folder`; GitSilent when it cannot be run or does not end as accepted."""
    timeout_s = TIMEOUT_S if timeout_s is None else timeout_s
    command = ["git", "--no-pager", "--literal-pathspecs", "-c", "core.quotepath=off", "-c", "core.fsmonitor=false"]
    try:
        done = subprocess.run(
            [*command, *words],
            cwd=folder,
            env=quiet_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise GitSilent("git is not installed" if folder.is_dir() else f"{folder} does not exist") from error
    except subprocess.TimeoutExpired as error:
        raise GitSilent(f"git {words[0]} did not answer within {timeout_s:g} s") from error
    except OSError as error:
        raise GitSilent(f"git cannot be run: {error.strerror or error}") from error
    if done.returncode not in accepted:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise GitSilent(f"git {words[0]}: {said[0] if said else f'exit code {done.returncode}'}")
    return done.stdout


def uncommitted(folder: Path) -> list[Path]:
    """Return the files inside `folder` that git lacks or has in an older state; not those that are gone."""
    inside = git(folder, "rev-parse", "--show-prefix").rstrip(b"\n")
    told = git(folder, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".")
    lines = [line for line in told.split(b"\0") if line and b"D" not in line[:2]]
    return [folder / os.fsdecode(line[3:].removeprefix(inside)) for line in lines]


def _optional(folder: Path, *words: str) -> str | None:
    """The one line git prints, or None when it has nothing to say (exit code 1)."""
    return git(folder, *words, accepted=(0, 1)).decode(errors="replace").strip() or None
