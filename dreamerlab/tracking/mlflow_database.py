"""The workspace's own MLflow database: told from garbage, brought up to date, set aside when it is damaged.

It is a mirror: everything in it can be filled in again from the records, so a file that SQLite cannot read is moved
out of the way and never a reason to stop. Nothing is deleted. A database of the user's choice is left as it is.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from dreamerlab.errors import ToolFailed

_UPGRADE_LIMIT_S = 600


def identity(path: Path | None) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name; None when it is gone."""
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return None if found is None else (found.st_dev, found.st_ino)


def set_aside_if_damaged(path: Path, *, thorough: bool = False) -> Path | None:
    """Rename a file that is no SQLite database or a damaged one; return its new place, None when all is well.

    `thorough` reads all of it, which takes a second or so for each hundred megabytes. ToolFailed for what is no file.
    """
    if path.exists() and not path.is_file():  # MLflow would try for minutes
        raise ToolFailed(
            f"{path} is where the MLflow database belongs, and it is no file",
            hint="move it away, then send everything again: dreamerlab data sync --all",
        )
    if not path.is_file() or not _is_damaged(path, "pragma quick_check(1)" if thorough else "pragma schema_version"):
        return None
    place = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    path.rename(place)
    for rest in ("-journal", "-wal", "-shm"):  # they belong to the file that was moved
        other = path.with_name(path.name + rest)
        if other.exists():
            other.rename(place.with_name(place.name + rest))
    return place


def _is_damaged(path: Path, question: str) -> bool:
    """Tell whether SQLite finds a file damaged; one that is empty, locked or cannot be opened is not."""
    try:
        with closing(sqlite3.connect(path)) as database:
            answer = database.execute(question).fetchone()[0]
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True
    return isinstance(answer, str) and answer != "ok"


def is_damage(message: str) -> bool:
    """Tell whether SQLite's words for a failure mean that the file itself is broken, or not the one it was."""
    return any(words in message for words in ("malformed", "not a database", "disk I/O error", "no such table"))


def schema_failure(message: str, theirs: str | None) -> ToolFailed | None:
    """Return what MLflow's words about a schema mean, None when they are about something else.

    Without a hint it is an older schema of ours, to be upgraded. `theirs` is the address of a user's own store.
    """
    if "out-of-date database schema" in message:
        hint = None if theirs is None else f"keep a copy of it, then: mlflow db upgrade {theirs}"
        return ToolFailed("the MLflow database is of an older version", hint=hint)
    if "Can't locate revision" in message:
        cure = "pip install --upgrade mlflow"
        ours = "; or move .dreamerlab/mlflow.db away: dreamerlab data sync --all fills a new one"
        return ToolFailed(
            "the MLflow database was made by a newer MLflow than the one installed",
            hint=cure + ("" if theirs is not None else ours),
        )
    return None


def upgrade(uri: str) -> None:
    """Bring a database to the schema of the installed MLflow, by MLflow's own command; ToolFailed with its words."""
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", uri]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_UPGRADE_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolFailed(f"the MLflow database could not be brought up to date: {error}") from error
    if done.returncode != 0:
        newer = schema_failure(done.stderr, None)
        if newer is not None and newer.hint is not None:
            raise newer
        said = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), f"exit {done.returncode}")
        raise ToolFailed(
            f"the MLflow database could not be brought up to date: {said[:300]}",
            hint="move .dreamerlab/mlflow.db away: dreamerlab data sync --all fills a new one",
        )
