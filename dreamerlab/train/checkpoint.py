"""Checkpoints: written whole or not at all, verified when read, and never unpickled.

A checkpoint is a tensor file `ckpt-000004000.pt` beside a small `ckpt-000004000.json` that carries its sha256, its
counters and what it belongs to. The tensor file is renamed into place first, its json second, so a json without
a complete tensor file can only be damage, and damage is skipped for the checkpoint before, and said.
Loading uses `weights_only=True`: tensors, numbers, text, lists and dicts, no code.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from dreamerlab.atomic import atomic_write_json
from dreamerlab.errors import NotFound

SCHEMA = 1


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
    schema: int = SCHEMA


@dataclass
class Loaded:
    """An opened checkpoint, with a line for each newer one that had to be passed over."""

    info: Checkpoint
    state: dict[str, Any]
    passed_over: list[str] = field(default_factory=list)


def save(folder: Path, state: dict[str, Any], keep: int, **facts: Any) -> Checkpoint:
    """Write `state` durably as the newest checkpoint, then remove all but the `keep` newest.

    `facts` are the fields of `Checkpoint` that describe the moment. Raises OSError when the disk refuses; nothing
    earlier is lost then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"ckpt-{facts['env_steps']:09d}.pt"
    temporary = folder / f".{name}.tmp"
    try:
        with temporary.open("wb") as file:
            _write_tensors(_to_tensors(state), file)
            file.flush()
            os.fsync(file.fileno())
        digest, size = _sha256(temporary), temporary.stat().st_size
        temporary.replace(folder / name)
    finally:
        temporary.unlink(missing_ok=True)
    info = Checkpoint(sha256=digest, size_bytes=size, file=name, **facts)
    atomic_write_json(folder / name.replace(".pt", ".json"), asdict(info))
    kept = _names(folder)[:keep]
    # Whatever a killed process left half-done goes as well. In this order a description goes before its tensors.
    for path in sorted([*folder.glob(".ckpt-*.tmp"), *folder.glob("ckpt-*.json"), *folder.glob("ckpt-*.pt")]):
        if path.stem not in kept:
            path.unlink(missing_ok=True)
    return info


def _write_tensors(state: Any, file: IO[bytes]) -> None:
    """Save `state` into `file`; raises the OSError of a disk that refuses, which torch hides behind its own words."""
    try:
        torch.save(state, file)
    except RuntimeError as error:
        refused = error.__context__
        while refused is not None and not isinstance(refused, OSError):
            refused = refused.__context__
        if refused is None:
            raise
        raise OSError(refused.errno, refused.strerror, file.name) from error


def load_newest(folder: Path, *, set_aside: bool = False) -> Loaded:
    """Open the newest checkpoint that is whole; raise NotFound when there is none.

    With `set_aside` those passed over are renamed, `ckpt-000004000.pt.passed-over`: a trial that goes on from an older
    one would else count them among its newest, and drop what it writes itself.
    """
    passed_over: list[str] = []
    for name in _names(folder):
        try:
            info, state = _open(folder, name)
        except _Damaged as damage:
            passed_over.append(f"{name}.pt: {damage}")
            if set_aside:
                _set_aside(folder, name)
            continue
        return Loaded(info, state, passed_over)
    detail = f" ({'; '.join(passed_over)})" if passed_over else ""
    raise NotFound(f"no usable checkpoint in {folder}{detail}", hint="dreamerlab data pull fetches stored artifacts")


def _set_aside(folder: Path, name: str) -> None:
    for path in (folder / f"{name}.json", folder / f"{name}.pt"):
        if path.exists():
            path.replace(path.with_name(f"{path.name}.passed-over"))


class _Damaged(Exception):
    """A checkpoint that cannot be used, and why."""


def _open(folder: Path, name: str) -> tuple[Checkpoint, dict[str, Any]]:
    path = folder / f"{name}.pt"
    try:
        recorded = json.loads((folder / f"{name}.json").read_text())
        known = Checkpoint.__dataclass_fields__
        info = Checkpoint(**{key: value for key, value in recorded.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _Damaged(f"its description is unreadable ({error})") from error
    if info.schema > SCHEMA:
        raise _Damaged(f"written by a later version (schema {info.schema}, this is {SCHEMA})")
    if not path.exists():
        raise _Damaged("the tensor file is missing")
    size = path.stat().st_size
    if size != info.size_bytes:
        raise _Damaged(f"{size} bytes instead of {info.size_bytes}")
    if _sha256(path) != info.sha256:
        raise _Damaged("its sha256 differs from the one recorded")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Nothing else is caught: these are the bytes that were written, so the trouble is the machine's, not theirs.
        raise _Damaged(f"torch cannot read it ({type(error).__name__})") from error
    return info, _to_numpy(state)


def _names(folder: Path) -> list[str]:
    """Stems of the described checkpoints, newest first."""
    return sorted((path.stem for path in folder.glob("ckpt-*.json")), reverse=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Keys of the marked dicts that carry what a tensor file cannot say: numpy arrays, integers beyond 64 bits.
_ARRAY, _BIG = "__numpy__", "__int__"


def _to_tensors(value: Any) -> Any:
    """Replace numpy arrays by marked tensors and integers beyond 64 bits (generator states) by marked text."""
    if isinstance(value, np.ndarray):
        return {_ARRAY: torch.from_numpy(np.ascontiguousarray(value)).reshape(value.shape)}
    if isinstance(value, dict):
        return {key: _to_tensors(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_tensors(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 63:
        return {_BIG: str(value)}
    if isinstance(value, np.generic):
        return value.item()
    return value


def _to_numpy(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return value[_ARRAY].numpy()
        if value.keys() == {_BIG}:
            return int(value[_BIG])
        return {key: _to_numpy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_numpy(item) for item in value]
    return value
