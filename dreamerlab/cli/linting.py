"""The command `lint`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dreamerlab.cli import output

if TYPE_CHECKING:
    from dreamerlab.lab.lint import LintReport

SHOWN = 20
"""Findings of one rule that are printed; after a faulty merge there can be thousands."""


def lint(
    deep: Annotated[bool, typer.Option("--deep", help="Hash every artifact as well, which reads all of them.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Prove that the log says what happened.

    Checks records, their order in git, runs, verdicts, pages and figures. Changes nothing; exit code 6 on findings.
    """
    from dreamerlab.errors import FindingsReported
    from dreamerlab.lab.lint import lint as examine
    from dreamerlab.runs.store import Workspace

    report = examine(Workspace.find(), deep=deep)
    if as_json:
        output.emit_json(report.to_data())
    elif report.findings:
        output.emit(_table(report))
    for line in report.notes:
        output.say(f"note: {line}")
    for line in report.not_checked:
        output.say(f"not checked: {line}")
    records = "1 record" if report.records == 1 else f"{report.records} records"
    looked_at = f"{records}, {report.runs} run{'' if report.runs == 1 else 's'} checked"
    if report.findings:
        errors = sum(finding.severity == "error" for finding in report.findings)
        warnings = len(report.findings) - errors
        counted = f"{errors} error{'' if errors == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}"
        raise FindingsReported(f"{counted}: {looked_at}")
    output.say(f"nothing found: {looked_at}")


def _table(report: LintReport) -> str:
    """Return a line for each finding, and under it how it is mended; of each rule the first few."""
    from collections import Counter

    from dreamerlab.tables import Table

    table = Table(("where", "rule", "what is wrong"))
    counted: Counter[str] = Counter()
    for finding in report.findings:
        counted[finding.rule] += 1
        if counted[finding.rule] <= SHOWN:
            table.add(finding.where, finding.rule, finding.message)
            table.add("", "", f"  mend: {finding.hint}")
    for rule, count in counted.items():
        if count > SHOWN:
            table.add("", rule, f"and {count - SHOWN} more; all of them: dreamerlab lint --json")
    return table.to_text()
