"""Where a trial stands: what its processes wrote, and what that is worth now.

`status.json` is replaced at every heartbeat. It says what its writer believed; `effective_state` says what is true:
a dead process is never shown as running (DESIGN section 5). States as written: queued, running, finished,
interrupted, failed, and stopped (over by a rule declared before the launch: a kill rule, or a look that spared the
remaining seeds). Effective states add: killed (said running, process gone), waiting (queued, but nobody is left who
would start it) and unreadable (no file, or a damaged one).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, cast

from dreamerlab.atomic import atomic_write_json, number, read_object
from dreamerlab.runs.directory import STATUS, TrialDirectory
from dreamerlab.runs.processes import alive, hostname

STATES: Final = ("queued", "running", "finished", "interrupted", "failed", "stopped")
OVER: Final = frozenset({"finished", "stopped"})
"""States from which nothing leads on: such a trial is never resumed."""
ONGOING: Final = frozenset({"queued", "running"})
"""Effective states in which something may still happen by itself; every other one is an end or a halt."""
HEARTBEAT_LIMIT_S: Final = 60.0
"""A trial on another host is taken for dead after this long without a heartbeat."""


@dataclass(frozen=True)
class Status:
    """One trial at one moment; `spent` and `budget_amount` are in `budget_unit`, times are unix seconds."""

    state: str
    seed: int
    attempt: int = 0
    """The attempt under way or last made; 0 before the first."""
    pid: int | None = None
    """The trainer; of a queued trial the supervisor that will start it."""
    pid_start: int | None = None
    """When that process started, in kernel ticks."""
    boot_id: str | None = None
    host: str | None = None
    started_at: float | None = None
    heartbeat_at: float | None = None
    env_steps: int = 0
    updates: int = 0
    actor_updates: int | None = None
    """Updates in which actor and critic learnt; None in records from before this was counted: all of them."""
    episodes: int = 0
    budget_unit: str | None = None
    budget_amount: int | None = None
    spent: float = 0.0
    wall_s: float = 0.0
    """Seconds of training over all attempts."""
    latest: Mapping[str, float] = field(default_factory=dict[str, float])
    """Newest value of a few metrics."""
    reason: str | None = None
    """Why it ended or cannot be read, in one line."""
    diverged: bool = False
    """Whether it failed because a loss or parameter was not finite any more: an outcome of training, no accident."""
    agent_sha256: str | None = None
    """Hash over everything a finished trial has learnt: parameters, moments, running statistics."""
    message: str | None = None
    """Something worth saying, in one line; for instance that a damaged checkpoint was passed over."""
    findings: tuple[str, ...] = ()
    """What the rules of diagnosis found at the last evaluation, a line each."""
    schema: int = 1


_FIELDS = frozenset(item.name for item in fields(Status))
_COUNTS = ("seed", "attempt", "env_steps", "updates", "episodes")
_AMOUNTS = ("spent", "wall_s")
_OPTIONAL = (
    ("pid", int),
    ("actor_updates", int),
    ("pid_start", int),
    ("heartbeat_at", (int, float)),
    ("reason", str),
    ("message", str),
    ("agent_sha256", str),
)


def write_status(trial: TrialDirectory, status: Status) -> None:
    """Replace the trial's status, all at once."""
    assert status.state in STATES, status.state
    atomic_write_json(trial.status_path, vars(status))


def read_status(trial: TrialDirectory) -> Status:
    """Return the trial's status; a missing or damaged file gives the state `unreadable` with its reason."""
    return load_status(str(trial.status_path), trial.seed)


def load_status(path: str, seed: int) -> Status:
    """Return the status in the file at `path`, as `read_status` does; spares thousands of path objects in a listing."""
    try:
        return _status_from(read_object(path))
    except FileNotFoundError:
        return Status("unreadable", seed, reason=f"{STATUS} is missing")
    except OSError as error:
        return Status("unreadable", seed, reason=f"{STATUS} cannot be read: {error.strerror or error}")
    except (ValueError, TypeError, KeyError) as error:
        return Status("unreadable", seed, reason=f"{STATUS} is damaged: {error}")


def effective_state(status: Status, now: float | None = None) -> str:
    """Return the state that is true at `now` (unix seconds, default: the clock).

    running: the recorded process lives (same pid, start time and boot); else killed. On another host: its heartbeat
    is younger than 60 s. queued: its supervisor lives; else waiting. A queue on another host cannot be judged from here
    and is believed. Ended states are what they are.
    """
    if status.state not in ONGOING:
        return status.state
    if status.pid is None:
        return "waiting" if status.state == "queued" else "killed"
    if status.host is not None and status.host != hostname():
        return status.state if status.state == "queued" or _beats(status, now) else "killed"
    if alive(status.pid, status.pid_start, status.boot_id):
        return status.state
    return "waiting" if status.state == "queued" else "killed"


def is_over(status: Status) -> bool:
    """Tell whether nothing leads on from a status: finished, stopped by a rule, or diverged."""
    return status.state in OVER or (status.state == "failed" and status.diverged)


def actor_updates(status: Status) -> int:
    """Return the updates in which actor and critic learnt: all of them, in records from before it was counted."""
    return status.updates if status.actor_updates is None else status.actor_updates


def _beats(status: Status, now: float | None) -> bool:
    clock = time.time() if now is None else now
    return status.heartbeat_at is not None and clock - status.heartbeat_at < HEARTBEAT_LIMIT_S


def _status_from(data: dict[str, Any]) -> Status:
    if data["state"] not in STATES:
        raise ValueError(f"unknown state {data['state']!r}")
    known = {key: value for key, value in data.items() if key in _FIELDS}
    for key in _COUNTS:
        if not isinstance(known.get(key, 0), int):
            raise TypeError(f"'{key}' is {known[key]!r}")
    for key in _AMOUNTS:
        if key in known and not isinstance(known[key], float):
            value = number(known[key])
            if value is None:
                raise TypeError(f"'{key}' is {known[key]!r}")
            known[key] = value
    for key, kind in _OPTIONAL:
        if known.get(key) is not None and not isinstance(known[key], kind):
            raise TypeError(f"'{key}' is {known[key]!r}")
    if not isinstance(data.get("latest", {}), dict):
        raise TypeError(f"'latest' is {data['latest']!r}")
    latest = cast("dict[str, Any]", data.get("latest", {}))
    if not set(map(type, latest.values())) <= {float, int}:  # cheaper than a look at each of fifty values
        latest = {key: value for key, item in latest.items() if (value := number(item)) is not None}
    known["latest"] = latest
    if (findings := data.get("findings")) is not None:
        if not isinstance(findings, list):
            raise TypeError(f"'findings' is {findings!r}")
        known["findings"] = tuple(str(one) for one in cast("list[object]", findings))
    return Status(**known)
