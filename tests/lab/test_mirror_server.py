"""A real tracking server on 127.0.0.1 by way of MLFLOW_TRACKING_URI, `ui`, and the verdict of real commands."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from urllib.request import urlopen

import pytest

from dreamerlab.config.record import to_yaml
from dreamerlab.config.schema import Config
from dreamerlab.lab.mirror import sync
from dreamerlab.runs.series import append_line
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.mirror_state import load_place, standing
from tests.lab.mirrors import artifacts, expected, make_trained_run, query, rows, tags, wait_until
from tests.lab.standin import BASE, SENTENCE, command, workspace_with
from tests.lab.workspaces import ROOT
from tests.runs.records import a_line

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(prepared: Path, tmp_path: Path) -> Generator[tuple[str, Workspace]]:
    """The address of a tracking server, and a workspace by whose means its database can be read."""
    place = Workspace(tmp_path / "server")
    place.hidden.mkdir(parents=True)
    shutil.copy(prepared, place.mlflow_db)
    port = free_port()
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += [
        "--backend-store-uri",
        f"sqlite:///{place.mlflow_db}",
        "--artifacts-destination",
        str(place.path / "files"),
    ]
    with (tmp_path / "server.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words],
            cwd=place.path,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/health"))
        yield f"http://127.0.0.1:{port}", place
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_a_tracking_server_gets_all_of_it_in_batches_it_takes(
    mirrored: Workspace, server: tuple[str, Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits of a REST batch (ANCHORS 4: mlflow#6049): 1,000 metrics and 100 parameters."""
    address, place = server
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    run = make_trained_run(mirrored, lines=500)
    extra = {f"later.leaf_{number}": number for number in range(230)}
    leaves = "".join(f"  {key.removeprefix('later.')}: {value}\n" for key, value in extra.items())
    run.config_path.write_text(f"{to_yaml(Config())}later:\n{leaves}")
    append_line(run.trial(1).metrics_path(1), a_line(1000, **{f"m{number}": 1.0 for number in range(2300)}))
    append_line(run.trial(1).metrics_path(1), a_line(1001, wm__loss="nan", wm__kl_nats="-inf"))
    [done] = sync(mirrored, [run])
    assert (done.message, done.state, done.points) == (None, "sent", len(expected(run)))
    assert Counter(rows(place)) == Counter(expected(run))
    params = dict(query(place, "select key, value from params"))
    assert params.keys() == extra.keys()
    assert tags(place)[f"{run.id}/seed 1"]["not_finite.wm/kl_nats"] == "-inf at 1001 env steps"
    [stored] = (place.path / "files").rglob("config.yaml")
    assert stored.read_bytes() == run.config_path.read_bytes()
    assert not artifacts(mirrored)
    assert [one.state for one in sync(mirrored, [run])] == ["up to date"]
    shown = subprocess.run(
        [sys.executable, "-m", "dreamerlab", "ui", run.id],
        cwd=mirrored.path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = load_place(mirrored, run.id)
    assert found is not None
    assert shown.stdout == f"{address}/#/experiments/{found.experiment}/runs/{found.parent}\n"


def test_a_server_that_is_away_is_one_failure_and_caught_up_with_later(
    mirrored: Workspace, server: tuple[str, Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, place = server
    run = make_trained_run(mirrored, lines=5)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://someone:secret@127.0.0.1:{free_port()}")
    [away] = sync(mirrored, [run])
    assert away.state == "failed"
    assert "secret" not in str(away)
    assert str(standing(mirrored, run)).startswith("fails: MLflow could not open the store")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert [one.state for one in sync(mirrored, [run])] == ["sent"]
    assert standing(mirrored, run) == "up to date"
    assert Counter(rows(place)) == Counter(expected(run))


def test_ui_prints_the_page_once_it_answers_and_ends_with_ctrl_c(mirrored: Workspace) -> None:
    run = make_trained_run(mirrored, lines=5)
    assert [one.state for one in sync(mirrored, [run])] == ["sent"]
    found = load_place(mirrored, run.id)
    assert found is not None
    port = free_port()
    words = [sys.executable, "-m", "dreamerlab", "ui", run.id, "--port", str(port)]
    with subprocess.Popen(
        words, cwd=mirrored.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address == f"http://127.0.0.1:{port}/#/experiments/{found.experiment}/runs/{found.parent}"
        page = f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow/runs/get?run_id={found.parent}"
        with urlopen(page, timeout=30) as answer:
            assert json.load(answer)["run"]["info"]["run_name"] == run.id
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.connect((socket.gethostbyname(socket.gethostname()), port))
            assert probe.getpeername()[0].startswith("127."), "it is served to other machines"
        taken = subprocess.run([*words], cwd=mirrored.path, capture_output=True, text=True, timeout=60)
        assert taken.returncode == 4
        assert f"port {port} cannot be used" in taken.stderr
        assert f"hint: dreamerlab ui --port {port + 1}" in taken.stderr
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert errors.endswith("stopping MLflow\n")
    assert not answers(f"http://127.0.0.1:{port}/health")
    assert not [line for line in processes() if f"--port {port}" in line], "a worker was left behind"


def processes() -> list[str]:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_verdict_reaches_mlflow_with_its_interval_page_and_figures(prepared: Path, tmp_path: Path) -> None:
    """DESIGN 5: hypotheses and verdicts as tags and note, also when the verdict comes after the last line."""
    workspace = workspace_with(tmp_path / "lab")
    workspace.hidden.mkdir(exist_ok=True)
    shutil.copy(prepared, workspace.mlflow_db)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for words in (["propose", SENTENCE, *BASE, "--seeds", "3"], ["run"]):
        done = subprocess.run(command(*words), cwd=workspace.path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    runs = [workspace.run(path.name) for path in sorted(workspace.runs.glob("R*"))]
    treatment = next(run for run in runs if json.loads(run.manifest_path.read_text())["kind"] == "treatment")
    baseline = next(run for run in runs if run != treatment)

    def told() -> bool:
        return tags(workspace).get(treatment.id, {}).get("dreamerlab.verdict", "").startswith("SUPPORTED")

    wait_until(told)
    wait_until(lambda: all(standing(workspace, run) == "up to date" for run in runs))
    found = tags(workspace)
    mine = found[treatment.id]
    assert mine["dreamerlab.sentence"] == SENTENCE
    assert mine["dreamerlab.effect"].startswith("+100.0 [+")
    note = mine["mlflow.note.content"]
    assert note.startswith(f"**{mine['dreamerlab.hypothesis']}**: change ")
    assert "**Verdict: SUPPORTED.**" in note
    assert "95 % interval" in note
    page = f"hypothesis/{mine['dreamerlab.hypothesis']}.md"
    assert f"/artifacts/{page})" in note
    attached = artifacts(workspace)
    rendered = workspace.protocol / "hypotheses" / f"{mine['dreamerlab.hypothesis']}.md"
    assert "SUPPORTED" in rendered.read_text()
    assert attached[page].read_text() == rendered.read_text()
    assert {path for path in attached if path.endswith("-curves.svg")}
    assert mine["dreamerlab.hypothesis"] in found[baseline.id]["dreamerlab.baseline_of"]
    assert SENTENCE.split(" -> ")[0] in found[baseline.id]["mlflow.note.content"]
