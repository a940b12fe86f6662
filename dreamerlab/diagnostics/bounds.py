"""What a value is held to: a number, another metric, the metric itself at another time, or a setting of the config.

A rule with a bound of the config reads more than metrics, and is marked so wherever it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from dreamerlab.diagnostics.series import FEWEST, Course, median


@dataclass(frozen=True)
class OfMetric:
    """`times` the median of a metric over the last half of the run, plus `plus`; of the metric itself by default."""

    metric: str | None = None
    times: float = 1.0
    plus: float = 0.0
    words: str = ""
    size: bool = False
    """Whether the absolute value of the median is meant."""


@dataclass(frozen=True)
class OfConfig:
    """`times` a quantity that follows from the recorded config (`QUANTITIES`), plus `plus`."""

    quantity: str
    times: float = 1.0
    plus: float = 0.0


Bound = float | OfMetric | OfConfig


def bound_value(bound: Bound, course: Course, own: str) -> float | None:
    """Return the number a bound stands for in `course`; None where that was not measured or recorded."""
    if isinstance(bound, OfMetric):
        _, window = course.tail(bound.metric or own, 0.5)
        if len(window) < FEWEST:
            return None
        level = median(window.values)
        return bound.times * (abs(level) if bound.size else level) + bound.plus
    if isinstance(bound, OfConfig):
        value = QUANTITIES[bound.quantity](course)
        return None if value is None else bound.times * value + bound.plus
    return bound


def bound_words(bound: Bound, value: float) -> str:
    """Return how a bound is printed beside the value that was held to it."""
    if isinstance(bound, OfMetric) and bound.words:
        return f"{value:.3g} ({bound.words})"
    if isinstance(bound, OfConfig):
        return f"{value:.3g} ({bound.quantity})"
    return f"{value:g}" if isinstance(bound, float | int) else f"{value:.3g}"


def reference_of(config: Mapping[str, object]) -> tuple[float | None, float | None]:
    """Return what random play scores and what counts as solved, by a flat config; None for what is not said."""
    return _leaf(config, "reference.random"), _leaf(config, "reference.solved")


def level_between(config: Mapping[str, object], share: float) -> float | None:
    """Return the return that is `share` of the way from random play to solved; None where one of them is not said."""
    random, solved = reference_of(config)
    return None if random is None or solved is None else random + share * (solved - random)


def _leaf(config: Mapping[str, object], key: str) -> float | None:
    value = config.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _ceiling_of_bins(course: Course) -> float | None:
    """Return the largest value that the critic's bins can say: symexp of the end of `twohot.support`."""
    support = course.config.get("twohot.support")
    if not isinstance(support, tuple) or len(cast("tuple[object, ...]", support)) != 2:
        return None
    top = cast("tuple[object, object]", support)[1]
    return math.expm1(min(abs(float(top)), 500.0)) if isinstance(top, int | float) else None


def _entropy_at(course: Course, end: int) -> float | None:
    """Return the entropy in nats at one end of the interval that `policy.std` allows.

    ½ ln(2πe σ²) a dimension (M-ENT-01); the number of dimensions is that of the means that were measured.
    """
    std = course.config.get("policy.std")
    if not isinstance(std, tuple) or course.config.get("policy.dist") == "categorical":
        return None
    bounds = cast("tuple[object, ...]", std)
    sigma = bounds[end] if len(bounds) == 2 else None
    dimensions = sum(name.startswith("behavior/action_std/") for name in course.series)
    if not isinstance(sigma, int | float) or sigma <= 0 or not dimensions:
        return None
    return dimensions * (0.5 * math.log(2 * math.pi * math.e) + math.log(sigma))


def _most_focus(course: Course) -> float | None:
    """Return the largest share of updates that focus can take: its duration over duration and cooldown."""
    on, rest = (_leaf(course.config, f"control.focus_{name}") for name in ("duration", "cooldown"))
    if on is None or rest is None or course.config.get("control.focus_threshold") is None:
        return None
    return on / (on + rest)


def _configured(key: str) -> Callable[[Course], float | None]:
    return lambda course: _leaf(course.config, key)


QUANTITIES: dict[str, Callable[[Course], float | None]] = {
    "end of twohot.support": _ceiling_of_bins,
    "least entropy by policy.std": lambda course: _entropy_at(course, 0),
    "largest entropy by policy.std": lambda course: _entropy_at(course, 1),
    "most that focus can be on": _most_focus,
    "random play": lambda course: level_between(course.config, 0.0),
    "a quarter of the way from random to solved": lambda course: level_between(course.config, 0.25),
    "three quarters of the way from random to solved": lambda course: level_between(course.config, 0.75),
    "optimizer.lr_world": _configured("optimizer.lr_world"),
    "optimizer.lr_actor": _configured("optimizer.lr_actor"),
    "optimizer.lr_critic": _configured("optimizer.lr_critic"),
    "behavior.entropy_scale": _configured("behavior.entropy_scale"),
    "train.train_ratio": _configured("train.train_ratio"),
}
"""What rules may know of the config, by the words in which it is shown."""
