"""`diagnose`: what the rules say about a run, from its files alone; and what changed between two runs.

Reads (`diagnose_reading.py`), asks (`dreamerlab.diagnostics`), and adds what to try (`diagnose_proposal.py`). Decides
nothing: a verdict never depends on a finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dreamerlab.diagnostics.engine import diagnose
from dreamerlab.diagnostics.table import RULES
from dreamerlab.errors import LabError, NotFound, UsageError
from dreamerlab.lab.diagnose_proposal import propose_for
from dreamerlab.lab.diagnose_reading import Reading, read_trial
from dreamerlab.report.diagnosis import Changed, RunDiagnosis
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.status import ONGOING
from dreamerlab.runs.store import Workspace, find_run

_HARMLESS = ("EXECUTION", "BOOKKEEPING")


def choose_runs(workspace: Workspace, texts: Sequence[str]) -> list[RunDirectory]:
    """Return the one or two runs that `texts` mean: the newest for none, a hypothesis its baseline and its own run."""
    from dreamerlab.lab.ledger import registry_of
    from dreamerlab.lab.lookup import find_record
    from dreamerlab.lab.show import choose_run
    from dreamerlab.protocol.state import fold

    if not texts:
        return [choose_run(workspace, None)]
    if len(texts) > 2:
        raise UsageError(
            f"one run is diagnosed, or two are set side by side, and {len(texts)} are named",
            hint=f"dreamerlab diagnose {texts[0]} {texts[1]}",
        )
    found: list[RunDirectory] = []
    for text in texts:
        name = find_record(workspace, text) if text[:1] in "hH" else None
        if name is None or not name.startswith("H"):
            found.append(find_run(workspace, text))
            continue
        state = fold(registry_of(workspace).read(name))
        if state.run is None:
            raise NotFound(f"{name} has no run to diagnose: it was not launched", hint=f"dreamerlab run {name}")
        if len(texts) == 1 and state.baseline_run is not None:
            found.append(workspace.run(state.baseline_run))
        found.append(workspace.run(state.run))
    if len(found) == 2 and found[0].id == found[1].id:
        raise UsageError(
            f"'{texts[0]}' and '{texts[-1]}' both are {found[0].id}", hint=f"dreamerlab diagnose {found[0].id}"
        )
    return found


def examine(workspace: Workspace, run: RunDirectory, *, propose: bool = True) -> RunDiagnosis:
    """Return what the rules say about a run; NotFound where nothing of it was measured yet."""
    manifest = read_manifest(run.manifest_path)
    config, remarks = _config(run)
    readings = [read_trial(run.trial(seed), config) for seed in manifest.seeds]
    known = [one for one in readings if not one.empty]
    if not known:
        states = ", ".join(sorted({one.state for one in readings}))
        raise NotFound(
            f"nothing was measured in {run.id} yet: every seed is {states}" if states else f"{run.id} has no seed",
            hint=f"see where it stands: dreamerlab status {run.id}",
        )
    courses = {one.seed: one.course for one in known}
    told = diagnose(courses)
    found = RunDiagnosis(
        run=run.id,
        name=manifest.name,
        env=manifest.env,
        kind=manifest.kind,
        seeds=manifest.seeds,
        read=[one.seed for one in known],
        env_steps=max(one.course.last for one in known),
        diagnosis=told,
        tries=propose_for(workspace, run.id, told.findings, courses) if propose else {},
        remarks=[*remarks, *_remarks(run, readings)],
        courses=courses,
    )
    unasked = len(found.unasked)
    if not unasked:
        return found
    want = f"{unasked} of {len(RULES)} rules could not be asked for want of metrics: --all names them"
    return replace(found, remarks=[*found.remarks, want])


def compare(workspace: Workspace, first: RunDirectory, second: RunDirectory) -> Changed:
    """Return two diagnoses side by side, with what was set otherwise."""
    one, two = examine(workspace, first, propose=False), examine(workspace, second, propose=False)
    made, other = read_manifest(first.manifest_path), read_manifest(second.manifest_path)
    return Changed(one, two, _differences(first, second), _otherwise(made, other))


def _config(run: RunDirectory) -> tuple[Mapping[str, object], list[str]]:
    from dreamerlab.config.recorded import load_recorded

    try:
        return load_recorded(run.config_path), []
    except LabError as error:
        return {}, [f"rules that read the config say nothing: {error.message}"]


def _remarks(run: RunDirectory, readings: Sequence[Reading]) -> list[str]:
    remarks: list[str] = []
    empty = [one for one in readings if one.empty]
    if empty:
        remarks.append(f"nothing was measured yet in {_seeds(empty)}")
    running = [one for one in readings if one.state in ONGOING and not one.empty]
    if running:
        share = min(one.course.spent for one in running)
        what = "still trains" if len(running) == 1 else "still train"
        remarks.append(f"{_seeds(running)} {what}, {100 * share:.0f} % of the budget spent: findings may change")
    thinned = [one for one in readings if one.source == "curves"]
    if thinned:
        remarks.append(
            f"read from the committed curves in {_seeds(thinned)}, at most 500 points a metric: the metric lines are "
            f"not here (dreamerlab data pull {run.id})"
        )
    bare = [one for one in readings if one.source == "evaluations"]
    if bare:
        remarks.append(f"only evaluations are here of {_seeds(bare)}")
    damaged = sum(one.damaged for one in readings)
    if damaged:
        remarks.append(f"{damaged} damaged line{'' if damaged == 1 else 's'} left out")
    return remarks


def _seeds(readings: Sequence[Reading]) -> str:
    from dreamerlab.report.wording import seeds_named

    return seeds_named(one.seed for one in readings)


def _differences(first: RunDirectory, second: RunDirectory) -> list[tuple[str, str, str, str]]:
    from dreamerlab.config.diff import diff, show

    found = diff(_config(first)[0], _config(second)[0])
    zones = ["unknown here" if one.zone is None else one.zone.value for one in found]
    rows = [(zone, one.key, show(one.a), show(one.b)) for zone, one in zip(zones, found, strict=True)]
    return sorted(rows, key=lambda row: row[0] in _HARMLESS)


def _otherwise(one: Manifest, other: Manifest) -> list[str]:
    facts: list[tuple[str, object, object]] = [
        ("environment", one.env, other.env),
        ("code", one.code.identity[:12], other.code.identity[:12]),
        ("seeds", ", ".join(map(str, one.seeds)), ", ".join(map(str, other.seeds))),
    ]
    return [f"{what}: {a} -> {b}" for what, a, b in facts if a != b]
