"""What `eval` and `watch` share: which stored agents are meant, on which code, and each in a process of its own.

Each agent is opened in a process of its own, on the code that trained it; without that code's snapshot (in a clone)
today's is used, with a caveat when it is not the same. The programs are files of today beside the trainer, not modules
of the snapshot: how one looks at an agent may change, how it was trained may not. Nothing is written into the run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dreamerlab
from dreamerlab.errors import LabError, NotFound, UsageError, did_you_mean
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.preflight import require_training_parts
from dreamerlab.lab.programs import run_json
from dreamerlab.launch.trainer import code_environment, installed_code
from dreamerlab.report.wording import seeds_named, seeds_text
from dreamerlab.runs.checkpoints import KINDS, choose, names
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.showcase import agents_folder, as_asked
from dreamerlab.runs.store import Workspace, find_run

PROGRAMS = Path(dreamerlab.__file__).parent / "train"
WORDS = ("latest", "best")


@dataclass(frozen=True)
class StoredAgents:
    """The trials of a run whose checkpoint is here, the code to open them with, and what must be known beside them."""

    run: RunDirectory
    manifest: Manifest
    trials: list[TrialDirectory]
    checkpoint: str
    code: list[Path]
    caveats: list[str] = field(default_factory=list[str])


def find_agents(workspace: Workspace, text: str, seed: int | None, checkpoint: str) -> StoredAgents:
    """Return the stored agents of every seed (or of one) of the run meant by `text`.

    `checkpoint` is `latest`, `best`, or the env steps it was written at. UsageError for any other word, NotFound with
    what there is for a seed or a checkpoint that is not here, ToolFailed when the training parts are not installed.
    """
    run = find_run(workspace, text)
    manifest = read_manifest(run.manifest_path)
    if seed is not None and seed not in manifest.seeds:
        raise NotFound(f"{run.id} has no seed {seed}; it has {seeds_text(manifest.seeds)}")
    seeds = manifest.seeds if seed is None else (seed,)
    trials = [run.trial(one) for one in seeds]
    stored = {trial.seed: steps_of(trial) for trial in trials}
    if not any(stored.values()):
        raise _none_here(run)
    here = [trial for trial in trials if _has(trial, checkpoint)]
    if not here:
        raise _unknown(run, checkpoint, stored)
    caveats = [
        f"seed {trial.seed} has no checkpoint here"
        if not stored[trial.seed]
        else f"seed {trial.seed} has no {checkpoint}"
        for trial in trials
        if trial not in here
    ]
    shown = [trial.seed for trial in here if agents_folder(trial) != trial.checkpoints]
    if shown:
        caveats.append(f"{seeds_named(shown)}: from the showcase that git carries, for its artifacts are not here")
    require_training_parts(workspace)
    return StoredAgents(run, manifest, here, checkpoint, _code(workspace, manifest, caveats), caveats)


def run_program(agents: StoredAgents, trial: TrialDirectory, program: str, words: Sequence[str], voice: Voice) -> Any:
    """Run a program of the training wing on one trial and return the JSON it printed; its progress is said.

    Raises as `run_json` does.
    """
    folder = agents_folder(trial)
    which = ["--checkpoint", as_asked(folder, agents.checkpoint)]
    # A path that is the usual one goes without saying.
    where = [] if folder == trial.checkpoints else ["--folder", str(folder)]
    command = [sys.executable, "-P", str(PROGRAMS / program), str(trial.path), *which, *where, *words]
    whose = f"seed {trial.seed} of {trial.run.id}"
    return run_json(
        command,
        agents.run.path.parent.parent,
        code_environment(agents.code),
        voice,
        whose=whose,
        broken=f"{whose} cannot be opened",
    )


def _none_here(run: RunDirectory) -> LabError:
    if run.artifacts_dvc.exists():
        why, hint = "its artifacts are in DVC", f"dreamerlab data pull {run.id}"
    elif run.artifacts.exists():
        why, hint = "none is written yet", f"dreamerlab status {run.id}"
    else:
        why, hint = "its artifacts were never stored", f"dreamerlab data push {run.id}, on the machine that ran it"
    return NotFound(f"{run.id} has no checkpoint here: {why}", hint=hint)


def steps_of(trial: TrialDirectory) -> list[int]:
    """Return the env steps of all checkpoints of a trial that are here, ascending."""
    found = {int(name.partition("-")[2]) for kind in KINDS for name in names(agents_folder(trial), kind)}
    return sorted(found)


def _has(trial: TrialDirectory, checkpoint: str) -> bool:
    try:
        folder = agents_folder(trial)
        choose(folder, as_asked(folder, checkpoint))
    except NotFound:
        return False
    return True


def _unknown(run: RunDirectory, checkpoint: str, stored: dict[int, list[int]]) -> LabError:
    steps = sorted({step for found in stored.values() for step in found})
    has_best = any(names(agents_folder(run.trial(seed)), "best") for seed in stored)
    there = ["latest", *(["best"] if has_best else []), *map(str, steps)]
    listed = ", ".join(there if len(there) <= 12 else [*there[:8], "...", *there[-3:]])
    if checkpoint in WORDS or checkpoint.isdecimal():
        what = f"'{checkpoint}'" if checkpoint in WORDS else f"of env step {checkpoint}"
        return NotFound(f"{run.id} has no checkpoint {what} here", hint=f"there are: {listed}")
    near = did_you_mean(checkpoint, there)
    return UsageError(f"no checkpoint is called '{checkpoint}'{near}", hint=f"there are: {listed}")


def _code(workspace: Workspace, manifest: Manifest, caveats: list[str]) -> list[Path]:
    from dreamerlab.tracking.code_identity import compute, restore

    try:
        return [restore(workspace, manifest)]
    except LabError:
        now = compute(workspace)
        if now.identity != manifest.code.identity:
            caveats.append(f"opened by today's code ({now.identity[:16]}), trained by {manifest.code.identity[:16]}")
        return [*installed_code(), workspace.path]
