"""The commands that look after a workspace: `doctor` and `ui`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dreamerlab.cli import completion, output

if TYPE_CHECKING:
    from dreamerlab.lab.doctor_findings import Report


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Repair what can be repaired without losing anything, after asking.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --fix: do not ask. For scripts.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Find what is wrong in the workspace, and mend it.

    Exit code 6 when something is left to be done.
    """
    from dreamerlab.errors import FindingsReported, UsageError
    from dreamerlab.lab.doctor import disk_text, examine, mend
    from dreamerlab.runs.store import Workspace

    if yes and not fix:
        raise UsageError("--yes says yes to what --fix would ask", hint="dreamerlab doctor --fix --yes")
    report = examine(Workspace.find(), output.say)
    if not as_json:
        for finding in report.findings:
            output.emit(f"{finding.kind}: {finding.where}: {finding.message}")
            if finding.remedy is None and finding.hint is not None:
                output.emit(f"  by hand: {finding.hint}")
            elif finding.remedy is not None and not fix:
                output.emit(f"  --fix would: {finding.remedy}")
        for line in report.notes:
            output.say(f"note: {line}")
        output.say(disk_text(report))
    if fix and report.mendable and (yes or _agreed(report)):
        mend(report)
        for finding in report.mendable:
            done = f"failed: {finding.remedy}: {finding.failure}" if finding.failure else f"done: {finding.remedy}"
            (output.say if as_json else output.emit)(f"{done} ({finding.kind}, {finding.where})")
    if as_json:
        output.emit_json(report.to_data())
    if report.left:
        raise FindingsReported(f"{len(report.left)} of {len(report.findings)} findings need attention")
    output.say(f"{len(report.findings)} findings, all repaired" if report.findings else "nothing is wrong")


def _agreed(report: Report) -> bool:
    """Say what would be done and ask whether it may; nobody there to answer means no."""
    output.say("--fix will:")
    for finding in report.mendable:
        output.say(f"  {finding.remedy} ({finding.kind}, {finding.where})")
    agreed = output.ask("do it?")
    if agreed is None:
        output.say("nothing is done: nobody is there to ask; in a script: dreamerlab doctor --fix --yes")
    elif not agreed:
        output.say("nothing is done")
    return bool(agreed)


def ui(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Run id, prefix or name.", autocompletion=completion.run_ids),
    ] = None,
    port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Show the MLflow mirror in a browser.

    The page of a run, or of the newest one's experiment. Serves it on this machine only, until Ctrl-C; the address of
    the page is printed once it answers.
    """
    from dreamerlab.lab.ui import serve
    from dreamerlab.runs.store import Workspace

    serve(Workspace.find(), run, port, output.say, output.emit)
