"""What was dropped of a run's artifacts: who, when, why, and of every file its size and sha256 (`archived.json`).

Committed text, appended to and never shortened. A file named here that is gone was dropped on purpose and reads as
not checked; one that is there again (it was pulled) is checked like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dreamerlab.atomic import atomic_write_json, read_object
from dreamerlab.errors import ToolFailed
from dreamerlab.runs.directory import RunDirectory


@dataclass(frozen=True)
class Dropped:
    """One time that artifacts of a run were dropped."""

    time: str
    """UTC, ISO 8601."""
    author: str
    why: str
    stored: str | None
    """The remote that has them as they were; None when they are gone for good."""
    files: Mapping[str, Mapping[str, Any]]
    """Path relative to the run -> sha256 and size in bytes."""

    @property
    def size_bytes(self) -> int:
        """How much was dropped."""
        return sum(int(facts.get("size") or 0) for facts in self.files.values())


def read_tombstone(run: RunDirectory) -> list[Dropped]:
    """Return what was dropped of a run, oldest first; ToolFailed when the record is damaged."""
    try:
        found = read_object(str(run.tombstone_path))
        return [Dropped(**each) for each in found["dropped"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolFailed(
            f"{run.tombstone_path} is damaged: {error}", hint=f"restore it: git checkout -- {run.tombstone_path}"
        ) from error


def add_to_tombstone(run: RunDirectory, dropped: Dropped) -> None:
    """Put on record what is going to be dropped."""
    known = [asdict(each) for each in read_tombstone(run)]
    atomic_write_json(run.tombstone_path, {"schema": 1, "dropped": [*known, asdict(dropped)]})


def dropped_files(run: RunDirectory) -> frozenset[str]:
    """Return the files that were dropped on purpose and are not here, as paths relative to the run."""
    if not run.tombstone_path.exists():
        return frozenset()
    named = {name for dropped in read_tombstone(run) for name in dropped.files}
    return frozenset(name for name in named if not (run.path / name).exists())
