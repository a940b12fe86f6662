"""What a run is started from: whether `init.checkpoint` can be used, asked before anything is created.

The trainer asks again, of the tensors as well (`train/start_from.py`); here it is descriptions and configs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dreamerlab.errors import LabError, UsageError
from dreamerlab.protocol.violations import Violation
from dreamerlab.runs.lineage import find_origin, parse_origin
from dreamerlab.runs.status import is_over, read_status
from dreamerlab.runs.store import Workspace, find_run

if TYPE_CHECKING:
    from dreamerlab.config.layers import Resolved

KEY = "init.checkpoint"


def origin_gate(workspace: Workspace, resolved: Resolved, seeds: Sequence[int]) -> list[Violation]:
    """Return why a config cannot be trained on these seeds for want of what it starts from; none for most configs."""
    try:
        _require(workspace, resolved, seeds)
    except LabError as error:
        hint = error.hint or "dreamerlab list shows the runs there are"
        return [Violation("starting-point", error.message, hint, KEY, origins=(resolved.origins.get(KEY, ""),))]
    return []


def require_origin(workspace: Workspace, resolved: Resolved, seeds: Sequence[int]) -> None:
    """Raise UsageError where `origin_gate` finds something."""
    for found in origin_gate(workspace, resolved, seeds):
        raise UsageError(found.message, hint=found.hint)


def link_origin(workspace: Workspace, text: object, folder: Path) -> None:
    """Let a trial in the scratch `folder` find the run it starts from: beside its own, as in the workspace."""
    if isinstance(text, str):
        run = find_run(workspace, parse_origin(text)[0])
        (folder / run.id).symlink_to(run.path, target_is_directory=True)


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
        where = f"{origin.info.file} of {origin.trial.run.id} seed {origin.trial.seed}"
        if origin.moving and not is_over(read_status(origin.trial)):
            raise UsageError(
                f"init.checkpoint={init.checkpoint} may mean another checkpoint tomorrow: seed {origin.trial.seed} of "
                f"{origin.trial.run.id} is not over",
                hint=f"name its env steps: init.checkpoint={origin.trial.run.id}@{origin.info.env_steps}",
            )
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
