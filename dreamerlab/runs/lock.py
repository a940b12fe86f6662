"""A lock file with a known owner: exclusive between processes, freed by itself when its owner dies.

The file holds the owner's identity and appears all at once, so there is no moment when it is empty. A lock whose
owner is dead on this host is broken by the next one who wants it; a lock held on another host cannot be judged from
here and is waited for. Used for the workspace (`store.py`) and for tools that must not run twice.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreamerlab.atomic import disk_failure, read_object, write_all
from dreamerlab.errors import Conflict
from dreamerlab.runs.processes import alive, hostname, own_identity

_POLL_S = 0.02
_SETTLED_S = 2.0


@dataclass(frozen=True)
class LockOwner:
    """Who holds a lock file by its own words, and what has become of them."""

    pid: int | None
    """None in a damaged file."""
    host: str | None
    since: float | None
    """Unix seconds."""
    dead: bool | None
    """None when the owner is on another host and cannot be judged from here."""


@contextmanager
def owned_lock(path: Path, *, timeout_s: float = 10.0, what: str = "the workspace") -> Generator[None]:
    """Hold the lock file `path` for the duration of the block; Conflict names the holder when it stays taken.

    Not reentrant: a second attempt inside the block waits for itself and fails.
    """
    token = os.urandom(8).hex()
    deadline = time.monotonic() + timeout_s
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while not _take(path, token):
            if not _break_if_dead(path) and time.monotonic() >= deadline:
                raise _conflict(path, what, timeout_s)
            time.sleep(_POLL_S)
    except OSError as error:
        raise disk_failure(path, error) from error
    try:
        yield
    finally:
        if (_holder(path) or {}).get("token") == token:
            path.unlink(missing_ok=True)


def lock_holder(path: Path) -> int | None:
    """Return the pid that holds the lock, or None when it is free or its owner is dead."""
    owner = lock_owner(path)
    return None if owner is None or owner.dead else owner.pid or 0


def lock_owner(path: Path) -> LockOwner | None:
    """Return who holds the lock, alive or dead; None when it is free."""
    holder = _holder(path)
    if holder is None:
        return None
    pid, host, since = (holder.get(name) for name in ("pid", "host", "since"))
    dead = _dead(path, holder)
    judged = dead or not isinstance(pid, int) or host == hostname()
    return LockOwner(
        pid if isinstance(pid, int) else None,
        host if isinstance(host, str) else None,
        float(since) if isinstance(since, int | float) else None,
        dead if judged else None,
    )


def _take(path: Path, token: str) -> bool:
    """Create the lock file with its content in one step; False when there is one already."""
    content = json.dumps({**vars(own_identity()), "token": token, "since": time.time()}).encode()
    draft = path.with_name(f".{path.name}.{token}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        write_all(descriptor, content)
        # A hard link fails when the name exists, like O_EXCL, and brings the content with it.
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        return _take_without_links(path, content)
    finally:
        os.close(descriptor)
        draft.unlink(missing_ok=True)
    return True


def _take_without_links(path: Path, content: bytes) -> bool:
    """The same on a file system without hard links, where the file is empty for a moment."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    try:
        write_all(descriptor, content)
    finally:
        os.close(descriptor)
    return True


def _break_if_dead(path: Path) -> bool:
    """Remove the lock of a dead owner; one breaker at a time, so that nobody removes a lock just taken anew."""
    holder = _holder(path)
    if holder is None or not _dead(path, holder):
        return holder is None
    with path.with_name(f"{path.name}.guard").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        again = _holder(path)
        if again is not None and again == holder:
            path.unlink(missing_ok=True)
    return True


def _holder(path: Path) -> dict[str, Any] | None:
    """What the lock file says; {} when it is damaged, None when there is none."""
    try:
        return read_object(str(path))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}


def _dead(path: Path, holder: dict[str, Any]) -> bool:
    if not isinstance(holder.get("pid"), int):
        # Damaged, or (without hard links) being written at this moment.
        return path.exists() and time.time() - path.stat().st_mtime > _SETTLED_S
    if holder.get("host") != hostname():
        return False
    return not alive(holder["pid"], holder.get("start_ticks"), holder.get("boot_id"))


def _conflict(path: Path, what: str, timeout_s: float) -> Conflict:
    holder = _holder(path) or {}
    who = f"process {holder.get('pid')} on {holder.get('host')}"
    return Conflict(
        f"{what} is held by {who} (waited {timeout_s:g} s for {path})",
        hint=f"wait for it to end; if it is gone for good: rm {path}",
    )
