"""Checkpoints: written whole or not at all, verified when read, and never unpickled.

A checkpoint is a tensor file `ckpt-000004000.pt` beside a small `ckpt-000004000.json` that carries its sha256, its
counters and what it belongs to (`runs/checkpoints.py`, which also tells the three kinds). The tensor file is renamed
into place first, its json second, so a json without a complete tensor file can only be damage, and damage is skipped
for the checkpoint before, and said. Loading uses `weights_only=True`: tensors, numbers, text, lists and dicts, no code.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from dreamerlab.atomic import atomic_write_json
from dreamerlab.errors import Conflict, NotFound
from dreamerlab.runs.checkpoints import KINDS, LATEST, Checkpoint, Damaged, choose, describe, name_of, names


@dataclass
class Loaded:
    """An opened checkpoint, with a line for each newer one that had to be passed over."""

    info: Checkpoint
    state: dict[str, Any]
    passed_over: list[str] = field(default_factory=list)


def save(folder: Path, state: dict[str, Any], keep: int | None, *, kind: str = LATEST, **facts: Any) -> Checkpoint:
    """Write `state` durably as the newest checkpoint of its kind, then remove all of them but the `keep` newest.

    `facts` are the fields of `Checkpoint` that describe the moment; `keep` None keeps all. Raises OSError when the
    disk refuses; nothing earlier is lost then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = name_of(facts["env_steps"], kind)
    temporary = folder / f".{name}.pt.tmp"
    try:
        with temporary.open("wb") as file:
            _write_tensors(_to_tensors(state), file)
            file.flush()
            os.fsync(file.fileno())
        digest, size = _sha256(temporary), temporary.stat().st_size
        temporary.replace(folder / f"{name}.pt")
    finally:
        temporary.unlink(missing_ok=True)
    info = Checkpoint(sha256=digest, size_bytes=size, file=f"{name}.pt", **facts)
    atomic_write_json(folder / f"{name}.json", asdict(info))
    prune(folder, kind, names(folder, kind)[:keep])
    return info


def prune(folder: Path, kind: str, kept: Iterable[str]) -> None:
    """Remove the checkpoints of a kind but those with the stems `kept`, and what killed processes left half-done."""
    kept = set(kept)
    half_done = [path for one in KINDS for path in folder.glob(f".{one}-*.tmp")]
    # In this order a description goes before its tensors.
    for path in sorted([*half_done, *folder.glob(f"{kind}-*.json"), *folder.glob(f"{kind}-*.pt")]):
        if path.stem not in kept:
            path.unlink(missing_ok=True)


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


def load_newest(
    folder: Path, *, set_aside: bool = False, damage: Callable[[dict[str, Any]], str | None] | None = None
) -> Loaded:
    """Open the newest checkpoint that is whole; raise NotFound when there is none, Conflict for a later version's.

    With `set_aside` those passed over are renamed, `ckpt-000004000.pt.passed-over`: a trial that goes on from an older
    one would else count them among its newest, and drop what it writes itself. `damage` may find more wrong with a
    state than its own file tells.
    """
    passed_over: list[str] = []
    for name in names(folder):
        try:
            info, state = _open(folder, name)
            if damage is not None and (problem := damage(state)) is not None:
                raise Damaged(problem)
        except Damaged as found:
            passed_over.append(f"{name}.pt: {found}")
            if set_aside:
                _set_aside(folder, name)
            continue
        return Loaded(info, state, passed_over)
    detail = f" ({'; '.join(passed_over)})" if passed_over else ""
    raise NotFound(f"no usable checkpoint in {folder}{detail}", hint="dreamerlab data pull fetches stored artifacts")


def load(folder: Path, which: str = "latest") -> Loaded:
    """Open the checkpoint called `latest`, `best`, or by its env steps.

    `latest` falls back on the one before as `load_newest` does; any other that is damaged is refused (Conflict), for
    nothing can stand in for it. NotFound says what there is.
    """
    if which == "latest":
        return load_newest(folder)
    name = choose(folder, which)
    return Loaded(_describe(folder, name), open_exactly(folder, name))


def open_exactly(folder: Path, name: str) -> dict[str, Any]:
    """Return the state in the checkpoint with the stem `name`; Conflict when it is damaged."""
    try:
        return _open(folder, name)[1]
    except Damaged as damage:
        raise _unusable(folder, name, damage) from damage


def fingerprint(state: Mapping[str, torch.Tensor]) -> str:
    """Return a hash over the tensors of a state, by name, type, shape and every bit."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        # As bytes, for numpy does not know every type that torch has.
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def misfits(state: Mapping[str, Any], expected: Mapping[str, torch.Tensor], prefix: str = "") -> list[str]:
    """Return a line for each tensor of `state` that does not fit into `expected` by name and shape."""
    found: list[str] = []
    for name, tensor in expected.items():
        given = state.get(name)
        if not isinstance(given, torch.Tensor):
            found.append(f"{prefix}{name} is missing there")
        elif given.shape != tensor.shape:
            found.append(f"{prefix}{name} is {list(given.shape)} there and {list(tensor.shape)} here")
    return found + [f"{prefix}{name} is unknown here" for name in state if name not in expected]


def refuse_misfits(file: str, found: list[str]) -> None:
    """Raise Conflict naming tensors that do not fit."""
    if found:
        more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
        raise Conflict(f"{file} does not fit this agent: {'; '.join(found[:3])}{more}")


def _describe(folder: Path, name: str) -> Checkpoint:
    try:
        return describe(folder, name)
    except Damaged as damage:
        raise _unusable(folder, name, damage) from damage


def _unusable(folder: Path, name: str, damage: Damaged) -> Conflict:
    return Conflict(
        f"{folder / name}.pt cannot be used: {damage}", hint="dreamerlab data pull fetches it, where stored"
    )


def _set_aside(folder: Path, name: str) -> None:
    for path in (folder / f"{name}.json", folder / f"{name}.pt"):
        if path.exists():
            path.replace(path.with_name(f"{path.name}.passed-over"))


def _open(folder: Path, name: str) -> tuple[Checkpoint, dict[str, Any]]:
    info, path = describe(folder, name), folder / f"{name}.pt"
    if not path.exists():
        raise Damaged("the tensor file is missing")
    size = path.stat().st_size
    if size != info.size_bytes:
        raise Damaged(f"{size} bytes instead of {info.size_bytes}")
    if _sha256(path) != info.sha256:
        raise Damaged("its sha256 differs from the one recorded")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Nothing else is caught: these are the bytes that were written, so the trouble is the machine's, not theirs.
        raise Damaged(f"torch cannot read it ({type(error).__name__})") from error
    return info, _to_numpy(state)


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
