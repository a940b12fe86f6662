"""The real MLflow, read back from its own database: no line lost, none twice, whatever is killed when."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.config.record import to_yaml
from dreamerlab.config.schema import Config
from dreamerlab.config.schema_learning import Optimizer
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.processes import own_identity
from dreamerlab.runs.series import append_line, read_lines
from dreamerlab.runs.status import Status, read_status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking import mlflow_mirror
from dreamerlab.tracking.mlflow_mirror import changed_leaves, run_status
from tests.runs.records import a_line, make_run, make_workspace, write_metrics

MIRROR = [sys.executable, "-P", "-m", "dreamerlab.tracking.mlflow_mirror"]
Row = tuple[str, str, int, int, float | None]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its migrations run, as `init` leaves it; copied by each test."""
    pytest.importorskip("mlflow.version", reason="MLflow is not installed")
    workspace = make_workspace(tmp_path_factory.mktemp("mlflow") / "lab")
    done = mirror(workspace, "--prepare")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return workspace.mlflow_db


@pytest.fixture
def workspace(prepared: Path, tmp_path: Path) -> Workspace:
    found = make_workspace(tmp_path / "my lab")
    found.hidden.mkdir()
    shutil.copy(prepared, found.mlflow_db)
    return found


def mirror(workspace: Workspace, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MIRROR, str(workspace.path), *words], capture_output=True, text=True, timeout=120, check=False
    )


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


def make_trained_run(workspace: Workspace, lines: int = 30, **changes: Any) -> RunDirectory:
    run = make_run(workspace, seeds=(1, 2), **changes)
    run.config_path.write_text(to_yaml(Config(optimizer=Optimizer(lr_actor=1e-3))))
    for trial in run.trials():
        step = 1000 // lines
        values = [{"wm__loss": 1.0 / (i + 1), "wm__kl_nats": float(i)} for i in range(lines)]
        write_metrics(trial, 1, [a_line(step * i, **row) for i, row in enumerate(values)])
        for i in range(4):
            append_line(trial.evals_path, a_line(250 * i, eval__return_mode=float(i), eval__return_sample=0.5))
        write_status(trial, replace(read_status(trial), state="finished", attempt=1, heartbeat_at=2e9))
    return run


def test_a_run_is_copied_whole(workspace: Workspace) -> None:
    run = make_trained_run(workspace, name="ref")
    append_line(run.trial(1).metrics_path(1), a_line(1000, wm__loss="nan", wm__kl_nats="inf"))
    done = mirror(workspace, run.id)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert Counter(rows(workspace)) == Counter(expected(run))
    place = json.loads(mlflow_mirror.cursor_path(workspace, run.id).read_text())["trials"]["1"]
    sizes = {name: (run.path / name).stat().st_size for name in place["files"]}
    assert place["files"] == sizes, "the place reached is the end of each file"
    assert set(sizes) == {"seed-1/evals.jsonl", "artifacts/seed-1/attempt-1/metrics.jsonl"}
    found = tags(workspace)
    parent, child = found[run.id], found[f"{run.id}/seed 1"]
    assert child["mlflow.parentRunId"] == parent["id"]
    assert child["not_finite.wm/kl_nats"] == "inf at 1000 env steps"
    assert (parent["dreamerlab.state"], parent["dreamerlab.kind"], parent["mlflow.runName"]) == (
        "2 finished",
        "baseline",
        "ref",
    )
    assert parent["mlflow.source.git.commit"] == "cd" * 20
    assert set(statuses(workspace).values()) == {"FINISHED"}
    assert query(workspace, "select key, value from params") == [("optimizer.lr_actor", "0.001")]
    [(name, place)] = query(workspace, "select name, artifact_location from experiments where experiment_id != 0")
    assert name == "cartpole-state/3f2a"
    assert place.startswith("file:///")
    assert [path.name for path in (workspace.hidden / "mlflow-artifacts").rglob("*.yaml")] == ["config.yaml"]


@pytest.mark.slow
def test_what_is_sent_again_is_stored_once(workspace: Workspace) -> None:
    run = make_trained_run(workspace)
    append_line(run.trial(1).metrics_path(1), a_line(1000, wm__loss="nan", wm__kl_nats="inf"))
    assert mirror(workspace, run.id).returncode == 0
    mlflow_mirror.cursor_path(workspace, run.id).unlink()
    append_line(run.trial(2).evals_path, a_line(1000, eval__return_mode=9.0, eval__return_sample=0.5))
    assert mirror(workspace, run.id).returncode == 0
    assert Counter(rows(workspace)) == Counter(expected(run))
    assert len(tags(workspace)) == 3


@pytest.mark.slow
def test_killed_at_random_moments_it_loses_and_doubles_nothing(workspace: Workspace) -> None:
    rng = random.Random(7)
    run = make_trained_run(workspace, lines=1000)
    for trial in run.trials():
        write_metrics(trial, 2, [a_line(s, 2, pace__update_ms=1.0 + s / 7) for s in range(1000)])
    kills = 0
    for _ in range(7):
        before = place_of(workspace, run)
        process = subprocess.Popen([*MIRROR, str(workspace.path), run.id], stderr=subprocess.PIPE, text=True)
        while process.poll() is None and place_of(workspace, run) == before:
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 0.4))
        process.kill()
        _, errors = process.communicate()
        assert process.returncode in {0, -signal.SIGKILL}, errors
        kills += process.returncode != 0
        stored = Counter(rows(workspace))
        assert not stored - Counter(expected(run)), "something was stored that no line says, or twice"
    assert kills >= 3
    assert mirror(workspace, run.id).returncode == 0
    assert Counter(rows(workspace)) == Counter(expected(run))
    assert len(tags(workspace)) == 3


@pytest.mark.slow
def test_following_a_run_until_its_trials_have_ended(workspace: Workspace) -> None:
    run = make_trained_run(workspace, lines=3)
    me = own_identity()
    running = Status("running", 1, 1, me.pid, me.start_ticks, me.boot_id, me.host, heartbeat_at=2e9)
    write_status(run.trial(1), running)
    process = subprocess.Popen([*MIRROR, str(workspace.path), run.id, "--follow"], stderr=subprocess.PIPE, text=True)
    try:
        shown = {run.id: "RUNNING", f"{run.id}/seed 1": "RUNNING", f"{run.id}/seed 2": "FINISHED"}
        wait_until(lambda: statuses(workspace) == shown and len(rows(workspace)) == len(expected(run)))
        second = mirror(workspace, run.id)
        assert second.returncode == 4
        assert f"the mirror of {run.id} is held by process {process.pid}" in second.stderr
        append_line(run.trial(1).evals_path, a_line(900, eval__return_mode=8.0))
        write_status(run.trial(1), replace(running, state="failed", reason="wm/loss is nan"))
        assert process.communicate(timeout=120)[1] == ""
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert Counter(rows(workspace)) == Counter(expected(run))
    assert statuses(workspace) == {run.id: "FAILED", f"{run.id}/seed 1": "FAILED", f"{run.id}/seed 2": "FINISHED"}
    assert tags(workspace)[f"{run.id}/seed 1"]["dreamerlab.reason"] == "wm/loss is nan"


@pytest.mark.slow
def test_a_database_of_the_users_choice_gets_everything_but_the_files_lie_in_the_workspace(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_trained_run(workspace)
    theirs = tmp_path / "theirs.db"
    shutil.move(workspace.mlflow_db, theirs)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{theirs}")
    monkeypatch.chdir(tmp_path)
    assert mirror(workspace, run.id).returncode == 0
    assert not workspace.mlflow_db.exists()
    assert not (tmp_path / "mlruns").exists()
    assert [path.name for path in (workspace.hidden / "mlflow-artifacts").rglob("*.yaml")] == ["config.yaml"]
    shutil.move(theirs, workspace.mlflow_db)
    assert Counter(rows(workspace)) == Counter(expected(run))


@pytest.mark.slow
def test_a_dead_trainer_ends_the_mirror_as_killed(workspace: Workspace) -> None:
    run = make_trained_run(workspace, lines=3)
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    write_status(run.trial(1), Status("running", 1, 1, gone.pid, 1, own_identity().boot_id, own_identity().host))
    assert mirror(workspace, run.id, "--follow").returncode == 0
    assert statuses(workspace)[f"{run.id}/seed 1"] == "KILLED"
    assert statuses(workspace)[run.id] == "KILLED"


@pytest.mark.slow
def test_a_new_database_is_filled_from_the_lines(workspace: Workspace) -> None:
    run = make_trained_run(workspace)
    assert mirror(workspace, run.id).returncode == 0
    before = Counter(rows(workspace))
    workspace.mlflow_db.unlink()
    assert mirror(workspace, run.id).returncode == 0
    assert Counter(rows(workspace)) == before


@pytest.mark.slow
def test_four_mirrors_and_a_fresh_database_at_once(workspace: Workspace) -> None:
    workspace.mlflow_db.unlink()
    runs = [make_trained_run(workspace, lines=5) for _ in range(4)]
    command = [*MIRROR, str(workspace.path)]
    processes = [subprocess.Popen([*command, run.id], stderr=subprocess.PIPE, text=True) for run in runs]
    errors = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    assert Counter(rows(workspace)) == Counter(row for run in runs for row in expected(run))


@pytest.mark.slow
def test_a_locked_database_is_one_warning_and_exit_code_5(workspace: Workspace) -> None:
    run = make_trained_run(workspace)
    patience = "import dreamerlab.tracking.mlflow_backend as b; b.RETRY_PAUSES_S = ()"
    code = f"{patience}; from dreamerlab.tracking.mlflow_mirror import main; import sys; sys.exit(main(sys.argv[1:]))"
    with closing(sqlite3.connect(workspace.mlflow_db, isolation_level=None)) as database:
        database.execute("begin exclusive")
        command = [sys.executable, "-c", code, str(workspace.path), run.id]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        database.execute("rollback")
    assert done.returncode == 5
    assert done.stderr.startswith("warning: MLflow could not ")
    assert len(done.stderr.splitlines()) == 1
    assert "database is locked" in done.stderr
    assert mirror(workspace, run.id).returncode == 0
    assert Counter(rows(workspace)) == Counter(expected(run))


@pytest.mark.slow
@pytest.mark.parametrize("store", ["http://127.0.0.1:1", "sqlite:///{folder}/a file/mlflow.db"])
def test_a_store_that_cannot_be_reached_is_one_warning_and_exit_code_5(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    run = make_trained_run(workspace)
    (workspace.path / "a file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.format(folder=workspace.path))
    done = mirror(workspace, run.id)
    assert done.returncode == 5
    assert done.stderr.startswith("warning: MLflow could not ")
    assert len(done.stderr.splitlines()) == 1, done.stderr


def place_of(workspace: Workspace, run: RunDirectory) -> str | None:
    path = mlflow_mirror.cursor_path(workspace, run.id)
    return path.read_text() if path.exists() else None


def wait_until(condition: Any, limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_without_mlflow_it_is_one_warning_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_workspace(tmp_path / "lab")
    run = make_run(workspace)
    monkeypatch.setattr("dreamerlab.tracking.mlflow_backend.find_spec", lambda name: None)
    monkeypatch.setattr(os, "nice", lambda increment: increment)
    assert mlflow_mirror.main([str(workspace.path), run.id]) == 5
    assert capsys.readouterr().err == "warning: MLflow is not installed (hint: pip install 'dreamerlab[track]')\n"
    assert not mlflow_mirror.cursor_path(workspace, run.id).exists()


def test_an_unknown_run_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "nice", lambda increment: increment)
    assert mlflow_mirror.main([str(make_workspace(tmp_path / "lab").path), "R7"]) == 4
    assert "no run is called 'R7'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "states, word",
    [
        (["finished", "finished"], "FINISHED"),
        (["finished", "stopped"], "FINISHED"),
        (["finished", "running", "failed"], "RUNNING"),
        (["queued", "finished"], "RUNNING"),
        (["finished", "failed", "killed"], "FAILED"),
        (["finished", "interrupted"], "KILLED"),
        (["finished", "killed"], "KILLED"),
        (["finished", "waiting"], "KILLED"),
        (["unreadable"], "KILLED"),
    ],
)
def test_the_word_for_a_run_follows_from_its_trials(states: list[str], word: str) -> None:
    assert run_status(states) == word


def test_only_leaves_that_differ_are_parameters(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(Config()))
    assert changed_leaves(path) == {}
    path.write_text("schema: 1\nmodel:\n  deter: 32\n  unimix: 0.01\nlater:\n  leaf: [1, 2]\n")
    assert changed_leaves(path) == {"model.deter": "32", "later.leaf": "[1, 2]"}
    assert json.dumps(changed_leaves(path))
