"""`data status`: how far the artifacts of each run have come, and plainly what would be lost with this folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dreamerlab.errors import NotFound
from dreamerlab.lab.ledger import commit_paths
from dreamerlab.report.wording import size
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.tombstone import read_tombstone
from dreamerlab.tables import Table
from dreamerlab.tracking import dvc_store
from dreamerlab.tracking.dvc_project import (
    INSTALL_HINT,
    Remote,
    installed,
    is_set_up,
    remote,
    require_project,
    set_remote,
)


@dataclass(frozen=True)
class RunData:
    """The artifacts of one run: bytes (None when nothing tells), how far they have come, what else must be known."""

    run: str
    size_bytes: int | None
    state: str
    """As `dvc_store.state` says it, or `none yet` where nothing is written."""
    note: str | None = None

    @property
    def is_safe(self) -> bool:
        """Whether nothing would be lost with this folder, or what is lost already was meant to be."""
        return self.state in ("pushed", "absent", "archived", "none yet")


@dataclass(frozen=True)
class DataStatus:
    """All runs asked for, and where their artifacts go."""

    runs: Sequence[RunData]
    remote: Remote | None
    remote_inside: bool
    """Whether the remote is a folder in this workspace, which is lost together with it."""
    why_not: str | None
    """Why DVC cannot be used here, with its cure."""

    @property
    def not_safe(self) -> list[RunData]:
        """Return the runs of which something would be lost."""
        return [run for run in self.runs if not run.is_safe]

    def to_data(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        place = self.remote
        known = None if place is None else _named(place)
        lost = self.not_safe
        return {
            "remote": known,
            "remote_inside_workspace": self.remote_inside,
            "runs": [{**asdict(run), "safe": run.is_safe} for run in self.runs],
            "not_safe": {"runs": len(lost), "size_bytes": sum(run.size_bytes or 0 for run in lost)},
        }

    def to_table(self) -> Table:
        """Return one row a run, with where a copy of its artifacts is."""
        table = Table(("run", "size", "local", "cached", "pushed", "note"), frozenset({"size"}))
        for run in self.runs:
            shown = None if run.size_bytes is None else size(run.size_bytes)
            table.add(run.run, shown, *_copies(run), run.note or ("" if run.is_safe else "not safe yet"))
        return table

    def in_words(self) -> list[str]:
        """Return what is not safe and why, in a few lines."""
        lost = self.not_safe
        lines: list[str] = []
        if lost:
            total = size(sum(run.size_bytes or 0 for run in lost))
            runs = "1 run is" if len(lost) == 1 else f"{len(lost)} runs are"
            only = " ".join(run.run for run in lost) if len(lost) <= 3 else "--all"
            cure = self.why_not or f"dreamerlab data push {only}"
            lines.append(f"not yet safe: {runs} nowhere but on this disk, {total} ({cure})")
        elif self.runs:
            lines.append("nothing of these runs is on this disk alone" if not self.remote_inside else "all is pushed")
        if self.remote_inside:
            lines.append(
                "mind: the remote is a folder of this workspace, lost with the same disk; one elsewhere: "
                "dreamerlab data remote URL"
            )
        return lines


def data_status(workspace: Workspace, runs: Sequence[RunDirectory]) -> DataStatus:
    """Return how far the artifacts of `runs` have come, from files alone."""
    place = remote(workspace)
    inside = place is not None and place.folder is not None and place.folder.is_relative_to(workspace.path)
    why_not = None
    if not is_set_up(workspace):
        why_not = "dreamerlab init" if installed() else INSTALL_HINT
    return DataStatus([_of_run(workspace, run) for run in runs], place, inside, why_not)


def place_of(workspace: Workspace) -> dict[str, Any]:
    """Return name and url of the remote and whether clones know it; NotFound when there is none."""
    require_project(workspace)
    place = remote(workspace)
    if place is None:
        raise NotFound("this workspace knows no DVC remote", hint="name one: dreamerlab data remote URL")
    return _named(place)


def send_to(workspace: Workspace, url: str, *, shared: bool, warn: Callable[[str], None]) -> None:
    """Let artifacts go to `url` from now on, and commit that where clones are to learn of it."""
    set_remote(workspace, url, shared=shared)
    if shared:
        settings = workspace.path / ".dvc" / "config"
        commit_paths(workspace, [settings], "Name the place of the artifacts", warn)


def size_here(run: RunDirectory) -> int:
    """Return the bytes of all artifacts of a run that are here."""
    total = 0
    for folder, _, names in os.walk(run.artifacts):
        total += sum(os.lstat(f"{folder}/{name}").st_size for name in names)
    return total


def _named(place: Remote) -> dict[str, Any]:
    return {"name": place.name, "url": str(place.folder or place.url), "shared": place.shared}


def _of_run(workspace: Workspace, run: RunDirectory) -> RunData:
    here, state = size_here(run), dvc_store.state(workspace, run)
    if state == "archived":
        newest = read_tombstone(run)[-1]
        where = "stored remotely" if newest.stored else "gone for good"
        return RunData(run.id, here, state, f"{size(newest.size_bytes)} dropped {newest.time[:10]}, {where}")
    if state == "absent":
        return RunData(run.id, dvc_store.recorded_size(run), state, f"not here: dreamerlab data pull {run.id}")
    if not run.artifacts.is_dir():
        return RunData(run.id, None, "absent", "not here, and never stored")
    if not here:
        return RunData(run.id, None, "none yet", "no artifacts yet")
    if state == "local" and run.artifacts_dvc.exists():
        return RunData(run.id, here, state, "not safe yet: changed since it was stored, or its copies are gone")
    return RunData(run.id, here, state)


def _copies(run: RunData) -> tuple[str, str, str]:
    """Return the columns local, cached, pushed."""
    yes, no = "yes", "-"
    return {
        "pushed": (yes, yes, yes),
        "cached": (yes, yes, no),
        "local": (yes, no, no),
        "no dvc": (yes, no, no),
        "archived": ("part" if run.size_bytes else no, no, no),
    }.get(run.state, (no, no, no))
