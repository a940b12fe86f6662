"""The verdict: what became of an expectation, computed from scores by rules that were frozen with it (M-PROT-10).

Closed list of outcomes, in the order in which they are tried: INVALID (the protocol was broken), INCOMPLETE (a declared
seed lacks a score), UNREPLICATED (fewer than 3 seeds in an arm), then SUPPORTED, REFUTED or INCONCLUSIVE by `rules.py`.
Which records the scores, faults and marks come from is `lab.judge`; when a verdict is written down is `lab.settle`.

`Verdict.to_dict()`, the data of the event `judged`:

    outcome      SUPPORTED REFUTED INCONCLUSIVE UNREPLICATED INCOMPLETE INVALID
    label        of REFUTED: reversed, equivalent, too small, or null; else null
    qualifiers   in this order: strong fragile underpowered ceiling bundle cross-family dirty order-unproven
    reasons      [sentence], the deciding one first
    figures      treatment, baseline (or null): {run, n, seeds {seed: score or null}, mean, sd, low, high (95% interval
                 of the mean), missing {seed: why}, failed {seed: why it took the fail score}, censored [seed],
                 reached {seed: env step or null}}
                 difference, low, high, level: treatment minus baseline with its Welch interval, null without baseline
                 delta: the least difference that counts (or half-width); p_welch, p_permutation, least_p
                 alpha: spent on this verdict; p: of the deciding test, looks accounted for; decided_by: its name
                 improvement: share of seed pairs in which the treatment is ahead in the expected direction
                 iqm: {treatment, baseline} from four seeds an arm on; detectable: minimum detectable difference
                 metric, reducer: what the scores are
    needs_seeds  seeds an arm it would take, of an INCONCLUSIVE one; null when unknown or above 1000
    sources      {run id: sha256 over its committed summaries}
    rule         version of the rules

Computed figures are stored with ten digits. Null means that there is none. The data of `measured`, for a baseline that
predicted nothing: figures, qualifiers, sources, rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dreamerlab.protocol.figures import Arm, arm_data, between, kept, shown
from dreamerlab.protocol.hypothesis import FEWEST_SEEDS, Proposal
from dreamerlab.protocol.rules import (
    CEILING,
    FRAGILE,
    INCONCLUSIVE,
    REFUTED,
    STRONG,
    SUPPORTED,
    UNDERPOWERED,
    Ruling,
    decide,
    needed,
    needs_baseline,
)

__all__ = ["OUTCOMES", "QUALIFIERS", "Arm", "Levels", "Verdict", "headline", "judge", "measure", "verdict_from_dict"]

RULE = 1
"""Raised whenever the same scores could be judged otherwise, or their verdict be worded otherwise."""
UNREPLICATED, INCOMPLETE, INVALID = "UNREPLICATED", "INCOMPLETE", "INVALID"
OUTCOMES = (SUPPORTED, REFUTED, INCONCLUSIVE, UNREPLICATED, INCOMPLETE, INVALID)
BUNDLE, CROSS_FAMILY, DIRTY, ORDER_UNPROVEN = "bundle", "cross-family", "dirty", "order-unproven"
QUALIFIERS = (STRONG, FRAGILE, UNDERPOWERED, CEILING, BUNDLE, CROSS_FAMILY, DIRTY, ORDER_UNPROVEN)
_CEILING_SHARE = 0.5


@dataclass(frozen=True)
class Levels:
    """What scores mean in the task, where they are returns: for what is said about a verdict, never for its outcome."""

    random: float | None = None
    solved: float | None = None

    @property
    def falling(self) -> bool:
        """Whether lower is better in the task."""
        return self.random is not None and self.solved is not None and self.solved < self.random


@dataclass(frozen=True)
class Verdict:
    """An outcome with everything it rests on; the fields are described at the top of this module."""

    outcome: str
    label: str | None
    qualifiers: tuple[str, ...]
    reasons: tuple[str, ...]
    figures: Mapping[str, Any]
    needs_seeds: int | None = None
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    rule: int = RULE

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready values, always the same for the same verdict."""
        data = asdict(self)
        return {**data, "qualifiers": list(self.qualifiers), "reasons": list(self.reasons)}


def verdict_from_dict(data: Mapping[str, Any]) -> Verdict:
    """Return the verdict in the data of an event; KeyError or TypeError when a part is missing."""
    return Verdict(
        outcome=str(data["outcome"]),
        label=data.get("label"),
        qualifiers=tuple(data["qualifiers"]),
        reasons=tuple(data["reasons"]),
        figures=dict(data["figures"]),
        needs_seeds=data.get("needs_seeds"),
        sources=dict(data.get("sources") or {}),
        rule=int(data.get("rule", RULE)),
    )


def headline(data: Mapping[str, Any]) -> str:
    """Return the verdict in `data` on one short line: `REFUTED (too small), underpowered, bundle`."""
    label = f" ({data['label']})" if data.get("label") else ""
    return ", ".join([f"{data['outcome']}{label}", *(data.get("qualifiers") or ())])


def judge(
    proposal: Proposal,
    treatment: Arm,
    baseline: Arm | None,
    faults: Sequence[str] = (),
    *,
    marks: Sequence[str] = (),
    alpha: float | None = None,
    levels: Levels | None = None,
) -> Verdict:
    """Return the verdict on a hypothesis that has an expectation.

    `faults` are sentences that make it INVALID, `marks` the qualifiers known from its launch, `alpha` what is spent on
    this verdict (default: all of the plan's), `levels` what scores mean in the task.
    """
    expected = proposal.expectation
    assert expected is not None, proposal.sentence
    spent, levels = alpha or proposal.plan.alpha, levels or Levels()
    arms = [arm for arm in (treatment, baseline) if arm is not None]
    ruling: Ruling | None = None
    reasons: list[str] = []
    if faults:
        outcome, reasons = INVALID, list(faults)
    elif gaps := [line for arm in arms for line in _gaps(arm)]:
        outcome, reasons = INCOMPLETE, gaps
    elif few := _too_few(expected.form, treatment, baseline):
        outcome, reasons = UNREPLICATED, few
    else:
        ruling = decide(expected, treatment, baseline, spent)
        outcome, reasons = ruling.outcome, [line for line in (ruling.reason, ruling.remark) if line]
    falling = expected.form in ("fall", "at_most")
    return Verdict(
        outcome=outcome,
        label=None if ruling is None else ruling.label,
        qualifiers=_qualifiers(proposal, marks, ruling, _saturated(arms, levels)),
        reasons=(*reasons, *_remarks(proposal, arms, levels)),
        figures={
            "metric": expected.metric,
            "reducer": proposal.plan.reducer,
            "treatment": arm_data(treatment),
            "baseline": None if baseline is None else arm_data(baseline),
            **between(treatment, baseline, spent, falling=falling),
            "delta": expected.amount if ruling is None else kept(ruling.delta),
            "alpha": kept(spent),
            "p": _accounted(ruling, proposal.plan.alpha / spent),
            "decided_by": None if ruling is None else ruling.decided_by,
        },
        needs_seeds=None if ruling is None else needed(ruling, spent),
        sources={arm.run: arm.source for arm in arms},
    )


def measure(proposal: Proposal, arm: Arm, metric: str, *, marks: Sequence[str] = ()) -> dict[str, Any]:
    """Return the data of the event `measured`: a baseline that predicted nothing, in figures."""
    figures = {"metric": metric, "reducer": proposal.plan.reducer, "treatment": arm_data(arm), "baseline": None}
    ordered = [mark for mark in QUALIFIERS if mark in marks]
    return {"figures": figures, "qualifiers": ordered, "sources": {arm.run: arm.source}, "rule": RULE}


def _gaps(arm: Arm) -> list[str]:
    return [f"Seed {seed} of {arm.run} has no score: {arm.missing.get(seed, 'unknown why')}." for seed in arm.lacking]


def _too_few(form: str, treatment: Arm, baseline: Arm | None) -> list[str]:
    deciding = [treatment, baseline] if needs_baseline(form) else [treatment]
    found = [(arm.run, len(arm.scores)) if arm else ("The baseline", 0) for arm in deciding]
    return [f"{run} has {num} of the {FEWEST_SEEDS} seeds it takes." for run, num in found if num < FEWEST_SEEDS]


def _qualifiers(
    proposal: Proposal, marks: Sequence[str], ruling: Ruling | None, saturated: str | None
) -> tuple[str, ...]:
    held = {*marks, *(ruling.qualifiers if ruling is not None else ())}
    if saturated:
        held.add(CEILING)
    if proposal.kind == "bundle":
        held.add(BUNDLE)
    if proposal.family != proposal.baseline_family:
        held.add(CROSS_FAMILY)
    return tuple(mark for mark in QUALIFIERS if mark in held)


def _remarks(proposal: Proposal, arms: Sequence[Arm], levels: Levels) -> list[str]:
    """Return what a reader must hear beside the outcome: failures, scores below random play (M-PROT-15), a ceiling."""
    optimistic = "Each score is the best evaluation of its seed, picked by looking: it is optimistic."
    said = [optimistic] if proposal.plan.reducer == "peak" else []
    said += [f"Seed {seed} of {arm.run} takes the fail score: {why}." for arm in arms for seed, why in _failed(arm)]
    for arm in arms:
        if levels.random is None or not arm.values:
            continue
        below = [value > levels.random if levels.falling else value < levels.random for value in arm.values]
        if any(below):
            said.append(
                f"{sum(below)} of {len(below)} seeds of {arm.run} score below random play ({shown(levels.random)})."
            )
    return [*said, *([line] if (line := _saturated(arms, levels)) else [])]


def _failed(arm: Arm) -> list[tuple[int, str]]:
    return sorted(arm.failed.items())


def _saturated(arms: Sequence[Arm], levels: Levels) -> str | None:
    """Return the sentence for scores that cannot differ any more, because the task is solved; None otherwise."""
    values = [value for arm in arms for value in arm.values]
    if levels.solved is None or not values:
        return None
    solved = sum(value <= levels.solved if levels.falling else value >= levels.solved for value in values)
    if solved < _CEILING_SHARE * len(values):
        return None
    return (
        f"{solved} of {len(values)} seeds solve the task ({shown(levels.solved)}): differences up there may be cut off."
    )


def _accounted(ruling: Ruling | None, looks: float) -> float | None:
    return None if ruling is None or ruling.p is None else kept(min(1.0, ruling.p * looks))
