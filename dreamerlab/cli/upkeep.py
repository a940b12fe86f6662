"""The commands that look after a workspace: `doctor` and `ui`."""

from __future__ import annotations

from typing import Annotated

import typer

from dreamerlab.cli import output


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Repair what can be repaired without losing anything.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Find what is wrong in the workspace, and mend it.

    Exit code 6 when something is left to be done.
    """
    from dreamerlab.errors import FindingsReported
    from dreamerlab.lab.doctor import disk_text, examine, mend
    from dreamerlab.runs.store import Workspace

    report = examine(Workspace.find(), output.say)
    if fix:
        mend(report)
    if as_json:
        output.emit_json(report.to_data())
    else:
        for finding in report.findings:
            output.emit(f"{finding.kind}: {finding.where}: {finding.message}")
            if finding.remedy is not None:
                output.emit(f"  {'done' if finding.mended else '--fix will'}: {finding.remedy}")
        for line in report.notes:
            output.say(f"note: {line}")
        output.say(disk_text(report.disk))
    left = [finding for finding in report.findings if not finding.mended]
    if left:
        raise FindingsReported(f"{len(left)} of {len(report.findings)} findings need attention")
    output.say(f"{len(report.findings)} findings, all repaired" if report.findings else "nothing is wrong")


def ui(
    port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Show the MLflow mirror in a browser.

    Serves it on this machine only, until Ctrl-C.
    """
    from dreamerlab.lab.ui import serve
    from dreamerlab.runs.store import Workspace

    serve(Workspace.find(), port, output.say)
