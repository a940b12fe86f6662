"""What is known of a metric before and after the score: values only, as `lab.lagging` collects them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dreamerlab.stats.lagged import Lag


@dataclass(frozen=True)
class RunLag:
    """One run: the correlations of changes and of levels, every lag a whole number of evaluations."""

    id: str
    label: str
    seeds: Sequence[int]
    """The seeds that have values of both."""
    spacing: int
    """Env steps from one evaluation to the next; 0 when nothing can be correlated."""
    changes: Sequence[Lag]
    levels: Sequence[Lag]
    evaluations: Mapping[int, int]
    """Seed -> evaluations with a value of the metric beside them."""
    worth: Mapping[int, float]
    """Seed -> how many independent pairs these are worth, levels at lag 0."""
    memory: Mapping[int, tuple[float | None, float | None]]
    """Seed -> correlation of the metric, and of the score, with itself one evaluation later."""
    lacking: Mapping[int, str]
    """Seed -> why it takes no part."""


@dataclass(frozen=True)
class LagEvidence:
    """A metric against the score's metric, run by run."""

    signal: str
    performance: str
    runs: Sequence[RunLag]
