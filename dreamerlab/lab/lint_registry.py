"""Lint of the registry by itself: the chain of every record, and whether its events could have happened in that order.

What git knows about the records is `lint_order`, what the runs know `lint_runs`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from dreamerlab.errors import LabError
from dreamerlab.ids import parse_id
from dreamerlab.lab.ledger import registry_of
from dreamerlab.lab.lint_findings import Books, Finding, Source
from dreamerlab.protocol import state
from dreamerlab.protocol.entries import entry_of
from dreamerlab.protocol.registry import ENTRY, HYPOTHESIS, SUFFIX, TORN
from dreamerlab.protocol.state import fold
from dreamerlab.runs.attempts import read_attempts

_LINE = re.compile(r"\bline (\d+)\b")
_LEADS_TO = {
    state.OPENED: state.OPEN,
    state.LAUNCHED: state.RUNNING,
    state.JUDGED: state.DONE_JUDGED,
    state.MEASURED: state.DONE_MEASURED,
    state.WITHDRAWN: state.DONE_WITHDRAWN,
}


def check_registry(books: Books) -> Iterator[Finding]:
    """Yield broken chains, unfinished lines, impossible orders of events, and files that are no records."""
    for record_id, source in books.records.items():
        yield from _chain(source)
        if not source.record.faults:
            yield from _sequence(books, record_id, source)
    yield from _strays(books)


def worth_knowing(books: Books) -> list[str]:
    """Return what is odd and no finding: lines that a crash left, clocks that went backwards.

    The chain and git order events, never the clock; but a trial that claims to be older than its own proposal is
    worth a look.
    """
    torn = registry_of(books.workspace).set_aside()
    notes = [f"{path.name} keeps an unfinished line that a crash left behind; no event was lost by it" for path in torn]
    notes += [f"{one}: {caveat}" for one, source in books.records.items() for caveat in source.record.caveats]
    for hypothesis in books.folded.values():
        if hypothesis.run is None or hypothesis.run not in books.runs:
            continue
        for trial in books.workspace.run(hypothesis.run).trials():
            began = "".join(str(attempt.get("started_at")) for attempt in read_attempts(trial)[:1])
            if began and began < hypothesis.proposed_at:
                text = f"{trial.run.id} seed {trial.seed} began at {began}, before {hypothesis.id} was proposed"
                notes.append(
                    f"{text} ({hypothesis.proposed_at}): a clock was wrong, or it was trained for something else"
                )
    return notes


def _chain(source: Source) -> Iterator[Finding]:
    restore = f"see what changed: git log -p -- {source.file}; restore it: git checkout COMMIT -- {source.file}"
    for fault in source.record.faults:
        match = _LINE.search(fault)
        yield Finding("chain", source.file, int(match[1]) if match else None, fault, restore)
    if source.record.torn:
        line = source.content.count(b"\n") + 1
        size = len(source.record.torn)
        message = f"the last line is unfinished ({size} bytes): whoever wrote it died; it is no part of the record"
        hint = f"remove the end after the last whole line of {source.file}; the next event sets it aside by itself"
        yield Finding("torn", source.file, line, message, hint)


def _sequence(books: Books, record_id: str, source: Source) -> Iterator[Finding]:
    """Yield what makes no sense although the chain holds: written by hand, or by a bug of ours."""
    hint = f"no command writes this; see who did: git log -p -- {source.file}"
    try:
        (entry_of if record_id in books.entries else fold)(source.record)
    except LabError as error:
        yield Finding("sequence", source.file, 1, error.message, hint)
        return
    if record_id not in books.hypotheses:
        return
    phase = state.QUEUED if source.record.events[0].data.get("queued") else state.OPEN
    for line, event in source.numbered()[1:]:
        if phase in state.POSSIBLE_IN.get(event.event, state.PHASES):
            phase = _LEADS_TO.get(event.event, phase)
        elif event.event == state.PROPOSED:
            yield Finding("sequence", source.file, line, "it is proposed a second time", hint)
        else:
            message = f"'{event.event}' cannot happen to a hypothesis that is {phase}"
            yield Finding("sequence", source.file, line, message, hint)


def _strays(books: Books) -> Iterator[Finding]:
    folder = registry_of(books.workspace).folder
    try:
        with os.scandir(folder) as listed:
            names = sorted(entry.name for entry in listed)
    except FileNotFoundError:
        return
    for name in names:
        stem = name.removesuffix(SUFFIX).removesuffix(TORN)
        if stem != name and any(parse_id(stem, letter) for letter in (HYPOTHESIS, ENTRY)):
            continue
        if name.startswith("."):
            continue  # the draft of a writer, or the folder's own .gitignore
        file = (folder / name).relative_to(books.workspace.path).as_posix()
        yield Finding("stray", file, None, "it is no record: nothing reads it", f"move it elsewhere: git mv {file} .")
