"""How `show` looks for a hypothesis and for an entry of the log, in plain text.

The same order whatever came out: what was asked, what was expected, where it stands, the scores, what was written
about it. Words and figures are those of the records; the page for the log is `report.hypothesis_page`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dreamerlab.lab.show import TrialDetails
from dreamerlab.lab.show_hypothesis import ArmDetails, HypothesisDetails
from dreamerlab.protocol.entries import COMPARISON, Entry
from dreamerlab.protocol.registry import Event
from dreamerlab.protocol.state import DONE_JUDGED, DONE_MEASURED, Hypothesis
from dreamerlab.report.hypothesis_words import moment, short_expectation, value
from dreamerlab.report.verdict_words import (
    LABEL_MEANS,
    OUTCOME_MEANS,
    QUALIFIER_MEANS,
    happened,
    outcome,
    state_words,
    sureness,
)
from dreamerlab.report.wording import amount, figure, seeds_text, state_counts
from dreamerlab.tables import Table

_WIDTH = 112


def page(details: HypothesisDetails) -> str:
    """Return the page of a hypothesis."""
    state = details.state
    name = f"  {state.proposal.name}" if state.proposal.name else ""
    blocks = [f"{state.id}{name}: {state_words(state)}", _head(details), _verdict(details), _scores(details)]
    blocks += [_next(state), _history(details.events), _entries(details.entries)]
    if details.caveats:
        blocks.append(_listed("caveats", details.caveats))
    return "\n\n".join(block for block in blocks if block)


def entry_page(found: Entry) -> str:
    """Return an entry of the log: who wrote it, about what, and its words or its tables."""
    about = f", about {', '.join(found.about)}" if found.about else ""
    parts = [f"{found.id}: {found.kind}", f"{moment(found.time)}, {found.author or 'nobody named'}{about}"]
    if found.kind == COMPARISON:
        parts.append(str(found.data.get("markdown") or "no table was kept"))
    else:
        parts += [found.text] if found.text else []
        parts += ["\n".join(f"{name}: {text}" for name, text in found.fields.items())] if found.fields else []
    if found.filed is not None:
        parts.append(f"became {found.filed}")
    if found.dropped is not None:
        parts.append(f"taken off the queue: {found.dropped or 'no reason was given'}")
    for event in found.earlier:
        text = str(event.data.get("text") or "")
        parts.append(f"before it was corrected ({moment(event.time)}):\n{textwrap.indent(text, '  ')}")
    if found.faults:
        parts.append(_listed("damaged", found.faults))
    return "\n\n".join(parts)


def _head(details: HypothesisDetails) -> str:
    state = details.state
    made = state.proposal
    plan, base = made.plan, made.base
    rows = Table(("", "  "))
    kind = f"{made.kind} (several values at once; which of them acts cannot be told)" if made.changes[1:] else made.kind
    rows.add("kind", kind)
    rows.add("asked", " ".join(made.sentence.split()))
    if made.reading != made.sentence:
        rows.add("read as", made.reading)
    for one in made.changes if len(made.changes) > 1 else ():
        rows.add("change", f"{one.key}: {value(one.before)} -> {value(one.after)}")
    if made.code is not None:
        rows.add("code", made.code)
    for label, text in (("why", made.why), ("together", made.reason)):
        if text:
            rows.add(label, " ".join(text.split()))
    rows.add("expects", short_expectation(made))
    rows.add("score", plan.reducer + (f" of {made.expectation.metric}" if made.expectation else ""))
    seeds = f"{seeds_text(plan.seeds)} (n={len(plan.seeds)})"
    rows.add("seeds", seeds if made.kind == "baseline" else f"{seeds}, {_baseline_seeds(state)}")
    rows.add("budget", f"{amount(plan.budget_amount, plan.budget_unit)} per seed")
    if plan.looks:
        rows.add("looks", f"after {', '.join(map(str, plan.looks))} seeds")
    if plan.fail_score is not None:
        rows.add("fail score", figure(plan.fail_score))
    layers = [f"env {base.env}", *([f"experiment {base.experiment}"] if base.experiment else []), *base.overrides]
    rows.add("base", ", ".join(layers))
    against = f", against {made.baseline_family}" if made.baseline_family != made.family else ""
    rows.add("family", made.family + against)
    for label, other in (("follows", made.follows), ("repeats", made.replicates)):
        if other:
            rows.add(label, other)
    rows.add("proposed", f"{moment(state.proposed_at)} by {state.author or 'nobody named'}")
    if state.adopted_at:
        rows.add("adopted", moment(state.adopted_at))
    if state.withdrawn is not None:
        rows.add("withdrawn", state.withdrawn or "no reason was given")
    rows.add("page", _near(details.page) if details.page.exists() else "not rendered yet: dreamerlab log")
    return rows.to_text().split("\n", 1)[1]


def _baseline_seeds(state: Hypothesis) -> str:
    if state.baseline_run is not None:
        return f"baseline {state.baseline_run} with all of its seeds"
    if state.proposal.base.run is not None:
        return f"baseline {state.proposal.base.run}"
    return f"baseline {seeds_text(state.proposal.plan.baseline_seeds)}"


def _verdict(details: HypothesisDetails) -> str:
    state = details.state
    if state.verdict is None:
        return ""
    if state.phase == DONE_MEASURED:
        return "measured\n" + _wrapped([happened(state), "Nothing was predicted, so there is no verdict."])
    verdict = state.verdict
    meaning = [OUTCOME_MEANS.get(str(verdict.get("outcome")), ""), LABEL_MEANS.get(str(verdict.get("label")), "")]
    said = [" ".join(part for part in meaning if part), happened(state), sureness(verdict)]
    said += [str(reason) for reason in verdict.get("reasons") or ()]
    if verdict.get("needs_seeds") is not None:
        said.append(f"With the spread seen here it would take about {verdict['needs_seeds']} seeds an arm to decide.")
    marks = [str(mark) for mark in verdict.get("qualifiers") or ()]
    said += [f"{mark}: {QUALIFIER_MEANS.get(mark, 'a mark of a later version')}" for mark in marks]
    return f"verdict: {outcome(verdict)}\n{_wrapped([line for line in said if line])}"


def _scores(details: HypothesisDetails) -> str:
    if not details.arms:
        return ""
    numbers = ("n", "mean", "SD")
    table = Table(("arm", "run", *numbers, "state", "per seed"), frozenset(numbers))
    for arm in details.arms:
        recorded = details.figures.get(arm.role if arm.role != "baseline" or len(details.arms) > 1 else "treatment")
        table.add(arm.role, arm.run, *_arm_cells(arm, recorded))
    running = details.state.phase not in (DONE_JUDGED, DONE_MEASURED)
    heading = "scores so far (no figure is a result before the last seed has ended)" if running else "scores"
    return f"{heading}\n{table.to_text()}"


def _arm_cells(arm: ArmDetails, recorded: Mapping[str, Any] | None) -> tuple[object, ...]:
    """Return n, mean, SD, states, scores: those the verdict was computed from, else those of the run as it is now."""
    found = arm.details
    states = "not here" if found is None else state_counts(one.view.state for one in found.trials)
    if recorded:
        scores: Mapping[str, float | None] = recorded.get("seeds") or {}
        failed: Mapping[str, str] = recorded.get("failed") or {}
        texts = [
            f"{seed}: {figure(score)}{' (fail score)' if seed in failed else ''}" for seed, score in scores.items()
        ]
        spread = None if recorded.get("sd") is None else figure(recorded["sd"])
        return recorded.get("n"), figure(recorded.get("mean")), spread, states, ", ".join(texts)
    if found is None:
        return None, None, None, states, None
    texts = [_score_so_far(one) for one in found.trials]
    num = sum(one.score is not None for one in found.trials)
    return num, figure(found.mean_score), None, states, ", ".join(texts)


def _score_so_far(trial: TrialDetails) -> str:
    mark = "*" if trial.so_far and trial.score is not None else ""
    return f"{trial.view.seed}: {figure(trial.score)}{mark}"


def _next(state: Hypothesis) -> str:
    if state.run is not None and state.baseline_run is not None:
        return f"beside each other: dreamerlab compare {state.id.partition('-')[0]}"
    return "" if state.launched_at or state.withdrawn is not None else f"next: dreamerlab run {state.id}"


def _history(events: Sequence[Event]) -> str:
    table = Table(("history", "", ""))
    for event in events:
        table.add(moment(event.time), event.event, _event_words(event.data))
    return table.to_text()


def _event_words(data: Mapping[str, Any]) -> str:
    """Return what an event was about, in a few words."""
    said = [f"{data['run']} seed {data['seed']}"] if "seed" in data and "run" in data else []
    said += [str(data["run"])] if "run" in data and "seed" not in data else []
    said += [f"beside {data['baseline_run']}"] if data.get("baseline_run") else []
    said += [str(data["state"])] if "state" in data and "score" in data else []
    said += [f"score {figure(data['score'])}"] if isinstance(data.get("score"), int | float) else []
    said += [str(data["outcome"])] if data.get("outcome") else []
    said += [str(data["why"])] if data.get("why") and "sentence" not in data else []
    return " ".join(", ".join(said).split())


def _entries(entries: Sequence[Entry]) -> str:
    lines: list[str] = []
    for found in entries:
        text = " ".join(found.text.split()) or f"{len(found.about)} runs side by side"
        lines.append(f"{found.id} {found.kind}, {moment(found.time)}: {text}")
    return _listed("written about it", lines) if lines else ""


def _listed(heading: str, lines: Sequence[str]) -> str:
    return f"{heading}\n{_wrapped([f'- {one}' for one in lines])}"


def _wrapped(lines: Sequence[str]) -> str:
    """Return each line within the page's width, later parts further in; a number stays with its percent sign."""
    held = (line.replace(" %", "\u00a0%") for line in lines)
    filled = (
        textwrap.fill(
            line, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )
        for line in held
    )
    return "\n".join(filled).replace("\u00a0%", " %")


def _near(path: Path) -> str:
    """Return a path as it is reached from here, where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
