"""How a run comes to be: number and name given out under the workspace lock, built aside, renamed when whole.

Everything is written into `runs/.new-<id>` and synced; the rename makes it `runs/<id>`. So every `runs/R…` is a whole
run, two processes never get the same number, and a crash leaves only a `.new-` folder that `store.half_made` lists.

A run that something else has to name first is made in two steps: `prepare_run`, the record that names it, then
`complete_run`. A crash in between is mended by completing what is named and removing what is not.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dreamerlab.atomic import atomic_write_bytes, atomic_write_text, disk_failure, read_small, sync_directory
from dreamerlab.errors import Conflict, ToolFailed, UsageError
from dreamerlab.ids import RecordId, new_id
from dreamerlab.runs.directory import HALF_MADE, RunDirectory, parse_run_id
from dreamerlab.runs.manifest import Manifest, write_manifest
from dreamerlab.runs.status import Status, write_status
from dreamerlab.runs.store import Workspace, aliases, directory_names

_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LIKE_AN_ID = re.compile(r"[RrHh][0-9]+(-.*)?")


def create_run(
    workspace: Workspace,
    manifest: Manifest,
    *,
    config_yaml: str,
    origins: Mapping[str, str],
    patch: bytes | None = None,
    freeze: str | None = None,
) -> RunDirectory:
    """Create a whole run with its trials queued, and return it; `manifest.id` is replaced by the next free id.

    Conflict when the alias is taken, UsageError when it cannot be one, ToolFailed when the disk refuses; nothing is
    left behind then.
    """
    files = RunFiles(manifest, config_yaml, origins, patch, freeze)
    with workspace.lock():
        prepared = _prepare(workspace, files)
        try:
            return complete_run(workspace, prepared)
        except ToolFailed:
            discard_run(prepared)
            raise


@dataclass(frozen=True)
class RunFiles:
    """What is written into a new run; the id in the manifest is given out when it is."""

    manifest: Manifest
    config_yaml: str
    origins: Mapping[str, str]
    patch: bytes | None = None
    freeze: str | None = None
    copies: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """What is copied into `artifacts/untracked`: name there -> file."""


def prepare_run(workspace: Workspace, files: RunFiles) -> RunDirectory:
    """Return a run that is whole but for its name: `path` is its `.new-` folder, `id` the one it will have.

    Raises what `create_run` raises, and leaves nothing behind then.
    """
    with workspace.lock():
        return _prepare(workspace, files)


def complete_run(workspace: Workspace, prepared: RunDirectory) -> RunDirectory:
    """Give a prepared run its name and return it; ToolFailed when the disk refuses."""
    final = workspace.run(prepared.id)
    try:
        prepared.path.rename(final.path)
        sync_directory(workspace.runs)
    except OSError as error:
        raise disk_failure(final.path, error) from error
    return final


def discard_run(prepared: RunDirectory) -> None:
    """Remove a prepared run that nothing names; nothing was trained in it."""
    assert prepared.path.name.startswith(HALF_MADE), prepared.path
    shutil.rmtree(prepared.path, ignore_errors=True)


def check_alias(name: str) -> None:
    """Refuse a name that is not letters, digits, - and _, or that could be taken for an id."""
    if not _ALIAS.fullmatch(name):
        raise UsageError(f"'{name}' cannot be a name", hint="use up to 64 letters, digits, - and _")
    if _LIKE_AN_ID.fullmatch(name):
        raise UsageError(f"the name '{name}' could be taken for an id", hint="choose one that does not start like R12")


def _prepare(workspace: Workspace, files: RunFiles) -> RunDirectory:
    """The workspace lock must be held."""
    name = files.manifest.name
    if name is not None:
        check_alias(name)
        if holder := aliases(workspace).get(name):
            raise Conflict(f"the name '{name}' belongs to {holder}", hint="choose another --name")
    try:
        workspace.runs.mkdir(parents=True, exist_ok=True)
        run_id = str(_next_id(workspace))
        building = RunDirectory(workspace.runs / f"{HALF_MADE}{run_id}")
        building.path.mkdir()
    except OSError as error:
        raise disk_failure(workspace.runs, error) from error
    try:
        _fill(building, replace(files.manifest, id=run_id), files)
    except BaseException as error:
        discard_run(building)
        if isinstance(error, OSError):
            raise disk_failure(building.path, error) from error
        raise
    return building


def _fill(run: RunDirectory, manifest: Manifest, files: RunFiles) -> None:
    write_manifest(run.manifest_path, manifest)
    atomic_write_text(run.config_path, files.config_yaml)
    atomic_write_text(run.origins_path, json.dumps(dict(files.origins), indent=1) + "\n")
    atomic_write_text(run.gitignore_path, f"/{run.artifacts.name}\n.*.tmp\n")
    if files.patch:
        atomic_write_bytes(run.patch_path, files.patch)
    if files.freeze:
        atomic_write_text(run.freeze_path, files.freeze)
    for name, source in files.copies.items():
        copy = run.untracked / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_bytes(copy, source.read_bytes())
    for seed in manifest.seeds:
        trial = run.trial(seed)
        trial.path.mkdir()
        trial.artifacts.mkdir(parents=True)
        budget = manifest.budget
        write_status(trial, Status("queued", seed, budget_unit=budget.unit, budget_amount=budget.amount))


def _next_id(workspace: Workspace) -> RecordId:
    """One more than the highest number ever given out here, also to runs since deleted."""
    counter = workspace.hidden / "highest_run"
    try:
        highest = int(read_small(str(counter)))
    except (FileNotFoundError, ValueError):
        highest = 0
    seen = (parse_run_id(name.removeprefix(HALF_MADE)) for name in directory_names(workspace))
    number_ = 1 + max([highest, *(found.number for found in seen if found)])
    atomic_write_text(counter, f"{number_}\n")
    return new_id("R", number_)
