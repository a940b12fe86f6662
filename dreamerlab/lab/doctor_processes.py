"""Checks of `doctor` on processes: locks whose owner is gone, and processes that nobody looks after any more."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dreamerlab.errors import ToolFailed
from dreamerlab.lab.doctor_findings import Finding
from dreamerlab.report.wording import duration
from dreamerlab.runs.directory import RunDirectory, parse_run_id
from dreamerlab.runs.lock import LockOwner, lock_owner, owned_lock
from dreamerlab.runs.processes import Running, Trainer, alive, running, trainers
from dreamerlab.runs.status import ONGOING, effective_state, read_status
from dreamerlab.runs.store import Workspace

ELSEWHERE_S = 86_400.0
"""After so long the owner of a lock on another host is asked about; nothing here holds one for a day."""
MIRROR_IDLE_S = 900.0
"""A mirror may be this long behind the end of its run."""
MIRROR, MLFLOW = "dreamerlab.lab.mirror_process", "mlflow"
_GIT_LOCK_S = 60.0
_LAST_WORDS_S = 30.0


def locks(workspace: Workspace) -> Iterator[Finding]:
    """Yield the locks whose owner is dead, or on another host for longer than anything lasts."""
    for path in _lock_files(workspace):
        owner = lock_owner(path)
        if owner is None:
            continue
        if owner.dead:
            free = partial(_free, path)
            yield Finding("stale lock", str(path), f"{_held_by(owner)}, and that process is gone", "free it", free)
        elif owner.dead is None and (_age(owner) or 0) > ELSEWHERE_S:
            text = f"{_held_by(owner)}, which cannot be judged from here"
            yield Finding("old lock", str(path), text, hint=f"if that process is gone for good: rm '{path}'")
    yield from _git_locks(workspace)


def held_locks(workspace: Workspace) -> Iterator[str]:
    """Yield one line for each lock that somebody holds rightly."""
    for path in _lock_files(workspace):
        owner = lock_owner(path)
        if owner is not None and not owner.dead and (owner.dead is False or (_age(owner) or 0) <= ELSEWHERE_S):
            yield f"{path.name} is {_held_by(owner)}"


def orphans(workspace: Workspace) -> Iterator[Finding]:
    """Yield trainers, mirrors and MLflow servers of this workspace that nobody looks after (M-PROT-21)."""
    for trainer in trainers():
        if not trainer.supervised and _is_ours(workspace, trainer):
            text = f"trainer {trainer.pid} has outlived the process that started it"
            stop = partial(_stop, trainer.pid, trainer.start_ticks)
            yield Finding("orphan trainer", str(trainer.trial), text, "ask it to stop (SIGTERM)", stop)
    for mirror in running(MIRROR):
        if (why := _mirrors_nothing(workspace, mirror)) is not None:
            stop = partial(_stop, mirror.pid, mirror.start_ticks)
            yield Finding("orphan mirror", " ".join(mirror.words[1:2]), why, "ask it to stop (SIGTERM)", stop)
    for server in running(MLFLOW):
        if not server.supervised and str(workspace.hidden) in (*server.words, _folder_of(server.pid)):
            text = f"MLflow's server {server.pid} has outlived the 'dreamerlab ui' that started it"
            stop = partial(_stop, server.pid, server.start_ticks, group=True)
            yield Finding("orphan server", str(workspace.mlflow_db), text, "ask it to stop (SIGTERM)", stop)


def strangers(workspace: Workspace) -> Iterator[str]:
    """Yield one line for each orphan of another workspace: not ours to end."""
    for trainer in trainers():
        if not trainer.supervised and not _is_ours(workspace, trainer):
            yield f"trainer {trainer.pid} of another workspace has outlived its starter: {trainer.trial}"


def _lock_files(workspace: Workspace) -> list[Path]:
    found = [*workspace.hidden.glob("*.lock"), *workspace.cache.glob("*/*.lock")]
    return [workspace.lock_path, *sorted(path for path in found if path.is_file())]


def _held_by(owner: LockOwner) -> str:
    who = "an owner it does not name" if owner.pid is None else f"process {owner.pid} on {owner.host}"
    age = _age(owner)
    return f"held by {who}" + (f" for {duration(age)}" if age is not None else "")


def _age(owner: LockOwner) -> float | None:
    return None if owner.since is None else max(0.0, time.time() - owner.since)


def _free(path: Path) -> None:
    with owned_lock(path, timeout_s=0.0, what=path.name):
        pass  # taking it breaks the dead owner's hold, leaving it frees it


def _git_locks(workspace: Workspace) -> Iterator[Finding]:
    """Yield git's own locks, which name no owner, when no git is at work here that could hold them."""
    top = next((one for one in (workspace.path, *workspace.path.parents) if (one / ".git").is_dir()), None)
    if top is None:
        return
    git = top / ".git"
    for path in (git / "index.lock", git / "HEAD.lock", *sorted((git / "refs" / "heads").rglob("*.lock"))):
        try:
            age = time.time() - path.stat().st_mtime
        except OSError:
            continue
        if age > _GIT_LOCK_S and not _git_works_in(top):
            text = f"git left it {duration(age)} ago, and nothing can be committed while it is there"
            yield Finding("stale lock", str(path), text, "remove it", partial(path.unlink, missing_ok=True))


def _git_works_in(top: Path) -> bool:
    """Tell whether a git process may be at work in a repository; where nothing can be seen, one may."""
    for name in Path("/proc").glob("[0-9]*/comm"):
        try:
            if name.read_text().strip() != "git":
                continue
        except OSError:
            continue
        folder = _folder_of(int(name.parent.name))
        if not folder or Path(folder).is_relative_to(top) or top.is_relative_to(folder):
            return True
    return not Path("/proc/self").exists()


def _is_ours(workspace: Workspace, trainer: Trainer) -> bool:
    return trainer.trial is not None and trainer.trial.is_relative_to(workspace.runs)


def _mirrors_nothing(workspace: Workspace, mirror: Running) -> str | None:
    """Return why a living mirror of this workspace has nothing to do any more, None when it has or is not ours."""
    if len(mirror.words) < 2 or Path(mirror.words[0]) != workspace.path or parse_run_id(mirror.words[1]) is None:
        return None
    run = workspace.run(mirror.words[1])
    if not run.manifest_path.is_file():
        return f"process {mirror.pid} copies a run that is not here any more"
    silent = _silent_for(run)
    if silent is None or silent < MIRROR_IDLE_S:
        return None
    return f"process {mirror.pid} still copies a run that ended {duration(silent)} ago"


def _silent_for(run: RunDirectory) -> float | None:
    """Return the seconds since the last sign of life of an ended run; None while it goes on, or when nothing tells."""
    statuses = [read_status(trial) for trial in run.trials()]
    last = max((status.heartbeat_at or 0.0 for status in statuses), default=0.0)
    if not last or any(effective_state(status) in ONGOING for status in statuses):
        return None
    return time.time() - last


def _folder_of(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""


def _stop(pid: int, start_ticks: int, *, group: bool = False) -> None:
    """Ask a process to stop and wait until it has; ToolFailed when it does not."""
    if not alive(pid, start_ticks):
        return
    if group and os.getpgid(pid) == pid:  # its workers are a process group of their own
        os.killpg(pid, signal.SIGTERM)
    else:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _LAST_WORDS_S
    while alive(pid, start_ticks):
        if time.monotonic() > deadline:
            raise ToolFailed(f"process {pid} did not stop within {_LAST_WORDS_S:g} s", hint=f"kill -9 {pid}")
        time.sleep(0.1)
