"""`show --provenance`: everything that is on record of where a run came from, checked against what lies here.

Collects only; how it looks is `cli.provenance_page`. The facts that runs are held against each other by are
`surroundings.py`.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from dreamerlab.errors import LabError
from dreamerlab.lab.show import RunDetails
from dreamerlab.lab.surroundings import of_run
from dreamerlab.report.facts import Surroundings
from dreamerlab.runs.manifest import Manifest
from dreamerlab.runs.series import Line
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.summary import read_summary
from dreamerlab.runs.surroundings import changes_numbers

HERE, ABSENT, ALTERED = "as recorded", "absent", "ALTERED since"


def provenance(workspace: Workspace, details: RunDetails) -> dict[str, Any]:
    """Return code, machine, software, threads, variables, load, command, origins of all values, hashes of all files.

    JSON-ready. What an older record lacks is None or left out; a copy that is not what was recorded is said to be so.
    """
    made, side = details.manifest, of_run(details.run, details.manifest)
    recorded = _config(details)
    values = {key: {"value": recorded.get(key), "origin": origin} for key, origin in _origins(details).items()}
    files: dict[str, Any] = {}
    for trial in details.trials:
        summary = read_summary(details.run.trial(trial.view.seed)) or {}
        files |= summary.get("files", {})
    attempts = [(trial.view.seed, attempt) for trial in details.trials for attempt in trial.attempts]
    numeric = [fact.name for fact in side.facts.values() if fact.bits and fact.section != "code"]
    return {
        "code": _code(workspace, details),
        "machine": _section(side, "machine"),
        "software": _section(side, "software"),
        "other_packages": dict(side.packages) or None,
        "threads": _section(side, "threads"),
        "variables": _variables(made, side),
        "load": [_load(seed, attempt) for seed, attempt in attempts],
        "at_launch": {key: made.environment.get(key) for key in ("load", "other_trainers")},
        "command": list(_commands(made, attempts)),
        "can_change_numbers": [*numeric, *(f"${name}" for name in side.variables or () if changes_numbers(name))],
        "config": values,
        "files": files,
    }


def _section(side: Surroundings, section: str) -> dict[str, str]:
    return {fact.name: fact.value for fact in side.facts.values() if fact.section == section}


def _variables(made: Manifest, side: Surroundings) -> dict[str, str] | None:
    """Return what the trainers saw; of older records what the shell had; None when neither was kept."""
    if side.variables is not None:
        return dict(side.variables)
    told = made.environment.get("threads")
    return {str(k): str(v) for k, v in cast("dict[str, Any]", told).items()} if isinstance(told, dict) else None


def _code(workspace: Workspace, details: RunDetails) -> dict[str, Any]:
    from dreamerlab.tracking.code_identity import recorded_fault, snapshot_path

    made, run = details.manifest.code, details.run
    snapshot = snapshot_path(workspace, made.identity)
    fault = recorded_fault(snapshot, made.identity) if snapshot.is_dir() else "absent"
    patch: dict[str, Any] | None = None
    if made.patch_sha256 is not None or run.patch_path.exists():
        size = run.patch_path.stat().st_size if run.patch_path.exists() else None
        state = _state(run.patch_path, made.patch_sha256)
        patch = {"path": str(run.patch_path), "bytes": size, "sha256": made.patch_sha256, "state": state}
    return {
        "identity": made.identity,
        "commit": made.commit,
        "branch": made.branch,
        "dirty": made.dirty,
        "note": made.note,
        "snapshot": {"path": str(snapshot), "state": HERE if fault is None else fault},
        "patch": patch,
        "untracked": list(made.untracked),
        "kept": {
            name: {**vars(one), "state": _copy_state(details, one.where, one.sha256)} for name, one in made.kept.items()
        },
    }


def _copy_state(details: RunDetails, where: str, sha256: str) -> str:
    path = (details.run.path / where).resolve()
    if not path.is_relative_to(details.run.path.resolve()):
        return "not inside the run"
    if path == details.run.patch_path.resolve():
        return HERE if path.is_file() else ABSENT  # the patch itself is checked as a whole
    return _state(path, sha256)


def _state(path: Path, sha256: str | None) -> str:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ABSENT
    return HERE if sha256 in (None, found) else ALTERED


def _load(seed: int, attempt: Line) -> dict[str, Any]:
    """Return how busy the host was at both ends of an attempt (M-PROT-21)."""
    told: dict[str, Any] = {"seed": seed, "attempt": attempt.get("attempt"), "host": attempt.get("host")}
    for when in ("start", "end"):
        seen = attempt.get(when)
        told[when] = cast("Mapping[str, Any]", seen) if isinstance(seen, dict) else None
    return told


def _commands(made: Manifest, attempts: Sequence[tuple[int, Line]]) -> Iterator[dict[str, Any]]:
    """Yield what was typed: at the launch, and for every attempt that another command started."""
    launch = shlex.join(made.command) if made.command else None
    yield {"of": "the run", "typed": launch}
    for seed, attempt in attempts:
        typed = attempt.get("command")
        if isinstance(typed, str) and typed != launch:
            yield {"of": f"seed {seed} attempt {attempt.get('attempt')}", "typed": typed}


def _origins(details: RunDetails) -> dict[str, str]:
    try:
        found = json.loads(details.run.origins_path.read_text())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, str]", found) if isinstance(found, dict) else {}


def _config(details: RunDetails) -> dict[str, object]:
    from dreamerlab.config.recorded import load_recorded

    try:
        return load_recorded(details.run.config_path)
    except LabError:
        return {}
