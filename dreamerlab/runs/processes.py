"""Facts about processes: who we are, whether a recorded process is still that process, which trainers are alive.

A pid alone proves nothing, since numbers are reused; a process is (host, boot, pid, start time in kernel ticks).
Where there is no /proc (macOS) only the pid can be checked. Knows nothing of runs beyond the command line that
starts a trainer, `python -m dreamerlab.train TRIAL_DIR`. What a dead process means for a trial is `status.py`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PROC = Path("/proc")
TRAINER_MODULE = "dreamerlab.train"
SUPERVISOR_VARIABLE = "DREAMERLAB_SUPERVISOR"
"""A launcher gives its trainers `pid:start_ticks` of itself in this variable, so that orphans are known for certain."""


@dataclass(frozen=True)
class ProcessIdentity:
    """One process for all time; `start_ticks` and `boot_id` are None where the system does not tell."""

    pid: int
    start_ticks: int | None
    boot_id: str | None
    host: str

    def supervisor_value(self) -> str:
        """Return what the launcher puts into `SUPERVISOR_VARIABLE`."""
        return f"{self.pid}:{self.start_ticks or 0}"


@dataclass(frozen=True)
class Trainer:
    """A living trainer process; `trial` is None when its command line names no directory."""

    pid: int
    ppid: int
    start_ticks: int
    trial: Path | None
    supervised: bool
    """Whether the process that started it is still there; an orphan has outlived it (M-PROT-21)."""


@dataclass(frozen=True)
class Running:
    """A living `python -m MODULE WORDS`."""

    pid: int
    ppid: int
    start_ticks: int
    words: tuple[str, ...]
    supervised: bool
    """Whether whoever started it is still there."""


def own_identity() -> ProcessIdentity:
    """Return the identity of this process."""
    pid = os.getpid()
    return ProcessIdentity(pid, start_ticks(pid), boot_id(), hostname())


@lru_cache(maxsize=1)
def hostname() -> str:
    """Return this machine's name."""
    return os.uname().nodename


@lru_cache(maxsize=1)
def boot_id() -> str | None:
    """Return the kernel's name for this boot, or None where it has none."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def start_ticks(pid: int) -> int | None:
    """Return when a living process started, in kernel ticks since boot; None when it is dead or unknown."""
    stat = _stat(pid)
    return stat[2] if stat else None


def alive(pid: int, start: int | None = None, boot: str | None = None) -> bool:
    """Tell whether the process recorded on this host as (pid, start ticks, boot id) still runs; a zombie does not.

    Parts recorded as None are not compared.
    """
    if pid <= 0 or (boot is not None and boot_id() is not None and boot != boot_id()):
        return False
    if not (PROC / "self").exists():
        return _answers(pid)
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX" and (start is None or stat[2] == start)


def trainers() -> list[Trainer]:
    """Return the living trainer processes of this host, ours and other users', by pid; empty without /proc."""
    return [
        Trainer(one.pid, one.ppid, one.start_ticks, Path(one.words[0]) if one.words else None, one.supervised)
        for one in running(TRAINER_MODULE)
    ]


def running(module: str) -> list[Running]:
    """Return the living `python -m MODULE` processes of this host, by pid; empty without /proc."""
    found: dict[int, Running] = {}
    for entry in PROC.glob("[0-9]*"):
        pid = int(entry.name)
        argv = _argv(pid)
        at = next((i for i, word in enumerate(argv) if i and word == module and argv[i - 1] == "-m"), None)
        stat = _stat(pid) if at is not None else None
        if at is None or stat is None or stat[0] in "ZX":
            continue
        found[pid] = Running(pid, stat[1], stat[2], tuple(argv[at + 1 :]), _supervised(pid, stat[1]))
    # A worker forked by such a process shows the same command line: it is part of its parent.
    return [found[pid] for pid in sorted(found) if found[pid].ppid not in found]


def _supervised(pid: int, ppid: int) -> bool:
    """Whether the launcher lives: by the variable it set, else by whether the parent is more than a mere reaper.

    In a container of its own, pids mean something else: that is for the container to judge.
    """
    if (theirs := _namespace(str(pid))) is not None and theirs != _namespace("self"):
        return True
    try:
        environment = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        environment = []
    prefix = SUPERVISOR_VARIABLE.encode() + b"="
    recorded = next((item[len(prefix) :].decode() for item in environment if item.startswith(prefix)), "")
    supervisor, _, start = recorded.partition(":")
    if supervisor.isdecimal():
        return alive(int(supervisor), int(start) if start.isdecimal() and int(start) else None)
    parent = _argv(ppid)
    if any("dreamerlab" in word for word in parent):
        return True
    return ppid != 1 and not (parent and Path(parent[0]).name == "systemd")


def _namespace(pid: str) -> str | None:
    try:
        return str((PROC / pid / "ns" / "pid").readlink())
    except OSError:
        return None


def _stat(pid: int) -> tuple[str, int, int] | None:
    """(state letter, parent pid, start ticks) of a process; None when it is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name in parentheses may hold spaces and parentheses itself: count from the last one.
    rest = text[text.rfind(b")") + 2 :].split()
    return (rest[0].decode(), int(rest[1]), int(rest[19])) if len(rest) > 19 else None


def _argv(pid: int) -> list[str]:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
