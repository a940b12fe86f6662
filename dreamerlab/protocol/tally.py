"""What a family's hypotheses add up to: how many were tested, what came out, and how many luck alone would support.

Counted is every hypothesis with an expectation that was launched, also one that was withdrawn afterwards: it stays
INCOMPLETE, so that giving up when it looks bad leaves a trace. A hypothesis judged across families is in no family's
tally. Holm: the supported ones, strongest first, that stay significant when all tests of the family are accounted for.
The champion of a family is the run that was adopted last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dreamerlab.protocol.hypothesis import ALPHA
from dreamerlab.protocol.rules import SUPPORTED
from dreamerlab.protocol.state import DONE_JUDGED, DONE_WITHDRAWN, RUNNING, Hypothesis
from dreamerlab.protocol.verdict import INCOMPLETE


@dataclass(frozen=True)
class Tally:
    """One family's account."""

    family: str
    outcomes: Mapping[str, int]
    """Outcome -> number of hypotheses; none for an outcome that did not occur."""
    tests: int
    """Hypotheses decided by a test, m: a count of seeds (`reaches`) is none."""
    supported: tuple[str, ...]
    """Ids, ascending."""
    holm: tuple[str, ...]
    """Those of `supported` that Holm's correction over all m tests keeps, strongest first."""
    running: int
    alpha: float = ALPHA

    @property
    def tested(self) -> int:
        """Hypotheses that have an outcome."""
        return sum(self.outcomes.values())

    @property
    def by_luck(self) -> float:
        """Supported or reversed results to be expected at most if nothing ever had an effect: alpha m."""
        return self.alpha * self.tests


@dataclass(frozen=True)
class Champion:
    """A family's current baseline."""

    family: str
    run: str
    hypothesis: str
    since: str


@dataclass
class _Account:
    outcomes: Counter[str] = field(default_factory=Counter[str])
    supported: list[str] = field(default_factory=list[str])
    p_values: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    running: int = 0


def tallies(found: Iterable[Hypothesis]) -> dict[str, Tally]:
    """Return family -> tally, families ascending, for every family in which something was launched."""
    accounts: dict[str, _Account] = {}
    for one in found:
        if one.launched_at is None or one.proposal.expectation is None or crosses_families(one):
            continue
        account = accounts.setdefault(one.proposal.family, _Account())
        if one.phase == RUNNING:
            account.running += 1
            continue
        outcome = _outcome(one)
        if outcome is None:
            continue
        account.outcomes[outcome] += 1
        if outcome == SUPPORTED:
            account.supported.append(one.id)
        if one.proposal.expectation.form != "reaches":
            account.p_values.append((_p(one.verdict), one.id))
    return {family: _tally(family, accounts[family]) for family in sorted(accounts)}


def crosses_families(one: Hypothesis) -> bool:
    """Tell whether a hypothesis is judged against a baseline of another family."""
    return one.proposal.family != one.proposal.baseline_family


def champions(found: Iterable[Hypothesis]) -> dict[str, Champion]:
    """Return family -> the run that was adopted last in it, families ascending; a family without one is left out."""
    newest: dict[str, Champion] = {}
    for one in found:
        if one.adopted_at is None or one.run is None:
            continue
        family = one.proposal.family
        champion = Champion(family, one.run, one.id, one.adopted_at)
        known = newest.get(family)
        if known is None or (known.since, known.hypothesis) < (champion.since, champion.hypothesis):
            newest[family] = champion
    return dict(sorted(newest.items()))


def holm(p_values: Sequence[tuple[float, str]], alpha: float = ALPHA) -> list[str]:
    """Return the ids whose hypothesis of no effect Holm's step-down procedure rejects, smallest p first."""
    ordered = sorted(p_values)
    kept: list[str] = []
    for index, (p, one) in enumerate(ordered):
        if p > alpha / (len(ordered) - index):
            break
        kept.append(one)
    return kept


def _tally(family: str, account: _Account) -> Tally:
    significant = [one for one in holm(account.p_values) if one in account.supported]
    return Tally(
        family,
        dict(sorted(account.outcomes.items())),
        len(account.p_values),
        tuple(sorted(account.supported)),
        tuple(significant),
        account.running,
    )


def _outcome(one: Hypothesis) -> str | None:
    if one.phase == DONE_WITHDRAWN:
        return INCOMPLETE
    return str(one.verdict["outcome"]) if one.phase == DONE_JUDGED and one.verdict is not None else None


def _p(verdict: Mapping[str, Any] | None) -> float:
    """Return the p value of a verdict, looks accounted for; 1 where it came to no test."""
    value = None if verdict is None else verdict.get("figures", {}).get("p")
    return float(value) if isinstance(value, int | float) else 1.0
