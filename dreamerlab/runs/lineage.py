"""Which checkpoint of which run is meant: what a trial is started from (M-PROT-13, M-CP-33), who it plays against.

`R0012-9qd@best` names a run beside the trial's own and one of its checkpoints: `latest` (also when nothing is said),
`best`, or its env steps. The trial of the same seed is meant, or the only one there is. Nothing here opens a tensor, so
that a run can be refused before it exists; taking the parts over is `train/start_from.py`, opening an opponent
`train/opponents.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dreamerlab.errors import Conflict, LabError, NotFound
from dreamerlab.runs.checkpoints import Checkpoint, Damaged, choose, describe
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.finding import find_run_in


@dataclass(frozen=True)
class Origin:
    """A checkpoint of another run."""

    trial: TrialDirectory
    name: str
    """Stem of the checkpoint's files."""
    info: Checkpoint
    moving: bool
    """Whether the words may mean another checkpoint later, as long as that trial goes on: `latest` and `best`."""


def parse_origin(text: str) -> tuple[str, str]:
    """Return run and checkpoint of `R0012-9qd@best`; the latest one where none is named."""
    run, _, which = text.partition("@")
    return run, which or "latest"


def find_origin(
    runs: Path, text: str, seed: int, *, replay: bool = False, key: str = "init.checkpoint", use: str = "start from"
) -> Origin:
    """Return the checkpoint that `text` means for a trial with `seed`, among the runs in the folder `runs`.

    With `replay` one that may hold it is preferred. `key` is the leaf that says so, `use` what it is wanted for.

    NotFound for a run, seed or checkpoint that is not there, Conflict for words that could mean several runs or a
    checkpoint that cannot be used, UsageError for what looks like a path.
    """
    run_text, which = parse_origin(text)
    try:
        run = find_run_in(runs, run_text)
    except LabError as error:
        raise type(error)(f"{key}={text}: {error.message}", hint=error.hint) from None
    trials = run.trials()
    same = [trial for trial in trials if trial.seed == seed]
    if not same and len(trials) != 1:
        seeds = ", ".join(str(trial.seed) for trial in trials) or "none at all"
        raise NotFound(
            f"{run.id} has no seed {seed} to {use} ({key}={text}); it has seeds {seeds}",
            hint=f"start the same seeds as that run has, or {use} a run with a single seed",
        )
    trial = (same or trials)[0]
    where = f"{run.id} seed {trial.seed}"
    try:
        name = choose(trial.checkpoints, which, replay=replay)
        return Origin(trial, name, describe(trial.checkpoints, name), not which.isdecimal())
    except NotFound as error:
        hint = error.hint if trial.checkpoints.is_dir() else f"dreamerlab data pull {run.id}"
        raise NotFound(f"{key}={text}: {error.message}", hint=hint) from None
    except Damaged as damage:
        raise Conflict(f"{key}={text}: the checkpoint of {where} cannot be used: {damage}") from damage
