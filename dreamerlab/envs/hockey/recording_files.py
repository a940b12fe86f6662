"""Recordings of games as files: written, read, and refused where they are none.

What is in a recording is told by `recording.py`.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dreamerlab.atomic import atomic_write_bytes
from dreamerlab.envs.hockey.recording import RESULTS, WIDTHS, Arrays
from dreamerlab.errors import NotFound, UsageError

_EPISODE = ("seed", "mode", "keep", "one_starting", "one_starts_after", "env", "start", "length", "set_state")
NEEDED = (
    *(f"ep_{name}" for name in _EPISODE),
    *(f"reset_{name}" for name in RESULTS[:4]),
    "step_action",
    *(f"step_{name}" for name in RESULTS),
)


def load(path: Path) -> Arrays:
    """Return the arrays of a recording; raise NotFound when there is no file, UsageError when it is no recording."""
    if not path.is_file():
        raise NotFound(f"there is no recording {path}", hint="dreamerlab hockey verify --record FILE makes one")
    try:
        with path.open("rb") as file:
            stored: Any = np.load(file, allow_pickle=False)
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise ValueError("it is one array, not a file of many")
            with stored:
                arrays = {name: stored[name] for name in stored.files if name in NEEDED}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError, MemoryError) as error:
        raise UsageError(
            f"{path} is no recording of games: {' '.join(str(error).split())}",
            hint="a recording is an .npz of plain arrays; dreamerlab hockey verify --record FILE makes one",
        ) from None
    problem = _problem(arrays)
    if problem:
        raise UsageError(
            f"{path} is no recording of games: {problem}", hint="dreamerlab hockey verify --record FILE makes one"
        )
    return arrays


def save(path: Path, arrays: Arrays, made_with: Mapping[str, str]) -> None:
    """Write a recording, and by what it was made; a file that is there is replaced as a whole."""
    held = io.BytesIO()
    contents: dict[str, Any] = {**arrays, "meta": np.array(json.dumps(dict(made_with)))}
    np.savez_compressed(held, **contents)
    atomic_write_bytes(path, held.getvalue())


def _problem(arrays: Mapping[str, np.ndarray]) -> str | None:
    """Return what is wrong with a recording's arrays, or None."""
    missing = [name for name in NEEDED if name not in arrays]
    if missing:
        return f"it lacks the arrays {', '.join(missing)}" if len(missing) > 1 else f"it lacks the array {missing[0]}"
    episodes, steps = len(np.atleast_1d(arrays["ep_seed"])), len(np.atleast_1d(arrays["step_action"]))
    for name in NEEDED:
        rows = steps if name.startswith("step_") else episodes
        expected = (rows, WIDTHS[name]) if name in WIDTHS else (rows,)
        if arrays[name].shape != expected:
            return f"{name} has shape {arrays[name].shape}, not {expected}"
        if arrays[name].dtype.kind not in "fiub":
            return f"{name} holds no numbers, but {arrays[name].dtype}"
    if not episodes:
        return "it holds no game"
    start, length = arrays["ep_start"], arrays["ep_length"]
    if (length < 0).any() or not np.array_equal(start, np.cumsum([0, *length[:-1]])) or length.sum() != steps:
        return "its games do not lie one after the other in its steps (ep_start, ep_length)"
    for name, low, high in (("ep_mode", 0, 2), ("ep_one_starting", -1, 1), ("ep_keep", 0, 1)):
        if arrays[name].min() < low or arrays[name].max() > high:
            return f"{name} is not within {low} to {high}"
    if not np.isfinite(arrays["step_action"]).all():
        return "step_action holds numbers that are none"
    return None
