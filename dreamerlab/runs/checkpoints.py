"""Which checkpoints a trial has, by their descriptions alone: nothing here opens a tensor.

    ckpt-000004000.pt   everything, to go on from; the newest few are kept
    best-000003000.pt   the agent at its best evaluation so far, without replay
    kept-000002000.pt   the agent every so many env steps, for good

Beside each lies a small `.json` with the sha256 and size of its tensors, its counters and what it belongs to. How they
are written and opened is `train/checkpoint.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dreamerlab.atomic import read_object
from dreamerlab.errors import Conflict, NotFound

SCHEMA: Final = 1
LATEST, BEST, KEPT = "ckpt", "best", "kept"
KINDS: Final = (LATEST, BEST, KEPT)
_NAME = re.compile(rf"({'|'.join(KINDS)})-([0-9]{{9,}})\.json")


class Damaged(Exception):
    """A checkpoint that cannot be used, and why."""


@dataclass(frozen=True)
class Checkpoint:
    """What is known of a checkpoint without opening its tensors."""

    run: str
    seed: int
    family: str
    env_steps: int
    updates: int
    episodes: int
    wall_s: float
    sha256: str
    size_bytes: int
    file: str
    has_replay: bool
    score: float | None = None
    """eval/return_mode at this moment, of the best one."""
    schema: int = SCHEMA


def name_of(env_steps: int, kind: str = LATEST) -> str:
    """Return the stem of the checkpoint of a kind at an env step."""
    return f"{kind}-{env_steps:09d}"


def names(folder: Path, kind: str = LATEST) -> list[str]:
    """Return the stems of the described checkpoints of one kind, newest first."""
    found = [match for path in folder.glob(f"{kind}-*.json") if (match := _NAME.fullmatch(path.name))]
    return [match[0].removesuffix(".json") for match in sorted(found, key=lambda one: -int(one[2]))]


def describe(folder: Path, name: str) -> Checkpoint:
    """Return the description of the checkpoint with a stem; raise Damaged when it says nothing usable.

    Conflict for one of a later version: it is whole, and must be neither passed over nor thrown away.
    """
    try:
        recorded = read_object(str(folder / f"{name}.json"))
        schema = recorded.get("schema", SCHEMA)
        if isinstance(schema, int) and schema > SCHEMA:
            raise Conflict(
                f"checkpoint {name}.pt was written by a later version of dreamerlab (schema {schema}; "
                f"this one knows {SCHEMA})",
                hint="use the version that wrote it, or newer",
            )
        known = Checkpoint.__dataclass_fields__
        info = Checkpoint(**{key: value for key, value in recorded.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise Damaged(f"its description is unreadable ({error})") from error
    return info


def choose(folder: Path, which: str = "latest", *, replay: bool = False) -> str:
    """Return the stem of the checkpoint called `latest`, `best`, or by its env steps; NotFound says what there is.

    Of several with the same env steps the one that stays longest is taken, or with `replay` one that may hold it.
    """
    if which == "latest":
        found = names(folder, LATEST)[:1]
    elif which == "best":
        found = sorted(names(folder, BEST), key=lambda name: (-_score(folder, name), name))[:1]
    else:
        wanted = int(which) if which.isdecimal() else -1
        kinds = KINDS if replay else KINDS[::-1]
        found = [name for kind in kinds for name in names(folder, kind) if int(name.partition("-")[2]) == wanted][:1]
    if found:
        return found[0]
    there = sorted({int(name.partition("-")[2]) for kind in KINDS for name in names(folder, kind)})
    steps = f"; there are some of env step {', '.join(map(str, there))}" if there else ""
    asked = f"'{which}'" if which in ("latest", "best") else f"of env step {which}"
    hint = None if there else "dreamerlab data pull fetches stored artifacts"
    raise NotFound(f"no checkpoint {asked} in {folder}{steps}", hint=hint)


def _score(folder: Path, name: str) -> float:
    try:
        score = describe(folder, name).score
    except Damaged:
        score = None
    return float("-inf") if score is None else score
