"""The command `diagnose`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamerlab.cli import completion, output

if TYPE_CHECKING:
    from dreamerlab.report.diagnosis import Changed, RunDiagnosis
    from dreamerlab.runs.store import Workspace

_WIDTH = 100
"""Of a page that is read by no terminal."""


def diagnose(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN [OTHER]]",
            help="A run, or two: what changed between them. A hypothesis stands for its baseline and its own run.",
            autocompletion=completion.record_ids,
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every finding in full, signs of health, and rules that could not be asked.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write a page with curves that needs no network.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Say why a run fails: cause first, evidence, what to try.

    Without RUN: the newest one. Exit code 6 when something was found. Two runs: what was set otherwise, then which
    findings came and went. Finds only; no verdict depends on it.
    """
    from dreamerlab.errors import FindingsReported
    from dreamerlab.lab import diagnose as use_case
    from dreamerlab.report.diagnosis_text import summary
    from dreamerlab.runs.store import Workspace

    workspace = Workspace.find()
    chosen = use_case.choose_runs(workspace, runs or ())
    if len(chosen) == 2:
        both = use_case.compare(workspace, *chosen)
        _write(workspace, html, [both.first, both.second], both)
        _show_both(both, as_json=as_json)
        found = [one for one in (both.first, both.second) if one.diagnosis.findings]
    else:
        one = use_case.examine(workspace, chosen[0])
        _write(workspace, html, [one], None)
        _show(one, everything=everything, as_json=as_json)
        found = [one] if one.diagnosis.findings else []
    if found:
        raise FindingsReported("; ".join(dict.fromkeys(summary(one) for one in found)))


def _show(one: RunDiagnosis, *, everything: bool, as_json: bool) -> None:
    from dreamerlab.report.diagnosis import to_data
    from dreamerlab.report.diagnosis_text import to_text

    if as_json:
        output.emit_json(to_data(one))
        return
    unicode = output.has_unicode(sys.stdout)
    output.emit(to_text(one, _width(), everything=everything, unicode=unicode))
    for remark in one.remarks:
        output.say(f"note: {remark}")


def _show_both(both: Changed, *, as_json: bool) -> None:
    from dreamerlab.report.diagnosis import changed_data
    from dreamerlab.report.diagnosis_text import changed_text

    if as_json:
        output.emit_json(changed_data(both))
        return
    output.emit(changed_text(both, _width()))
    for one in (both.first, both.second):
        for remark in one.remarks:
            output.say(f"note: {one.run}: {remark}")


def _write(workspace: Workspace, path: Path | None, runs: list[RunDiagnosis], both: Changed | None) -> None:
    if path is None:
        return
    from dreamerlab.lab.diagnose_page import write_page

    output.say(f"wrote {write_page(workspace, path, runs, both)}")


def _width() -> int:
    return output.screen_width() or _WIDTH
