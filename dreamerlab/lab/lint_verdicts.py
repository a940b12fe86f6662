"""Stored verdicts against the records: each is computed again by its frozen rule and must come out the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from dreamerlab.atomic import to_json
from dreamerlab.errors import LabError
from dreamerlab.lab.judge import recompute
from dreamerlab.lab.lint_findings import Books, Finding
from dreamerlab.protocol.state import JUDGED, MEASURED, RUNNING, Hypothesis
from dreamerlab.protocol.verdict import RULE, headline
from dreamerlab.report.wording import figure


@dataclass
class VerdictReport:
    """Findings, what older rules judged, and what waits to be judged."""

    findings: list[Finding] = field(default_factory=list[Finding])
    not_checked: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])


def check_verdicts(books: Books) -> VerdictReport:
    """Return the verdicts that today's records do not give."""
    report = VerdictReport()
    for hypothesis in books.folded.values():
        if hypothesis.run is None or hypothesis.run not in books.runs:
            continue
        if hypothesis.verdict is not None:
            _check(books, hypothesis, hypothesis.verdict, report)
        elif hypothesis.phase == RUNNING and _has_ended(books, hypothesis):
            report.notes.append(f"{hypothesis.id} has ended and is not judged yet: dreamerlab doctor --fix")
    return report


def _check(books: Books, hypothesis: Hypothesis, stored: Mapping[str, Any], report: VerdictReport) -> None:
    if stored.get("rule") != RULE:
        text = f"the verdict of {hypothesis.id}: version {stored.get('rule')} of the rules gave it, this is {RULE}"
        report.not_checked.append(text)
        return
    source = books.hypotheses[hypothesis.id]
    line = next((line for line, event in source.numbered() if event.data is stored), None)
    event = next((event.event for event in source.record.events if event.data is stored), JUDGED)
    try:
        found = recompute(books.workspace, hypothesis.id)
    except LabError as error:
        message = f"the verdict cannot be computed again: {error.message}"
        report.findings.append(Finding("verdict", source.file, line, message, _hint(hypothesis)))
        return
    message = "the records give no verdict any more: a trial has not ended" if found is None else None
    if found is not None and found[0] != event:
        message = f"it is recorded as '{event}', and the records give '{found[0]}'"
    elif found is not None:
        message = _difference(event, stored, cast("dict[str, Any]", json.loads(to_json(found[1]))))
    if message is not None:
        report.findings.append(Finding("verdict", source.file, line, message, _hint(hypothesis)))


def _difference(event: str, stored: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    # The sentence that explains a verdict may be written better by a later release; what it says is in the figures.
    stored, found = ({key: value for key, value in one.items() if key != "reasons"} for one in (stored, found))
    if stored == found:
        return None
    if event != MEASURED and headline(stored) != headline(found):
        return f"the stored verdict is {headline(stored)}; the records give {headline(found)}"
    where, before, now = next(_leaves(stored, found))
    return f"{where} is stored as {_shown(before)}; the records give {_shown(now)}"


def _leaves(stored: object, found: object, where: str = "") -> Iterator[tuple[str, object, object]]:
    """Yield (path, stored, found) of every part that differs."""
    if isinstance(stored, Mapping) and isinstance(found, Mapping):
        left, right = cast("Mapping[str, object]", stored), cast("Mapping[str, object]", found)
        for key in [*left, *(key for key in right if key not in left)]:
            yield from _leaves(left.get(key), right.get(key), f"{where} {key}".strip())
    elif stored != found:
        yield where, stored, found


def _shown(value: object) -> str:
    if isinstance(value, float):
        return figure(value)
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _has_ended(books: Books, hypothesis: Hypothesis) -> bool:
    try:
        return recompute(books.workspace, hypothesis.id) is not None
    except LabError:
        return False


def _hint(hypothesis: Hypothesis) -> str:
    return f"see which record changed after the verdict: git log -p -- runs/{hypothesis.run}; restore it from there"
