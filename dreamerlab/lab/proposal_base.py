"""What lies under a proposed change: the layers both arms share, and the run that has measured them already.

With nothing named, a workspace that knows one environment means that one. A run measures a base when its recorded
config is the base's (leaves that cannot change a result aside), every seed of at least three has a score, and, unless
the change is one of the code, it ran on the code of now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dreamerlab.errors import GateRefused, LabError, UsageError
from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.hypothesis import FEWEST_SEEDS, Base
from dreamerlab.protocol.state import Hypothesis, hypotheses
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.store import RunRow, Workspace, find_run, newest_runs, run_row

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved

_HARMLESS = ("EXECUTION", "BOOKKEEPING")


@dataclass(frozen=True)
class Found:
    """A baseline run for a base, or None with what came nearest."""

    run: str | None
    near: str | None = None
    """One line: which run would have done but for one thing."""


def base_of_run(workspace: Workspace, text: str) -> Base:
    """Return the layers that a baseline run was made of: those of its hypothesis, else as its record tells."""
    run = find_run(workspace, text)
    made = read_manifest(run.manifest_path)
    if made.kind != "baseline":
        raise GateRefused(
            f"{run.id} is a {made.kind} run; what is compared with must be a baseline",
            hint="dreamerlab list shows the baselines; without --baseline one is chosen or opened",
        )
    if made.hypothesis is not None:
        for state in hypotheses(registry_of(workspace)):
            if state.id == made.hypothesis:
                base = state.proposal.base
                return Base(base.env, base.experiment, base.overrides, run.id)
    return _recorded_base(workspace, run.id)


def implied_base(workspace: Workspace) -> Base | None:
    """Return the layers of the champion, else of the newest baseline, when the workspace knows one environment."""
    rows = [row for row in newest_runs(workspace) if row.manifest is not None and row.manifest.kind == "baseline"]
    envs = {row.manifest.env for row in rows if row.manifest is not None}
    if len(envs) != 1:
        return None
    ids = {row.id for row in rows}
    champion = next((run for run in champions(workspace).values() if run in ids), None)
    complete = next((row.id for row in rows if is_complete(row)), None)
    base = base_of_run(workspace, champion or complete or rows[0].id)
    return Base(base.env, base.experiment, base.overrides)


def champions(workspace: Workspace) -> dict[str, str]:
    """Return family -> the run that was adopted last."""
    adopted = [state for state in hypotheses(registry_of(workspace)) if state.adopted_at and state.run]
    adopted.sort(key=lambda state: (state.adopted_at or "", state.id))
    return {state.proposal.family: state.run for state in adopted if state.run is not None}


def find_baseline(workspace: Workspace, control: Resolved, family: str, code: str | None) -> Found:
    """Return the run that measured the config `control`: the family's champion, else the newest that matches.

    `code` is the identity it must have run on; None takes any.
    """
    champion = champions(workspace).get(family)
    near: str | None = None
    for row in _candidates(workspace, champion):
        if row.manifest is None or row.manifest.kind == "pilot" or not same_config(workspace, row.id, control):
            continue
        if not is_complete(row):
            near = near or f"{row.id} would do, but not every seed of it has a score"
        elif len(row.trials) < FEWEST_SEEDS:
            near = near or f"{row.id} would do, but has fewer than {FEWEST_SEEDS} seeds"
        elif code is not None and row.manifest.code.identity != code:
            near = near or f"{row.id} would do, but ran on other code (dreamerlab check --prove-inert)"
        else:
            return Found(row.id)
    return Found(None, near)


def same_config(workspace: Workspace, run_id: str, control: Resolved) -> bool:
    """Tell whether a run was made of this config, leaves that cannot change a result aside."""
    return not config_differences(workspace, run_id, control)


def config_differences(workspace: Workspace, run_id: str, control: Resolved) -> list[str]:
    """Return the keys in which a run's record differs from `control` in a way that could change a result."""
    from dreamerlab.config.diff import diff
    from dreamerlab.config.layers import load_recorded

    try:
        recorded = load_recorded(workspace.run(run_id).config_path)
    except LabError:
        return ["config.yaml"]
    return [d.key for d in diff(recorded, control.flat) if d.zone is None or d.zone.value not in _HARMLESS]


def is_complete(row: RunRow) -> bool:
    """Tell whether every declared seed of a run has a score."""
    return bool(row.trials) and all(trial.score is not None for trial in row.trials)


def require_env(base: Base | None) -> Base:
    """Return the base, or refuse a proposal for which no environment is known."""
    if base is None:
        raise UsageError(
            "no environment is named, and the baselines of this workspace do not single one out",
            hint='dreamerlab propose "..." --env cartpole --experiment nano',
        )
    return base


def find_hypothesis(workspace: Workspace, text: str) -> Hypothesis:
    """Return the hypothesis meant by an id, a prefix or a name."""
    from dreamerlab.protocol.state import fold

    registry = registry_of(workspace)
    return fold(registry.read(registry.find(text)))


def _candidates(workspace: Workspace, champion: str | None) -> Iterator[RunRow]:
    if champion is not None:
        yield run_row(workspace.run(champion))
    yield from (row for row in newest_runs(workspace) if row.id != champion and _is_baseline(row))


def _is_baseline(row: RunRow) -> bool:
    return row.manifest is not None and row.manifest.kind == "baseline"


def _recorded_base(workspace: Workspace, run_id: str) -> Base:
    """Return layers that give the recorded config: its env, its experiment, and whatever else differs as overrides."""
    from dreamerlab.config.diff import diff, show
    from dreamerlab.config.layers import experiment_names, load_recorded, resolve

    run = workspace.run(run_id)
    recorded, env = load_recorded(run.config_path), read_manifest(run.manifest_path).env
    named = {
        origin.split("/")[-1].partition(".yaml")[0]
        for origin in _origins(workspace, run_id).values()
        if _of_experiment(origin)
    }
    experiment = next((name for name in experiment_names(workspace.path) if name in named), None)
    rest = diff(resolve(workspace.path, env, experiment, ()).flat, recorded)
    known = [d for d in rest if d.zone is not None and d.zone.value not in _HARMLESS]
    return Base(env, experiment, tuple(f"{d.key}={show(d.b)}" for d in known), run_id)


def _of_experiment(origin: str) -> bool:
    return origin.startswith("env_configs/experiments/")


def _origins(workspace: Workspace, run_id: str) -> Mapping[str, str]:
    from dreamerlab.atomic import read_object

    try:
        return {key: str(value) for key, value in read_object(str(workspace.run(run_id).origins_path)).items()}
    except (OSError, ValueError):
        return {}
