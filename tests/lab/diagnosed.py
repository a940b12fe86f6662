"""Runs on disk whose metric lines tell a story made by hand, for tests of what `diagnose` reads and prints."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from dreamerlab.config.layers import resolve, shipped_env_configs
from dreamerlab.runs.attempts import open_attempt
from dreamerlab.runs.creation import create_run
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Budget
from dreamerlab.runs.series import append_line
from dreamerlab.runs.status import Status, write_status
from dreamerlab.runs.store import Workspace
from tests.diagnostics.courses import LEARNS, Shape, series
from tests.runs.records import a_line, a_manifest, make_workspace, write_metrics

RATES = ("optimizer.lr_actor=3e-4", "optimizer.lr_critic=1e-3", "optimizer.lr_world=1e-3")
AS_MEASURED = (*RATES, "train.train_ratio=256")
"""What a run that learns was set to."""


def a_workspace(path: Path) -> Workspace:
    """Return a workspace with the environments' files."""
    workspace = make_workspace(path)
    shutil.copytree(shipped_env_configs(), workspace.env_configs)
    return workspace


def a_run(
    workspace: Workspace,
    shapes: Mapping[str, Shape] = {},
    *,
    seeds: int = 3,
    overrides: tuple[str, ...] = (),
    **facts: Any,
) -> RunDirectory:
    """Return a finished run of 10,000 env steps in which every seed shows `shapes` over a run that learns."""
    resolved = resolve(workspace.path, "cartpole", "nano", ("budget.amount=10000", *AS_MEASURED, *overrides))
    nested: dict[str, Any] = {"schema": 1}
    for key, value in resolved.flat.items():
        section, _, leaf = key.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[leaf] = (
            list(value) if isinstance(value, tuple) else value
        )
    made = replace(a_manifest(seeds=tuple(range(seeds)), budget=Budget("env_steps", 10_000)), **facts)
    origins = dict.fromkeys(resolved.flat, "env_configs/experiments/nano.yaml:1")
    run = create_run(workspace, made, config_yaml=yaml.safe_dump(nested, sort_keys=False), origins=origins)
    for seed in range(seeds):
        write_trial(run.trial(seed), {**LEARNS, **shapes})
    return run


def write_trial(
    trial: TrialDirectory, shapes: Mapping[str, Shape], state: str = "finished", spent: float = 10_000
) -> None:
    """Write metric lines, evaluations and status of one trial."""
    known = {name: series(shape) for name, shape in shapes.items()}
    open_attempt(trial, 1, start_env_steps=0)
    lines = [
        {
            **a_line(100 * (i + 1)),
            "values": {name: one.values[i] for name, one in known.items() if not name.startswith("eval/")},
        }
        for i in range(100)
    ]
    write_metrics(trial, 1, lines)
    for i in range(4, 100, 5):
        found = {name: one.values[i] for name, one in known.items() if name.startswith("eval/")}
        append_line(trial.evals_path, {**a_line(100 * (i + 1)), "values": found})
    status = Status(state, trial.seed, attempt=1, env_steps=int(spent), updates=5000)
    write_status(trial, replace(status, budget_unit="env_steps", budget_amount=10_000, spent=spent))
