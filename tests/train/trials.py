"""Makes trial directories as the launcher would, with networks so small that an update takes milliseconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.config.record import to_yaml
from dreamerlab.config.schema import Config
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Budget, Code, Manifest, write_manifest
from dreamerlab.train.attempt import execute
from dreamerlab.train.recorder import Recorder
from dreamerlab.train.runtime import StopRequest

TINY: dict[str, dict[str, Any]] = {
    "env": {"id": "CartPole-v1"},
    "budget": {"amount": 60},
    "model": {
        **dict.fromkeys(("deter", "hidden", "units"), 8),
        **{"stoch": 3, "classes": 4, "blocks": 2},
        **dict.fromkeys(("prior_layers", "encoder_layers", "decoder_layers", "policy_layers", "value_layers"), 1),
    },
    "behavior": {"horizon": 3},
    "optimizer": {"lr_world": 1e-3, "lr_actor": 1e-3, "lr_critic": 1e-3, "warmup_updates": 5},
    "train": {"batch_size": 4, "batch_length": 5, "train_ratio": 10.0, "imagination_starts": 2, "learning_starts": 12},
    "eval": {"every": 30, "episodes": 2},
    "log": {"every": 10},
    "checkpoint": {"every": 20},
}


def tiny_config(**sections: dict[str, Any]) -> Config:
    """Return the tiny config with some leaves changed, `budget={"amount": 40}`."""
    merged = {name: {**TINY.get(name, {}), **sections.get(name, {})} for name in {*TINY, *sections}}
    return Config.model_validate(merged)


def make_trial(folder: Path, config: Config, seed: int = 0, run_id: str = "R0001-abc") -> TrialDirectory:
    """Create a run with one trial under `folder`."""
    run = RunDirectory(folder / run_id)
    trial = run.trial(seed)
    trial.path.mkdir(parents=True)
    run.config_path.write_text(to_yaml(config))
    manifest = Manifest(
        id=run_id,
        kind="baseline",
        env="cartpole",
        family="cartpole/0000",
        created_at="2026-01-01T00:00:00+00:00",
        seeds=(seed,),
        budget=Budget(config.budget.unit, config.budget.amount),
        code=Code("0" * 64),
    )
    write_manifest(run.manifest_path, manifest)
    return trial


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the records of a JSONL file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def timeless(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop what depends on the clock and on the attempt, to compare the rest exactly."""
    kept = []
    for record in records:
        values = {k: v for k, v in record.get("values", {}).items() if not k.startswith("pace/")}
        kept.append({**{k: v for k, v in record.items() if k not in ("time", "wall_s", "attempt")}, "values": values})
    return kept


def without_probes(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return `timeless` metric lines without what probes found, and without lines that say nothing else."""
    kept = [
        {**record, "values": {k: v for k, v in record["values"].items() if not k.startswith("probe/")}}
        for record in records
    ]
    return timeless([record for record in kept if record["values"]])


def interrupt(trial: TrialDirectory, env_steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train until so many env steps are made, as an attempt that is then asked to stop."""
    written = Recorder.heartbeat
    stops: list[StopRequest] = []

    def heartbeat(self: Recorder, at: Any, spent: float) -> None:
        written(self, at, spent)
        if at.env_steps == env_steps:
            stops[-1].reason = "stopped by SIGTERM"

    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "listen", lambda self: stops.append(self))
        patch.setattr(Recorder, "heartbeat", heartbeat)
        with pytest.raises(BaseException, match="SIGTERM"):
            execute(trial.path, None, None)
