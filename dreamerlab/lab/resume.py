"""`resume`: continue the unfinished trials of a run as their next attempts, on the code and config they began with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dreamerlab.errors import Conflict, GateRefused, NotFound, ToolFailed
from dreamerlab.lab.aftercare import finalise_leftovers
from dreamerlab.lab.execute import Execution, Voice, claim
from dreamerlab.lab.preflight import machine_warnings, require_training_parts
from dreamerlab.launch.local import default_jobs
from dreamerlab.report.wording import seeds_text
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.status import ONGOING, effective_state, read_status
from dreamerlab.runs.store import Workspace, find_run, list_runs


def refuse_overrides(words: Sequence[str]) -> None:
    """Refuse KEY=VALUE: a resumed trial that trained on under another config would be no trial of that run."""
    for word in words:
        if "=" in word:
            raise GateRefused(
                f"'{word}' cannot be changed by resuming: a run keeps the config it started with",
                hint=f"make a run of its own: dreamerlab run --baseline ... {word}",
            )
    if len(words) > 1:
        raise GateRefused(f"resume takes one run, not {len(words)}: {', '.join(words)}", hint="resume them one by one")


def open_resume(
    workspace: Workspace, text: str | None, seed: int | None, jobs: int | None, voice: Voice
) -> Execution | None:
    """Claim what is unfinished in the run meant by `text` (default: the only resumable one).

    Returns None, after finalising what is left to be, when every trial asked for is finished.
    """
    from dreamerlab.config.layers import load_config

    leftovers = finalise_leftovers(workspace, voice.say, voice.warn) if text is None else []
    run = find_run(workspace, text) if text is not None else _only_resumable(workspace, leftovers)
    if run is None:
        return None
    manifest = read_manifest(run.manifest_path)
    trials = [trial for trial in _chosen(run, manifest, seed) if read_status(trial).state != "finished"]
    if not trials:
        voice.say(
            f"nothing to resume: {'seed ' + str(seed) if seed is not None else 'every seed'} of {run.id} is finished"
        )
        finalise_leftovers(workspace, voice.say, voice.warn, [run])
        return None
    for trial in trials:
        _require_checkpoints(trial)
    require_training_parts(workspace)
    snapshot = _code(workspace, manifest)
    threads = load_config(run.config_path).execution.threads
    claim(workspace, trials)
    workers = jobs or default_jobs(len(trials), threads)
    for line in machine_warnings(min(workers, len(trials)), threads):
        voice.warn(line)
    voice.say(f"resuming {run.id}, seeds {seeds_text(trial.seed for trial in trials)}")
    return Execution(workspace, run, trials, snapshot, threads, workers)


def _only_resumable(workspace: Workspace, finalised: Sequence[RunDirectory]) -> RunDirectory | None:
    """Return the one run with unfinished trials; None when finalising some was all there was to do."""
    rows = [row for row in list_runs(workspace) if row.manifest is not None]
    states = {row.id: {trial.state for trial in row.trials} for row in rows}
    found = [run_id for run_id, seen in states.items() if not seen & ONGOING and seen != {"finished"}]
    if not found and finalised:
        return None
    if not found:
        running = [run_id for run_id, seen in states.items() if seen & ONGOING]
        also = f" ({', '.join(running)} under way)" if running else ""
        raise NotFound(f"nothing to resume{also}", hint="see what there is: dreamerlab list")
    if len(found) > 1:
        raise Conflict(
            f"{len(found)} runs can be resumed: {', '.join(found)}", hint=f"name one: dreamerlab resume {found[-1]}"
        )
    return workspace.run(found[0])


def _chosen(run: RunDirectory, manifest: Manifest, seed: int | None) -> list[TrialDirectory]:
    if seed is not None and seed not in manifest.seeds:
        raise NotFound(
            f"{run.id} has no seed {seed}; it has {seeds_text(manifest.seeds)}",
            hint="seeds are declared when a run is made, and never added",
        )
    return [run.trial(one) for one in (manifest.seeds if seed is None else [seed])]


def _require_checkpoints(trial: TrialDirectory) -> None:
    """Refuse to start again from nothing what has trained and was stored away; running trials are named by `claim`."""
    status = read_status(trial)
    if effective_state(status) in ONGOING or status.env_steps == 0 or any(trial.checkpoints.glob("*.json")):
        return
    if trial.run.artifacts_dvc.exists():
        raise NotFound(
            f"the checkpoints of seed {trial.seed} of {trial.run.id} are not here",
            hint=f"dreamerlab data pull {trial.run.id}",
        )


def _code(workspace: Workspace, manifest: Manifest) -> Path:
    from dreamerlab.tracking.code_identity import restore

    try:
        return restore(workspace, manifest)
    except (NotFound, ToolFailed) as error:
        raise GateRefused(error.message, hint=error.hint) from error
