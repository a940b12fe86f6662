"""What git remembers of a few paths: every commit that touched them, oldest first, in one question to git.

Git answers with names and content hashes, not with contents: that a text was in a commit is shown by hashing the text
(`blob_id`), and `contents` fetches the few that have to be read. Which order proves what is `lab.lint_order`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dreamerlab.tracking.git_state import GitSilent, git, quiet_environment

PATIENCE_S = 300.0
"""Seconds for the one question about the whole history, which in a large repository takes a while."""
_FORMAT = "%x01%H %P"
_QUIET = ("--raw", "-z", "--no-abbrev", "--no-renames", "--no-color", "--no-show-signature", "--root", "--relative")


@dataclass(frozen=True)
class Change:
    """What a commit did to one path, seen from one of its parents."""

    path: str
    """Relative to the folder that was asked about."""
    kind: str
    """A added, M modified, D deleted, T another type of file."""
    blob: str | None
    """Content hash after the commit; None when the path is gone."""


@dataclass(frozen=True)
class Commit:
    """One commit; of a merge the changes as seen from each parent follow each other."""

    id: str
    parents: tuple[str, ...]
    """The nearest ancestors that are part of the history given here."""
    changes: tuple[Change, ...]


def is_shallow(folder: Path) -> bool:
    """Tell whether the clone lacks older commits (`git clone --depth`, or the default of many CI systems)."""
    return git(folder, "rev-parse", "--is-shallow-repository").strip() == b"true"


def history(folder: Path, paths: Sequence[str]) -> list[Commit]:
    """Return the commits reachable from HEAD that touched `paths` (relative to `folder`), ancestors before descendants.

    Nothing is simplified away: both sides of every merge are there. A repository without a commit has none;
    GitSilent when git does not answer.
    """
    if not git(folder, "rev-parse", "--quiet", "--verify", "HEAD", accepted=(0, 1)).strip():
        return []
    order = ("--full-history", "--parents", "--topo-order", "--reverse", "--diff-merges=separate")
    answer = git(folder, "log", *order, *_QUIET, f"--format={_FORMAT}", "--", *paths, timeout_s=PATIENCE_S)
    return list(_parse(answer))


def contents(folder: Path, blobs: Iterable[str]) -> dict[str, bytes]:
    """Return the contents of `blobs` by their hash, through one process; what the repository lacks is left out."""
    wanted = list(dict.fromkeys(blobs))
    if not wanted:
        return {}
    try:
        done = subprocess.run(
            ["git", "cat-file", "--batch"],
            cwd=folder,
            env=quiet_environment(),
            input="".join(f"{blob}\n" for blob in wanted).encode(),
            capture_output=True,
            timeout=PATIENCE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise GitSilent(f"git cat-file: {error}") from error
    found: dict[str, bytes] = {}
    rest = done.stdout
    for blob in wanted:
        header, _, rest = rest.partition(b"\n")
        words = header.split()
        if words[-1] == b"missing":
            continue
        size = int(words[-1])
        found[blob], rest = rest[:size], rest[size + 1 :]
    return found


def blob_id(content: bytes, length: int) -> str:
    """Return git's hash of `content` in a repository whose hashes have `length` hex digits (40: sha1, 64: sha256)."""
    framed = b"blob %d\0%s" % (len(content), content)
    return (hashlib.sha1(framed, usedforsecurity=False) if length == 40 else hashlib.sha256(framed)).hexdigest()


def _parse(answer: bytes) -> Iterable[Commit]:
    """Yield the commits in the answer; a merge comes once per parent there, and once here."""
    head: list[str] = []
    changes: list[Change] = []
    tokens = iter(answer.split(b"\0"))
    for token in tokens:
        text = token.lstrip(b"\n")
        if text.startswith(b"\x01"):
            words = text[1:].decode().split()
            if words[0] != (head[0] if head else None):
                if head:
                    yield Commit(head[0], tuple(head[1:]), tuple(changes))
                head, changes = words, []
        elif text.startswith(b":"):
            blob, kind = text.split()[3:5]
            gone = kind.startswith(b"D")
            changes.append(Change(os.fsdecode(next(tokens)), kind.decode()[0], None if gone else blob.decode()))
    if head:
        yield Commit(head[0], tuple(head[1:]), tuple(changes))
