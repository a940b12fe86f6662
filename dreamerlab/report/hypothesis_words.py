"""A proposal in plain sentences: what is asked, what is expected, and the rule that will judge it.

Owns wording only, in markdown without headings. What came of it is `verdict_words.py`; pages are `hypothesis_page.py`,
entries of the log `log_entries.py`, the rules behind the words `protocol.rules`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from dreamerlab.protocol.figures import shown
from dreamerlab.protocol.hypothesis import Expectation, KillRule, Proposal
from dreamerlab.report.prose import code, plain
from dreamerlab.report.wording import amount, seeds_text


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
    sentence = f"{code(subject(proposal))} {_form(found)}."
    return (
        f"{sentence} (Written as {plain(found.said)}.)" if found.said and found.said != str(found.amount) else sentence
    )


def short_expectation(proposal: Proposal) -> str:
    """Return the expectation in a few words, for a table: `eval/return_mode rises by at least 50`."""
    found = proposal.expectation
    return "nothing predicted" if found is None else f"{subject(proposal)} {_form(found)}"


def subject(proposal: Proposal) -> str:
    """Return what is predicted: the metric, and the reducer where it is more than a mean of the last evaluations."""
    metric = "" if proposal.expectation is None else proposal.expectation.metric
    reducer = proposal.plan.reducer
    return metric if reducer.startswith("final_mean") else f"{reducer} of {metric}"


def score_rule(proposal: Proposal) -> str:
    """Return how a seed gets its score and how many seeds there are, as one sentence."""
    plan = proposal.plan
    metric = f" of {code(proposal.expectation.metric)}" if proposal.expectation else ""
    arms = f"Seeds {seeds_text(plan.seeds)}"
    if proposal.kind != "baseline":
        arms += " with the change"
    fail = "" if plan.fail_score is None else f" A trial that diverges scores {shown(plan.fail_score)}."
    return f"{arms}, {amount(plan.budget_amount, plan.budget_unit)} each; score: {code(plan.reducer)}{metric}.{fail}"


def rule_words(found: Expectation, alpha: float) -> str:
    """Return the rule that will judge, or has judged, as one sentence; `protocol.rules` computes it."""
    sure = f"{100 - 100 * alpha:.4g} %"
    if found.form in ("rise", "fall"):
        wanted = "the expected amount" if found.amount is None else shown(found.amount)
        side, way = ("above", "rise") if found.form == "rise" else ("below", "fall")
        return (
            f"Supported if the {sure} interval of the difference lies {side} 0 and the {way} is at least {wanted}; "
            f"refuted if the interval rules out a {way} of {wanted}; else inconclusive."
        )
    if found.form in ("at_least", "at_most"):
        side = "at or above" if found.form == "at_least" else "at or below"
        level = shown(found.amount or 0.0)
        return (
            f"Supported if the {sure} interval of the mean lies {side} {level}, refuted if it lies wholly on the other "
            "side, else inconclusive."
        )
    if found.form == "within":
        width, narrow = shown(found.amount or 0.0), f"{100 - 200 * alpha:.4g} %"
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
    return f"{code(rule.metric)} {rule.operator} {shown(rule.value)} from {rule.env_steps:,} env steps on"


def value(item: Any) -> str:
    """Return a config value as it is written on the command line."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if item is None:
        return "null"
    if isinstance(item, float):
        text = f"{item:g}" if float(f"{item:g}") == item else repr(item)
        return re.sub(r"e([+-]?)0+(?=[0-9])", r"e\1", text).replace("e+", "e")
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
    amount_ = "" if found.amount is None else shown(found.amount)
    if found.form in ("rise", "fall"):
        share = f"{shown(found.percent or 0.0)} % of the baseline's mean"
        return f"{'rises' if found.form == 'rise' else 'falls'} by at least {amount_ or share}"
    if found.form == "at_least":
        return f"is at least {amount_}"
    if found.form == "at_most":
        return f"is at most {amount_}"
    if found.form == "within":
        return f"stays within {amount_} of the baseline"
    return f"reaches {amount_} by {found.by_env_steps or 0:,} env steps"
