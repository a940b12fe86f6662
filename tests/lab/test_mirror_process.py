"""The real MLflow, read back from its own database: no line lost, none twice, whatever is killed when."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from dreamerlab.lab import mirror_process
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.processes import own_identity
from dreamerlab.runs.series import append_line
from dreamerlab.runs.status import Status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.mirror_state import place_path
from tests.lab.mirrors import (
    MIRROR,
    artifacts,
    expected,
    is_whole,
    make_trained_run,
    mirror,
    query,
    rows,
    said,
    statuses,
    tags,
    wait_until,
)
from tests.runs.records import a_line, make_run, make_workspace, write_metrics


def test_a_run_is_copied_whole(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored, name="ref")
    append_line(run.trial(1).metrics_path(1), a_line(1000, wm__loss="nan", wm__kl_nats="inf"))
    done = mirror(mirrored, run.id)
    assert (said(done), done.stderr) == ({"run": run.id, "points": len(expected(run))}, "")
    assert is_whole(mirrored, run)
    place = json.loads(place_path(mirrored, run.id).read_text())["trials"]["1"]
    sizes = {name: (run.path / name).stat().st_size for name in place["files"]}
    assert place["files"] == sizes, "the place reached is the end of each file"
    assert set(sizes) == {"seed-1/evals.jsonl", "artifacts/seed-1/attempt-1/metrics.jsonl"}
    found = tags(mirrored)
    parent, child = found[run.id], found[f"{run.id}/seed 1"]
    assert child["mlflow.parentRunId"] == parent["id"]
    assert child["not_finite.wm/kl_nats"] == "inf at 1000 env steps"
    assert (parent["dreamerlab.state"], parent["dreamerlab.kind"], parent["mlflow.runName"]) == (
        "2 finished",
        "baseline",
        "ref",
    )
    assert parent["mlflow.source.git.commit"] == "cd" * 20
    assert set(statuses(mirrored).values()) == {"FINISHED"}
    assert query(mirrored, "select key, value from params") == [("optimizer.lr_actor", "0.001")]
    [(name, place)] = query(mirrored, "select name, artifact_location from experiments where experiment_id != 0")
    assert name == "cartpole-state/3f2a"
    assert place.startswith("file:///")
    assert artifacts(mirrored)["config.yaml"].read_bytes() == run.config_path.read_bytes()


@pytest.mark.slow
def test_what_is_sent_again_is_stored_once(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored)
    append_line(run.trial(1).metrics_path(1), a_line(1000, wm__loss="nan", wm__kl_nats="inf"))
    assert mirror(mirrored, run.id).returncode == 0
    place_path(mirrored, run.id).unlink()
    append_line(run.trial(2).evals_path, a_line(1000, eval__return_mode=9.0, eval__return_sample=0.5))
    assert mirror(mirrored, run.id).returncode == 0
    assert is_whole(mirrored, run)
    assert len(tags(mirrored)) == 3


@pytest.mark.slow
def test_killed_at_random_moments_it_loses_and_doubles_nothing(mirrored: Workspace) -> None:
    rng = random.Random(7)
    run = make_trained_run(mirrored, lines=1000)
    for trial in run.trials():
        write_metrics(trial, 2, [a_line(s, 2, pace__update_ms=1.0 + s / 7) for s in range(1000)])
    kills = 0
    for _ in range(7):
        before = place_of(mirrored, run)
        process = subprocess.Popen([*MIRROR, str(mirrored.path), run.id], stderr=subprocess.PIPE, text=True)
        while process.poll() is None and place_of(mirrored, run) == before:
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 0.4))
        process.kill()
        _, errors = process.communicate()
        assert process.returncode in {0, -signal.SIGKILL}, errors
        kills += process.returncode != 0
        stored = Counter(rows(mirrored))
        assert not stored - Counter(expected(run)), "something was stored that no line says, or twice"
    assert kills >= 3
    assert mirror(mirrored, run.id).returncode == 0
    assert is_whole(mirrored, run)
    assert len(tags(mirrored)) == 3


@pytest.mark.slow
def test_following_a_run_until_its_trials_have_ended(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored, lines=3)
    me = own_identity()
    running = Status("running", 1, 1, me.pid, me.start_ticks, me.boot_id, me.host, heartbeat_at=2e9)
    write_status(run.trial(1), running)
    process = subprocess.Popen([*MIRROR, str(mirrored.path), run.id, "--follow"], stderr=subprocess.PIPE, text=True)
    try:
        shown = {run.id: "RUNNING", f"{run.id}/seed 1": "RUNNING", f"{run.id}/seed 2": "FINISHED"}
        wait_until(lambda: statuses(mirrored) == shown and len(rows(mirrored)) == len(expected(run)))
        second = mirror(mirrored, run.id)
        assert f"the mirror of {run.id} is held by process {process.pid}" in said(second)["followed"]
        append_line(run.trial(1).evals_path, a_line(900, eval__return_mode=8.0))
        write_status(run.trial(1), replace(running, state="failed", reason="wm/loss is nan"))
        assert process.communicate(timeout=120)[1] == ""
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert is_whole(mirrored, run)
    assert statuses(mirrored) == {run.id: "FAILED", f"{run.id}/seed 1": "FAILED", f"{run.id}/seed 2": "FINISHED"}
    assert tags(mirrored)[f"{run.id}/seed 1"]["dreamerlab.reason"] == "wm/loss is nan"


@pytest.mark.slow
def test_a_database_of_the_users_choice_gets_everything_but_the_files_lie_in_the_workspace(
    mirrored: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_trained_run(mirrored)
    theirs = tmp_path / "theirs.db"
    shutil.move(mirrored.mlflow_db, theirs)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{theirs}")
    monkeypatch.chdir(tmp_path)
    assert mirror(mirrored, run.id).returncode == 0
    assert not mirrored.mlflow_db.exists()
    assert not (tmp_path / "mlruns").exists()
    assert artifacts(mirrored)["config.yaml"].read_bytes() == run.config_path.read_bytes()
    shutil.move(theirs, mirrored.mlflow_db)
    assert is_whole(mirrored, run)


@pytest.mark.slow
def test_a_dead_trainer_ends_the_mirror_as_killed(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored, lines=3)
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    write_status(run.trial(1), Status("running", 1, 1, gone.pid, 1, own_identity().boot_id, own_identity().host))
    assert mirror(mirrored, run.id, "--follow").returncode == 0
    assert statuses(mirrored)[f"{run.id}/seed 1"] == "KILLED"
    assert statuses(mirrored)[run.id] == "KILLED"


@pytest.mark.slow
def test_a_new_database_is_filled_from_the_lines(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored)
    assert mirror(mirrored, run.id).returncode == 0
    before = Counter(rows(mirrored))
    mirrored.mlflow_db.unlink()
    assert mirror(mirrored, run.id).returncode == 0
    assert Counter(rows(mirrored)) == before


@pytest.mark.slow
def test_four_mirrors_and_a_fresh_database_at_once(mirrored: Workspace) -> None:
    mirrored.mlflow_db.unlink()
    runs = [make_trained_run(mirrored, lines=5) for _ in range(4)]
    command = [*MIRROR, str(mirrored.path)]
    processes = [subprocess.Popen([*command, run.id], stderr=subprocess.PIPE, text=True) for run in runs]
    errors = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    assert Counter(rows(mirrored)) == Counter(row for run in runs for row in expected(run))


def place_of(mirrored: Workspace, run: RunDirectory) -> str | None:
    path = place_path(mirrored, run.id)
    return path.read_text() if path.exists() else None


def test_without_mlflow_it_is_one_warning_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mirrored = make_workspace(tmp_path / "lab")
    run = make_run(mirrored)
    monkeypatch.setattr("dreamerlab.tracking.mlflow_backend.find_spec", lambda name: None)
    monkeypatch.setattr(os, "nice", lambda increment: increment)
    assert mirror_process.main([str(mirrored.path), run.id]) == 5
    assert capsys.readouterr().err == "warning: MLflow is not installed (hint: pip install 'dreamerlab[track]')\n"
    assert not place_path(mirrored, run.id).exists()


def test_an_unknown_run_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "nice", lambda increment: increment)
    assert mirror_process.main([str(make_workspace(tmp_path / "lab").path), "R7"]) == 4
    assert "no run is called 'R7'" in capsys.readouterr().err
