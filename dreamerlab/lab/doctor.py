"""`doctor`: what is wrong in a workspace, and what of it can be mended without losing anything.

The checks are `doctor_processes` (locks, orphans), `doctor_leavings` (what killed processes left half-done),
`doctor_runs`, `doctor_snapshots`, `doctor_mirror` (MLflow), `doctor_places` (disk, remotes) and `doctor_versions`.
Each yields findings as data (`doctor_findings`); one that fails is a finding itself and hides no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from dreamerlab.errors import LabError
from dreamerlab.lab import (
    doctor_leavings,
    doctor_mirror,
    doctor_places,
    doctor_processes,
    doctor_runs,
    doctor_snapshots,
    doctor_versions,
)
from dreamerlab.lab.doctor_findings import Finding, Report, Say
from dreamerlab.report.wording import size
from dreamerlab.runs.store import Workspace, run_ids


def examine(workspace: Workspace, say: Say) -> Report:
    """Return what is wrong in `workspace`; changes nothing. `say` takes the talk of remedies applied later."""
    report = Report(free=doctor_places.free_bytes(workspace))
    report.disk = doctor_places.use_by_run(workspace)
    report.shared = doctor_places.use_shared(workspace)
    checks: dict[str, Callable[[], Iterable[Finding]]] = {
        "processes": partial(doctor_processes.orphans, workspace),
        "locks": partial(doctor_processes.locks, workspace),
        "half-made runs": partial(doctor_leavings.half_made_runs, workspace),
        "half-made snapshots": partial(doctor_leavings.half_made_snapshots, workspace),
        "temporary files": partial(doctor_leavings.temporary_files, workspace),
    }
    for run_id in map(str, run_ids(workspace)):
        checks[run_id] = partial(doctor_runs.examine_run, workspace, workspace.run(run_id), say)
    checks |= {
        "queues": partial(doctor_runs.left_queues, workspace),
        "verdicts": partial(doctor_runs.unjudged, workspace, say),
        "snapshots": partial(doctor_snapshots.snapshots, workspace),
        "MLflow's database": partial(doctor_mirror.database, workspace),
        "MLflow's copies": partial(doctor_mirror.not_mirrored, workspace),
        "disk": partial(doctor_places.room, workspace, report.free, report.disk),
        "DVC's remote": partial(doctor_places.dvc_remote, workspace),
        "MLflow's server": partial(doctor_places.mlflow_server, workspace),
        "versions": doctor_versions.versions,
    }
    for name, check in checks.items():
        report.findings += _guarded(name, check)
    report.notes = [
        *doctor_versions.missing_parts(),
        *doctor_processes.strangers(workspace),
        *doctor_processes.held_locks(workspace),
        *doctor_places.no_remote(workspace),
    ]
    return report


def mend(report: Report) -> None:
    """Apply every safe remedy of `report`; one that fails says why and keeps nobody from the others."""
    for finding in report.mendable:
        assert finding.mend is not None
        try:
            finding.mend()
            finding.mended = True
        except LabError as error:
            finding.failure = error.message + (f" ({error.hint})" if error.hint else "")
        except OSError as error:
            finding.failure = f"{error.strerror or error}"


def disk_text(report: Report) -> str:
    """Return where the disk goes, the largest runs first, in one line."""
    largest = sorted(report.disk.items(), key=lambda item: -item[1])[:3]
    shown = ", ".join(f"{run} {size(used)}" for run, used in largest)
    parts = [f"runs take {size(sum(report.disk.values()))}" + (f" ({shown})" if shown else "")]
    parts += [f"{name} {size(used)}" for name, used in report.shared.items()]
    free = "" if report.free is None else f"; {size(report.free)} are free"
    return ", ".join(parts) + free


def _guarded(name: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    found: list[Finding] = []
    try:
        found.extend(check())
    except LabError as error:
        found.append(Finding("not checked", name, error.message, hint=error.hint))
    except OSError as error:
        what = f"'{error.filename}': " if error.filename else ""
        found.append(Finding("not checked", name, f"the system refused: {what}{error.strerror or error}"))
    return found
