"""Findings of a run as its page in the HTML report carries them: evidence in figures, rules once for all runs.

Evidence is drawn by the page from the curves that it has anyway (`site/findings.js`); of a metric that it has no curve
of, a small sketch goes along.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dreamerlab.diagnostics.engine import Diagnosis, Evidence, Finding
from dreamerlab.diagnostics.rule import Rule
from dreamerlab.report.diagnosis import PAGE, agreement
from dreamerlab.report.diagnosis_text import figure_of, shown_metric, stretch_of
from dreamerlab.report.wording import seeds_named

_DIGITS = 4


def findings_data(told: Diagnosis, tries: Mapping[str, str], carried: Collection[str]) -> list[dict[str, Any]]:
    """Return every finding, causes first; `carried` are the metrics of which the page has curves."""
    return [_finding(one, tries, carried) for one in told.findings]


def rules_data(rules: Mapping[str, Rule]) -> dict[str, dict[str, Any]]:
    """Return what the page says of each rule, by id."""
    return {
        name: {
            "severity": rule.severity,
            "symptom": rule.symptom,
            "causes": list(rule.causes),
            "check": rule.check,
            "sources": ", ".join(rule.sources),
            "reads": "metrics and config" if rule.reads_config else "metrics alone",
            "page": f"{PAGE}#{rule.id}",
        }
        for name, rule in sorted(rules.items())
    }


def _finding(one: Finding, tries: Mapping[str, str], carried: Collection[str]) -> dict[str, Any]:
    told = agreement(one) + (f" ({seeds_named(one.seeds)})" if len(one.seeds) < len(one.judged) else "")
    return {
        "rule": one.rule.id,
        "about": one.subject or None,
        "seeds": list(one.seeds),
        "agreement": told,
        "follows": list(one.explained_by),
        "evidence": [_evidence(piece, carried) for piece in (*one.evidence, *one.also)],
        "try": tries.get(one.key),
    }


def _evidence(piece: Evidence, carried: Collection[str]) -> dict[str, Any]:
    metrics = piece.metric.split(" / ")
    sketch: Sequence[float] = () if carried and all(one in carried for one in metrics) else piece.sketch
    return {
        "metrics": metrics,
        "name": shown_metric(piece.metric),
        "figure": figure_of(piece),
        "wanted": piece.wanted,
        "stretch": stretch_of(piece),
        "since": piece.since if piece.wanted else None,
        "until": piece.until if piece.wanted else None,
        "sketch": [float(f"{value:.{_DIGITS}g}") for value in sketch],
    }
