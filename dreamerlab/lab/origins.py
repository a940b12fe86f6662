"""Other runs that a run needs: what it is started from (`init.checkpoint`) and who it plays against (`hockey.*`).

Whether they can be used is asked before anything is created. The trainer asks again, of the tensors as well
(`train/start_from.py`, `train/opponents.py`); here it is descriptions and configs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dreamerlab.errors import LabError, UsageError
from dreamerlab.protocol.violations import Rule, Violation
from dreamerlab.runs.lineage import Origin, find_origin, parse_origin
from dreamerlab.runs.status import is_over, read_status
from dreamerlab.runs.store import Workspace, find_run

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved
    from dreamerlab.config.schema import Config

KEY = "init.checkpoint"


def origin_gate(workspace: Workspace, resolved: Resolved, seeds: Sequence[int]) -> list[Violation]:
    """Return why a config cannot be trained on these seeds for want of other runs' agents; none for most configs."""
    found: list[Violation] = []
    try:
        _require(workspace, resolved, seeds)
    except LabError as error:
        found.append(_violation("starting-point", error, KEY, resolved))
    for text, key in opponents_of(resolved.config).items():
        try:
            _require_opponent(workspace, text, key, seeds)
        except LabError as error:
            found.append(_violation("opponent", error, key, resolved))
    return found


def opponents_of(config: Config) -> dict[str, str]:
    """Return the runs' agents that a config plays against, each with the leaf that names it; none but in hockey."""
    from dreamerlab.config.opponents import runs_among
    from dreamerlab.config.schema_hockey import HOCKEY_ID

    hockey = config.hockey
    if config.env.id != HOCKEY_ID:
        return {}
    return runs_among(hockey.opponent, hockey.curriculum, hockey.eval_opponents)


def require_origin(workspace: Workspace, resolved: Resolved, seeds: Sequence[int]) -> None:
    """Raise UsageError where `origin_gate` finds something."""
    for found in origin_gate(workspace, resolved, seeds):
        raise UsageError(found.message, hint=found.hint)


def link_origins(workspace: Workspace, config: Config, folder: Path) -> None:
    """Let a trial in the scratch `folder` find the runs it needs: beside its own, as in the workspace."""
    texts = [*([config.init.checkpoint] if config.init.checkpoint is not None else []), *opponents_of(config)]
    for run in {run.id: run for run in (find_run(workspace, parse_origin(text)[0]) for text in texts)}.values():
        (folder / run.id).symlink_to(run.path, target_is_directory=True)


def _violation(rule: Rule, error: LabError, key: str, resolved: Resolved) -> Violation:
    hint = error.hint or "dreamerlab list shows the runs there are"
    return Violation(rule, error.message, hint, key, origins=(resolved.origins.get(key, ""),))


def _require_opponent(workspace: Workspace, text: str, key: str, seeds: Sequence[int]) -> None:
    from dreamerlab.config.lineage import unfit_opponent
    from dreamerlab.config.recorded import load_recorded

    for seed in seeds:
        origin = find_origin(workspace.runs, text, seed, key=key, use="play against")
        where = _require_still(origin, text, key)
        problem = unfit_opponent(load_recorded(origin.trial.run.config_path))
        if problem is not None:
            raise UsageError(
                f"{key}={text}: {where} cannot play: {problem}", hint="name a run that was trained on hockey"
            )


def _require_still(origin: Origin, text: str, key: str) -> str:
    """Return which checkpoint is meant, in words; UsageError when it may be another one later."""
    run, seed = origin.trial.run.id, origin.trial.seed
    if origin.moving and not is_over(read_status(origin.trial)):
        raise UsageError(
            f"{key}={text} may mean another checkpoint tomorrow: seed {seed} of {run} is not over",
            hint=f"name its env steps: {key}={run}@{origin.info.env_steps}",
        )
    return f"{origin.info.file} of {run} seed {seed}"


def _require(workspace: Workspace, resolved: Resolved, seeds: Sequence[int]) -> None:
    from dreamerlab.config.lineage import differing, unfit_leaves
    from dreamerlab.config.recorded import load_recorded

    init = resolved.config.init
    if init.checkpoint is None:
        return
    if tuple(init.parts) == ("optimizer",):
        raise UsageError("init.parts=[optimizer] takes over nothing", hint="name world or behavior as well")
    for seed in seeds:
        origin = find_origin(workspace.runs, init.checkpoint, seed, replay="replay" in init.parts)
        where = _require_still(origin, init.checkpoint, KEY)
        if "replay" in init.parts and not origin.info.has_replay:
            raise UsageError(
                f"{where} holds no replay",
                hint="leave replay out of init.parts, or train that run with checkpoint.keep_replay=true",
            )
        found = unfit_leaves(load_recorded(origin.trial.run.config_path), resolved.flat, init.parts)
        if found:
            raise UsageError(
                f"{where} does not fit: {differing(found)}",
                hint="take other init.parts, or a run in which these leaves are equal",
            )
