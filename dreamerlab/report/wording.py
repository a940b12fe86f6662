"""How quantities of a run are put into words: counts, durations, shares, states. Pure text, no files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from dreamerlab.protocol.figures import figure

__all__ = ["amount", "duration", "figure", "seeds_named", "seeds_text", "size", "sparkline", "state_counts"]


def duration(seconds: float | None) -> str:
    """Return `2 h 05 min`, `3 min 20 s` or `12 s`; `-` when unknown."""
    if seconds is None or seconds != seconds or seconds < 0:
        return "-"
    whole = round(seconds)
    if whole >= 86_400:
        return f"{whole // 86_400} d {whole % 86_400 // 3600:02d} h"
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def amount(value: float, unit: str | None) -> str:
    """Return an amount of budget with its unit: `30,000 env steps`, `1 h 00 min`."""
    if unit == "wall_clock":
        return duration(value)
    return f"{value:,.0f} {(unit or 'units').replace('_', ' ')}"


def size(num_bytes: float) -> str:
    """Return a size on disk: `812 B`, `3.4 MB`."""
    for unit in ("B", "kB", "MB"):
        if num_bytes < 1000:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} GB"


def state_counts(states: Iterable[str]) -> str:
    """Return `2 running, 1 failed`, most frequent first; the bare word when all agree."""
    counted = Counter(states)
    if len(counted) == 1:
        return next(iter(counted))
    return ", ".join(f"{count} {state}" for state, count in counted.most_common()) or "-"


def seeds_text(seeds: Iterable[int]) -> str:
    """Return seeds in the short form that `--seeds` reads: `0-2`, `5,7,9`."""
    ordered = list(seeds)
    parts: list[str] = []
    start = 0
    for index in range(1, len(ordered) + 1):
        if index == len(ordered) or ordered[index] != ordered[index - 1] + 1:
            first, last = ordered[start], ordered[index - 1]
            parts.append(str(first) if first == last else f"{first}-{last}")
            start = index
    return ",".join(parts)


def seeds_named(seeds: Iterable[int]) -> str:
    """Return seeds with the word before them: `seed 2`, `seeds 0-2`."""
    ordered = list(seeds)
    return f"seed{'' if len(ordered) == 1 else 's'} {seeds_text(ordered)}"


def sparkline(values: list[float], width: int, low: float, high: float, *, unicode: bool) -> str:
    """Return a chart of `values` between `low` and `high`, one line high, at most `width` wide; gaps for NaN."""
    marks = "▁▂▃▄▅▆▇█" if unicode else ".:-=+*#@"
    if len(values) > width:
        values = [values[round(i * (len(values) - 1) / (width - 1))] for i in range(width)]
    span = high - low
    return "".join(
        " " if value - value != 0 else marks[min(7, int((value - low) / span * 8)) if span > 0 else 4]
        for value in values
    )
