"""What the HTML report carries of a run, as JSON-ready values: its curves in few bytes, its settings by reference.

Runs of one workspace share nearly all of their settings, so these are kept once in a `Pool` and a run names them by
number. Metrics of one trial share their clocks, so a trial has one list of moments and a metric names those it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from dreamerlab.runs.series import Point, thin

Moment = tuple[int, int, float]
"""env steps, updates, seconds."""
_DIGITS = 6


class Pool:
    """Rows of text that many runs have in common, each kept once and named by its number."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, ...]] = []
        self._numbers: dict[tuple[str, ...], int] = {}

    def numbers(self, rows: Sequence[tuple[str, ...]]) -> list[int]:
        """Return the number of each row."""
        return [self._number(row) for row in rows]

    def _number(self, row: tuple[str, ...]) -> int:
        known = self._numbers.get(row)
        if known is None:
            known = self._numbers[row] = len(self.rows)
            self.rows.append(row)
        return known


def flattened(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested facts as (dotted name, words), in their order; what is empty or unknown is left out."""
    found: list[tuple[str, str]] = []
    for name, value in facts.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found += flattened(cast("Mapping[str, Any]", value), f"{key}.")
        elif isinstance(value, list | tuple):
            items = [_words(one) for one in cast("Sequence[object]", value)]
            found += [(key, ", ".join(items))] if items else []
        elif value is not None:
            found.append((key, _words(value)))
    return found


def curves_data(seed: int, curves: Mapping[str, Sequence[Point]], most: int) -> dict[str, Any]:
    """Return the curves of one trial: `clock` (three lists), and per metric the moments it has and its values there.

    A metric that has every moment names none. At most `most` points of a metric are kept.
    """
    kept = {name: thin(points, most) for name, points in curves.items()}
    moments = sorted({_moment(point) for points in kept.values() for point in points})
    place = {moment: index for index, moment in enumerate(moments)}
    of: dict[str, Any] = {}
    for name, points in kept.items():
        at = [place[_moment(point)] for point in points]
        of[name] = [None if at == list(range(len(moments))) else at, [_rounded(point.value) for point in points]]
    return {"seed": seed, "clock": [list(column) for column in zip(*moments, strict=True)], "of": of}


def _moment(point: Point) -> Moment:
    return (point.env_steps, point.updates, round(point.wall_s, 1))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
