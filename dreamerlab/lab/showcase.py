"""`data showcase`: a policy of at most 3 MB into git beside its run, stripped to what acting needs.

It is a file of tensors and numbers, opened with `weights_only`, and carries the sha256 of the checkpoint it was taken
from, which the trial's summary knows.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from dreamerlab.atomic import atomic_write_json, disk_failure, read_object
from dreamerlab.errors import Conflict
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.records import commit_run
from dreamerlab.lab.stored_agents import find_agents, run_program
from dreamerlab.report.wording import size
from dreamerlab.runs.showcase import LARGEST_BYTES
from dreamerlab.runs.store import Workspace

_PROGRAM = "showcase.py"


def showcase(workspace: Workspace, text: str, seed: int | None, checkpoint: str, voice: Voice) -> dict[str, Any]:
    """Make a showcase of a stored agent of the run meant by `text`: of `seed`, or of the first that is here.

    Returns run, seed, checkpoint, env_steps, file (from the workspace on), size_bytes, sha256, stripped_from. Conflict
    when it is too large for git; nothing is written then.
    """
    agents = find_agents(workspace, text, seed, checkpoint)
    trial = agents.trials[0]
    voice.say(f"stripping {agents.run.id} seed {trial.seed}, checkpoint {checkpoint}")
    workspace.cache.mkdir(parents=True, exist_ok=True)
    # On the same file system, so that both files are moved into place whole.
    with tempfile.TemporaryDirectory(prefix="showcase-", dir=workspace.cache) as scratch:
        made = run_program(agents, trial, _PROGRAM, ["--out", scratch], voice)
        source, written = made["source"], made["written"]
        if written["size_bytes"] > LARGEST_BYTES:
            raise Conflict(
                f"the policy of {agents.run.id} seed {trial.seed} takes {size(written['size_bytes'])}, and git gets "
                f"{size(LARGEST_BYTES)} at most",
                hint=f"let DVC carry it: dreamerlab data push {agents.run.id}",
            )
        target = trial.showcase / written["file"]
        description = target.with_suffix(".json")
        try:
            trial.showcase.mkdir(exist_ok=True)
            described = read_object(str(Path(scratch, description.name)))
            Path(scratch, target.name).replace(target)
        except OSError as error:
            raise disk_failure(target, error) from error
        atomic_write_json(description, {**described, "stripped_from": source["sha256"]})
    commit_run(workspace, agents.run, voice.warn)
    return {
        "run": agents.run.id,
        "seed": trial.seed,
        "checkpoint": source["file"],
        "env_steps": source["env_steps"],
        "file": target.relative_to(workspace.path).as_posix(),
        "size_bytes": written["size_bytes"],
        "sha256": written["sha256"],
        "stripped_from": source["sha256"],
    }
