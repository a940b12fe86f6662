"""What the rules of diagnosis say of a run, for pages that tell of much else beside: bounded, and never an error.

Reads what `diagnose` reads, but of a seed with very much of it the committed curves alone; a seed that trains now is
not read, its own word counts (`train.findings`). The whole answer is `dreamerlab diagnose`, in `diagnose.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dreamerlab.diagnostics.engine import Diagnosis, Finding, diagnose
from dreamerlab.diagnostics.rule import SEVERITIES
from dreamerlab.diagnostics.series import Course
from dreamerlab.errors import LabError
from dreamerlab.lab.diagnose_reading import read_trial
from dreamerlab.protocol.violations import count_of
from dreamerlab.report.wording import seeds_named
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.status import effective_state, read_status

MOST_BYTES = 64_000_000
"""Metric lines of one seed that are looked through; beyond that the curves in git tell."""
_SAID = re.compile(r"(critical|warning|note): (.*) \(([^()]*)\)", re.DOTALL)
_UNREADABLE = (OSError, LabError, TypeError, ValueError)


@dataclass(frozen=True)
class Root:
    """One finding that no other one explains, in as few words as a list needs."""

    severity: str
    symptom: str
    key: str
    """Its rule, and what that was asked of."""
    seeds: Sequence[int]
    judged: int
    """Seeds that it could be asked of."""
    training: bool = False
    """Whether a seed said it while it trains."""

    @property
    def words(self) -> str:
        """The line: symptom, rule, seeds."""
        now = ", while it trains" if self.training else ""
        return f"{self.symptom} ({self.key}, in {len(self.seeds)} of {count_of(self.judged, 'seed')}{now})"

    def to_data(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        rule, _, subject = self.key.partition(" of ")
        return {
            "rule": rule,
            "about": subject or None,
            "severity": self.severity,
            "symptom": self.symptom,
            "seeds": list(self.seeds),
            "seeds_judged": self.judged,
            "while_training": self.training,
        }


@dataclass(frozen=True)
class Findings:
    """What is found in one run."""

    diagnosis: Diagnosis
    """Of the seeds that do not train."""
    courses: Mapping[int, Course]
    roots: Sequence[Root]
    """Of all seeds, worst first."""
    remarks: Sequence[str] = field(default_factory=tuple[str, ...])
    """What was not looked at, or where it was read from."""
    complete: bool = True
    """Whether no seed was left out for the length of its records."""


NONE = Findings(Diagnosis((), (), {}), {}, ())


def findings_of(run: RunDirectory, seeds: Sequence[int], config: Mapping[str, object]) -> Findings:
    """Return what the rules say about the seeds of a run; what cannot be read is a remark."""
    courses: dict[int, Course] = {}
    said: dict[int, Sequence[str]] = {}
    from_curves: list[int] = []
    unread: list[int] = []
    too_long: list[int] = []
    for seed in seeds:
        trial = run.trial(seed)
        status = read_status(trial)
        if effective_state(status) == "running":
            said[seed] = status.findings
            continue
        try:
            found = read_trial(trial, config, most_bytes=MOST_BYTES)
        except _UNREADABLE:
            unread.append(seed)
            continue
        if found.source == "evaluations" and trial.metrics_path(status.attempt).is_file():
            too_long.append(seed)  # a symptom without what would explain it is no answer
        elif not found.empty:
            courses[seed] = found.course
            from_curves += [seed] if found.source == "curves" else []
    told = diagnose(courses)
    remarks = [f"read from the committed curves in {seeds_named(from_curves)}"] if from_curves else []
    remarks += [f"{seeds_named(unread)} cannot be read"] if unread else []
    if too_long:
        remarks.append(f"{seeds_named(too_long)} not looked at, so long are the records: dreamerlab diagnose {run.id}")
    return Findings(told, courses, _roots(told, said), remarks, complete=not too_long)


def roots_said(said: Mapping[int, Sequence[str]]) -> list[Root]:
    """Return what trials say while they train, by seed -> lines, put together over seeds."""
    return _roots(NONE.diagnosis, said)


def _roots(told: Diagnosis, said: Mapping[int, Sequence[str]]) -> list[Root]:
    found = {one.key: _root(one) for one in told.findings if one.is_root}
    for seed, lines in said.items():
        for line in lines:
            parts = _SAID.fullmatch(line)
            severity, symptom, key = parts.groups() if parts is not None else ("note", line, "of another version")
            known = found.get(key, Root(severity, symptom, key, (), 0))
            found[key] = replace(known, seeds=sorted({*known.seeds, seed}), training=True)
    return sorted(
        (replace(one, judged=one.judged + len(said)) for one in found.values()),
        key=lambda one: SEVERITIES.index(one.severity) if one.severity in SEVERITIES else len(SEVERITIES),
    )


def _root(one: Finding) -> Root:
    return Root(one.rule.severity, one.rule.symptom, one.key, one.seeds, len(one.judged))
