"""What lies under a proposed change: the layers both arms share, and the run that measured them already (M-PROT-14).

With nothing named, a workspace that knows one environment means that one. A run measures a base when its recorded
config is the base's (leaves that cannot change a result aside), every seed of at least three has a score, and, unless
the change is one of the code, it ran on the code of now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from dreamerlab.errors import GateRefused, LabError
from dreamerlab.lab.inert_proofs import Proofs, read_proofs
from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.hypothesis import FEWEST_SEEDS, Base, KillRule
from dreamerlab.protocol.state import Hypothesis, fold, hypotheses
from dreamerlab.protocol.tally import champions
from dreamerlab.runs.manifest import read_manifest
from dreamerlab.runs.status import is_over
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
    """Return the layers that a baseline run was made of: those of its hypothesis, else as its record tells.

    GateRefused for a pilot, and for a treatment that was not adopted: it would be picked for its score.
    """
    run = find_run(workspace, text)
    made = read_manifest(run.manifest_path)
    owner = _owner(workspace, made.hypothesis)
    if made.kind != "baseline" and (owner is None or owner.adopted_at is None or owner.run != run.id):
        adopt = f"; to build on it: dreamerlab adopt {owner.id}" if owner is not None else ""
        raise GateRefused(
            f"{run.id} is a {made.kind} run; what is compared with must be a baseline or an adopted run",
            hint=f"leave --baseline out, and one is chosen or opened{adopt}",
        )
    return _base_by(workspace, run.id, owner, changed=True)


def layers_of_run(workspace: Workspace, run_id: str) -> Base:
    """Return the layers that any run was made of, whether or not it may be a baseline: to build on what it shows."""
    owner = _owner(workspace, read_manifest(workspace.run(run_id).manifest_path).hypothesis)
    return _base_by(workspace, run_id, owner, changed=owner is not None and owner.baseline_run != run_id)


def _base_by(workspace: Workspace, run_id: str, owner: Hypothesis | None, *, changed: bool) -> Base:
    if owner is None:
        return _recorded_base(workspace, run_id)
    base = owner.proposal.base
    changes = [f"{one.key}={spelled(one.after)}" for one in owner.proposal.changes] if changed else []
    return Base(base.env, base.experiment, merged(base.overrides, changes), run_id)


def merged(overrides: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Return overrides of which the later ones win, whether a key is written in full or as its tail."""
    found: dict[str, str] = {}
    for override in (*overrides, *more):
        found[full_key(override)] = override
    # One that is said twice in the same breath stays twice, for the resolver to refuse.
    if len({full_key(one) for one in more}) < len(more):
        return (*overrides, *more)
    return tuple(found.values())


def full_key(override: str) -> str:
    """Return the full key that `KEY=VALUE` sets, or what stands there when it names none."""
    from dreamerlab.config.catalogue import find_leaves

    tail = override.partition("=")[0].strip()
    found = find_leaves(tail)
    return found[0] if len(found) == 1 else tail


def implied_base(workspace: Workspace) -> Base | None:
    """Return the layers of the champion, else of the newest baseline, when the workspace knows one environment."""
    rows = [row for row in newest_runs(workspace) if _is_baseline(row)]
    adopted = [run for run in champion_runs(workspace).values() if workspace.run(run).manifest_path.is_file()]
    envs = {row.manifest.env for row in rows if row.manifest is not None}
    envs |= {read_manifest(workspace.run(run).manifest_path).env for run in adopted}
    if len(envs) != 1:
        return None
    complete = next((row.id for row in rows if is_complete(row)), None)
    base = base_of_run(workspace, adopted[-1] if adopted else complete or rows[0].id)
    return Base(base.env, base.experiment, base.overrides)


def champion_runs(workspace: Workspace) -> dict[str, str]:
    """Return family -> the run of its champion, the family that adopted last at the end."""
    found = champions(hypotheses(registry_of(workspace))).values()
    return {one.family: one.run for one in sorted(found, key=lambda one: (one.since, one.hypothesis))}


def find_baseline(
    workspace: Workspace, control: Resolved, family: str, kill: Sequence[KillRule] = (), *, code_changes: bool
) -> Found:
    """Return the run that measured the config `control`: the family's champion, else of those that match the one of
    most seeds, and of these the first, so that measuring it again changes nothing.

    It was trained under the rules `kill`, on the present code or on one proven to behave the same; for a change of the
    code any code will do: the present one comes first, then the newest.
    """
    same_code = _Present(workspace)
    near: dict[str, str] = {}
    others: dict[str, str] = {}
    for row in _candidates(workspace, champion_runs(workspace).get(family)):
        if row.manifest is None or row.manifest.kind == "pilot" or config_differences(workspace, row.id, control):
            continue
        if not is_complete(row):
            near[row.id] = "would do, but not every seed of it has a score"
        elif len(row.trials) < FEWEST_SEEDS:
            near[row.id] = f"would do, but has fewer than {FEWEST_SEEDS} seeds"
        elif set(_kill_rules(workspace, row.manifest.hypothesis)) != set(kill):
            near[row.id] = "would do, but was trained under other kill rules"
        elif same_code(row.manifest.code.identity):
            return Found(row.id)
        elif code_changes:
            others[row.id] = row.manifest.code.identity
        else:
            near[row.id] = "would do, but ran other code (dreamerlab check --prove-inert)"
    newest = max(near, default=None)
    other = next((run for run, code in others.items() if code == others[max(others)]), None)
    return Found(other, None if newest is None else f"{newest} {near[newest]}")


class _Present:
    """The present code, hashed only once a run is found whose code it must be compared with."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._known: tuple[str, Proofs] | None = None

    def __call__(self, identity: str) -> bool:
        from dreamerlab.tracking.code_identity import compute

        self._known = self._known or (compute(self._workspace).identity, read_proofs(self._workspace))
        present, proofs = self._known
        return proofs.same(identity, present)


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
    """Tell whether every declared seed of a run has come to its end; one that diverged has, and takes a fail score."""
    ends = [is_over(trial.status) and (trial.score is not None or trial.state != "finished") for trial in row.trials]
    return bool(ends) and all(ends)


def _kill_rules(workspace: Workspace, hypothesis: str | None) -> tuple[KillRule, ...]:
    owner = _owner(workspace, hypothesis)
    return () if owner is None else owner.proposal.plan.kill


def spelled(value: object) -> str:
    """Return a frozen value as it is written on the command line; lists come back from JSON as such."""
    from dreamerlab.config.diff import show

    return show(tuple(cast("list[object]", value)) if isinstance(value, list) else value)


def _owner(workspace: Workspace, hypothesis: str | None) -> Hypothesis | None:
    if hypothesis is None:
        return None
    try:
        return fold(registry_of(workspace).read(hypothesis))
    except LabError:
        return None  # of another branch, or damaged: the run's own record is enough


def _candidates(workspace: Workspace, champion: str | None) -> Iterator[RunRow]:
    if champion is not None:
        yield run_row(workspace.run(champion))
    found = [row for row in reversed([*newest_runs(workspace)]) if row.id != champion and _is_baseline(row)]
    yield from sorted(found, key=lambda row: -len(row.trials))


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
