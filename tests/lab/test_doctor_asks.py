"""`doctor --fix` says what it will do and asks; whatever lies in a workspace, it answers and never breaks down."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from dreamerlab.runs.processes import boot_id, hostname
from dreamerlab.runs.store import Workspace
from tests.cli.test_refusals import unprivileged
from tests.lab.arms import flat, make_arm
from tests.lab.hypotheses import launched, noted
from tests.lab.workspaces import inside, light_workspace

DEAD = json.dumps({"pid": 2**22 + 1, "start_ticks": 1, "boot_id": boot_id(), "host": hostname(), "token": "t"})


@pytest.fixture
def locked(tmp_path: Path) -> Workspace:
    """A workspace in which two locks are stale."""
    made = light_workspace(tmp_path / "lab")
    made.hidden.mkdir()
    for path in (made.lock_path, made.hidden / "log.lock"):
        path.write_text(DEAD)
    return made


def answered(workspace: Workspace, answer: bytes, *words: str) -> tuple[int, str, str]:
    """Run `doctor --fix` with a real terminal as its stdin, and type an answer."""
    controller, terminal = pty.openpty()
    try:
        os.write(controller, answer)
        command = [sys.executable, "-m", "dreamerlab", "doctor", "--fix", *words]
        done = subprocess.run(
            command, cwd=workspace.path, stdin=terminal, capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        os.close(controller)
        os.close(terminal)
    return done.returncode, done.stdout, done.stderr


def test_it_asks_and_does_what_it_said_only_when_it_may(locked: Workspace) -> None:
    code, out, err = answered(locked, b"\n")
    assert code == 6
    assert f"--fix will:\n  free it (stale lock, {locked.lock_path})\n  free it (stale lock, " in err
    assert "do it? [y/N] nothing is done\n2 of 2 findings need attention" in err
    assert "done" not in out
    assert locked.lock_path.exists()
    code, out, err = answered(locked, b"y\n")
    assert (code, locked.lock_path.exists()) == (0, False)
    assert out.count("done: free it (stale lock, ") == 2
    assert err.endswith("2 findings, all repaired\n")
    nothing = inside(locked.path, "doctor", "--fix")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "nobody is there to ask" not in nothing.stderr, "there is nothing to ask about"


def test_where_nobody_can_answer_nothing_is_done_without_yes(locked: Workspace) -> None:
    done = inside(locked.path, "doctor", "--fix", "--json")
    assert done.returncode == 6
    assert [one["mended"] for one in json.loads(done.stdout)["findings"]] == [False, False]
    assert "nothing is done: nobody is there to ask; in a script: dreamerlab doctor --fix --yes" in done.stderr
    assert locked.lock_path.exists()
    refused = inside(locked.path, "doctor", "--yes")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "hint: dreamerlab doctor --fix --yes" in refused.stderr
    assert inside(locked.path, "doctor", "--fix", "--yes").returncode == 0


def test_a_read_only_workspace_is_examined_and_what_cannot_be_mended_says_why(locked: Workspace) -> None:
    run = make_arm(locked, "base", flat(1.0))
    folders = [locked.path, *(path for path in locked.path.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    try:
        command = [*unprivileged(), sys.executable, "-m", "dreamerlab", "doctor", "--fix", "--yes", "--json"]
        done = subprocess.run(command, cwd=locked.path, capture_output=True, text=True, check=False)
    finally:
        for path in folders:
            path.chmod(0o755)
    assert done.returncode == 6, done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    (one,) = [one for one in report["findings"] if one["kind"] == "stale lock"]
    assert "Permission denied" in one["failure"]
    assert list(report["disk_bytes"]) == [run.id]
    assert (locked.hidden / "log.lock").exists()


WRONG_KINDS = b'{"seed": "x", "files": 3, "pid": "y"}\n'


@pytest.mark.parametrize(
    "rubbish, each",
    [
        (WRONG_KINDS, 3),  # every third file will do for every day
        *(
            pytest.param(one, 1, marks=pytest.mark.slow)
            for one in (WRONG_KINDS, b"", b"\x00\xff\xfe{", b"[1, 2]\n", b"null")
        ),
    ],
)
def test_rubbish_in_any_file_is_a_finding_at_most(locked: Workspace, rubbish: bytes, each: int) -> None:
    run = make_arm(locked, "base", flat(1.0, 2.0, 3.0))
    launched(locked, run.id, None)
    noted(locked, "observation", "seen", run.id)
    trial = run.trial(0)
    extra = {
        trial.checkpoints / "latest-100.json": b'{"file": "latest-100.pt", "sha256": "0"}',
        locked.path / ".dvc" / "config": b"[core]\n    remote = x\n",
        locked.snapshots / "0123456789abcdef" / "snapshot.json": b"{}",
        locked.cache / "mlflow" / f"{run.id}.json": b"{}",
        locked.cache / "mlflow" / f"{run.id}.trouble.json": b"{}",
        locked.cache / "data" / f"{run.id}.json": b"{}",
        locked.mlflow_db: b"",
        run.artifacts_dvc: b"outs:\n- md5: 0123.dir\n",
        run.tombstone_path: b'{"dropped": []}',
    }
    for path, content in extra.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    files = [path for path in locked.path.rglob("*") if path.is_file() and locked.env_configs not in path.parents]
    assert len(files) > 20
    for path in sorted(files)[::each]:
        whole = path.read_bytes()
        path.write_bytes(rubbish)
        done = inside(locked.path, "doctor", "--json")
        assert done.returncode in (0, 6), f"{path}: {done.stderr}"
        assert json.loads(done.stdout)["findings"], "the locks at least"
        path.write_bytes(whole)
