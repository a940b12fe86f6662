"""Training a recorded trial once more, in a scratch folder, and comparing what comes out with the record, bit for bit.

Shared by `check --prove-inert`, which asks it of the present code, and `reproduce`, which asks it of the trial's own.
Nothing of the recorded run is touched; clocks and paces are no part of what is compared.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dreamerlab.lab.origins import link_origins
from dreamerlab.lab.programs import asked_to_end
from dreamerlab.launch.trainer import settle, start_trainer
from dreamerlab.runs.attempts import read_starts
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.manifest import Budget, Manifest, write_manifest
from dreamerlab.runs.series import Line, join_attempts, read_episodes, read_evals, read_lines
from dreamerlab.runs.status import Status, read_status, write_status
from dreamerlab.runs.store import Workspace

CLOCKS = frozenset({"time", "wall_s", "attempt"})
_PACE = "pace/"
_TELL_EVERY_S = 10.0


@contextmanager
def scratch_folder(workspace: Workspace, name: str, what: str) -> Generator[Path]:
    """Lend a folder for a block, gone after it, whatever ends it; Conflict when another process has it."""
    folder = workspace.cache / name
    with asked_to_end(), owned_lock(workspace.hidden / f"{name}.lock", timeout_s=0.0, what=what):
        shutil.rmtree(folder, ignore_errors=True)  # what one that was killed has left
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def retrain(
    workspace: Workspace,
    folder: Path,
    manifest: Manifest,
    recorded: TrialDirectory,
    code: Path,
    env_steps: int | None,
    tell: Callable[[Status], None] = lambda status: None,
) -> tuple[TrialDirectory, Status]:
    """Train a recorded trial in `folder` from the snapshot `code`; return the new trial and how it ended.

    It ends after `env_steps`, or with None as its config says. `tell` hears of its progress now and then.
    """
    from dreamerlab.config.layers import flatten, from_flat, load_config, to_yaml

    config = load_config(recorded.run.config_path)
    if env_steps is not None:
        cut = {"budget.unit": "env_steps", "budget.amount": env_steps}
        config = from_flat({**flatten(config), **cut}, {})
    run = RunDirectory(folder / manifest.id)
    trial = run.trial(recorded.seed)
    trial.path.mkdir(parents=True)
    link_origins(workspace, config, folder)
    run.config_path.write_text(to_yaml(config))
    write_manifest(run.manifest_path, replace(manifest, budget=Budget(config.budget.unit, config.budget.amount)))
    write_status(trial, Status("queued", trial.seed))
    trainer = start_trainer(trial, code, workspace.path, config.execution.threads)
    told = time.monotonic()
    try:
        while trainer.process.poll() is None:
            time.sleep(0.05)
            if time.monotonic() - told > _TELL_EVERY_S:
                told = time.monotonic()
                tell(read_status(trial))
    except BaseException:
        trainer.ask_to_stop()
        trainer.process.wait()
        raise
    return trial, settle(trainer)


def lines_of(trial: TrialDirectory) -> dict[str, list[Line]]:
    """Return every line that counts of a trial, by kind, attempts joined; without the artifacts only evaluations."""
    metrics = [line for attempt in trial.attempts() for line in read_lines(trial.metrics_path(attempt))[0]]
    return {
        "metrics": join_attempts(metrics, read_starts(trial)),
        "evaluations": read_evals(trial)[0],
        "episodes": read_episodes(trial)[0],
    }


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return key -> both values where they are not the same to the last digit; what is emitted anew is no change."""
    pairs = {key: (value, now.get(key, "absent")) for key, value in before.items()}
    return {key: (a, b) for key, (a, b) in pairs.items() if json.dumps(a) != json.dumps(b)}


def timeless(line: Line) -> dict[str, Any]:
    """Return a line without what depends on the clock, its values beside the rest."""
    values: dict[str, Any] = dict(line.get("values") or {})
    plain = {key: value for key, value in line.items() if key not in CLOCKS and key != "values"}
    return plain | {key: value for key, value in values.items() if not key.startswith(_PACE)}


def in_words(key: str, at: Any, before: Any, now: Any) -> str:
    """Return a difference in words."""
    return f"{key} at env step {at} is {now!r}, and was {before!r}"


def spelt(lines: Mapping[str, Sequence[Line]]) -> str:
    """Return lines as one text that is equal for equal trainings."""
    return json.dumps({kind: [timeless(one) for one in some] for kind, some in lines.items()}, sort_keys=True)
