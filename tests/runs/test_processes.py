from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dreamerlab.runs import processes
from dreamerlab.runs.processes import SUPERVISOR_VARIABLE, Trainer, alive, own_identity, trainers

STANDIN = "import sys, time; print('up', flush=True); time.sleep(120)"
DETACH = """
import subprocess, sys
child = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=sys.stdout, start_new_session=True)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A stand-in for `dreamerlab.train` that only sleeps, so that command lines are the real ones."""
    folder = tmp_path / "stand-in" / "dreamerlab"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "train.py").write_text(STANDIN)
    return folder.parent


@contextmanager
def running(package: Path, trial: Path, *prefix: str, **variables: str) -> Iterator[None]:
    command = [sys.executable, *prefix, "-m", "dreamerlab.train", str(trial)]
    environment = {**os.environ, "PYTHONPATH": str(package), **variables}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, cwd=package)
    assert process.stdout is not None
    try:
        with process.stdout:
            assert process.stdout.readline() == b"up\n"
            yield
    finally:
        for trainer in of(trial):
            os.kill(trainer.pid, 9)
        process.wait()


def of(trial: Path) -> list[Trainer]:
    return [trainer for trainer in trainers() if trainer.trial == trial]


def test_we_are_alive_and_only_we_are_us() -> None:
    me = own_identity()
    assert alive(me.pid, me.start_ticks, me.boot_id)
    assert alive(me.pid)
    assert not alive(me.pid, (me.start_ticks or 0) + 1, me.boot_id)
    assert not alive(me.pid, me.start_ticks, "another boot")
    assert not alive(0)
    assert not alive(-1)


def test_a_name_with_spaces_and_parentheses_does_not_confuse(tmp_path: Path) -> None:
    sleeper = tmp_path / "a) b (c"
    sleeper.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(sleeper), "60"])
    try:
        start = processes.start_ticks(process.pid)
        assert start is not None
        assert alive(process.pid, start)
    finally:
        process.kill()
        process.wait()
    assert processes.start_ticks(process.pid) is None


def test_trainers_are_found_with_their_trial_and_parent(package: Path, tmp_path: Path) -> None:
    trial = tmp_path / "runs" / "R0001-abc" / "seed-1"
    with running(package, trial, "-u"):
        [found] = of(trial)
        assert found.ppid == os.getpid()
        assert found.supervised
        assert alive(found.pid, found.start_ticks)
    assert of(trial) == []


def test_a_trainer_that_outlived_its_supervisor_is_an_orphan(package: Path, tmp_path: Path) -> None:
    """M-PROT-21: stray trainers spoil measurements, so they must be told from supervised ones."""
    trial = tmp_path / "runs" / "R0001-abc" / "seed-2"
    gone = subprocess.Popen(["/bin/true"])
    identity = f"{gone.pid}:1"
    gone.wait()
    with running(package, trial, **{SUPERVISOR_VARIABLE: identity}):
        assert [trainer.supervised for trainer in of(trial)] == [False]
    me = own_identity().supervisor_value()
    with running(package, trial, **{SUPERVISOR_VARIABLE: me}):
        assert [trainer.supervised for trainer in of(trial)] == [True]


def test_a_trainer_in_a_container_is_its_own_containers_to_judge(package: Path, tmp_path: Path) -> None:
    """There the pid of its launcher means another process, or none: it must not be taken for an orphan and stopped."""
    unshare, trial = shutil.which("unshare"), tmp_path / "seed-4"
    apart = [unshare or "unshare", "--pid", "--fork", "--kill-child"]
    if os.geteuid() != 0 or subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a process namespace of its own is not to be had here")
    gone = {SUPERVISOR_VARIABLE: f"{2**22 + 1}:1", "PYTHONPATH": str(package), "TRIAL": str(trial)}
    process = subprocess.Popen(
        [*apart, "sh", "-c", f'"{sys.executable}" -m dreamerlab.train "$TRIAL"'],
        env={**os.environ, **gone},
        stdout=subprocess.PIPE,
        cwd=package,
    )
    assert process.stdout is not None
    try:
        with process.stdout:
            assert process.stdout.readline() == b"up\n"
            assert [trainer.supervised for trainer in of(trial)] == [True]
    finally:
        process.kill()
        process.wait()


def test_an_orphan_is_known_by_its_reaper_when_nobody_signed(package: Path, tmp_path: Path) -> None:
    trial = tmp_path / "seed-9"
    environment = {key: value for key, value in os.environ.items() if key != SUPERVISOR_VARIABLE}
    subprocess.run(
        [sys.executable, "-c", DETACH, "-m", "dreamerlab.train", str(trial)],
        env={**environment, "PYTHONPATH": str(package)},
        stdout=subprocess.DEVNULL,
        cwd=package,
        check=True,
    )
    deadline = time.monotonic() + 20
    while not (found := of(trial)) and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        [orphan] = found
        # Reaped by init on a plain system; a container may have a reaper of its own.
        assert orphan.ppid != os.getpid()
        assert orphan.supervised == (orphan.ppid != 1)
    finally:
        for trainer in found:
            os.kill(trainer.pid, 9)


def test_without_proc_only_the_pid_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PROC", tmp_path / "no-proc")
    monkeypatch.setattr(processes, "boot_id", lambda: None)
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    assert alive(os.getpid(), 123456, "some boot")
    assert not alive(gone.pid)
    assert trainers() == []
    assert own_identity().start_ticks is None
