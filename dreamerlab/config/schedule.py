"""What a schedule says: `constant`, or a shape, a last factor and the updates it takes to get there.

Read here, so that a slip is refused with the rest of the config; how a factor is computed is `dreamer/schedules.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

Shape = Literal["constant", "linear", "cosine", "exponential"]
MAX_FACTOR = 1e6


@dataclass(frozen=True)
class Schedule:
    """A factor that starts at 1 and is `target` after `updates` updates, and from then on."""

    shape: Shape = "constant"
    target: float = 1.0
    updates: int = 1


def parse_schedule(text: str) -> Schedule:
    """Return the schedule that `text` describes; raises ValueError in words when it cannot be one."""
    if text == "constant":
        return Schedule()
    match = re.fullmatch(r"(linear|cosine|exponential) to ([0-9.e-]+)x over ([0-9]+) updates", text)
    if match is None:
        raise ValueError(f"got {text!a}, expected 'constant' or, for example, 'cosine to 0.01x over 5000 updates'")
    shape, factor, count = cast("Shape", match[1]), match[2], int(match[3])
    try:
        target = float(factor)
    except ValueError:
        raise ValueError(f"'{factor}' in '{text}' is not a number") from None
    if not 0.0 <= target <= MAX_FACTOR:
        raise ValueError(f"the factor {target:g} in '{text}' must be in 0..{MAX_FACTOR:g}")
    if shape == "exponential" and target == 0.0:
        raise ValueError(f"an exponential schedule never reaches 0: '{text}'")
    if not 1 <= count <= 10**10:
        raise ValueError(f"{count} updates in '{text}' must be in 1..{10**10}")
    return Schedule(shape, target, count)


def refuse_unless_schedule(key: str, text: str) -> None:
    """Raise ValueError naming the leaf `key` when its `text` is no schedule."""
    try:
        parse_schedule(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
