"""attempts.json: the record of every execution of a trial, opened by its trainer and closed by whoever sees its end.

The trainer closes its own record; where it was killed the launcher does. Reading is tolerant, because a log must be
readable with a damaged record in it; `series.join_attempts` uses the env steps at which each attempt started.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, cast

from dreamerlab.atomic import atomic_write_text, read_small
from dreamerlab.runs.directory import TrialDirectory

Record = dict[str, Any]


def read_attempts(trial: TrialDirectory) -> list[Record]:
    """Return the trial's attempts, first to last; none when nothing readable is recorded."""
    try:
        value = json.loads(read_small(str(trial.attempts_path)))
    except (OSError, ValueError):
        return []
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Record", item) for item in items if isinstance(item, dict)]


def read_starts(trial: TrialDirectory) -> dict[int, int]:
    """Return the env steps at which each attempt started, by its number, where that is recorded."""
    return {
        record["attempt"]: record["start_env_steps"]
        for record in read_attempts(trial)
        if isinstance(record.get("attempt"), int) and isinstance(record.get("start_env_steps"), int)
    }


def open_attempt(trial: TrialDirectory, attempt: int, **facts: Any) -> None:
    """Record the start of an attempt, before its first line is written."""
    record = {"attempt": attempt, "started_at": now(), "ended_at": None, "state": "running", "reason": None, **facts}
    _write(trial, [*(entry for entry in read_attempts(trial) if entry.get("attempt") != attempt), record])


def close_attempt(
    trial: TrialDirectory, attempt: int, state: str, reason: str | None, around: Record | None = None
) -> None:
    """Record the end of an attempt; one that was never opened (it died before it began) leaves no record.

    `around` is how busy the host was then, by one who saw the end: whoever finds it later cannot tell.
    """
    attempts = read_attempts(trial)
    ended = {"ended_at": now(), "state": state, "reason": reason, **({} if around is None else {"end": around})}
    if any(entry.get("attempt") == attempt for entry in attempts):
        _write(trial, [{**entry, **ended} if entry.get("attempt") == attempt else entry for entry in attempts])


def now() -> str:
    """Return the present moment as records write it: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write(trial: TrialDirectory, attempts: list[Record]) -> None:
    atomic_write_text(trial.attempts_path, json.dumps(attempts, indent=1) + "\n")
