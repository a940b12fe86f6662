"""`check --prove-inert`: whether changed code behaves as the code before it, bit for bit, over the first updates.

Trains the start of a baseline's first trial once more, in a scratch folder, by the present code, and compares every
line with the recorded one: training metrics, evaluations, episodes; only clocks and pace are left out. Equal lines
become an entry of the log, on which the gates rely (`inert_proofs.py`); a difference is named and proves the contrary.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dreamerlab.errors import GateRefused, NotFound, ToolFailed
from dreamerlab.lab.code_scope import changed_sources
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.inert_proofs import PROOF
from dreamerlab.lab.ledger import open_record
from dreamerlab.lab.origins import link_origin
from dreamerlab.lab.preflight import require_training_parts
from dreamerlab.lab.publish import publish
from dreamerlab.launch.trainer import settle, start_trainer
from dreamerlab.protocol.registry import ENTRY
from dreamerlab.protocol.state import NOTED
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.lock import owned_lock
from dreamerlab.runs.manifest import Budget, Manifest, read_manifest, write_manifest
from dreamerlab.runs.series import Line, read_lines
from dreamerlab.runs.status import Status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.code_identity import CodeIdentity, snapshot

DEFAULT_UPDATES = 100
_CLOCKS = frozenset({"time", "wall_s", "attempt"})
_PACE = "pace/"


@dataclass(frozen=True)
class Stretch:
    """The start of a recorded trial: how far, and the lines written on the way, by kind."""

    trial: TrialDirectory
    env_steps: int
    updates: int
    lines: Mapping[str, Sequence[Line]]


@dataclass(frozen=True)
class Proof:
    """What was shown equal, and the entry that says so."""

    entry: str
    run: str
    env_steps: int
    updates: int
    lines: int


def prove_inert(
    workspace: Workspace,
    run: RunDirectory,
    code: CodeIdentity,
    voice: Voice,
    *,
    updates: int = DEFAULT_UPDATES,
    commit: bool = True,
) -> Proof:
    """Record that `code` trains the start of `run` as recorded, and return where that is written.

    GateRefused names the first figure that differs, NotFound what is missing to compare with, Conflict another proof
    under way, ToolFailed a trainer that broke down. At least `updates` updates and one evaluation are compared, or
    the whole trial if it is shorter.
    """
    require_training_parts(workspace)
    manifest = read_manifest(run.manifest_path)
    recorded = _recorded(run, manifest, updates)
    where = f"{recorded.updates} updates ({recorded.env_steps} env steps) of {run.id} seed {recorded.trial.seed}"
    voice.say(f"training the first {where} again, by the present code")
    scratch = workspace.cache / "prove-inert"
    with owned_lock(workspace.hidden / "prove-inert.lock", timeout_s=0.0, what="proving code inert"):
        shutil.rmtree(scratch, ignore_errors=True)  # what one that was killed has left
        try:
            fault = _first_difference(recorded.lines, _train(workspace, scratch / run.id, manifest, recorded, code))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    if fault is not None:
        raise GateRefused(
            f"the present code is not inert: {fault}",
            hint="measure a new baseline by the present code, or declare the change: dreamerlab propose --code '...'",
        )
    count = sum(len(lines) for lines in recorded.lines.values())
    about = f"The present code trains the first {where} as recorded: {count} lines are equal bit for bit."
    files = changed_sources(workspace, manifest, code)
    digest = hashlib.sha256(_spelt(recorded.lines).encode()).hexdigest()
    proof = {"before": manifest.code.identity, "now": code.identity, "run": run.id, "seed": recorded.trial.seed}
    proof |= {"updates": recorded.updates, "env_steps": recorded.env_steps, "sha256": digest}
    fields = {"tool": "dreamerlab check --prove-inert"} | ({"files": ", ".join(files)} if files else {})
    data = {"kind": "audit", "text": about, "about": [run.id], "fields": fields, PROOF: proof}
    entry = open_record(workspace, ENTRY, NOTED, data)
    publish(workspace, [entry], f"Audit {entry}: code proven inert on {run.id}", voice.warn, wanted=commit)
    return Proof(entry, run.id, recorded.env_steps, recorded.updates, count)


def _recorded(run: RunDirectory, manifest: Manifest, updates: int) -> Stretch:
    """Return the shortest recorded start that holds enough updates and an evaluation."""
    for seed in manifest.seeds:
        trial = run.trial(seed)
        metrics = read_lines(trial.metrics_path(1))[0]
        evals = _of_first_attempt(read_lines(trial.evals_path)[0])
        if not metrics or not evals:
            continue
        least = int(evals[0]["env_steps"])
        reached = [one for one in metrics if one["updates"] >= updates and one["env_steps"] >= least]
        last = reached[0] if reached else metrics[-1]
        return _stretch(trial, int(last["env_steps"]), int(last["updates"]), metrics, evals)
    raise NotFound(
        f"no metrics of {run.id} are here, and there is nothing to compare with",
        hint=f"dreamerlab data pull {run.id}",
    )


def _stretch(trial: TrialDirectory, env_steps: int, updates: int, metrics: list[Line], evals: list[Line]) -> Stretch:
    episodes = _of_first_attempt(read_lines(trial.episodes_path)[0])
    kinds = {"metrics": metrics, "evaluations": evals, "episodes": episodes}
    within = {kind: [one for one in lines if one["env_steps"] <= env_steps] for kind, lines in kinds.items()}
    return Stretch(trial, env_steps, updates, within)


def _of_first_attempt(lines: Sequence[Line]) -> list[Line]:
    return [one for one in lines if one.get("attempt", 1) == 1]


def _train(
    workspace: Workspace, folder: Path, manifest: Manifest, recorded: Stretch, code: CodeIdentity
) -> dict[str, list[Line]]:
    """Train the stretch in a scratch run and return its lines."""
    from dreamerlab.config.layers import flatten, from_flat, load_config, to_yaml

    config = load_config(recorded.trial.run.config_path)
    cut = {"budget.unit": "env_steps", "budget.amount": recorded.env_steps}
    config = from_flat({**flatten(config), **cut}, {})
    run = RunDirectory(folder)
    trial = run.trial(recorded.trial.seed)
    trial.path.mkdir(parents=True)
    link_origin(workspace, flatten(config)["init.checkpoint"], folder.parent)
    run.config_path.write_text(to_yaml(config))
    write_manifest(run.manifest_path, replace(manifest, budget=Budget("env_steps", recorded.env_steps)))
    write_status(trial, Status("queued", trial.seed))
    trainer = start_trainer(trial, snapshot(workspace, code), workspace.path, config.execution.threads)
    try:
        trainer.process.wait()
    except BaseException:
        trainer.ask_to_stop()
        trainer.process.wait()
        raise
    status = settle(trainer)
    if status.state != "finished":
        raise ToolFailed(f"the present code could not train the start of {manifest.id}: {status.reason}")
    lines = {"metrics": trial.metrics_path(1), "evaluations": trial.evals_path, "episodes": trial.episodes_path}
    return {kind: read_lines(path)[0] for kind, path in lines.items()}


def _first_difference(recorded: Mapping[str, Sequence[Line]], again: Mapping[str, Sequence[Line]]) -> str | None:
    """Return where two stretches differ first, in words; the last evaluation of the shorter one has no counterpart."""
    for kind, lines in recorded.items():
        steps = {one["env_steps"] for one in lines}
        new = [one for one in again[kind] if one["env_steps"] in steps]
        if len(new) != len(lines):
            return f"{kind}: {len(lines)} lines are recorded, and {len(new)} came out"
        for before, now in zip(lines, new, strict=True):
            for key, (a, b) in _differing(_timeless(before), _timeless(now)).items():
                return f"{key} at env step {before['env_steps']} is {b!r}, and was {a!r}"
    return None


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return key -> both values where they are not the same to the last digit; what is emitted anew is no change."""
    pairs = {key: (value, now.get(key, "absent")) for key, value in before.items()}
    return {key: (a, b) for key, (a, b) in pairs.items() if json.dumps(a) != json.dumps(b)}


def _timeless(line: Line) -> dict[str, Any]:
    """Return a line without what depends on the clock, its values beside the rest."""
    values: dict[str, Any] = dict(line.get("values") or {})
    plain = {key: value for key, value in line.items() if key not in _CLOCKS and key != "values"}
    return plain | {key: value for key, value in values.items() if not key.startswith(_PACE)}


def _spelt(lines: Mapping[str, Sequence[Line]]) -> str:
    return json.dumps({kind: [_timeless(one) for one in some] for kind, some in lines.items()}, sort_keys=True)
