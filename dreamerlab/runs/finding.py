"""Which runs lie in a folder, and which one is meant by what a person types.

`store.py` asks this of a workspace; the trainer, which knows no workspace, of the folder that its own run lies in.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from dreamerlab.atomic import read_object, read_small
from dreamerlab.errors import Conflict, NotFound, did_you_mean
from dreamerlab.ids import RecordId, letter_of, matching, refuse_path
from dreamerlab.runs.directory import MANIFEST, RunDirectory, parse_run_id


def find_run_in(runs: Path, text: str) -> RunDirectory:
    """Return the run meant by `text`: a full id, a unique prefix (`R12` is number 12, `R12-9`), or an alias.

    UsageError for what looks like a path, Conflict for a prefix of several runs, NotFound with the nearest names.
    """
    refuse_path(text)
    if parse_run_id(text) and (exact := RunDirectory(runs / text)).manifest_path.is_file():
        return exact
    ids = ids_in(runs)
    found = matching(ids, text)
    if len(found) > 1:
        raise Conflict(f"'{text}' could be {' or '.join(map(str, found))}", hint="add the characters after the dash")
    if found:
        return RunDirectory(runs / str(found[0]))
    if (named := called_in(runs, text)) is not None:
        return RunDirectory(runs / named)
    if letter_of(text) == "H":
        hint = f"see which runs are its own: dreamerlab show {text}"
        raise NotFound(f"'{text}' is a hypothesis, and a run is meant here", hint=hint)
    near = did_you_mean(text, [*map(str, ids), *aliases_in(runs)])
    raise NotFound(f"no run is called '{text}'{near}", hint="see what there is: dreamerlab list")


def names_in(runs: Path) -> list[str]:
    """Return the names of the folders that are runs, whole or half-made; none where there is no such folder."""
    try:
        with os.scandir(runs) as entries:
            return [entry.name for entry in entries if entry.name[0] in "R." and entry.is_dir()]
    except FileNotFoundError:
        return []


def ids_in(runs: Path) -> list[RecordId]:
    """Return the ids of all whole runs, ascending."""
    return sorted(found for name in names_in(runs) if (found := parse_run_id(name)))


def aliases_in(runs: Path) -> dict[str, str]:
    """Return alias -> run id; a run whose manifest cannot be read has none."""
    found: dict[str, str] = {}
    for run_id in ids_in(runs):
        try:
            name = read_object(f"{runs}/{run_id}/{MANIFEST}").get("name")
        except (OSError, ValueError):
            continue
        if isinstance(name, str):
            found[name] = str(run_id)
    return found


def called_in(runs: Path, name: str) -> str | None:
    """Return the id of the run with an alias, None when there is none; only manifests that spell it are parsed."""
    spelled = f'"{name}"'.encode()
    for run_id in ids_in(runs):
        path = f"{runs}/{run_id}/{MANIFEST}"
        with suppress(OSError, ValueError):
            if spelled in read_small(path) and read_object(path).get("name") == name:
                return str(run_id)
    return None
