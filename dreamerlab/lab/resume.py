"""`resume`: continue the unfinished trials of a run as their next attempts, on the code and config they began with.

A run of a hypothesis is judged like any other when its last trial ends. One with declared looks is only ever
continued as a whole, through `run`, because a look decides what is still needed.
"""

from __future__ import annotations

from collections.abc import Sequence

from dreamerlab.errors import Conflict, GateRefused, NotFound
from dreamerlab.lab.aftercare import finalise_leftovers
from dreamerlab.lab.execute import Execution, Stage, Voice, claim, settled
from dreamerlab.lab.kill_rules import mend_kills
from dreamerlab.lab.outstanding import at_once, open_execution, owners_of, tasks_of
from dreamerlab.lab.preflight import machine_warnings
from dreamerlab.lab.recovery import launch_lock, recover
from dreamerlab.protocol.state import DONE_WITHDRAWN, RUNNING, Hypothesis
from dreamerlab.report.wording import seeds_text
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.status import ONGOING, is_over, read_status
from dreamerlab.runs.store import RunRow, Workspace, find_run, list_runs


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
    """Claim what is unfinished in the run meant by `text` (default: what alone can be resumed, both arms of it).

    Returns None, after finalising what is left to be, when every trial asked for is over.
    """
    with launch_lock(workspace):
        recover(workspace)
    leftovers = finalise_leftovers(workspace, voice.say, voice.warn) if text is None else []
    for line in settled(workspace, voice, commit=True):
        voice.say(line)
    with launch_lock(workspace):
        if text is not None:
            return _of_run(workspace, find_run(workspace, text), seed, jobs, voice)
        found = _only_resumable(workspace, leftovers)
        if isinstance(found, Hypothesis):
            return open_execution(workspace, found, jobs=jobs, commit=True, voice=voice)
        return None if found is None else _of_run(workspace, found, seed, jobs, voice)


def _of_run(
    workspace: Workspace, run: RunDirectory, seed: int | None, jobs: int | None, voice: Voice
) -> Execution | None:
    manifest = read_manifest(run.manifest_path)
    owners = owners_of(workspace, [run])
    owner = owners.get(run.id)
    if owner is not None and owner.phase == DONE_WITHDRAWN:
        raise GateRefused(
            f"{run.id} belongs to {owner.id}, which was withdrawn: {owner.withdrawn}",
            hint='propose it again: dreamerlab propose "..."',
        )
    if owner is not None:
        mend_kills(workspace, owner)
    trials = [trial for trial in _chosen(run, manifest, seed) if not is_over(read_status(trial))]
    if not trials:
        which = f"seed {seed}" if seed is not None else "every seed"
        voice.say(f"nothing to resume: {which} of {run.id} is {_over(run, manifest, seed)}")
        finalise_leftovers(workspace, voice.say, voice.warn, [run])
        return None
    if owner is not None and owner.run == run.id and owner.phase == RUNNING and owner.proposal.plan.looks:
        return open_execution(workspace, owner, jobs=jobs, commit=True, voice=voice)
    tasks = tasks_of(workspace, trials)
    claim(workspace, trials)
    workers = at_once(tasks.values(), jobs)
    for line in machine_warnings(workers, max(task.threads for task in tasks.values())):
        voice.warn(line)
    voice.say(f"resuming {run.id}, seeds {seeds_text(trial.seed for trial in trials)}")
    again = f"dreamerlab resume {run.id}"
    return Execution(workspace, (run,), (Stage(tuple(tasks.values())),), workers, again, owner, owners)


def _only_resumable(workspace: Workspace, finalised: Sequence[RunDirectory]) -> RunDirectory | Hypothesis | None:
    """Return the one run with unfinished trials, or the hypothesis whose two arms are the only ones.

    None when finalising some was all there was to do.
    """
    rows = [row for row in list_runs(workspace) if row.manifest is not None]
    found = [row.id for row in rows if _has_halted(row)]
    if not found and finalised:
        return None
    if not found:
        running = [row.id for row in rows if any(trial.state in ONGOING for trial in row.trials)]
        also = f" ({', '.join(running)} under way)" if running else ""
        raise NotFound(f"nothing to resume{also}", hint="see what there is: dreamerlab list")
    if len(found) > 1:
        owners = owners_of(workspace, [workspace.run(run_id) for run_id in found])
        for owner in owners.values():
            if owner.phase == RUNNING and set(found) == {owner.run, owner.baseline_run}:
                return owner
        raise Conflict(
            f"{len(found)} runs can be resumed: {', '.join(found)}", hint=f"name one: dreamerlab resume {found[-1]}"
        )
    return workspace.run(found[0])


def _has_halted(row: RunRow) -> bool:
    ongoing = any(trial.state in ONGOING for trial in row.trials)
    return not ongoing and not all(is_over(trial.status) for trial in row.trials)


def _over(run: RunDirectory, manifest: Manifest, seed: int | None) -> str:
    """Return how the chosen trials ended, in a word."""
    states = {read_status(trial).state for trial in _chosen(run, manifest, seed)}
    return "finished" if states == {"finished"} else "over"


def _chosen(run: RunDirectory, manifest: Manifest, seed: int | None) -> list[TrialDirectory]:
    if seed is not None and seed not in manifest.seeds:
        raise NotFound(
            f"{run.id} has no seed {seed}; it has {seeds_text(manifest.seeds)}",
            hint="seeds are declared when a run is made, and never added",
        )
    return [run.trial(one) for one in (manifest.seeds if seed is None else [seed])]
