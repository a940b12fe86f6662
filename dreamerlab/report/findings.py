"""What is known, family by family, in plain words: read off the verdicts, nothing else.

A family is agents of one architecture in one environment, the only ones whose scores can be held against each other.
Each gets its account (how much was asked, how much luck alone would support), its champion, its best score with the
warning that picking the best flatters it, and what was supported, refuted and left open, a sentence each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from dreamerlab.metrics import CATALOGUE
from dreamerlab.protocol.state import Hypothesis
from dreamerlab.protocol.tally import Champion, Tally, crosses_families
from dreamerlab.report.html_text import escaped
from dreamerlab.report.hypothesis_words import short_expectation, subject
from dreamerlab.report.lineage_graph import short_change
from dreamerlab.report.notebook import Notebook
from dreamerlab.report.standing import MARKS, MEASURED, OPEN, REFUTED, SUPPORTED, UNDECIDED, WITHDRAWN, standing
from dreamerlab.report.verdict_words import effect, figures_of, is_no_result, mean_interval
from dreamerlab.report.wording import figure

_HEADINGS = {
    SUPPORTED: "Supported: the data agree with what was expected",
    REFUTED: "Refuted: the data speak against what was expected",
    UNDECIDED: "Undecided: no answer either way",
    OPEN: "Open: asked and not answered yet",
    MEASURED: "Measured: references that others are held against",
    WITHDRAWN: "Withdrawn",
}
_FEW = 8
"""Longer lists are folded."""


@dataclass(frozen=True)
class Score:
    """The mean score of one run, as the record of a hypothesis holds it."""

    run: str
    hypothesis: str
    mean: float
    interval: str | None
    rule: str
    """Reducer and metric: only scores of one rule are ranked."""
    lower_is_better: bool


def families(book: Notebook) -> list[str]:
    """Return every family that a hypothesis is about, those with most hypotheses first."""
    counted: dict[str, int] = defaultdict(int)
    for state in book.states:
        counted[state.proposal.family] += 1
    return sorted(counted, key=lambda one: (-counted[one], one))


def family_article(family: str, book: Notebook) -> str:
    """Return what is known of one family as HTML."""
    states = [state for state in book.states if state.proposal.family == family]
    env = states[0].proposal.base.env
    groups: dict[str, list[Hypothesis]] = {group: [] for group in _HEADINGS}
    for state in states:
        groups[standing(state).group].append(state)
    facts = [_account(book.tallies.get(family), groups), _champion(book.champions.get(family)), *best_words(states)]
    parts = [f"<h3>{escaped(env)} <code>{escaped(family)}</code></h3>"]
    parts.append("".join(f"<p>{fact}</p>" for fact in facts))
    parts += [_group(group, found) for group, found in groups.items() if found]
    return f'<article class="family">{"".join(parts)}</article>'


def best_words(states: Sequence[Hypothesis]) -> list[str]:
    """Return the best score of each rule that at least one run was scored by, as one HTML sentence each."""
    by_rule: dict[str, list[Score]] = defaultdict(list)
    for score in filter(None, map(score_of, states)):
        by_rule[score.rule].append(score)
    said: list[str] = []
    for rule, scores in sorted(by_rule.items(), key=lambda item: (-len(item[1]), item[0])):
        pick = min if scores[0].lower_is_better else max
        best = pick(scores, key=lambda one: one.mean)
        span = f", 95 % interval {escaped(best.interval)}" if best.interval else ", with no interval"
        picked = (
            f" It is the best of {len(scores)} runs scored so, and picking the best makes it look better than it is."
            if len(scores) > 1
            else ""
        )
        said.append(
            f"Best {escaped(rule)}: <strong>{figure(best.mean)}</strong>{span}, by {_link(best.run)} "
            f"({_link(best.hypothesis)}).{picked}"
        )
    return said


def score_of(state: Hypothesis) -> Score | None:
    """Return the mean score of a hypothesis' own run; None while there is none that means anything."""
    figures = figures_of(state.verdict)
    arm = cast("Mapping[str, Any]", figures.get("treatment") or {})
    mean = arm.get("mean")
    if state.run is None or not isinstance(mean, int | float) or is_no_result(state.verdict):
        return None
    reducer = state.proposal.plan.reducer
    expected = state.proposal.expectation
    metric = expected.metric if expected is not None else str(figures.get("metric") or "eval/return_mode")
    known = CATALOGUE.get(metric)
    lower = reducer.startswith("env_steps_to") or (known is not None and known.direction == "lower")
    return Score(state.run, state.id, float(mean), mean_interval(figures), f"{reducer} of {metric}", lower)


def finding(state: Hypothesis) -> str:
    """Return one hypothesis as one HTML sentence: what was changed, what was expected, what was found."""
    figures, made = figures_of(state.verdict), state.proposal
    stands = standing(state)
    asked = f"{_link(state.id)} <b>{escaped(short_change(state))}</b>"
    if made.expectation is not None:
        asked += f": {escaped(short_expectation(made))}"
    found = ""
    if figures and stands.group != MEASURED:
        found = "no result" if is_no_result(state.verdict) else effect(figures, made.expectation)
        found = f" Found: {escaped(found)}."
    elif figures:
        found = f" {escaped(subject(made) or made.plan.reducer)}: {escaped(effect(figures, None))}."
    marks = cast("Sequence[object]", (state.verdict or {}).get("qualifiers") or ())
    word = stands.word if stands.group in (UNDECIDED, OPEN) else ""
    tags = [*([word] if word else []), *map(str, marks)]
    if crosses_families(state):
        tags.append(f"against {made.baseline_family}")
    tag = f' <span class="tags">{escaped(", ".join(dict.fromkeys(tags)))}</span>' if tags else ""
    return f"{asked}.{found}{tag}"


def _account(tally: Tally | None, groups: Mapping[str, Sequence[Hypothesis]]) -> str:
    if tally is None or not tally.tested:
        judged = sum(len(groups[group]) for group in (SUPPORTED, REFUTED, UNDECIDED))
        if judged:
            return "Judged against another family only, which counts in no family's account."
        return "Nothing has been tested yet." if groups[OPEN] or groups[WITHDRAWN] else "Only measured so far."
    supported = len(tally.supported)
    words = f"<strong>{supported} of {tally.tested}</strong> tested hypotheses are supported"
    if tally.tests:
        words += f"; if nothing ever had an effect, luck would give at most {tally.by_luck:.2g}"
        words += f". Of those decided by a statistical test Holm's correction keeps {len(tally.holm)}"
    running = f" Still running: {tally.running}." if tally.running else ""
    return f"{words}.{running}"


def _champion(champion: Champion | None) -> str:
    if champion is None:
        return "No champion: no run was adopted as what the next ones are held against."
    return f"Champion: {_link(champion.run)}, adopted {champion.since[:10]} by {_link(champion.hypothesis)}."


def _group(group: str, found: Sequence[Hypothesis]) -> str:
    items = "".join(f"<li>{finding(state)}</li>" for state in reversed(found))
    heading = f'<span class="mark m-{group}" aria-hidden="true">{MARKS[group]}</span> {_HEADINGS[group]} ({len(found)})'
    if len(found) > _FEW or group in (MEASURED, WITHDRAWN):
        return f"<details><summary>{heading}</summary><ul>{items}</ul></details>"
    return f"<h4>{heading}</h4><ul>{items}</ul>"


def _link(record: str) -> str:
    return f'<a href="#{record}">{record}</a>'
