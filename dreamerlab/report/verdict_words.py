"""What came of a hypothesis, in plain sentences: where it stands, what the verdict says, and how sure that is.

Owns wording only, in markdown without headings; every figure is that of the record. What was asked is
`hypothesis_words.py`, how outcomes are computed `protocol.rules`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from dreamerlab.protocol.figures import figure, shown, signed
from dreamerlab.protocol.hypothesis import Expectation
from dreamerlab.protocol.state import DONE_JUDGED, DONE_MEASURED, DONE_WITHDRAWN, OPEN, QUEUED, RUNNING, Hypothesis
from dreamerlab.report.prose import plain

Figures = Mapping[str, Any]

OUTCOME_MEANS = {
    "SUPPORTED": "The data support the expectation.",
    "REFUTED": "The data speak against the expectation.",
    "INCONCLUSIVE": "The data decide neither way. This is no evidence that there is no effect.",
    "UNREPLICATED": "An arm has fewer than three seeds. This is an anecdote and carries no verdict.",
    "INCOMPLETE": "A declared seed has no score. Nothing is concluded before it has one.",
    "INVALID": "The protocol was broken. The figures say nothing about the expectation.",
}
LABEL_MEANS = {
    "reversed": "There is an effect, and it goes the other way.",
    "equivalent": "Whatever effect there is, it is smaller than the expected one in both directions.",
    "too small": "An effect as large as the expected one is ruled out.",
}
QUALIFIER_MEANS = {
    "strong": "even the cautious end of the interval is as large as expected",
    "fragile": "the exact permutation test does not agree with the interval",
    "underpowered": "so few seeds, spread like these, would often miss an effect of the expected size",
    "ceiling": "the task leaves no room above these scores, so differences may be cut off",
    "bundle": "several values were changed at once, and which of them acts cannot be told",
    "cross-family": "the arms differ in architecture or environment; counted in no family's tally",
    "dirty": "launched with changes in the code that were in no commit; they are kept as a patch",
    "order-unproven": "no commit proves that the expectation was written before the first result",
}
NO_RESULT = frozenset({"UNREPLICATED", "INCOMPLETE", "INVALID"})
"""Outcomes after which no figure may be read as a result (M-PROT-09)."""
PHASE_MEANS = {
    QUEUED: "waits in the queue",
    OPEN: "proposed, not launched",
    RUNNING: "launched, not complete",
    DONE_JUDGED: "judged",
    DONE_MEASURED: "measured",
    DONE_WITHDRAWN: "withdrawn",
}


def state_words(state: Hypothesis) -> str:
    """Return where a hypothesis stands: `REFUTED (too small), underpowered`, `running`."""
    if state.phase == DONE_JUDGED and state.verdict is not None:
        return ", ".join([outcome(state.verdict), *map(str, _list(state.verdict.get("qualifiers")))])
    if state.phase == DONE_WITHDRAWN:
        return "withdrawn after launch" if state.launched_at else "withdrawn"
    return PHASE_MEANS[state.phase]


def outcome(verdict: Mapping[str, Any]) -> str:
    """Return outcome and label: `REFUTED (too small)`."""
    label = verdict.get("label")
    return f"{verdict.get('outcome', 'unknown')}{f' ({label})' if label else ''}"


def verdict_words(verdict: Mapping[str, Any]) -> str:
    """Return the verdict in one paragraph: outcome in bold, what that means, what decided."""
    words = [f"**Verdict: {outcome(verdict)}.**", OUTCOME_MEANS.get(str(verdict.get("outcome")), "")]
    words.append(LABEL_MEANS.get(str(verdict.get("label")), ""))
    words += [plain(str(reason)) for reason in _list(verdict.get("reasons"))[:1]]
    needs = verdict.get("needs_seeds")
    if needs is not None:
        words.append(f"With the spread seen here, {needs} fresh seeds an arm would decide it four times in five.")
    return " ".join(word for word in words if word)


def qualifiers(verdict: Mapping[str, Any]) -> list[str]:
    """Return the qualifiers of a verdict, each with what it means."""
    marks = [str(mark) for mark in _list(verdict.get("qualifiers"))]
    return [f"**{plain(mark)}**: {QUALIFIER_MEANS.get(mark, 'a mark of a later version')}." for mark in marks]


def remarks(verdict: Mapping[str, Any]) -> list[str]:
    """Return what else the judge said, beside the reason that decided."""
    return [plain(str(reason)) for reason in _list(verdict.get("reasons"))[1:]]


def figures_of(verdict: Mapping[str, Any] | None) -> Figures:
    """Return the figures of a verdict or a measurement; none where it has none."""
    found: object = None if verdict is None else verdict.get("figures")
    return cast("Figures", found) if isinstance(found, Mapping) else {}


def arm_words(arm: Figures | None, what: str) -> str | None:
    """Return the scores of an arm as a phrase: `310.2 with the change (5 seeds, SD 22.1)`; None without a mean."""
    if not arm or arm.get("mean") is None:
        return None
    spread = "" if arm.get("sd") is None else f", SD {figure(arm['sd'])}"
    seeds = arm.get("n")
    return f"{figure(arm['mean'])}{what} ({seeds} seed{'' if seeds == 1 else 's'}{spread})"


def happened(state: Hypothesis) -> str:
    """Return what came out, as one or two sentences: the means, then the figure that answers the expectation."""
    figures, found = figures_of(state.verdict), state.proposal.expectation
    changed = "" if state.proposal.kind == "baseline" else " with the change"
    arms = [arm_words(figures.get("treatment"), changed), arm_words(figures.get("baseline"), " without it")]
    means = [phrase for phrase in arms if phrase]
    if not means:
        return "No seed has a score."
    words = [f"Mean score {', '.join(means)}."]
    if is_no_result(state.verdict):
        words.append("This is no result.")
    elif found is not None and found.form == "reaches":
        words.append(f"Reached {shown(found.amount or 0.0)} at env step: {_reached(figures)}.")
    elif found is not None and found.form in ("rise", "fall", "within"):
        if figures.get("difference") is not None:
            words.append(f"Difference {signed(figures['difference'])}{interval(figures)}.")
    elif (span := mean_interval(figures)) is not None:
        words.append(f"95 % interval of the mean{changed}: {span}.")
    return " ".join(words)


def is_no_result(verdict: Mapping[str, Any] | None) -> bool:
    """Tell whether a verdict leaves its figures without meaning."""
    return verdict is not None and verdict.get("outcome") in NO_RESULT


def sureness(verdict: Mapping[str, Any]) -> str:
    """Return how sure one can be, in one line: seeds, test, p, cross-check."""
    if is_no_result(verdict):
        return "Not at all: the figures carry no verdict."
    figures = figures_of(verdict)
    arms = [cast("Figures", figures[key]).get("n") for key in ("treatment", "baseline") if figures.get(key)]
    words = [f"{' against '.join(map(str, arms))} seeds"]
    if figures.get("decided_by"):
        p = "" if figures.get("p") is None else f", p = {figures['p']:.2g}"
        words.append(f"decided by the {plain(str(figures['decided_by']))}{p}")
    if figures.get("decided_by") == "Welch interval" and figures.get("p_permutation") is not None:
        words.append(f"exact permutation p = {figures['p_permutation']:.2g}")
    return f"{'; '.join(words)}."[:1].upper() + f"{'; '.join(words)}."[1:]


def effect(figures: Figures, found: Expectation | None) -> str:
    """Return the figure that answers the expectation, short enough for a table."""
    arm: Figures = figures.get("treatment") or {}
    if found is not None and found.form == "reaches":
        steps = [step for step in dict(arm.get("reached") or {}).values() if step is not None]
        in_time = [step for step in steps if found.by_env_steps is None or step <= found.by_env_steps]
        return f"{len(in_time)} of {len(arm.get('seeds') or {})} seeds in time"
    if found is not None and found.form in ("rise", "fall", "within"):
        if figures.get("difference") is None:
            return "no difference computed"
        span = "" if figures.get("low") is None else f" [{signed(figures['low'])}, {signed(figures['high'])}]"
        return f"{signed(figures['difference'])}{span}"
    if arm.get("mean") is None:
        return "no score"
    span = mean_interval(figures)
    return f"mean {figure(arm['mean'])}" + (f" [{span.replace(' to ', ', ')}]" if span else "")


def interval(figures: Figures) -> str:
    """Return `, 95 % interval +35.0 to +105` of the difference; says so when there is none."""
    if figures.get("low") is None or figures.get("high") is None:
        return " (no interval can be given)"
    level = 100 * float(figures.get("level") or 0.95)
    return f", {level:.4g} % interval {signed(figures['low'])} to {signed(figures['high'])}"


def mean_interval(figures: Figures) -> str | None:
    """Return the 95 % interval of the first arm's mean, `290 to 331`; None when there is none."""
    arm: Figures = figures.get("treatment") or {}
    if arm.get("low") is None or arm.get("high") is None:
        return None
    return f"{figure(arm['low'])} to {figure(arm['high'])}"


def _reached(figures: Figures) -> str:
    arm = cast("Figures", figures.get("treatment") or {})
    steps = cast("Mapping[str, int | None]", arm.get("reached") or {})
    return ", ".join("never" if step is None else f"{step:,}" for step in steps.values()) or "no seed"


def _list(found: object) -> list[Any]:
    known = isinstance(found, Sequence) and not isinstance(found, str)
    return list(cast("Sequence[Any]", found)) if known else []
