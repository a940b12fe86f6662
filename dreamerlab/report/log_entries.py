"""One entry of the log: a hypothesis in short, or a dated note, idea, pilot or comparison.

A hypothesis reads in the same order whatever came out: the sentence, what was believed before, what happened, the
verdict and how sure it is, what to mind. Its page (`hypothesis_page.py`) tells the same in full. Quoted lines are
people's words; everything else is computed. Where entries stand in the log is `notebook.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from dreamerlab.protocol.entries import COMPARISON, IDEA, KINDS, STATUSES, Entry
from dreamerlab.protocol.state import (
    DONE_JUDGED,
    DONE_MEASURED,
    DONE_WITHDRAWN,
    RUNNING,
    TRIAL_KILLED,
    Hypothesis,
)
from dreamerlab.report.hypothesis_words import asked, expected, moment
from dreamerlab.report.links import anchor, effect_name, link, page_name
from dreamerlab.report.log_data import Reference, Story
from dreamerlab.report.prose import code, details, fields_list, plain, quoted, said
from dreamerlab.report.verdict_words import happened, qualifiers, remarks, state_words, sureness, verdict_words

Fill = Callable[[str, str], str]
"""Text of a note and the page's root -> the text with its citations filled in (`citations.py`)."""
_HEADING = re.compile(r"^(#{1,6})(?= )", re.MULTILINE)
_SAID_ELSEWHERE = ("status", "dated")


def hypothesis_entry(story: Story, *, has_effect: bool) -> str:
    """Return the hypothesis as LOG.md shows it; `has_effect`: whether its figure of the effect was drawn."""
    state, root = story.state, ""
    parts = [anchor(state.id), f"### {state.id}: {state_words(state)}", words_of(state)]
    parts.append(f"{times(state)} [The whole page]({root}{page_name(state.id)}).")
    parts += [damage(state.faults)] if state.faults else []
    lines = [f"- **Asked:** {asked(state.proposal)}", f"- **Believed before:** {expected(state.proposal)}"]
    lines += [f"- {line}" for line in what_happened(story)]
    caveats = caveats_of(state)
    lines += ["- **Mind:**", *(f"  - {line}" for line in caveats)] if caveats else []
    lines += [f"- {line}" for line in lineage(story, root)]
    parts.append("\n".join(lines))
    if has_effect:
        parts.append(f"![{state.id}: scores and effect]({root}{effect_name(state.id)})")
    return "\n\n".join(parts)


def words_of(state: Hypothesis) -> str:
    """Return what the person said: the sentence as it was typed, why it was asked, why changes go together."""
    proposal = state.proposal
    lines = [quoted(f"**{plain(proposal.sentence)}**")]
    lines += [quoted(f"Why: {proposal.why}")] if proposal.why else []
    lines += [quoted(f"Why together: {proposal.reason}")] if proposal.reason else []
    lines += [quoted(f"Withdrawn because: {state.withdrawn}")] if state.withdrawn else []
    return "\n>\n".join(lines)


def times(state: Hypothesis) -> str:
    """Return when it was proposed, launched and ended, as one sentence."""
    steps = [f"Proposed {moment(state.proposed_at)} by {plain(state.author) or 'nobody named'}"]
    steps += [f"launched {moment(state.launched_at)}"] if state.launched_at else []
    words = {DONE_JUDGED: "judged", DONE_MEASURED: "measured", DONE_WITHDRAWN: "withdrawn"}.get(state.phase)
    steps += [f"{words} {moment(state.ended_at)}"] if words else []
    return ", ".join(steps) + "."


def what_happened(story: Story) -> list[str]:
    """Return the figures and the verdict, or why there is none yet, one paragraph each."""
    state = story.state
    if state.phase == DONE_JUDGED and state.verdict is not None:
        marks = "".join(f"\n  - {mark}" for mark in qualifiers(state.verdict))
        sure = f"**How sure:** {sureness(state.verdict)}{marks}"
        return [f"**Happened:** {happened(state)}", verdict_words(state.verdict), sure]
    if state.phase == DONE_MEASURED and state.verdict is not None:
        none = "**Verdict:** none, because nothing was predicted. This is a measurement."
        return [f"**Happened:** {happened(state)}", none]
    if state.phase == DONE_WITHDRAWN:
        return _withdrawn(state)
    if state.phase == RUNNING:
        return [f"**Happened so far:** {so_far(story)} No figure is a result before the last seed has ended."]
    return [f"**Happened:** nothing yet, it {'waits in the queue' if state.phase == 'queued' else 'was not launched'}."]


def so_far(story: Story) -> str:
    """Return how many trials of each arm have ended, as the records know."""
    state, plan = story.state, story.state.proposal.plan
    told = {(one.get("run"), one.get("seed")) for one in state.trials}
    arms = [("" if state.proposal.kind == "baseline" else "with the change", state.run, story.treatment, plan.seeds)]
    arms += [("of the baseline", state.baseline_run, story.control, plan.baseline_seeds)] if state.baseline_run else []
    counts: list[str] = []
    for words, run_id, run, planned in arms:
        seeds = run.seeds if run is not None else ()
        ended = {seed for run_of, seed in told if run_of == run_id} | {
            one.seed for one in seeds if one.state is not None
        }
        counts.append(f"{len(ended)} of {len(seeds) or len(planned)} trials {words}".rstrip())
    killed = sum(one.get("event") == TRIAL_KILLED for one in state.trials)
    early = f" {killed} ended early by a declared rule." if killed else ""
    return f"{' and '.join(counts)} have ended.{early}"


def caveats_of(state: Hypothesis) -> list[str]:
    """Return what a reader must keep in mind, one sentence each."""
    found = remarks(state.verdict) if state.verdict is not None else []
    found += qualifiers(state.verdict) if state.phase == DONE_MEASURED and state.verdict is not None else []
    found += [f"A rule was passed by a flag: {plain(str(line))}" for line in state.launch.get("gates") or ()]
    return [*found, *(plain(str(line)) for line in state.launch.get("caveats") or ()), *map(plain, state.caveats)]


def lineage(story: Story, root: str) -> list[str]:
    """Return where the hypothesis came from and what it led to, one line each."""
    words = {
        "opened for": "Opened for",
        "follows": "Follows",
        "replicates": "Repeats on fresh seeds",
        "baseline": "Baseline",
    }
    lines = [f"**{words[how]}:** {reference(one, root)}" for how, one in story.came_from.items() if how in words]
    if story.led_to:
        lines.append(f"**Led to:** {', '.join(reference(one, root) for one in story.led_to)}")
    adopted = [event for event in story.events if event.event == "adopted"]
    for event in adopted[-1:]:
        why = f", {said(str(event.data['why']))}" if event.data.get("why") else ""
        family = code(event.data.get("family") or "its family")
        lines.append(f"**Adopted** as the champion of {family} on {moment(event.time)}{why}")
    return lines


def reference(one: Reference, root: str) -> str:
    """Return another hypothesis as a link with its state."""
    return f"{link(one.id, root)} ({plain(one.state)})"


def damage(faults: Sequence[str]) -> str:
    """Return the warning that stands over what a damaged record tells."""
    found = "; ".join(plain(fault) for fault in faults)
    return f"**Damaged record: {found}.** Do not rely on what follows; `dreamerlab lint` says more."


def entry(found: Entry, root: str, fill: Fill, *, level: int = 3) -> str:
    """Return a note, an idea, a pilot or a comparison; `level` is the depth of its heading."""
    parts = [anchor(found.id)] if level == 3 else []
    parts += [f"{'#' * level} {found.id}: {plain(found.kind)}", _entry_facts(found, root)]
    parts += [damage(found.faults)] if found.faults else []
    if found.kind == COMPARISON:
        parts.append(_comparison(found))
    else:
        fields = {name: text for name, text in found.fields.items() if name not in _SAID_ELSEWHERE and text.strip()}
        words = [quoted(fill(found.text, root))] if found.text.strip() else []
        words += [fields_list({name: fill(text, root) for name, text in fields.items()})] if fields else []
        parts.append("\n>\n".join(words) or "No words were written down.")
    parts += [_earlier(found)] if found.earlier else []
    return "\n\n".join(parts)


def entry_state(found: Entry) -> str:
    """Return where an entry stands in a few words; empty for most."""
    if found.filed is not None:
        return f"became {found.filed}"
    if found.dropped is not None:
        return f"taken off the queue{f', {said(found.dropped)}' if found.dropped else ''}"
    if found.kind == IDEA:
        return "waits in the queue"
    status = found.fields.get("status", "").strip()
    return f"{plain(status)} ({STATUSES[status]})" if status in STATUSES else plain(status)


def _entry_facts(found: Entry, root: str) -> str:
    facts = [f"{moment(found.time)} by {plain(found.author) or 'nobody named'}"]
    facts += [f"about the day {plain(found.fields['dated'])}"] if found.fields.get("dated") else []
    facts += [f"on {', '.join(link(one, root) for one in found.about)}"] if found.about else []
    meaning = KINDS.get(found.kind)
    lines = [", ".join(facts) + "." + (f" *{found.kind.capitalize()}: {meaning}.*" if meaning else "")]
    standing = entry_state(found)
    if standing:
        shown = f"became {link(found.filed, root)}" if found.filed is not None else standing
        lines.append(f"**Status:** {shown}.")
    return "  \n".join(lines)


def _comparison(found: Entry) -> str:
    runs = ", ".join(found.about)
    table = _HEADING.sub(lambda mark: "#" * min(6, len(mark[1]) + 3), str(found.data.get("markdown") or "")).strip()
    reducer = found.data.get("reducer")
    words = f"Runs {runs} side by side{f', scored by {code(reducer)}' if reducer else ''}. A comparison is no verdict."
    return f"{words}\n\n{details('The tables', table)}" if table else words


def _earlier(found: Entry) -> str:
    parts: list[str] = []
    for event in found.earlier:
        found_fields = cast("Mapping[str, Any]", event.data.get("fields") or {})
        fields = {name: str(text) for name, text in found_fields.items()}
        words = quoted(str(event.data.get("text") or ""))
        parts.append(f"Written {moment(event.time)} by {plain(event.author) or 'nobody named'}:\n\n{words}")
        parts += [fields_list(fields)] if fields else []
    times_ = "once" if len(found.earlier) == 1 else f"{len(found.earlier)} times"
    return details(f"Corrected {times_}; what it said before", "\n\n".join(parts))


def _withdrawn(state: Hypothesis) -> list[str]:
    if state.launched_at is None:
        return ["**Happened:** nothing, it was withdrawn before it was launched."]
    none = "**Verdict:** none, and none can be given any more. It counts in the tally as tried."
    return ["**Happened:** it was withdrawn after it had been launched.", none]
