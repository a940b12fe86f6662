"""A hypothesis in plain sentences: what was asked, what was expected, what the verdict says and how sure it is.

Owns wording only, in markdown without headings; the figures come from the records as they are. Pages are
`hypothesis_page.py`, entries of the log `log_entries.py`, the rules behind the words `protocol.rules`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from dreamerlab.protocol.hypothesis import Expectation, KillRule, Proposal
from dreamerlab.protocol.state import DONE_JUDGED, DONE_MEASURED, DONE_WITHDRAWN, OPEN, QUEUED, RUNNING, Hypothesis
from dreamerlab.report.prose import code, plain
from dreamerlab.report.wording import amount, figure, seeds_text

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
PHASE_MEANS = {
    QUEUED: "waits in the queue",
    OPEN: "proposed, not launched",
    RUNNING: "running",
    DONE_JUDGED: "judged",
    DONE_MEASURED: "measured",
    DONE_WITHDRAWN: "withdrawn",
}


def asked(proposal: Proposal) -> str:
    """Return what is changed, as one sentence."""
    if proposal.kind == "baseline":
        return "Nothing is changed: this measures the reference."
    if proposal.code is not None:
        return f"The code is changed, the configuration is not: {plain(proposal.code)}."
    parts = [f"{code(one.key)} from {code(value(one.before))} to {code(value(one.after))}" for one in proposal.changes]
    if len(parts) == 1:
        return f"One value is changed: {parts[0]}."
    return f"{len(parts)} values are changed together: {', '.join(parts)}."


def expected(proposal: Proposal) -> str:
    """Return the expectation as one sentence."""
    found = proposal.expectation
    if found is None:
        return "Nothing was predicted."
    sentence = f"{code(found.metric)} {_form(found)}."
    return (
        f"{sentence} (Written as {plain(found.said)}.)" if found.said and found.said != str(found.amount) else sentence
    )


def short_expectation(found: Expectation | None) -> str:
    """Return the expectation in a few words, for a table: `eval/return_mode rises by at least 50`."""
    return "nothing predicted" if found is None else f"{found.metric} {_form(found)}"


def score_rule(proposal: Proposal) -> str:
    """Return how a seed gets its score and how many seeds there are, as one sentence."""
    plan = proposal.plan
    metric = f" of {code(proposal.expectation.metric)}" if proposal.expectation else ""
    arms = f"Seeds {seeds_text(plan.seeds)}"
    if proposal.kind != "baseline":
        arms += " with the change"
    fail = "" if plan.fail_score is None else f" A trial that diverges scores {figure(plan.fail_score)}."
    return f"{arms}, {amount(plan.budget_amount, plan.budget_unit)} each; score: {code(plan.reducer)}{metric}.{fail}"


def rule_words(found: Expectation, alpha: float) -> str:
    """Return the rule that will judge, or has judged, as one sentence; `protocol.rules` computes it."""
    sure = f"{100 - 100 * alpha:.4g} %"
    if found.form in ("rise", "fall"):
        wanted = "the expected amount" if found.amount is None else figure(found.amount)
        side, way = ("above", "rise") if found.form == "rise" else ("below", "fall")
        return (
            f"Supported if the {sure} interval of the difference lies {side} 0 and the {way} is at least {wanted}; "
            f"refuted if the interval rules out a {way} of {wanted}; else inconclusive."
        )
    if found.form in ("at_least", "at_most"):
        side = "at or above" if found.form == "at_least" else "at or below"
        level = figure(found.amount)
        return (
            f"Supported if the {sure} interval of the mean lies {side} {level}, refuted if it lies wholly on the other "
            "side, else inconclusive."
        )
    if found.form == "within":
        width, narrow = figure(found.amount), f"{100 - 200 * alpha:.4g} %"
        return (
            f"Supported if the {narrow} interval of the difference lies inside ±{width}, refuted if the {sure} "
            "interval lies wholly outside, else inconclusive."
        )
    return (
        "Supported if every seed gets there in time, refuted if fewer than half do, else inconclusive. A plain count."
    )


def early_ends(proposal: Proposal) -> list[str]:
    """Return what was declared beforehand about ending early, a sentence each; none when nothing was."""
    said: list[str] = []
    if proposal.plan.looks:
        looks = ", ".join(map(str, proposal.plan.looks))
        said.append(f"Looks were declared after {looks} seeds; what they spend is counted in the verdict.")
    said += [f"A trial ends early when {kill_rule(rule)}." for rule in proposal.plan.kill]
    return said


def kill_rule(rule: KillRule) -> str:
    """Return the condition of a kill rule."""
    return f"{code(rule.metric)} {rule.operator} {figure(rule.value)} from {rule.env_steps:,} env steps on"


def state_words(state: Hypothesis) -> str:
    """Return where a hypothesis stands, in capitals where it is an outcome: `REFUTED (too small)`, `running`."""
    if state.phase == DONE_JUDGED and state.verdict is not None:
        return outcome(state.verdict)
    if state.phase == DONE_WITHDRAWN:
        return "withdrawn after launch" if state.launched_at else "withdrawn"
    return PHASE_MEANS[state.phase]


def outcome(verdict: Mapping[str, Any]) -> str:
    """Return outcome and label: `REFUTED (too small)`."""
    label = verdict.get("label")
    return f"{verdict.get('outcome', 'unknown')}{f' ({label})' if label else ''}"


def verdict_words(verdict: Mapping[str, Any]) -> str:
    """Return the verdict in one paragraph: outcome in bold, what that means, what decided."""
    words = [f"**{outcome(verdict)}.**", OUTCOME_MEANS.get(str(verdict.get("outcome")), "")]
    words.append(LABEL_MEANS.get(str(verdict.get("label")), ""))
    words += [plain(str(reason)) for reason in _list(verdict.get("reasons"))[:1]]
    needs = verdict.get("needs_seeds")
    if needs is not None:
        words.append(f"With the spread seen here it would take about {needs} seeds an arm to decide.")
    return " ".join(word for word in words if word)


def remarks(verdict: Mapping[str, Any]) -> list[str]:
    """Return what else must be heard beside the outcome: qualifiers explained, then the remaining reasons."""
    marks = [str(mark) for mark in _list(verdict.get("qualifiers"))]
    explained = [f"**{plain(mark)}**: {QUALIFIER_MEANS.get(mark, 'a mark of a later version')}." for mark in marks]
    return [*explained, *(plain(str(reason)) for reason in _list(verdict.get("reasons"))[1:])]


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
    return f"{figure(arm['mean'])} {what} ({seeds} seed{'' if seeds == 1 else 's'}{spread})"


def happened(figures: Figures, *, baseline_only: bool = False) -> str:
    """Return what came out, as one or two sentences: the means, then the difference with its interval."""
    arms = [arm_words(figures.get("treatment"), "" if baseline_only else "with the change")]
    arms.append(arm_words(figures.get("baseline"), "without it"))
    means = [phrase.replace("  ", " ") for phrase in arms if phrase]
    if not means:
        return "No seed has a score."
    words = [f"Mean score {', '.join(means)}."]
    if figures.get("difference") is not None:
        words.append(f"Difference {signed(figures['difference'])}{interval(figures)}.")
    elif (span := mean_interval(figures)) is not None:
        words.append(f"95 % interval of the mean: {span}.")
    return " ".join(words)


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


def signed(number: float) -> str:
    """Return a figure with its sign, also when it is positive."""
    return f"+{figure(number)}" if number > 0 else figure(number)


def value(item: Any) -> str:
    """Return a config value as it is written on the command line."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if item is None:
        return "null"
    if isinstance(item, float):
        return f"{item:g}" if float(f"{item:g}") == item else repr(item)
    if isinstance(item, list | tuple):
        return f"[{', '.join(value(one) for one in cast('Sequence[Any]', item))}]"
    return str(item)


def moment(time: str | None) -> str:
    """Return a record's time for people: `2026-01-02 10:05 UTC`; as it stands when it is not in UTC."""
    if not time:
        return "at an unknown time"
    text = plain(str(time))
    return f"{text[:10]} {text[11:16]} UTC" if text.endswith("+00:00") and text[10:11] == "T" else text


def _form(found: Expectation) -> str:
    if found.form in ("rise", "fall"):
        verb = "rises" if found.form == "rise" else "falls"
        if found.amount is None:
            return f"{verb} by at least {figure(found.percent)} % of the baseline's mean"
        return f"{verb} by at least {figure(found.amount)}"
    if found.form == "at_least":
        return f"is at least {figure(found.amount)}"
    if found.form == "at_most":
        return f"is at most {figure(found.amount)}"
    if found.form == "within":
        return f"stays within {figure(found.amount)} of the baseline"
    return f"reaches {figure(found.amount)} by {found.by_env_steps:,} env steps"


def _list(found: object) -> list[Any]:
    known = isinstance(found, Sequence) and not isinstance(found, str)
    return list(cast("Sequence[Any]", found)) if known else []
