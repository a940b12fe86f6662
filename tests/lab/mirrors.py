"""Runs as the mirror finds them, and what MLflow holds of them, read from its database and not through its client."""

from __future__ import annotations

import json
import math
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from dreamerlab.config.record import to_yaml
from dreamerlab.config.schema import Config
from dreamerlab.config.schema_learning import Optimizer
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.series import append_line, read_lines
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from tests.runs.records import a_line, make_run, write_metrics

MIRROR = [sys.executable, "-P", "-m", "dreamerlab.lab.mirror_process"]
Row = tuple[str, str, int, int, float | None]


def mirror(workspace: Workspace, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MIRROR, str(workspace.path), *words], capture_output=True, text=True, timeout=300, check=False
    )


def said(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What the mirror said of the last run, after checking that it succeeded."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def make_trained_run(workspace: Workspace, lines: int = 30, **changes: Any) -> RunDirectory:
    run = make_run(workspace, **{"seeds": (1, 2), **changes})
    run.config_path.write_text(to_yaml(Config(optimizer=Optimizer(lr_actor=1e-3))))
    for trial in run.trials():
        step = 1000 // lines
        values = [{"wm__loss": 1.0 / (i + 1), "wm__kl_nats": float(i)} for i in range(lines)]
        write_metrics(trial, 1, [a_line(step * i, **row) for i, row in enumerate(values)])
        for i in range(4):
            append_line(trial.evals_path, a_line(250 * i, eval__return_mode=float(i), eval__return_sample=0.5))
        write_status(trial, replace(read_status(trial), state="finished", attempt=1, heartbeat_at=2e9))
    return run


def query(workspace: Workspace, words: str) -> list[Any]:
    with closing(sqlite3.connect(workspace.mlflow_db)) as database:
        return database.execute(words).fetchall()


def rows(workspace: Workspace) -> list[Row]:
    """Every stored point: (trial, metric, env steps, time, value or None for NaN)."""
    joined = (
        "select t.value, m.key, m.step, m.timestamp, case when m.is_nan then null else m.value end"
        " from metrics m join tags t on t.run_uuid = m.run_uuid and t.key = 'dreamerlab.path'"
    )
    return query(workspace, joined)


def expected(run: RunDirectory) -> list[Row]:
    """What the lines of a run say, in the same form."""
    found: list[Row] = []
    for trial in run.trials():
        files = [trial.evals_path, *(trial.metrics_path(attempt) for attempt in trial.attempts())]
        for line in [line for file in files for line in read_lines(file)[0]]:
            for name, value in line["values"].items():
                shown = None if isinstance(value, str) or math.isnan(value) else value
                found.append(
                    (f"{run.id}/seed {trial.seed}", name, line["env_steps"], round(1000 * line["time"]), shown)
                )
    return found


def is_whole(workspace: Workspace, *runs: RunDirectory) -> bool:
    """Tell whether the database holds every point of these runs once, and nothing else."""
    return Counter(rows(workspace)) == Counter(row for run in runs for row in expected(run))


def tags(workspace: Workspace) -> dict[str, dict[str, str]]:
    """Tags of every MLflow run, by the run's or trial's path."""
    pairs = query(workspace, "select run_uuid, key, value from tags")
    by_run: dict[str, dict[str, str]] = {}
    for run, key, value in pairs:
        by_run.setdefault(run, {"id": run})[key] = value
    assert len(by_run) == len({found["dreamerlab.path"] for found in by_run.values()}), "a run was made twice"
    return {found["dreamerlab.path"]: found for found in by_run.values()}


def statuses(workspace: Workspace) -> dict[str, str]:
    known = dict(query(workspace, "select run_uuid, status from runs"))
    return {path: known[found["id"]] for path, found in tags(workspace).items()}


def artifacts(workspace: Workspace) -> dict[str, Path]:
    """Files attached to any run, by artifact path."""
    top = workspace.hidden / "mlflow-artifacts"
    found = [path for path in top.rglob("*") if path.is_file()]
    return {path.as_posix().partition("/artifacts/")[2]: path for path in found}


def wait_until(condition: Callable[[], bool], limit_s: float = 180.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
