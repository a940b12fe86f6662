"""How `propose` answers: what was frozen, what it can find and cost, and what the gates would say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dreamerlab.lab.propose import Proposed
from dreamerlab.protocol.hypothesis import Proposal
from dreamerlab.report.wording import amount, duration, figure, seeds_text

_WIDTH = 12


def page(made: Proposed) -> str:
    """Return the answer in plain text: the id first, then one labelled line per thing that is frozen."""
    proposal = made.proposal
    name = f"  {proposal.name}" if proposal.name else ""
    title = f"{made.id}{name}" if made.id else f"nothing is stored (--dry-run){name}"
    rows = [
        ("reading", proposal.reading),
        ("kind", _kind(proposal)),
        ("on", " + ".join(filter(None, (proposal.base.env, proposal.base.experiment, *proposal.base.overrides)))),
        ("family", _family(proposal)),
        ("baseline", _baseline(made)),
        ("amount", proposal.expectation.said if proposal.expectation is not None else ""),
        ("plan", _plan(proposal)),
        ("ends early", _early(proposal)),
        ("detectable", _detectable(proposal)),
        ("cost", _cost(proposal.forecast.get("cost"))),
        *_gates(proposal.forecast["gates"]),
    ]
    return "\n".join([title, *(f"  {label:<{_WIDTH}} {text}".rstrip() for label, text in rows if text)])


def next_step(made: Proposed) -> str:
    """Return what to do now, for stderr."""
    if made.id is None:
        return "next: the same command without --dry-run"
    short = f"H{int(made.id[1:].split('-')[0])}"
    if made.proposal.queued:
        return f"next: it waits in the queue; dreamerlab queue lists it, dreamerlab run {short} takes it"
    return f"next: dreamerlab run {short}"


def _kind(proposal: Proposal) -> str:
    said = proposal.kind
    if proposal.reason is not None:
        said += f" ({len(proposal.changes)} changes as one: {proposal.reason})"
    if proposal.replicates is not None:
        said += f", repeats {proposal.replicates}"
    if proposal.follows is not None:
        said += f", follows {proposal.follows}"
    return said + (", queued" if proposal.queued else "")


def _family(proposal: Proposal) -> str:
    if proposal.family == proposal.baseline_family:
        return proposal.family
    return f"{proposal.family}; of the baseline: {proposal.baseline_family}"


def _baseline(made: Proposed) -> str:
    proposal = made.proposal
    if proposal.kind == "baseline":
        return ""
    if proposal.base.run is None:
        return (
            "none yet: measured by `dreamerlab run`, together with the change" if proposal.code is None else "none yet"
        )
    if made.measured is None:
        return proposal.base.run
    return f"{proposal.base.run} (mean {figure(made.measured.mean)} of {len(made.measured.scores)} seeds)"


def _plan(proposal: Proposal) -> str:
    plan = proposal.plan
    said = f"seeds {seeds_text(plan.seeds)}, {amount(plan.budget_amount, plan.budget_unit)} each, {plan.reducer}"
    if plan.reducer == "peak":
        said += " (optimistic: picked by looking)"
    if proposal.expectation is None:
        return said
    if plan.fail_score is None:
        return f"{said}; no fail score: a trial that diverges leaves it INCOMPLETE (--fail-score)"
    return f"{said}; a trial that diverges scores {figure(plan.fail_score)}"


def _early(proposal: Proposal) -> str:
    plan = proposal.plan
    parts = [f"looks after {', '.join(map(str, plan.looks))} seeds"] if plan.looks else []
    parts += [
        f"a trial is stopped when {rule.metric} {rule.operator} {rule.value:g} at {rule.env_steps:,} env steps or later"
        for rule in plan.kill
    ]
    return "; ".join(parts)


def _detectable(proposal: Proposal) -> str:
    found: Mapping[str, Any] | None = proposal.forecast.get("detectable")
    if not found:
        return ""
    in_unit = f" = {figure(found['in_unit'])} at the baseline's spread" if found["in_unit"] is not None else ""
    if found["what"] != "difference":
        return f"the mean is known to +-{found['in_sd']:.2f} standard deviations of a seed{in_unit}"
    arms = f"{found['treatment_seeds']} against {found['baseline_seeds']} seeds"
    said = (
        f"a difference of {found['in_sd']:.2f} standard deviations of a seed{in_unit} ({arms}, found in 4 of 5 cases)"
    )
    expected = proposal.expectation
    if expected is None or expected.amount is None or found["in_unit"] is None or found["in_unit"] <= expected.amount:
        return said
    needed = found["seeds_for_expected"]
    more = f"{needed} seeds an arm would find it" if needed is not None else "no affordable number of seeds finds it"
    return f"{said}; MORE than the expected {figure(expected.amount)}: {more}"


def _cost(cost: Mapping[str, Any] | None) -> str:
    if cost is None:
        return "unknown: no earlier run on this environment tells"
    opened = f" ({cost['of_baseline']} of them the baseline's)" if cost["of_baseline"] else ""
    pace = f", at the pace of {cost['pace_of']}" if cost["pace_of"] else ""
    trials = f"{cost['trials']} trial{'s' if cost['trials'] != 1 else ''}{opened} of {duration(cost['each_s'])}"
    return f"{trials}, {cost['at_once']} at once: about {duration(cost['wall_s'])}{pace}"


def _gates(gates: Mapping[str, Any]) -> list[tuple[str, str]]:
    if gates["allowed"]:
        rows = [("gates", "nothing stands against running it now")]
    else:
        rows = [("gates", f"WOULD REFUSE it now, for {len(gates['violations'])} reason(s):")]
        for message, hint in zip(gates["violations"], gates["hints"], strict=True):
            rows += [("", f"- {message}"), ("", f"  {hint}" if hint else "")]
    return rows + [("caveat", line) for line in gates["caveats"]]
