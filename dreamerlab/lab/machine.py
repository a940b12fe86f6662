"""The machine's own gate: our orphan trainers and more threads than cores forbid a start (M-PROT-21).

Other people's load, and trainers somebody looks after, are caveats: they change how long training takes, and nobody
here may end them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from dreamerlab.launch.local import physical_cores
from dreamerlab.protocol.violations import Violation
from dreamerlab.runs.processes import Trainer, trainers
from dreamerlab.runs.store import Workspace

_GRACE_S = 6.0
"""A trainer whose launcher was killed notices, writes its checkpoint and ends: that is waited for, this long."""


def machine_gate(workspace: Workspace, jobs: int, threads: int) -> tuple[list[Violation], list[str]]:
    """Return what forbids starting `jobs` trials of `threads` threads on this machine, and what must be remembered."""
    violations: list[Violation] = []
    orphans, others = _trainers()
    if orphans:
        violations.append(_orphans(workspace, orphans))
    cores, logical = physical_cores(), _logical_cores()
    if jobs * threads > logical:
        violations.append(_oversubscribed(jobs, threads, logical))
    caveats: list[str] = []
    if others:
        count = f"{len(others)} other trainers are" if len(others) > 1 else "another trainer is"
        shown = ", ".join(str(other.pid) for other in others[:5])
        caveats.append(f"{count} alive (pid {shown}): wall-clock times will suffer")
    if cores < jobs * threads <= logical:
        caveats.append(f"{jobs} trials of {threads} threads share {cores} physical cores: they slow each other down")
    load = os.getloadavg()[0]
    if not others and load > logical:
        caveats.append(f"the machine is busy (load {load:.1f} on {logical} cores): wall-clock times will suffer")
    return violations, caveats


def _trainers() -> tuple[list[Trainer], list[Trainer]]:
    """Return this account's orphans that do not end by themselves, and all other living trainers."""
    deadline = time.monotonic() + _GRACE_S
    while True:
        alive = trainers()
        orphans = [one for one in alive if not one.supervised and _is_mine(one)]
        if not orphans or time.monotonic() > deadline:
            return orphans, [one for one in alive if one not in orphans]
        time.sleep(0.3)


def _is_mine(trainer: Trainer) -> bool:
    try:
        return Path(f"/proc/{trainer.pid}").stat().st_uid == os.getuid()
    except OSError:
        return False


def _orphans(workspace: Workspace, orphans: list[Trainer]) -> Violation:
    ours = all(one.trial is not None and one.trial.is_relative_to(workspace.runs) for one in orphans)
    what = "a trainer has" if len(orphans) == 1 else f"{len(orphans)} trainers have"
    shown = ", ".join(f"pid {one.pid} on {one.trial or 'nothing known'}" for one in orphans[:5])
    message = f"{what} outlived the command that started it: {shown}; with it alive no timing means anything"
    pids = " ".join(str(one.pid) for one in orphans)
    return Violation("orphan-trainers", message, "dreamerlab doctor --fix" if ours else f"kill {pids}")


def _oversubscribed(jobs: int, threads: int, logical: int) -> Violation:
    carried = max(1, logical // threads)
    hint = f"--jobs {carried}" if threads <= logical else f"execution.threads={logical} --jobs 1"
    message = f"{jobs} trials at once of {threads} threads each need {jobs * threads} cores, and there are {logical}"
    values = (str(logical), str(jobs * threads))
    return Violation(
        "oversubscribed", message, f"start fewer at once: {hint}", None, values, ("this machine", "--jobs")
    )


def _logical_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
