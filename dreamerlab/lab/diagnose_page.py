"""Writing the HTML page of a diagnosis: where it may stand, and all at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dreamerlab.atomic import atomic_write_text
from dreamerlab.errors import NotFound, UsageError
from dreamerlab.report.diagnosis import Changed, RunDiagnosis
from dreamerlab.report.diagnosis_html import render
from dreamerlab.runs.store import Workspace


def write_page(workspace: Workspace, path: Path, runs: Sequence[RunDiagnosis], both: Changed | None) -> Path:
    """Write the page and return where; UsageError or NotFound for a place where none can stand."""
    target = path.absolute()
    if target.is_dir():
        raise UsageError(f"{target} is a folder", hint=f"name a file in it: --html '{target / 'diagnosis.html'}'")
    if not target.parent.is_dir():
        raise NotFound(f"there is no folder {target.parent}", hint=f"mkdir -p '{target.parent}'")
    place = target.parent.resolve()
    for folder in (workspace.runs, workspace.protocol, workspace.hidden):
        if place.is_relative_to(folder.resolve()):
            raise UsageError(
                f"{target} is among the records in {folder}", hint="write it elsewhere: --html diagnosis.html"
            )
    atomic_write_text(target, render(runs, both))
    return target
