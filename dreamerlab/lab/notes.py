"""`note`: words of people enter the log as entries, each a record of its own.

Owns what a note may say: its kind, what it is about, its named fields, and that what it cites exists. A figure is
cited as `{R12 eval/return final_mean(5)}` and filled in from the records when the log is rendered; ids in citations
are written out in full, because a short one may come to mean two records after a merge. Entries as values are
`protocol.entries`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dreamerlab.errors import LabError, NotFound, UsageError, did_you_mean
from dreamerlab.ids import letter_of
from dreamerlab.lab.ledger import append, open_record, registry_of
from dreamerlab.lab.lookup import RUN, find_record
from dreamerlab.lab.publish import publish
from dreamerlab.protocol.entries import FIELDS, KINDS, STATUSES, Entry, entry_of
from dreamerlab.protocol.registry import ENTRY, HYPOTHESIS
from dreamerlab.protocol.state import CORRECTED, NOTED
from dreamerlab.report.citations import CitationFault, Cited, citations, look_up
from dreamerlab.runs.reducers import parse_reducer
from dreamerlab.runs.store import Workspace

LONGEST = 20_000
"""Characters of a text; more belongs into a file that the note names."""
DEFAULT_KIND = "observation"
_CITATION = re.compile(r"\{([A-Za-z]\d+(?:-[a-z0-9]{0,3})?)(?=[\s}])([^{}]*)\}")
_CITED_LIKE = "cite it as {R12 eval/return final_mean(5)}, {R12 eval/return at 10k}, {R12 score} or {H7 verdict}"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_VERDICT_WORDS = ("supported", "refuted", "inconclusive", "unreplicated", "invalid", "partly-supported")


@dataclass(frozen=True)
class Note:
    """What a person wants written down; ids as typed."""

    text: str = ""
    about: tuple[str, ...] = ()
    kind: str | None = None
    """None: a kind of the name of the only field, else an observation."""
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    corrects: str | None = None
    """The entry whose words these replace."""


def note_from_words(words: Sequence[str], **rest: Any) -> Note:
    """Return the note that `[ABOUT ...] TEXT` says: the last word is the text, unless fields carry the words."""
    if not words:
        return Note(**rest)
    last_is_id = letter_of(words[-1]) in (HYPOTHESIS, ENTRY, RUN)
    if last_is_id and (rest.get("fields") or rest.get("corrects")):
        return Note(about=tuple(words), **rest)
    if last_is_id:
        raise UsageError(
            f"'{words[-1]}' names a record, and the note has no words",
            hint=f'dreamerlab note {" ".join(words)} "what you saw"',
        )
    return Note(text=words[-1], about=tuple(words[:-1]), **rest)


def write_note(workspace: Workspace, note: Note, warn: Callable[[str], None], *, wanted: bool = True) -> Entry:
    """Write a note into the log and return it as an entry; refused with the nearest word where one is unknown.

    `wanted` says whether it may be committed.
    """
    registry = registry_of(workspace)
    if note.corrects is None:
        data = _checked(workspace, note)
        record_id = open_record(workspace, ENTRY, NOTED, data)
    else:
        record_id = registry.find(note.corrects, ENTRY)
        data = _checked(workspace, _over(entry_of(registry.read(record_id)), note))
        append(workspace, record_id, CORRECTED, data, report=warn)
    verb = "Note" if note.corrects is None else "Correct note"
    subject = f" about {', '.join(data['about'])}" if data["about"] else ""
    publish(workspace, [record_id], f"{verb} {record_id}{subject}", warn, wanted=wanted)
    return entry_of(registry.read(record_id))


def to_data(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON-ready values."""
    return {
        "id": entry.id,
        "kind": entry.kind,
        "text": entry.text,
        "about": list(entry.about),
        "fields": dict(entry.fields),
        "time": entry.time,
        "author": entry.author,
        "corrected": len(entry.earlier),
    }


def _over(entry: Entry, note: Note) -> Note:
    """Return the note that stands where `entry` stood: what it does not say stays."""
    if entry.kind not in KINDS:
        raise UsageError(f"{entry.id} was not written by hand", hint=f'dreamerlab note {entry.id} "your words"')
    return Note(
        text=note.text or entry.text,
        about=note.about or entry.about,
        kind=note.kind or entry.kind,
        fields={**entry.fields, **note.fields},
    )


def _checked(workspace: Workspace, note: Note) -> dict[str, Any]:
    """Return the data of the event, every word of it checked before anything is written."""
    fields = {name: said for name, value in note.fields.items() if (said := _plain(value, f"--{name}"))}
    for name in fields:
        _known(name, FIELDS, "field")
    if "status" in fields:
        _check_status(fields["status"])
    if "dated" in fields:
        _check_date(fields["dated"])
    text = _plain(note.text, "the text")
    if not text and not fields:
        raise UsageError("a note needs words", hint='dreamerlab note H7 "what you saw"')
    kind = note.kind or _kind_of(text, fields)
    _known(kind, KINDS, "kind of note")
    return {
        "kind": kind,
        "text": _with_full_ids(workspace, text),
        "about": list(dict.fromkeys(_meant(workspace, one) for one in note.about)),
        "fields": {name: _with_full_ids(workspace, value) for name, value in fields.items()},
    }


def _meant(workspace: Workspace, word: str) -> str:
    try:
        return find_record(workspace, word)
    except NotFound as error:
        if letter_of(word) is not None:
            raise
        hint = 'a text of several words stands in quotes: dreamerlab note H7 "what you saw"'
        raise NotFound(error.message, hint=hint) from error


def _kind_of(text: str, fields: Mapping[str, str]) -> str:
    only = next(iter(fields)) if len(fields) == 1 and not text else None
    return only if only in KINDS else DEFAULT_KIND


def _plain(text: str, what: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{what} is not UTF-8 text", hint="type it again, or convert the file it comes from"
        ) from error
    if len(text) > LONGEST:
        raise UsageError(
            f"{what} has {len(text)} characters, more than {LONGEST}",
            hint="put it in a file and name that: --files PATH",
        )
    return text.strip()


def _known(word: str, vocabulary: Mapping[str, str], what: str) -> None:
    if word not in vocabulary:
        near = did_you_mean(word, vocabulary)
        raise UsageError(f"no {what} is called '{word[:80]}'{near}", hint=f"one of: {', '.join(vocabulary)}")


def _check_status(status: str) -> None:
    if status.lower().replace(" ", "-") in _VERDICT_WORDS:
        raise UsageError(
            f"'{status}' is a verdict, and verdicts are computed, never typed",
            hint='say it in words beside the verdict: --conclusion "..."',
        )
    _known(status, STATUSES, "status")


def _check_date(text: str) -> None:
    from datetime import UTC, date, datetime, timedelta

    first_midnight = timedelta(hours=14)  # ahead of UTC, where a day begins first
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise UsageError(f"--dated '{text}' is no date", hint="write it as 2026-01-31")
    if day > (datetime.now(UTC) + first_midnight).date():
        raise UsageError(f"--dated '{text}' is still to come", hint="what is to be done is said with --next")


def _with_full_ids(workspace: Workspace, text: str) -> str:
    """Return the text with the ids in its citations written out; refused where one cites what is not there."""

    def filled(match: re.Match[str]) -> str:
        if letter_of(match[1]) not in (HYPOTHESIS, ENTRY, RUN):
            return match[0]
        try:
            record_id = find_record(workspace, match[1])
            for word in match[2].split():
                _check_metric(word)
        except LabError as error:
            raise type(error)(f"the citation {match[0]}: {error.message}", hint=error.hint) from error
        return "{" + record_id + match[2] + "}"

    cited = _CITATION.sub(filled, text)
    for citation in citations(cited):
        try:
            look_up(citation, _Form())
        except (CitationFault, UsageError) as error:
            why = error.message if isinstance(error, LabError) else str(error)
            raise UsageError(f"the citation {citation.text}: {why}", hint=_CITED_LIKE) from error
    return cited


class _Form:
    """Stands for the records where only the form of a citation is asked: what it cites may still be on its way."""

    def of_run(self, run: str, seed: int | None, metric: str | None, reducer: str | None, at: int | None) -> Cited:
        if reducer is not None:
            parse_reducer(f"{reducer} of {metric}")
        return Cited("", run, "")

    def of_hypothesis(self, hypothesis: str, what: str) -> Cited:
        return Cited("", hypothesis, what)


def _check_metric(word: str) -> None:
    if "/" in word:
        from dreamerlab.metrics import get_metric

        get_metric(word)
