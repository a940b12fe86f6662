"""The figures of a verdict: both arms seed by seed, and what is computed from them whatever the rule.

    difference = mean(treatment) - mean(baseline)      in the unit of the score, with its Welch interval

Figures describe; which of them decides is `rules.py`, and how they are stored is written out in `verdict.py`. Scores
come in as numbers: where they are read from is the caller's business. The arithmetic is imported when it is needed:
whoever only shows figures comes through here too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Arm:
    """One run as the verdict sees it: every declared seed, with its score or the reason why it has none."""

    run: str
    scores: Mapping[int, float | None]
    """Declared seed -> score; the fail score where the trial earned it."""
    missing: Mapping[int, str] = field(default_factory=dict[int, str])
    """Seed without score -> why."""
    failed: Mapping[int, str] = field(default_factory=dict[int, str])
    """Seed that took the fail score -> why: it diverged, or a declared kill rule ended it."""
    censored: frozenset[int] = frozenset()
    """Seeds whose score is a time that the budget cut off: they needed at least so long."""
    reached: Mapping[int, int | None] = field(default_factory=dict[int, int | None])
    """For `reaches`: the env step of the first evaluation at or beyond the level, None when there is none."""
    summaries: Mapping[int, str] = field(default_factory=dict[int, str])
    """Seed -> sha256 of its committed summary; none where there is none yet."""

    @property
    def values(self) -> list[float]:
        """The scores that exist, by seed."""
        return [score for _, score in sorted(self.scores.items()) if score is not None]

    @property
    def source(self) -> str:
        """sha256 over the summaries of all its seeds: equal exactly when the records are."""
        lines = [f"seed {seed} {self.summaries.get(seed, 'none')}\n" for seed in sorted(self.scores)]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def lacking(self) -> list[int]:
        """The declared seeds without a score."""
        return sorted(seed for seed, score in self.scores.items() if score is None)


def arm_data(arm: Arm) -> dict[str, Any]:
    """Return an arm as JSON-ready values: run, n (scores that exist), seeds, mean, sd, interval, what is special."""
    from dreamerlab.stats.one_sample import mean_interval

    values = arm.values
    mean = mean_interval(values) if values else None
    return {
        "run": arm.run,
        "n": len(values),
        "seeds": {str(seed): score for seed, score in sorted(arm.scores.items())},
        "mean": None if mean is None else kept(mean.mean),
        "sd": None if mean is None else kept(mean.sd),
        "low": None if mean is None else kept(mean.low),
        "high": None if mean is None else kept(mean.high),
        "missing": {str(seed): why for seed, why in sorted(arm.missing.items())},
        "failed": {str(seed): why for seed, why in sorted(arm.failed.items())},
        "censored": sorted(arm.censored),
        "reached": {str(seed): step for seed, step in sorted(arm.reached.items())},
    }


def between(treatment: Arm, baseline: Arm | None, alpha: float, *, falling: bool) -> dict[str, Any]:
    """Return everything computed from both arms; all None where an arm has no score. `falling`: lower is better."""
    from dreamerlab.stats.bootstrap import FEWEST, interquartile_mean, probability_of_improvement
    from dreamerlab.stats.permutation import exact_permutation, least_p
    from dreamerlab.stats.power import minimum_detectable_effect
    from dreamerlab.stats.welch import welch

    names = ("difference", "low", "high", "p_welch", "p_permutation", "least_p", "improvement", "iqm", "detectable")
    empty: dict[str, Any] = {**dict.fromkeys(names), "level": kept(1 - alpha)}
    if baseline is None or not baseline.values or not treatment.values:
        return empty
    a, b = baseline.values, treatment.values
    found = welch(a, b, 1 - alpha)
    exact = exact_permutation(a, b)
    smallest = minimum_detectable_effect(len(a), len(b), alpha)
    describable = min(len(a), len(b)) >= FEWEST
    return {
        **empty,
        "difference": kept(found.difference),
        "low": kept(found.low),
        "high": kept(found.high),
        "p_welch": kept(found.p),
        "p_permutation": None if exact is None else kept(exact.p),
        "least_p": kept(least_p(len(a), len(b))),
        "improvement": kept(probability_of_improvement(a, b, lower_is_better=falling)),
        "iqm": {"treatment": kept(interquartile_mean(b)), "baseline": kept(interquartile_mean(a))}
        if describable
        else None,
        "detectable": kept(smallest * found.pooled_sd) if smallest is not None and found.pooled_sd else None,
    }


def kept(value: float | None) -> float | None:
    """Return a computed figure as it is stored: ten digits, so that another machine's last bit makes no difference."""
    return None if value is None else float(f"{value:.10g}")


def figure(value: float | None) -> str:
    """Return a metric value in about four digits; `-` when there is none."""
    if value is None:
        return "-"
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    size = abs(value)
    if size >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 or value == 0 else f"{value:.3g}"


def signed(value: float) -> str:
    """Return a difference with its sign, also when it is positive."""
    return f"+{figure(value)}" if value > 0 else figure(value)


def shown(value: float) -> str:
    """Return an amount that somebody named: as it was typed, in four digits, no exponent where one can do without."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"
