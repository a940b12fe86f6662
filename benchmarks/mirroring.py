"""What the MLflow mirror costs: its throughput beside that of MLflow's own batched logging of the same points.

Both fill a database prepared alike, in a process of their own, and only the copying is timed: neither the import of
MLflow nor the making of runs. The points are those that are left of a run with full rows, so reading and thinning these
is part of our time. The two take turns and the least of each counts. The limit is on CPU seconds: wall time on a shared
machine tells of its load.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from dreamerlab.runs.manifest import Budget
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from tests.runs.records import a_line, make_run, make_workspace

METRICS, LINES, ROUNDS = 40, 4000, 3
LIMIT = 1 / 0.7
"""Raw logging may be this many times as fast."""


def measure() -> list[tuple[str, float, float | None]]:
    with tempfile.TemporaryDirectory() as folder:
        prepared = make_workspace(Path(folder, "prepared"))
        _run("prepare", prepared, "-")
        spent: dict[str, list[Spent]] = {"raw": [], "mirror": []}
        for number in range(ROUNDS):
            for kind, found in spent.items():
                workspace = make_workspace(Path(folder, f"{kind}-{number}"))
                workspace.hidden.mkdir()
                shutil.copy(prepared.mlflow_db, workspace.mlflow_db)
                found.append(_run(kind, workspace, _fill(workspace)))
        raw, mirror = spent["raw"], spent["mirror"]
        assert {one.points for one in mirror} == {one.points for one in raw}
        cpu_s, wall_s = (min(one.cpu_s for one in mirror), min(one.wall_s for one in mirror))
        return [
            (
                "raw batched logging over the mirror, the same points, x CPU",
                cpu_s / min(one.cpu_s for one in raw),
                LIMIT,
            ),
            ("the same, x wall time", wall_s / min(one.wall_s for one in raw), None),
            ("mirror, 1,000 points a second", mirror[0].points / wall_s / 1000, None),
        ]


class Spent(NamedTuple):
    """What copying took; other processes count for neither."""

    wall_s: float
    cpu_s: float
    points: int


def _fill(workspace: Workspace) -> str:
    """Make a run of one ended trial with LINES full rows; return its id."""
    run = make_run(workspace, seeds=(1,), budget=Budget("env_steps", 10 * LINES))
    trial = run.trial(1)
    trial.attempt_dir(1).mkdir(parents=True)
    rows = (a_line(10 * i, **{f"m{k}/value": i / (k + 1) for k in range(METRICS)}) for i in range(LINES))
    trial.metrics_path(1).write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_status(trial, replace(read_status(trial), state="finished", attempt=1, heartbeat_at=2e9))
    return run.id


def _run(kind: str, workspace: Workspace, run_id: str) -> Spent:
    command = [sys.executable, "-m", "benchmarks.mirroring", kind, str(workspace.path), run_id]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Spent(*json.loads(done.stdout.splitlines()[-1]))


def _timed(kind: str, workspace: Workspace, run_id: str) -> Spent:
    from dreamerlab.tracking.mirror_lines import TRAIN, last_values, read_batches
    from dreamerlab.tracking.mlflow_backend import Backend
    from dreamerlab.tracking.mlflow_mirror import Mirror

    workspace.hidden.mkdir(exist_ok=True)
    os.chdir(workspace.hidden)
    backend = Backend(workspace, print)
    if kind == "prepare":
        return Spent(0.0, 0.0, 0)
    run = workspace.run(run_id)
    if kind == "mirror":
        mirror = Mirror(workspace, run, backend)
        mirror.open()
        started, cpu = time.perf_counter(), time.process_time()
        mirror.drain()
        return Spent(time.perf_counter() - started, time.process_time() - cpu, mirror.sent)
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    from dreamerlab.runs.manifest import read_manifest

    budget, path = read_manifest(run.manifest_path).budget, run.trial(1).metrics_path(1)
    batches = list(read_batches(path, 0, {}, TRAIN, budget))
    values = [value for batch in batches for value in batch.values]
    values += last_values(path, batches[-1].cells, TRAIN, budget).values
    metrics = [Metric(one.metric, one.value, one.time_ms, one.env_steps) for one in values]
    client = MlflowClient(backend.uri)
    target = client.create_run(client.create_experiment("raw")).info.run_id
    started, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(metrics), 1000):
        client.log_batch(target, metrics[start : start + 1000])
    return Spent(time.perf_counter() - started, time.process_time() - cpu, len(metrics))


if __name__ == "__main__":
    print(json.dumps(_timed(sys.argv[1], Workspace(Path(sys.argv[2])), sys.argv[3])))
