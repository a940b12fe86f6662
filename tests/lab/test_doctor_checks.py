"""Each check of `doctor` finds what is planted, names what helps, and leaves alone what somebody still needs."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from dreamerlab.lab import doctor_mirror, doctor_places, doctor_processes, doctor_versions, mirror
from dreamerlab.runs.processes import boot_id, hostname, own_identity
from dreamerlab.runs.status import read_status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.tracking.code_identity import compute, snapshot
from dreamerlab.tracking.mirror_state import Place, save_place, store_key
from tests.lab.arms import CODE, flat, make_arm
from tests.lab.workspaces import inside, light_workspace

LONG_AGO = time.time() - 3 * 86_400
NOBODY = 2**22 + 1
"""A pid that no process has: it is beyond the kernel's highest."""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = light_workspace(tmp_path / "lab")
    made.hidden.mkdir()
    return made


def findings(workspace: Workspace, *words: str) -> list[dict[str, Any]]:
    done = inside(workspace.path, "doctor", "--json", *words)
    assert done.returncode in (0, 6), done.stderr
    found = json.loads(done.stdout)["findings"]
    assert done.returncode == (6 if any(not one["mended"] for one in found) else 0)
    for one in found:
        assert one["remedy"] or one["hint"] or one["kind"] == "not checked", f"nobody is told what helps: {one}"
    return found


def kinds(workspace: Workspace, *words: str) -> list[str]:
    return [one["kind"] for one in findings(workspace, *words)]


def old(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def owner(**changes: object) -> str:
    dead = {"pid": NOBODY, "start_ticks": 1, "boot_id": boot_id(), "host": hostname(), "token": "t", "since": LONG_AGO}
    return json.dumps({**dead, **changes})


def test_any_lock_of_a_dead_process_is_named_with_its_age_and_freed(workspace: Workspace) -> None:
    hidden = workspace.hidden
    names = ("lock", "launch.lock", "finalise.lock", "dvc.lock", "log.lock", "cache/mlflow/R0001-abc.lock")
    for name in names:
        old(hidden / name, owner())
    found = findings(workspace)
    assert sorted(one["where"] for one in found) == sorted(str(hidden / name) for name in names)
    assert {one["message"] for one in found} == {
        f"held by process {NOBODY} on {hostname()} for 3 d 00 h, and that process is gone"
    }
    assert [one["mended"] for one in findings(workspace, "--fix", "--yes")] == [True] * len(names)
    assert findings(workspace) == []
    assert not any((hidden / name).exists() for name in names)


def test_a_lock_in_use_is_a_note_and_one_of_another_host_is_for_a_person_to_judge(workspace: Workspace) -> None:
    mine = workspace.hidden / "finalise.lock"
    mine.write_text(owner(**{**vars(own_identity()), "since": time.time() - 90}))
    far = old(workspace.hidden / "dvc.lock", owner(host="node7"))
    (one,) = findings(workspace, "--fix", "--yes")
    assert (one["kind"], one["remedy"]) == ("old lock", None)
    assert "process 4194305 on node7 for 3 d 00 h, which cannot be judged from here" in one["message"]
    assert one["hint"] == f"if that process is gone for good: rm '{far}'"
    assert far.exists()
    told = inside(workspace.path, "doctor").stderr
    assert re.search(rf"note: finalise.lock is held by process {os.getpid()} on {hostname()} for [12] min \d\d s", told)
    assert mine.exists()


@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock", "refs/heads/mine/main.lock"])
def test_the_lock_that_a_killed_git_left_is_found(workspace: Workspace, name: str) -> None:
    lock = old(workspace.path / ".git" / name)
    (one,) = findings(workspace)
    assert (one["kind"], one["where"], one["remedy"]) == ("stale lock", str(lock), "remove it")
    lock.touch()
    assert findings(workspace) == [], "a lock of a moment ago may be somebody's"


def test_temporary_files_of_killed_writers_go_and_those_of_living_ones_stay(workspace: Workspace) -> None:
    run = make_arm(workspace, "base", flat(1.0))
    trial = run.trial(0)
    left = [
        old(trial.path / f".status.json.{NOBODY}-0.tmp"),
        old(trial.checkpoints / ".latest-40.pt.tmp", "half"),
        old(workspace.hidden / ".lock.0123456789abcdef"),
        old(workspace.protocol / "registry" / f".H0001-abc.jsonl.{NOBODY}-3.tmp"),
    ]
    kept = [
        old(trial.path / f".evals.jsonl.{os.getpid()}-1.tmp"),
        old(trial.artifacts / ".hidden"),
        old(trial.artifacts / "notes.tmp"),
        trial.path / f".summary.json.{NOBODY}-1.tmp",
    ]
    kept[-1].touch()  # just written: its writer may be on another host
    found = findings(workspace, "--fix", "--yes")
    assert {one["kind"] for one in found} == {"temporary file"}
    assert sorted(one["where"] for one in found) == sorted(str(path.parent) for path in left)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)
    assert findings(workspace) == []


def test_snapshots_that_no_run_needs_go_and_a_damaged_one_is_made_again(workspace: Workspace) -> None:
    code = compute(workspace)
    used = snapshot(workspace, code)
    run = make_arm(workspace, "base", flat(1.0), code=replace(CODE, identity=code.identity))
    old(workspace.snapshots / ".new-abc-4194305" / "half.py")
    os.utime(workspace.snapshots / ".new-abc-4194305", (LONG_AGO, LONG_AGO))
    unused = old(workspace.snapshots / "0123456789abcdef" / "mine.py", "x = 1\n").parent
    assert kinds(workspace) == ["half-made snapshot"], "it may be of a launch that has just begun"
    os.utime(unused, (LONG_AGO, LONG_AGO))
    manifest = run.manifest_path.read_text()
    run.manifest_path.write_text("{")
    assert kinds(workspace) == ["half-made snapshot", "damaged record"], "which code that run needs is not known"
    run.manifest_path.write_text(manifest)
    assert kinds(workspace, "--fix", "--yes") == ["half-made snapshot", "unused snapshot"]
    assert [path.name for path in workspace.snapshots.iterdir()] == [used.name]

    (file,) = used.glob("dreamerlab/train/loop.py")
    file.unlink()
    assert findings(workspace) == [], "nothing is trained by it any more"
    write_status(run.trial(0), replace(read_status(run.trial(0)), state="interrupted"))
    (one,) = findings(workspace, "--fix", "--yes")
    assert one["message"].startswith(f"the code of {run.id} was altered (dreamerlab/train/loop.py)")
    assert one["mended"]
    assert file.exists()


def a_database(workspace: Workspace, revision: str | None) -> Path:
    with closing(sqlite3.connect(workspace.mlflow_db)) as database:
        if revision is not None:
            database.execute("create table alembic_version (version_num text)")
            database.execute("insert into alembic_version values (?)", (revision,))
            database.commit()
        else:
            database.execute("create table other (x)")
    return workspace.mlflow_db


def test_every_state_of_the_database_is_told(workspace: Workspace) -> None:
    if find_spec("mlflow") is None:
        pytest.skip("needs MLflow")
    known, newest = doctor_mirror._revisions()
    assert newest is not None
    assert findings(workspace) == [], "nobody wanted MLflow here"
    path = a_database(workspace, newest)
    assert findings(workspace) == []
    with closing(sqlite3.connect(path)) as database:
        database.execute("begin exclusive")
        (one,) = findings(workspace)
    assert "is locked" in one["message"]
    assert "training does not" in one["message"]
    path.unlink()
    a_database(workspace, min(known - {newest}))
    (one,) = findings(workspace)
    assert (one["kind"], one["remedy"]) == ("database", "let MLflow bring it up to date")
    path.unlink()
    a_database(workspace, "ffffffffffff")
    (one,) = findings(workspace)
    assert (one["remedy"], one["hint"]) == (None, "pip install --upgrade mlflow")
    path.unlink()
    a_database(workspace, None)
    assert findings(workspace)[0]["remedy"] == "make its tables"
    path.write_bytes(b"no database at all" * 1000)
    (one,) = findings(workspace)
    assert "is damaged (file is not a database)" in one["message"]
    path.unlink()
    run = make_arm(workspace, "base", flat(1.0))
    save_place(workspace, run.id, Place(store_key(workspace)))
    (one,) = findings(workspace)
    assert one["message"] == "the MLflow database is gone; runs were in it, and their records are here"


@pytest.mark.slow
def test_a_damaged_database_is_set_aside_and_a_new_one_filled(workspace: Workspace) -> None:
    if find_spec("mlflow") is None:
        pytest.skip("needs MLflow")
    run = make_arm(workspace, "base", flat(1.0))
    workspace.mlflow_db.write_bytes(b"no database at all" * 1000)
    assert kinds(workspace, "--fix", "--yes") == ["database", "not mirrored"]
    assert findings(workspace) == []
    with closing(sqlite3.connect(workspace.mlflow_db)) as database:
        held = database.execute("select count(*) from tags where value = ?", (run.id,)).fetchone()[0]
    assert held > 0
    assert len(list(workspace.hidden.glob("mlflow.db.damaged-*"))) == 1


def test_versions_are_held_against_what_dreamerlab_is_made_for(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doctor_versions.within("2.11.0+cpu", ">=2.11")
    assert doctor_versions.within("2.11", ">=2.11.0")
    assert not doctor_versions.within("2.9.1", ">=2.11")
    assert not doctor_versions.within("0.30.1", ">=0.15,<0.29")
    assert doctor_versions.within("unknown", ">=1"), "what cannot be read is not complained about"
    ancient = tmp_path / "site" / "dvc-2.1.dist-info"
    ancient.mkdir(parents=True)
    (ancient / "METADATA").write_text("Metadata-Version: 2.1\nName: dvc\nVersion: 2.1\n")
    monkeypatch.syspath_prepend(str(ancient.parent))
    (one,) = findings(workspace)
    assert (one["kind"], one["where"]) == ("version", "dvc")
    assert one["message"] == "2.1 is installed, and >=3.60 is needed"
    assert one["hint"] == "pip install 'dvc>=3.60'"


def test_a_full_disk_is_told_with_the_run_that_takes_the_most(workspace: Workspace) -> None:
    (one,) = doctor_places.room(workspace, 900_000_000, {"R0001-abc": 5, "R0002-def": 7})
    assert one.message == "only 900.0 MB are left"
    assert "data archive R0002-def" in (one.hint or "")
    assert list(doctor_places.room(workspace, 2_000_000_000, {})) == []


def test_places_that_cannot_be_reached_are_told_and_hold_nothing_up(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec("dvc") is None:
        pytest.skip("needs DVC")
    settings = workspace.path / ".dvc" / "config"
    settings.parent.mkdir()
    settings.write_text("")
    assert "note: DVC has no remote here" in inside(workspace.path, "doctor").stderr
    remote = "[core]\n    remote = far\n['remote \"far\"']\n    url = {}\n"
    settings.write_text(remote.format(workspace.path / "mounted"))
    (one,) = findings(workspace)
    assert f"is not there ({workspace.path / 'mounted'})" in one["message"]
    (workspace.path / "mounted").mkdir()
    assert findings(workspace) == []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings.write_text(remote.format(f"ssh://someone@127.0.0.1:{port}/store"))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{port}")
        assert findings(workspace) == []
    found = findings(workspace)
    assert [one["kind"] for one in found] == ["remote", "remote"]
    assert f"does not answer at 127.0.0.1:{port} (Connection refused)" in found[0]["message"]
    assert "secret" not in json.dumps(found)
    settings.write_text(remote.format("s3://bucket/path"))
    assert len(findings(workspace)) == 1, "only its own client knows where that is"


def stand_in(folder: Path, module: str) -> dict[str, str]:
    """Return an environment in which `python -P -m MODULE` sleeps: how the real thing looks in the process table."""
    path = folder.joinpath(*module.split("."))
    path.mkdir(parents=True)
    for package in (path, *path.parents[: module.count(".")]):
        (package / "__init__.py").touch()
    (path / "__main__.py").write_text("import time; time.sleep(60)")
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_a_mirror_without_a_run_and_a_server_without_a_terminal_are_stopped(
    workspace: Workspace, tmp_path: Path
) -> None:
    """M-PROT-21: nothing is left behind that holds memory while later runs are timed."""
    assert doctor_processes.MIRROR in mirror._PROCESS
    over, fresh = (make_arm(workspace, name, flat(1.0)) for name in ("over", "fresh"))
    for run, at in ((over, time.time() - 3600), (fresh, time.time())):
        write_status(run.trial(0), replace(read_status(run.trial(0)), heartbeat_at=at))
    environment = stand_in(tmp_path / "mirror", doctor_processes.MIRROR)
    words = [[str(workspace.path), run, "--follow"] for run in (over.id, "R0009-xyz", fresh.id)]
    command = [sys.executable, "-P", "-m", doctor_processes.MIRROR]
    copying = [subprocess.Popen([*command, *each], env=environment) for each in words]
    server = start_left_alone(workspace, stand_in(tmp_path / "server", "mlflow"))
    try:
        found = findings(workspace, "--fix", "--yes")
        assert [(one["kind"], one["where"]) for one in found] == [
            ("orphan mirror", over.id),
            ("orphan mirror", "R0009-xyz"),
            ("orphan server", str(workspace.mlflow_db)),
        ]
        assert all(one["mended"] for one in found)
        assert [each.wait(timeout=5) for each in copying[:2]] == [-signal.SIGTERM] * 2
        assert copying[2].poll() is None, "it has just ended, and its mirror may be catching up"
        assert not Path(f"/proc/{server}").exists() or "Z" in Path(f"/proc/{server}/stat").read_text().split()[2]
        assert findings(workspace) == []
    finally:
        for each in copying:
            each.kill()
            each.wait()


def start_left_alone(workspace: Workspace, environment: dict[str, str]) -> int:
    """Start what looks like MLflow's server by way of a process that ends at once, and return its pid."""
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, *sys.argv[1:]], start_new_session=True,"
    code += " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"
    words = ["-P", "-m", "mlflow", "ui", "--backend-store-uri", "sqlite:///mlflow.db"]
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, cwd=workspace.hidden, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)
