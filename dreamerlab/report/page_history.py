"""The last parts of a hypothesis' page: which runs and which code it rests on, and every event in its order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from dreamerlab.protocol.chain import Event
from dreamerlab.protocol.state import JUDGED, LAUNCHED, PROPOSED, TRIAL_FINISHED, TRIAL_KILLED
from dreamerlab.report.hypothesis_words import moment
from dreamerlab.report.links import link
from dreamerlab.report.log_data import RunRecord, Story
from dreamerlab.report.prose import code, plain, said
from dreamerlab.report.seed_tables import arms_of
from dreamerlab.report.verdict_words import outcome
from dreamerlab.report.wording import amount, seeds_text, state_counts
from dreamerlab.tables import Table

ROOT = "../"
"""From a page to the folder `protocol`."""


def section(heading: str, *parts: str | None) -> str:
    """Return a part of a page under its heading; nothing when all of it is empty."""
    body = [part for part in parts if part]
    return "\n\n".join([f"## {heading}", *body]) if body else ""


def listed(lines: Sequence[str]) -> str:
    """Return the lines as a bulleted list."""
    return "\n".join(f"- {line}" for line in lines)


def provenance(story: Story) -> str:
    """Return the part that names the runs, their code, and what proves the order."""
    state = story.state
    table = Table(("run", "arm", "seeds", "budget", "code", "commit", "made"))
    for what, run, _ in arms_of(story):
        table.add(link(run.id, ROOT), what, *_made(run))
    lines = [f"Its record: [registry/{state.id}.jsonl]({ROOT}registry/{state.id}.jsonl)"]
    if state.launched_at:
        commit = state.launch.get("proposal_commit")
        lines.append(
            f"The proposal was in commit {code(commit[:12])} before the launch."
            if commit
            else "No commit proves that the proposal came before the launch."
        )
    for run_id, digest in cast("Mapping[str, Any]", (state.verdict or {}).get("sources") or {}).items():
        lines.append(f"Judged from the summaries of {plain(run_id)}: sha256 {code(str(digest)[:16])}")
    return section("Where it comes from", table.to_markdown() if table.rows else None, listed(lines))


def _made(run: RunRecord) -> tuple[str, str, str, str, str]:
    made = run.manifest
    if made is None:
        return ("-", "-", "-", "-", "-")
    commit = f"{code(made.code.commit[:12])}{' and changes' if made.code.dirty else ''}" if made.code.commit else "none"
    budget = amount(made.budget.amount, made.budget.unit)
    return seeds_text(made.seeds), budget, code(made.code.identity[:12]), commit, moment(made.created_at)


def history(story: Story) -> str:
    """Return the part that tells every event in its order; trials that ended one after the other share a row."""
    table = Table(("when", "what", "by"))
    ended: list[Event] = []
    for event in (*story.events, None):
        if event is not None and event.event == TRIAL_FINISHED:
            ended.append(event)
            continue
        if ended:
            first, last = moment(ended[0].time), moment(ended[-1].time)
            when = first if first == last else f"{first} to {last}"
            table.add(when, _trials(ended), plain(ended[-1].author) or "-")
            ended = []
        if event is not None:
            table.add(moment(event.time), _told(event), plain(event.author) or "-")
    return section("History", table.to_markdown())


def _trials(events: Sequence[Event]) -> str:
    states = state_counts(str(event.data.get("state") or "ended") for event in events)
    return f"{len(events)} trial{'' if len(events) == 1 else 's'} ended: {plain(states)}"


def _told(event: Event) -> str:
    data = event.data
    if event.event == TRIAL_KILLED:
        return f"seed {data.get('seed')} of {plain(str(data.get('run')))} ended early by {plain(str(data.get('rule')))}"
    if event.event == JUDGED:
        return f"judged: {outcome(data)}"
    if event.event == LAUNCHED:
        runs = [str(run) for run in (data.get("run"), data.get("baseline_run")) if run]
        return f"launched as {' and '.join(map(plain, runs))}"
    why = f", {said(str(data['why']))}" if data.get("why") and event.event != PROPOSED else ""
    return f"{plain(event.event.replace('-', ' '))}{why}"
