"""How long the light commands take, in units of `python -c "import typer"`, among 1,000 hypotheses and 1,000 runs."""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

from dreamerlab.ids import RecordId
from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol import state
from dreamerlab.protocol.registry import ENTRY, HYPOTHESIS, Registry
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import Budget, Code, Manifest, write_manifest
from dreamerlab.runs.status import Status, write_status
from dreamerlab.runs.store import Workspace
from tests.lab.arms import make_arm
from tests.lab.hypotheses import a_proposal, an_event
from tests.lab.workspaces import light_workspace

HYPOTHESES, RUNS, RECENT, SEEDS, ROUNDS = 1000, 1000, 30, 3, 7
LIMIT = 3.0


def measure() -> list[tuple[str, float, float | None]]:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "lab"
        with patch("os.fsync"):  # nothing here has to survive a power cut
            fill(light_workspace(workspace))
        cli = [sys.executable, "-m", "dreamerlab"]
        commands = {
            "typer": [sys.executable, "-c", "import typer"],
            "--help": [*cli, "--help"],
            "list (newest 30 of 1,000 hypotheses and of 1,000 runs)": [*cli, "list"],
            "list --all (all of them)": [*cli, "list", "--all"],
            "show H900 (judged, two runs)": [*cli, "show", "H900"],
            "show R900": [*cli, "show", "R900"],
            "show NAME (of a hypothesis)": [*cli, "show", "idea-500"],
            "status": [*cli, "status"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        # Interleaved, so that a busy moment hits every command alike; CPU time, so that waiting does not count.
        for _ in range(ROUNDS):
            for name, command in commands.items():
                seconds[name].append(cpu_seconds(command, workspace))
    typer = statistics.median(seconds.pop("typer"))
    # Reading a thousand runs whole is what --all asks for; it is shown, not promised.
    return [
        (f"{name}, x typer", statistics.median(times) / typer, None if "--all" in name else LIMIT)
        for name, times in seconds.items()
    ]


def cpu_seconds(command: list[str], cwd: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fill(workspace: Workspace) -> None:
    """Make 1,000 hypotheses, judged but for the last ones, 1,000 runs and 1,000 notes through the real writers.

    Every hypothesis has one run and shares the first run as its baseline. All runs have the files of one real run.
    """
    sample = make_arm(
        workspace, "sample", [[20.0 + (7 * seed + 11 * at) % 400 for at in range(40)] for seed in range(3)]
    )
    model = workspace.path / "model"
    sample.path.rename(model)
    for number in range(1, RUNS + 1):
        run = RunDirectory(workspace.runs / f"R{number:04d}-abc")
        run.path.mkdir(parents=True)
        write_manifest(run.manifest_path, _manifest(run.id, f"H{number:04d}-abc"))
        for name in ("config.yaml", "origins.json"):
            shutil.copyfile(model / name, run.path / name)
        for seed in range(SEEDS):
            trial = run.trial(seed)
            trial.path.mkdir()
            write_status(trial, _status(seed))
            for name in ("evals.jsonl", "attempts.json"):
                shutil.copyfile(model / f"seed-{seed}" / name, trial.path / name)
            trial.summary_path.write_text(json.dumps({"state": "finished", "score": 200.0 + seed, "env_steps": 4000}))
            if number <= RUNS - RECENT:
                os.utime(trial.path, (1.7e9, 1.7e9))
    shutil.rmtree(model)
    registry = registry_of(workspace)
    with patch("dreamerlab.protocol.registry.new_id", lambda letter, number: RecordId(letter, number, "abc")):
        for number in range(1, HYPOTHESES + 1):
            _hypothesis(registry, number)


def _hypothesis(registry: Registry, number: int) -> None:
    run, baseline = f"R{number:04d}-abc", "R0001-abc"
    made = registry.create(HYPOTHESIS, an_event(state.PROPOSED, a_proposal(name=f"idea-{number}").to_dict()))
    launch = {"run": run, "baseline_run": baseline, "code": {}, "dirty": False, "proposal_commit": "ab" * 20}
    registry.append(made, an_event(state.LAUNCHED, launch))
    for seed in range(SEEDS):
        ended = {"run": run, "seed": seed, "state": "finished", "score": 200.0 + seed, "summary_sha256": "0" * 64}
        registry.append(made, an_event(state.TRIAL_FINISHED, ended))
    registry.append(made, an_event(state.JUDGED, _verdict(run, baseline)))
    note = {"kind": "conclusion", "text": "as expected " * 20, "about": [made], "fields": {}}
    registry.create(ENTRY, an_event(state.NOTED, note))


def _verdict(run: str, baseline: str) -> dict[str, object]:
    arm = {"n": SEEDS, "mean": 201.0, "sd": 1.0, "low": 198.5, "high": 203.5, "seeds": {"0": 200.0, "1": 201.0}}
    arms = {"treatment": {**arm, "run": run}, "baseline": {**arm, "run": baseline}}
    figures = {**arms, "difference": 0.0, "low": -2.3, "high": 2.3, "level": 0.95, "decided_by": "Welch interval"}
    words = {"outcome": "REFUTED", "label": "too small", "qualifiers": ["underpowered"], "reasons": ["H is below it."]}
    return {**words, "figures": figures, "needs_seeds": None, "sources": {}, "rule": 1}


def _manifest(run_id: str, hypothesis: str) -> Manifest:
    return Manifest(
        id=run_id,
        kind="treatment",
        env="cartpole",
        family="cartpole/3f2a",
        created_at="2026-01-01T00:00:00+00:00",
        seeds=tuple(range(SEEDS)),
        budget=Budget("env_steps", 4000),
        code=Code("0" * 64),
        hypothesis=hypothesis,
    )


def _status(seed: int) -> Status:
    return Status(state="finished", seed=seed, attempt=1, env_steps=4000, updates=2000, episodes=90)
