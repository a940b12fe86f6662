"""The two arms of a hypothesis as configs: the base with its frozen budget, and the base with the declared change.

Before the launch they are resolved from the layers; after it they are what the runs recorded. Judging them is
`protocol.gates`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from dreamerlab.lab.baseline_search import recorded_arm
from dreamerlab.protocol.gates import FREE_ZONES
from dreamerlab.protocol.hypothesis import Proposal
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.store import Workspace

if TYPE_CHECKING:
    from dreamerlab.config.diff import Difference
    from dreamerlab.config.layers import Resolved


@dataclass(frozen=True)
class Arms:
    """Both arms, and what the overrides of a launch would change that they may not."""

    control: Resolved
    treatment: Resolved
    foreign: tuple[Difference, ...] = ()


def resolve_arms(workspace: Workspace, proposal: Proposal, overrides: Sequence[str], subject: str) -> Arms:
    """Return the arms a launch with `overrides` would train; free overrides (execution, bookkeeping) reach both.

    Raises ConfigError or NotFound when a layer or an override cannot be understood.
    """
    from dreamerlab.config.diff import diff
    from dreamerlab.config.layers import resolve

    base, plan = proposal.base, proposal.plan
    resolved = resolve(workspace.path, base.env, base.experiment, base.overrides)
    budget: dict[str, object] = {"budget.unit": plan.budget_unit, "budget.amount": plan.budget_amount}
    budget = {key: value for key, value in budget.items() if resolved.flat[key] != value}
    control, foreign = _replaced(resolved, budget, f"{subject}: the plan"), ()
    if overrides:
        named = {_key(override) for override in overrides}
        rest = [override for override in base.overrides if _key(override) not in named]
        asked = resolve(workspace.path, base.env, base.experiment, [*rest, *overrides])
        seen = [one for one in diff(control.flat, asked.flat, control.origins, asked.origins) if one.key in named]
        free = {one.key for one in seen if one.zone is not None and one.zone.value in FREE_ZONES}
        foreign = tuple(one for one in seen if one.key not in free)
        for key in free:
            control = _replaced(control, {key: asked.flat[key]}, asked.origins[key])
    changes = {change.key: _leaf_value(change.after) for change in proposal.changes}
    return Arms(control, _replaced(control, changes, f"{subject}: the declared change"), foreign)


def recorded(run: RunDirectory) -> Resolved:
    """Return the config a run was created with; LabError when its record cannot be read."""
    from dreamerlab.config.layers import Resolved, flatten, load_config

    config = load_config(run.config_path)
    origins = recorded_arm(run).origins
    flat = flatten(config)
    return Resolved(config, flat, {key: origins.get(key, f"{run.id}") for key in flat})


def _replaced(resolved: Resolved, values: Mapping[str, object], origin: str) -> Resolved:
    from dreamerlab.config.layers import Resolved, flatten, from_flat

    if not values:
        return resolved
    origins = {**resolved.origins, **dict.fromkeys(values, origin)}
    config = from_flat({**resolved.flat, **values}, origins)
    return Resolved(config, flatten(config), origins)


def _key(override: str) -> str:
    """Return the full key an override names, or its own word where that is no key (`resolve` says so)."""
    from dreamerlab.config.catalogue import find_leaves

    tail = override.partition("=")[0].strip()
    return (find_leaves(tail) or [tail])[0]


def _leaf_value(value: object) -> object:
    """Return a value as configs hold it: JSON knows lists only, leaves are tuples."""
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value
