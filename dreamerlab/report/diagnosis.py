"""What `diagnose` shows of a run, as data: the pages for terminal, JSON and browser are made of this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dreamerlab.diagnostics.engine import Diagnosis, Evidence, Finding
from dreamerlab.diagnostics.series import Course
from dreamerlab.metrics import SOMETIMES

_NOT_EVERYWHERE = ("control/", "surprise/", "train/win_rate", "replay/goals_before_learning")
PAGE = "protocol/reference/rules.md"


@dataclass(frozen=True)
class RunDiagnosis:
    """One run and what the rules say about it."""

    run: str
    name: str | None
    env: str
    kind: str
    seeds: Sequence[int]
    """All declared ones."""
    read: Sequence[int]
    """Those of which something was measured."""
    env_steps: int
    """The furthest that any seed has come."""
    diagnosis: Diagnosis
    tries: Mapping[str, str]
    """Key of a finding -> a command that proposes what to try; none where nothing of it would act."""
    remarks: Sequence[str]
    """What a reader must know of the records: what is absent, damaged, or still running."""
    courses: Mapping[int, Course]
    """What was read, by seed: for curves."""

    @property
    def roots(self) -> list[Finding]:
        """Findings that no other one explains, worst first."""
        return [one for one in self.diagnosis.findings if one.is_root]

    @property
    def unasked(self) -> dict[str, Sequence[str]]:
        """Rules that were not asked for want of a metric -> which; not those of what this run has none of.

        Controllers that are off, and what only some tasks and policies have, are no want.
        """
        return {
            rule: missing
            for rule, missing in self.diagnosis.silent.items()
            if not any(name in SOMETIMES or name.startswith(_NOT_EVERYWHERE) for name in missing)
        }

    @property
    def title(self) -> str:
        """The run with its name."""
        return f"{self.run} {self.name}" if self.name else self.run


@dataclass(frozen=True)
class Changed:
    """Two runs side by side: what was set otherwise, and which findings came or went."""

    first: RunDiagnosis
    second: RunDiagnosis
    differences: Sequence[tuple[str, str, str, str]]
    """Zone, key, value in the first, value in the second."""
    remarks: Sequence[str]
    """Other differences, such as of the code."""

    @property
    def gone(self) -> list[Finding]:
        """Findings of the first run that the second one has not."""
        return _without(self.first, self.second)

    @property
    def new(self) -> list[Finding]:
        """Findings of the second run that the first one has not."""
        return _without(self.second, self.first)

    @property
    def kept(self) -> list[tuple[Finding, Finding]]:
        """Findings of both, in the order of the second."""
        known = {_key(one): one for one in self.first.diagnosis.findings}
        return [(known[_key(one)], one) for one in self.second.diagnosis.findings if _key(one) in known]


def to_data(one: RunDiagnosis) -> dict[str, Any]:
    """Return a diagnosis as JSON-ready values."""
    return {
        "run": one.run,
        "name": one.name,
        "env": one.env,
        "kind": one.kind,
        "seeds": list(one.seeds),
        "seeds_read": list(one.read),
        "env_steps": one.env_steps,
        "findings": [_finding_data(finding, one.tries) for finding in one.diagnosis.findings],
        "healthy": [_finding_data(finding, {}) for finding in one.diagnosis.healthy],
        "not_asked": {rule: list(missing) for rule, missing in one.diagnosis.silent.items()},
        "remarks": list(one.remarks),
    }


def changed_data(both: Changed) -> dict[str, Any]:
    """Return two runs side by side as JSON-ready values."""
    return {
        "first": to_data(both.first),
        "second": to_data(both.second),
        "differences": [dict(zip(("zone", "key", "first", "second"), row, strict=True)) for row in both.differences],
        "remarks": list(both.remarks),
        "gone": [one.rule.id for one in both.gone],
        "new": [one.rule.id for one in both.new],
        "kept": [two.rule.id for _, two in both.kept],
    }


def agreement(one: Finding) -> str:
    """Return in how many seeds a rule fired, of those it could be asked of: `3 of 5 seeds`."""
    return f"{len(one.seeds)} of {len(one.judged)} seed{'' if len(one.judged) == 1 else 's'}"


def _finding_data(one: Finding, tries: Mapping[str, str]) -> dict[str, Any]:
    rule = one.rule
    return {
        "rule": rule.id,
        "severity": rule.severity,
        "symptom": rule.symptom,
        "about": one.subject or None,
        "seeds": list(one.seeds),
        "seeds_judged": list(one.judged),
        "reads": "metrics and config" if rule.reads_config else "metrics",
        "explained_by": list(one.explained_by),
        "evidence": [_evidence_data(piece) for piece in (*one.evidence, *one.also)],
        "causes": list(rule.causes),
        "check": rule.check,
        "try": tries.get(one.key),
        "sources": list(rule.sources),
        "documentation": f"{PAGE}#{rule.id}",
    }


def _evidence_data(one: Evidence) -> dict[str, Any]:
    return {**vars(one), "sketch": list(one.sketch)}


def _without(one: RunDiagnosis, other: RunDiagnosis) -> list[Finding]:
    """Return what is found in `one` and not in `other`, though it could be asked there."""
    known = {_key(finding) for finding in other.diagnosis.findings}
    silent = other.diagnosis.silent
    return [one for one in one.diagnosis.findings if _key(one) not in known and one.rule.id not in silent]


def _key(one: Finding) -> tuple[str, str]:
    return one.rule.id, one.subject
