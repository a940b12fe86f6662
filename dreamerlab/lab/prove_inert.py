"""`check --prove-inert`: whether changed code behaves as the code before it, bit for bit, over the first updates.

Trains the start of a baseline's first trial once more, in a scratch folder, by the present code, and compares every
line with the recorded one: training metrics, evaluations, episodes; only clocks and pace are left out. Equal lines
become an entry of the log, on which the gates rely (`inert_proofs.py`); a difference is named and proves the contrary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dreamerlab.errors import GateRefused, NotFound, ToolFailed
from dreamerlab.lab.code_scope import changed_sources
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.inert_proofs import PROOF
from dreamerlab.lab.ledger import open_record
from dreamerlab.lab.preflight import require_training_parts
from dreamerlab.lab.publish import publish
from dreamerlab.lab.retraining import differing, in_words, lines_of, retrain, scratch_folder, spelt, timeless
from dreamerlab.protocol.registry import ENTRY
from dreamerlab.protocol.state import NOTED
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Manifest, read_manifest
from dreamerlab.runs.series import Line, read_lines
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.code_identity import CodeIdentity, snapshot

DEFAULT_UPDATES = 100


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
    with scratch_folder(workspace, "prove-inert", "proving code inert") as scratch:
        fault = _first_difference(recorded.lines, _train(workspace, scratch, manifest, recorded, code))
    if fault is not None:
        raise GateRefused(
            f"the present code is not inert: {fault}",
            hint="measure a new baseline by the present code, or declare the change: dreamerlab propose --code '...'",
        )
    count = sum(len(lines) for lines in recorded.lines.values())
    about = f"The present code trains the first {where} as recorded: {count} lines are equal bit for bit."
    files = changed_sources(workspace, manifest, code)
    digest = hashlib.sha256(spelt(recorded.lines).encode()).hexdigest()
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
    trial, status = retrain(workspace, folder, manifest, recorded.trial, snapshot(workspace, code), recorded.env_steps)
    if status.state != "finished":
        raise ToolFailed(f"the present code could not train the start of {manifest.id}: {status.reason}")
    return lines_of(trial)


def _first_difference(recorded: Mapping[str, Sequence[Line]], again: Mapping[str, Sequence[Line]]) -> str | None:
    """Return where two stretches differ first, in words; the last evaluation of the shorter one has no counterpart."""
    for kind, lines in recorded.items():
        steps = {one["env_steps"] for one in lines}
        new = [one for one in again[kind] if one["env_steps"] in steps]
        if len(new) != len(lines):
            return f"{kind}: {len(lines)} lines are recorded, and {len(new)} came out"
        for before, now in zip(lines, new, strict=True):
            for key, (a, b) in differing(timeless(before), timeless(now)).items():
                return in_words(key, before["env_steps"], a, b)
    return None
