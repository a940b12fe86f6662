"""Some of the lines of a long JSONL file, evenly spread over it, without reading the others.

A file of hundreds of megabytes is opened as memory, and only the lines that are wanted are looked at: the cost is that
of the lines returned. A file with few lines is returned whole. Lines are in order; a damaged one is counted and left
out. Reading every line is `series.read_lines`.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, cast

from dreamerlab.runs.attempts import read_starts
from dreamerlab.runs.directory import TrialDirectory

_STEPS = re.compile(rb'"env_steps": ?([0-9]{1,15})')
_FIRST_BYTES = 1 << 16
_RARE = 4


@dataclass
class Sample:
    """What was read of a file."""

    lines: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    damaged: int = 0
    """Of the lines that were looked at."""
    whole: bool = True
    """Whether every line was looked at."""


def sample_lines(path: Path, limit: int, *, until: int | None = None, rare: bytes | None = None) -> Sample:
    """Return at most about `limit` lines of the file at `path`, none of them beyond `until` env steps.

    Env steps never fall within a file. `rare` is a word that only few lines have, such as `"probe/`: lines with it are
    spread evenly among themselves, and come in addition. A file that is not there holds no lines.
    """
    try:
        with path.open("rb") as file:
            if not file.seek(0, 2):
                return Sample()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _sample(data, limit, until, rare)
    except FileNotFoundError:
        return Sample()


def sample_metrics(trial: TrialDirectory, limit: int, *, fewest: int, rare: bytes | None = None) -> Sample:
    """Return about `limit` metric lines of a trial, at least `fewest` of each attempt that has them, oldest first.

    None of an attempt beyond the env steps at which a later one started. `rare` is that of `sample_lines`.
    """
    attempts, starts = trial.attempts(), read_starts(trial)
    found = Sample()
    for attempt in attempts:
        until = min((starts[other] for other in attempts if other > attempt and other in starts), default=None)
        own = sample_lines(trial.metrics_path(attempt), max(fewest, limit // len(attempts)), until=until, rare=rare)
        found.lines += own.lines
        found.damaged += own.damaged
        found.whole = found.whole and own.whole
    return found


def _sample(data: mmap.mmap, limit: int, until: int | None, rare: bytes | None) -> Sample:
    end = len(data) if until is None else _end_of(data, until)
    head = data[: min(end, _FIRST_BYTES)]
    per_line = len(head) / max(1, head.count(b"\n"))
    few = end <= 1.5 * limit * per_line
    starts = list(_starts(data, 0, end)) if few else _spread(data, end, limit)
    if not few and rare is not None:
        most = _RARE * limit
        found = list(islice(_with(data, rare, end), most))
        if len(found) < most:  # otherwise it is not rare, and the lines chosen have it already
            starts = sorted({*starts, *found[:: max(1, len(found) // limit)]})
    sample = Sample(whole=few)
    for start in starts:
        stop = data.find(b"\n", start, end)
        raw = data[start : end if stop < 0 else stop]
        try:
            value = json.loads(raw) if raw.strip() else None
        except ValueError:
            sample.damaged += 1
            continue
        if isinstance(value, dict):
            sample.lines.append(cast("dict[str, Any]", value))
        elif value is not None:
            sample.damaged += 1
    return sample


def _starts(data: mmap.mmap, start: int, end: int) -> Iterator[int]:
    while start < end:
        yield start
        stop = data.find(b"\n", start, end)
        if stop < 0:
            return
        start = stop + 1


def _spread(data: mmap.mmap, end: int, limit: int) -> list[int]:
    places = {_start_of(data, round(i * (end - 1) / (limit - 1))) for i in range(limit)}
    return sorted(places)


def _with(data: mmap.mmap, word: bytes, end: int) -> Iterator[int]:
    at = data.find(word, 0, end)
    while at >= 0:
        yield _start_of(data, at)
        stop = data.find(b"\n", at, end)
        at = -1 if stop < 0 else data.find(word, stop, end)


def _start_of(data: mmap.mmap, at: int) -> int:
    return data.rfind(b"\n", 0, at) + 1


def _end_of(data: mmap.mmap, until: int) -> int:
    """Return the place at which the first line beyond `until` env steps begins."""
    low, high = 0, len(data)
    while low < high:
        start = _start_of(data, (low + high) // 2)
        stop = data.find(b"\n", start)
        after = len(data) if stop < 0 else stop + 1
        known = _STEPS.search(data[start:after])
        if known is not None and int(known[1]) > until:
            high = start
        else:
            low = max(after, low + 1)
    return high
