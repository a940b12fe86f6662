"""From the lines a trial writes to batches of metric values for a tracker: which values, in which order, up to where.

Pure reading, no tracker: byte offsets in, batches of whole lines out, so that a reader killed at any moment goes on
where its last accepted batch ended. A tracker takes nothing back, so a long series has to be thinned while it is being
written: the budget is cut into CELLS parts, known before the first line is there.

    training     the first line of a metric in each cell speaks for the cell: evenly spread
    evaluations  every line, as long as no more have come than cells have passed: a cell without one is saved up

Beyond these, the first value of a metric that is not finite, and the last one once a file is complete, are always
sent. All of it follows from the lines alone, never from when they were read. A stretch that a resumed attempt repeats
is not sent twice: a later line of a metric has to be further on.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from dreamerlab.atomic import number
from dreamerlab.runs.manifest import Budget
from dreamerlab.runs.series import Line, line_values

POINTS = 2000
"""Most points per metric and trial."""
CELLS = POINTS - 3
"""Parts of the budget: room is left for the first NaN, the first infinite value, and the last one."""
BATCH_VALUES = 1000
"""Most values per batch; a tracker's limit."""
EVAL, TRAIN = "eval", "train"
_HEAD_START = 20
"""So many evaluations may follow each other at once at the very beginning."""
_CHUNK_BYTES = 1 << 20
_FORBIDDEN = re.compile(r"[^\w.\- /:]", re.ASCII)
"""Characters that a tracker refuses in a metric's name, and the whole batch with it."""


class Value(NamedTuple):
    """One point of one metric; `time_ms` is taken from the line, so that sending it again changes nothing."""

    metric: str
    value: float
    time_ms: int
    env_steps: int


class Taken(NamedTuple):
    """What has been sent of a metric."""

    cells: int = 0
    """Cells used up: the next point lies in this one or later, counted from 0."""
    env_steps: int = -1
    """Of the last point."""
    odd: int = 0
    """1 when a NaN was sent, 2 an infinite value, 3 both."""


Cells = dict[str, Taken]
"""What has been sent of a trial, by metric."""
_NOTHING = Taken()


@dataclass(frozen=True)
class Batch:
    """Values of whole lines; once accepted, reading goes on at byte `end` with what `cells` says is taken."""

    end: int
    values: list[Value]
    cells: Cells
    not_finite: dict[str, str] = field(default_factory=dict[str, str])
    """Metrics with an infinite value, and the first such value in words."""
    torn: int = 0
    """Lines that could not be read."""


def read_batches(path: Path, offset: int, cells: Mapping[str, Taken], kind: str, budget: Budget) -> Iterator[Batch]:
    """Yield the complete lines of a file from byte `offset` on, at most BATCH_VALUES values at a time.

    `kind` is TRAIN or EVAL. A last line without its newline is left for later; a missing file holds nothing; a file
    that became shorter is read from its start.
    """
    thinned = _Thinned(dict(cells), kind, budget)
    values: list[Value] = []
    torn, end, pending = 0, offset, False
    for line_end, raw in _whole_lines(path, offset):
        line = _parse(raw)
        if values and line is not None and len(values) + _breadth(line) > BATCH_VALUES:
            yield Batch(end, values, dict(thinned.cells), thinned.not_finite, torn)
            values, thinned.not_finite, torn = [], {}, 0
        if line is not None:
            values += thinned.take(line)
        elif raw.strip():
            torn += 1
        end, pending = line_end, True
    if pending:
        yield Batch(end, values, thinned.cells, thinned.not_finite, torn)


def last_values(path: Path, cells: Mapping[str, Taken], kind: str, budget: Budget) -> Batch:
    """Return the last value of each metric in a complete file that thinning has left out."""
    thinned, last = _Thinned(dict(cells), kind, budget), dict[str, Line]()
    try:
        size = path.stat().st_size
    except OSError:
        size = 0
    for _, raw in _whole_lines(path, max(0, size - _CHUNK_BYTES)):
        line = _parse(raw)
        if line is not None:
            last |= dict.fromkeys(line_values(line), line)
    values = [value for metric, line in last.items() for value in thinned.take_last(metric, line)]
    return Batch(size, values, thinned.cells, thinned.not_finite)


def cell_of(line: Line, budget: Budget, head_start: int = 0) -> int:
    """Return which of the CELLS parts of the budget a line falls into; the last one is the end of the budget.

    With a head start the first so many cells have passed when the budget begins.
    """
    if budget.unit == "wall_clock":
        progress = number(line.get("wall_s"))
    elif budget.unit == "actor_updates":
        progress = number(line.get("actor_updates", line.get("updates")))
    else:
        progress = number(line.get("env_steps" if budget.unit == "env_steps" else "updates"))
    progress = progress or 0.0
    if not math.isfinite(progress):
        return CELLS - 1
    rest = CELLS - 1 - head_start
    return head_start + max(0, min(int(progress * rest / max(budget.amount, 1)), rest))


@dataclass
class _Thinned:
    """The choice of points while lines go by."""

    cells: Cells
    kind: str
    budget: Budget
    not_finite: dict[str, str] = field(default_factory=dict[str, str])

    def take(self, line: Line) -> list[Value]:
        """Return the points of a line that are to be sent, and take their places."""
        head_start = min(_HEAD_START, CELLS // 2) if self.kind == EVAL else 0
        cell, env_steps = cell_of(line, self.budget, head_start), _whole(line.get("env_steps"))
        found: list[Value] = []
        for metric, value in line_values(line).items():
            taken = self.cells.get(metric, _NOTHING)
            if taken.cells > cell and value - value == 0:
                continue  # most values of a long series: nothing else has to be known
            further = env_steps > taken.env_steps if self.kind == EVAL else env_steps >= taken.env_steps
            if taken.cells <= cell and further:
                used = taken.cells + 1 if self.kind == EVAL else cell + 1
            elif _oddness(value) & ~taken.odd and env_steps >= taken.env_steps:
                used = taken.cells
            else:
                continue
            found.append(self._point(metric, value, line, used))
        return found

    def take_last(self, metric: str, line: Line) -> list[Value]:
        """Return the last point of a metric unless it is sent; it takes the place of the next one, so the sum stays."""
        taken = self.cells.get(metric, _NOTHING)
        if _whole(line.get("env_steps")) <= taken.env_steps or taken.cells > CELLS:
            return []
        return [self._point(metric, line_values(line)[metric], line, taken.cells + 1)]

    def _point(self, metric: str, value: float, line: Line, used: int) -> Value:
        """Return a point as a tracker takes it, and put down that it is sent, with `used` cells used up."""
        env_steps, name = _whole(line.get("env_steps")), _FORBIDDEN.sub("_", metric)
        odd = self.cells.get(metric, _NOTHING).odd | _oddness(value)
        self.cells[metric] = Taken(used, env_steps, odd)
        if math.isinf(value):
            # A tracker would store the largest float: a point that looks like a measurement.
            self.not_finite.setdefault(name, f"{value} at {env_steps} env steps")
            value = math.nan
        return Value(name, value, _whole(line.get("time"), 1000), env_steps)


def _breadth(line: Line) -> int:
    values = line.get("values")
    return len(cast("dict[str, Any]", values)) if isinstance(values, dict) else 0


def _oddness(value: float) -> int:
    """Return 0 for a finite value, 1 for NaN, 2 for an infinite one."""
    return 0 if math.isfinite(value) else 1 if math.isnan(value) else 2


def _whole(item: object, factor: int = 1) -> int:
    """Return a count of a line in whole numbers; 0 for what is none, as in a line that was damaged."""
    value = number(item)
    return round(factor * value) if value is not None and math.isfinite(value) else 0


def _whole_lines(path: Path, offset: int) -> Iterator[tuple[int, bytes]]:
    """(byte after the line, line) for every line that ends in a newline."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        position = 0 if file.seek(0, os.SEEK_END) < offset else offset
        file.seek(position)
        rest = b""
        while chunk := file.read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for raw in lines:
                position += len(raw) + 1
                yield position, raw


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
