"""`lint`: proof that the log says what happened, or a list of where it does not.

Changes nothing. Everything is checked from registry, committed run records and git history; what a clone lacks, such as
artifacts or older commits, is reported as not checked and is no finding. The rules are in `lint_findings.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dreamerlab.lab.lint_citations import check_citations
from dreamerlab.lab.lint_figures import check_figures
from dreamerlab.lab.lint_findings import Finding, open_books
from dreamerlab.lab.lint_order import check_order
from dreamerlab.lab.lint_pages import check_pages
from dreamerlab.lab.lint_registry import check_registry, worth_knowing
from dreamerlab.lab.lint_runs import check_references, check_runs
from dreamerlab.lab.lint_verdicts import check_verdicts
from dreamerlab.lab.lint_words import check_words
from dreamerlab.runs.store import Workspace


@dataclass
class LintReport:
    """All findings by file and line, what could not be checked, and how much was looked at."""

    findings: list[Finding] = field(default_factory=list[Finding])
    not_checked: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    """What is worth knowing and needs no mending."""
    records: int = 0
    runs: int = 0

    def to_data(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {**vars(self), "findings": [finding.to_data() for finding in self.findings]}


def lint(workspace: Workspace, *, deep: bool = False) -> LintReport:
    """Return what does not hold in `workspace`; `deep` also hashes every artifact that is here."""
    books = open_books(workspace)
    report = LintReport(records=len(books.records), runs=len(books.runs), notes=worth_knowing(books))
    in_git = check_order(books)
    runs = check_runs(books, deep=deep)
    verdicts = check_verdicts(books)
    report.findings += [*check_registry(books), *in_git.findings, *check_references(books), *runs.findings]
    report.findings += [*verdicts.findings, *check_figures(books), *check_words(books)]
    report.findings += [*check_citations(books), *check_pages(books)]
    report.not_checked += [*in_git.not_checked, *verdicts.not_checked]
    report.notes += verdicts.notes
    if runs.without_artifacts:
        text = f"artifacts of {runs.without_artifacts} of {runs.trials} trials: not here (dreamerlab data pull)"
        report.not_checked.append(text)
    report.findings.sort(key=lambda finding: (finding.file, finding.line or 0, finding.rule))
    return report
