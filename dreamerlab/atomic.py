"""Writing that survives a crash: whole files replaced at once, and lines appended whole.

A replaced file is written beside its target, synced and renamed, so a reader sees the old or the new text and never
a half. An appended line is one write; a line torn by an earlier crash is closed first, so that it spoils nothing
after it. A disk that says no becomes `ToolFailed` with its reason. JSON is strict: numbers that are not finite are
written as the words "nan", "inf", "-inf" (`number` reads them back). Reading lines is `series.py`.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from dreamerlab.errors import ToolFailed

_SERIAL = count()
# A directory that cannot be synced (some network file systems) still holds the renamed file.
_UNSYNCABLE = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)
WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def atomic_write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace the file at `path` by `data`, all at once; its directory must exist.

    `durable` waits until it is on the disk; what can be computed again need not.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_SERIAL)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            write_all(descriptor, data)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        if durable:
            sync_directory(path.parent)
    except OSError as error:
        _remove_quietly(temporary)
        raise disk_failure(path, error) from error


def atomic_write_text(path: Path, text: str) -> None:
    """Replace the file at `path` by `text` in UTF-8, durably and all at once."""
    atomic_write_bytes(path, text.encode())


def atomic_write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace the file at `path` by `value` as indented JSON with a final newline; non-finite numbers as words."""
    atomic_write_text(path, to_json(value, indent=1) + "\n")


def append_line(path: Path, record: Mapping[str, Any], *, durable: bool = False) -> None:
    """Append `record` as one line of JSON in one write; `durable` waits until it is on the disk.

    The file has one writer at a time. When the disk refuses half-way the half line is taken back.
    """
    data = to_json(record).encode() + b"\n"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                data = b"\n" + data
            try:
                write_all(descriptor, data)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise disk_failure(path, error) from error


def to_json(value: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Return strict JSON of `value`, with the words "nan", "inf", "-inf" for numbers that are not finite."""
    try:
        return json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)
    except ValueError:
        return json.dumps(_worded(value), indent=indent, allow_nan=False, ensure_ascii=False)


def number(value: object) -> float | None:
    """Return the float that `to_json` wrote as `value`, or None when it is no number."""
    if isinstance(value, str):
        return WORDS.get(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def read_small(path: str) -> bytes:
    """Return all bytes of a file; a third of the cost of `Path.read_bytes`, which counts over thousands of files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = os.read(descriptor, 65536)
        if len(data) == 65536:
            while more := os.read(descriptor, 1 << 20):
                data += more
        return data
    finally:
        os.close(descriptor)


def read_object(path: str) -> dict[str, Any]:
    """Return the JSON object in a file; ValueError when it holds anything else, OSError when it cannot be read."""
    value = json.loads(read_small(path).decode())
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value  # pyright: ignore[reportUnknownVariableType]


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte of `data`, also when the kernel takes it in pieces."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_directory(path: Path) -> None:
    """Make renames inside a directory durable, where the system offers that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSYNCABLE:
            raise
    finally:
        os.close(descriptor)


def disk_failure(path: Path, error: OSError) -> ToolFailed:
    """Return the one-line error for a path that could not be written."""
    return ToolFailed(
        f"cannot write {path}: {error.strerror or error}",
        hint="free some space or make the folder writable, then repeat the command",
    )


def _worded(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        return {key: _worded(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [_worded(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _remove_quietly(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
