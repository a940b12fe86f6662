"""How a large replay gets into checkpoints without being written again each time (FACTS D2, D4, D6).

A small buffer goes into the checkpoint whole. Of a large one a checkpoint holds the counters, the newest rows, and a
list of files in a folder of the trial, each with its size and sha256:

    rows-0-0000012-5f2a9c….npz     `chunk` rows of one stream: what never changes once rows are final
    latents-0000003-81d0e4….npz    what training changes (latent states, priorities), of rows anywhere

Rows are written once, when their chunk is complete. Latent states are written as changes since the last checkpoint:
later files win; once the files listed hold twice as many rows as the buffer, all rows are written anew and the list
begins again. The names carry the beginning of the sha256, so that files of a stretch that a resumed trial leaves
behind are never taken for others, and a buffer restored from a checkpoint is exactly as it was, however far the files
had come by then. What no checkpoint lists any more is removed after the next one is complete: the folder never holds
more than the rows and three times the latent states of every kept checkpoint together.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dreamerlab.atomic import atomic_write_json
from dreamerlab.experience.replay import Replay
from dreamerlab.experience.storage import row_bytes

INLINE_BYTES = 64 * 2**20
"""A buffer up to this size goes into the checkpoint itself."""
_FILE_BYTES = 32 * 2**20
_MOST_ROWS = 65_536


class Archive:
    """The files of one replay buffer in one folder, which belongs to it alone."""

    def __init__(
        self, replay: Replay, folder: Path, *, inline_bytes: int = INLINE_BYTES, chunk: int | None = None
    ) -> None:
        self._replay, self._folder, self._inline_bytes = replay, folder, inline_bytes
        self._chunk = chunk or _rows_in(_FILE_BYTES // replay.streams, row_bytes(replay.fixed))
        self._piece = chunk or _rows_in(_FILE_BYTES, row_bytes(replay.changing) + 16)
        self._chunks: dict[tuple[int, int], dict[str, Any]] = {}
        self._changes: list[dict[str, Any]] = []
        self._saved: list[int] | None = None
        self._touched = np.zeros((0, 0), bool)

    def state_dict(self, name: str) -> dict[str, Any]:
        """Return the state of the buffer for the checkpoint called `name`; new files are on disk before it returns.

        Raises OSError when the disk refuses; what earlier checkpoints list stays as it is.
        """
        if not self._replay.mapped and len(self._replay) * self._replay.row_bytes <= self._inline_bytes:
            self._saved = None
            return self._replay.state_dict()
        self._folder.mkdir(parents=True, exist_ok=True)
        chunks, tails = self._write_rows()
        self._write_changes()
        listed = {"chunks": chunks, "changes": list(self._changes)}
        self._note(name, listed)
        return {**self._replay.counters(), "files": listed, "tails": tails}

    def load_state_dict(self, state: Mapping[str, Any], folder: Path | None = None) -> None:
        """Restore the buffer, exactly where it is as large, from files in `folder` where that is not this one's own."""
        if "files" not in state:
            self._replay.load_state_dict(state)
            return
        place, replay, listed = folder or self._folder, self._replay, state["files"]
        dropped = replay.restore(state)
        for entry in listed["chunks"]:
            rows = np.arange(entry["first"], entry["stop"]) - dropped[entry["stream"]]
            replay.write(entry["stream"], rows, _read(place, entry))
        for stream, tail in enumerate(state["tails"]):
            stop = replay.span(stream)[1]
            rows = np.arange(stop - len(tail["is_first"]), stop)
            replay.write(stream, rows, tail)
        for entry in listed["changes"]:
            columns = _read(place, entry)
            streams, rows = columns.pop("stream"), columns.pop("row")
            for stream in np.unique(streams):
                own = streams == stream
                held = {name: column[own] for name, column in columns.items()}
                replay.write(int(stream), rows[own] - dropped[stream], held)
        if place == self._folder and not any(dropped):
            self._chunks = {(entry["stream"], entry["stop"] // self._chunk): entry for entry in listed["chunks"]}
            self._changes = list(listed["changes"])
            self._start_watching()

    def sweep(self, names: Collection[str]) -> None:
        """Remove every file that none of the checkpoints called `names` lists."""
        if not self._folder.is_dir():
            return
        needed: set[str] = set()
        for index in self._folder.glob("*.files"):
            if index.stem in names:
                needed |= {index.name, *_listed(index)}
        for path in self._folder.iterdir():
            if path.name not in needed:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder and everything in it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write_rows(self) -> tuple[list[dict[str, Any]], list[dict[str, np.ndarray]]]:
        """Write the chunks that have become complete; return all that are held, and the rows after them."""
        replay, size, names = self._replay, self._chunk, list(self._replay.fixed)
        held: dict[tuple[int, int], dict[str, Any]] = {}
        tails: list[dict[str, np.ndarray]] = []
        for stream in range(replay.streams):
            first, total = replay.span(stream)
            complete = replay.final(stream) // size * size
            for stop in range(first // size * size + size, complete + 1, size):
                key = stream, stop // size
                if key not in self._chunks:
                    start = max(first, stop - size)
                    entry = self._write(f"rows-{stream}-{stop // size:07d}", replay.read(stream, start, stop, names))
                    self._chunks[key] = {**entry, "stream": stream, "first": start, "stop": stop}
                held[key] = self._chunks[key]
            tails.append(replay.read(stream, max(first, complete), total, names))
        self._chunks = held
        return list(held.values()), tails

    def _write_changes(self) -> None:
        """Write the latent states that are new since the last checkpoint, or all of them."""
        replay = self._replay
        if not replay.changing:
            return
        rows, changes = [self._changed(stream) for stream in range(replay.streams)], self._changes
        known = sum(entry["rows"] for entry in changes)
        if self._saved is None or known + sum(len(some) for some in rows) > 2 * len(replay):
            rows, changes = [np.arange(*replay.span(stream)) for stream in range(replay.streams)], []
        changes = list(changes)
        for stream, some in enumerate(rows):
            for piece in range(0, len(some), self._piece):
                part = some[piece : piece + self._piece]
                columns = replay.pick(stream, part, list(replay.changing))
                where = {"stream": np.full(len(part), stream), "row": part}
                entry = self._write(f"latents-{len(changes):07d}", {**where, **columns})
                changes.append({**entry, "rows": len(part)})
        self._changes = changes
        self._start_watching()

    def _changed(self, stream: int) -> np.ndarray:
        """Return the rows of a stream whose latent states no file has as they are."""
        first, total = self._replay.span(stream)
        if self._saved is None:
            return np.arange(first, total)
        rows = np.arange(first, total)
        return rows[self._touched[stream, rows % self._replay.ring] | (rows >= self._saved[stream])]

    def _start_watching(self) -> None:
        replay = self._replay
        self._saved = [replay.span(stream)[1] for stream in range(replay.streams)]
        self._touched = np.zeros((replay.streams, replay.ring), bool)
        replay.watch(self._touched)

    def _write(self, prefix: str, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        temporary = self._folder / f".{prefix}.tmp"
        try:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **columns)  # pyright: ignore[reportArgumentType]
                file.flush()
                os.fsync(file.fileno())
            digest, size = _sha256(temporary), temporary.stat().st_size
            name = f"{prefix}-{digest[:16]}.npz"
            temporary.replace(self._folder / name)
        finally:
            temporary.unlink(missing_ok=True)
        return {"file": name, "sha256": digest, "size_bytes": size}

    def _note(self, name: str, listed: Mapping[str, Any]) -> None:
        """Say which files the checkpoint called `name` lists, before it exists; one of that name may exist already."""
        index = self._folder / f"{name}.files"
        files = {entry["file"] for entry in [*listed["chunks"], *listed["changes"]]}
        atomic_write_json(index, {"files": sorted(files | set(_listed(index) if index.exists() else ()))})


def damage(state: Mapping[str, Any] | None, folder: Path) -> str | None:
    """Return what is wrong with the files that the state of a buffer lists, None when they are whole."""
    files = (state or {}).get("files")
    if files is None:
        return None
    for entry in [*files["chunks"], *files["changes"]]:
        path = folder / entry["file"]
        if not path.is_file():
            return f"replay file {entry['file']} is missing"
        if path.stat().st_size != entry["size_bytes"] or _sha256(path) != entry["sha256"]:
            return f"replay file {entry['file']} differs from what was recorded"
    return None


def _listed(index: Path) -> list[str]:
    return json.loads(index.read_text())["files"]


def _rows_in(size_bytes: int, each: int) -> int:
    return max(64, min(_MOST_ROWS, size_bytes // max(each, 1)))


def _read(folder: Path, entry: Mapping[str, Any]) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO((folder / entry["file"]).read_bytes()), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
