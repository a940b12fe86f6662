"""From the lines a trial writes to batches of metric values for a tracker: which values, in which order, up to where.

Pure reading, no tracker: byte offsets in, batches of whole lines out, so that a reader killed at any moment goes on
where its last accepted batch ended. Long series are thinned while they stream: the budget is cut into 2,000 cells and
the first line of a metric that reaches a new cell speaks for it. That depends on the lines alone, never on when they
were read. A stretch that a resumed attempt repeats is not sent twice: its cells are already taken.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from dreamerlab.atomic import number
from dreamerlab.runs.manifest import Budget
from dreamerlab.runs.series import Line, line_values

CELLS = 2000
"""Most points per metric and trial."""
BATCH_VALUES = 1000
"""Most values per batch; a tracker's limit."""
_CHUNK_BYTES = 1 << 20


class Value(NamedTuple):
    """One point of one metric; `time_ms` is taken from the line, so that sending it again changes nothing."""

    metric: str
    value: float
    time_ms: int
    env_steps: int


@dataclass(frozen=True)
class Batch:
    """Values of whole lines; once accepted, reading goes on at byte `end` with the cells in `cells` taken."""

    end: int
    values: list[Value]
    cells: dict[str, int]
    not_finite: dict[str, str] = field(default_factory=dict[str, str])
    """Metrics with an infinite value, and the first such value in words."""
    torn: int = 0
    """Lines that could not be read."""


def read_batches(path: Path, offset: int, cells: dict[str, int], kind: str, budget: Budget) -> Iterator[Batch]:
    """Yield the complete lines of a file from byte `offset` on, at most BATCH_VALUES values at a time.

    `cells` maps `kind:metric` to the last cell taken and is not changed. A last line without its newline is left for
    later; a missing file holds nothing; a file that became shorter is read from its start.
    """
    taken = dict(cells)
    values: list[Value] = []
    not_finite: dict[str, str] = {}
    torn, end, pending = 0, offset, False
    for line_end, raw in _whole_lines(path, offset):
        line = _parse(raw)
        if values and line is not None and len(values) + len(line_values(line)) > BATCH_VALUES:
            yield Batch(end, values, dict(taken), not_finite, torn)
            values, not_finite, torn = [], {}, 0
        if line is not None:
            values += _values(line, kind, taken, budget, not_finite)
        elif raw.strip():
            torn += 1
        end, pending = line_end, True
    if pending:
        yield Batch(end, values, taken, not_finite, torn)


def cell_of(line: Line, budget: Budget) -> int:
    """Return which of the CELLS parts of the budget a line falls into; the last one is the end of the budget."""
    if budget.unit == "wall_clock":
        progress = number(line.get("wall_s")) or 0.0
    else:
        progress = number(line.get("env_steps" if budget.unit == "env_steps" else "updates")) or 0.0
    if not math.isfinite(progress):
        return CELLS - 1
    return max(0, min(int(progress * (CELLS - 1) / max(budget.amount, 1)), CELLS - 1))


def _values(line: Line, kind: str, taken: dict[str, int], budget: Budget, not_finite: dict[str, str]) -> list[Value]:
    """The values of a line whose cells are still free; takes these cells."""
    cell = cell_of(line, budget)
    time_ms = round(1000 * (number(line.get("time")) or 0.0))
    env_steps = int(number(line.get("env_steps")) or 0)
    found: list[Value] = []
    for metric, value in line_values(line).items():
        key = f"{kind}:{metric}"
        if taken.get(key, -1) >= cell:
            continue
        taken[key] = cell
        if math.isinf(value):
            # A tracker would store the largest float: a point that looks like a measurement.
            not_finite.setdefault(metric, f"{value} at {env_steps} env steps")
            value = math.nan
        found.append(Value(metric, value, time_ms, env_steps))
    return found


def _whole_lines(path: Path, offset: int) -> Iterator[tuple[int, bytes]]:
    """(byte after the line, line) for every line that ends in a newline."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        position = 0 if file.seek(0, 2) < offset else offset
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
