"""What one run gains over another and what it pays for it: learning against speed, convergence against stability.

M-PROT-18 wants such trades said and not read between tables, M-PROT-19 that pace never stands alone: it is beside the
time to reach a level. A gain or a price is named only where every seed of one run lies beyond every seed of the other,
with three seeds each; that describes the seeds at hand and is no test.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dreamerlab.protocol.figures import signed
from dreamerlab.report.comparison_section import Section
from dreamerlab.report.course_tables import NOT_DECISIVE, NOT_REACHED, PACE, level_name, median
from dreamerlab.report.evidence import PACE_FACTS, Evidence, Pair, RunEvidence, SeedEvidence, Threshold
from dreamerlab.report.wording import duration, figure
from dreamerlab.tables import Table

FEWEST = 3


@dataclass(frozen=True)
class Quantity:
    """Something a run can gain or pay in; `read` gives it of one seed, None where it does not exist."""

    name: str
    read: Callable[[SeedEvidence], float | None]
    show: Callable[[float], str]
    higher_gains: bool
    of_clock: bool = False
    """Whether it was taken by the clock, and means nothing across machines."""
    as_difference: bool = False
    """Whether two runs are set against each other by a difference, not by a ratio."""

    def values(self, run: RunEvidence) -> list[float]:
        """Return the values of the seeds that have one."""
        found = (self.read(seed) for seed in run.seeds)
        return [value for value in found if value is not None]


def tradeoffs(evidence: Evidence) -> Section | None:
    """Return the quantities beside each other and each pair's gains and prices; None for runs of different tasks."""
    pairs = [pair for pair in evidence.pairs if pair.withheld is None]
    if not pairs:
        return None
    quantities = _quantities(evidence)
    table = Table(("", *(run.id for run in evidence.runs)), frozenset(run.id for run in evidence.runs))
    for quantity in quantities:
        table.add(
            quantity.name + (f" {NOT_DECISIVE}" if quantity.name == PACE else ""),
            *(_middle(quantity, run) for run in evidence.runs),
        )
    lines = [_line(evidence, pair, quantities) for pair in pairs]
    lines.append(
        f"medians over seeds; gains and prices are named where all seeds of one run lie beyond all of the other, from "
        f"{FEWEST} seeds a run on: a description, no test"
    )
    return Section("Trade-offs", lines, table)


def _quantities(evidence: Evidence) -> list[Quantity]:
    found = [
        Quantity("score", lambda seed: seed.score, figure, not evidence.runs[0].lower_is_better, as_difference=True)
    ]
    level = last_level(evidence)
    if level is not None:
        name, reached = level_name(level), level.name
        found += [
            Quantity(f"env steps to {name}", lambda seed: time_to(seed, reached, "env_steps"), _count, False),
            Quantity(f"time to {name}", lambda seed: time_to(seed, reached, "wall_s"), _span, False, of_clock=True),
        ]
    found += [
        Quantity(PACE, lambda seed: seed.env_steps_per_s, figure, True, of_clock=True),
        Quantity("fall after the peak", fall_after_peak, figure, False, as_difference=True),
    ]
    return found


def last_level(evidence: Evidence) -> Threshold | None:
    """Return the last of the levels that any seed reached."""
    reached = [
        threshold
        for run in evidence.runs
        for threshold in run.thresholds
        if any(seed.reached.get(threshold.name) is not None for seed in run.seeds)
    ]
    order = [threshold.name for run in evidence.runs for threshold in run.thresholds]
    return max(reached, key=lambda threshold: order.index(threshold.name), default=None)


def time_to(seed: SeedEvidence, level: str, clock: str) -> float | None:
    """Return when a seed first reached a level, infinite when it never did, None for one that is none of its task."""
    if level not in seed.reached:
        return None
    point = seed.reached[level]
    return math.inf if point is None else float(getattr(point, clock))


def fall_after_peak(seed: SeedEvidence) -> float | None:
    """Return how deep a curve fell after its peak; None without evaluations."""
    course = seed.course
    return None if course is None else abs(course.peak - course.lowest_after)


def _middle(quantity: Quantity, run: RunEvidence) -> str | None:
    values = quantity.values(run)
    return quantity.show(median(values)) if values else None


def _line(evidence: Evidence, pair: Pair, quantities: Sequence[Quantity]) -> str:
    first, other = evidence.run(pair.first), evidence.run(pair.other)
    name = f"{other.id} against {first.id}"
    if min(len(run.scores) for run in (first, other)) < FEWEST:
        return f"{name}: too few seeds to name a gain or a price"
    clocks = differing_pace(evidence, first, other)
    gains: list[str] = []
    prices: list[str] = []
    for quantity in quantities:
        a, b = quantity.values(first), quantity.values(other)
        if (quantity.of_clock and clocks) or min(len(a), len(b)) < FEWEST:
            continue
        if min(b) > max(a) or max(b) < min(a):
            rises = min(b) > max(a)
            side = gains if rises == quantity.higher_gains else prices
            side.append(f"{quantity.name} ({_change(quantity, a, b)})")
    left_out = f"; what the clock took is left out: different {', '.join(clocks)}" if clocks else ""
    if gains and prices:
        return f"{name}: a trade: gains {', '.join(gains)} and pays {', '.join(prices)}{left_out}"
    if gains or prices:
        said = f"gains {', '.join(gains)} and pays nothing" if gains else f"pays {', '.join(prices)} and gains nothing"
        return f"{name}: {said} that shows here{left_out}"
    return f"{name}: nothing is gained or paid that shows in all seeds{left_out}"


def differing_pace(evidence: Evidence, first: RunEvidence, other: RunEvidence) -> list[str]:
    """Return the facts of the machines that forbid to compare times by the clock."""
    places = [run.id for run in evidence.runs]
    a, b = places.index(first.id), places.index(other.id)
    return [fact.name for fact in evidence.facts if fact.name in PACE_FACTS and fact.values[a] != fact.values[b]]


def _change(quantity: Quantity, a: Sequence[float], b: Sequence[float]) -> str:
    """Return how far the medians are apart; where one is no time at all, both as they are."""
    before, after = median(a), median(b)
    if not math.isfinite(before) or not math.isfinite(after):
        return f"{quantity.show(after)}, before: {quantity.show(before)}"
    if quantity.as_difference or before == 0:
        return signed(after - before)
    return f"x {after / before:.2g}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else NOT_REACHED


def _span(value: float) -> str:
    return duration(value) if math.isfinite(value) else NOT_REACHED
