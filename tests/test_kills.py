"""Any process of a run may be killed at any moment: no line that was written is lost, and no state on disk lies.

Real processes, real SIGKILL, random moments from a seeded generator. After every kill the invariants of DESIGN
section 5 are checked on disk; at the end the run is resumed to its end, and its figures equal those of a run that was
never disturbed, bit for bit.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.processes import alive, trainers
from dreamerlab.runs.status import ONGOING, effective_state, read_status
from tests.lab.workspaces import dreamerlab, light_workspace
from tests.train.trials import timeless

SEEDS = (0, 1)
LEAVES = [
    *(f"model.{name}=8" for name in ("deter", "hidden", "units")),
    *(f"model.{name}_layers=1" for name in ("prior", "encoder", "decoder", "policy", "value")),
    *("model.stoch=3", "model.classes=4", "model.blocks=2", "behavior.horizon=3"),
    *("train.batch_size=4", "train.batch_length=5", "train.train_ratio=10", "train.imagination_starts=2"),
    *("train.learning_starts=12", "eval.episodes=2", "log.every=5", "checkpoint.every=40"),
]


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "dreamerlab", *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    done = dreamerlab(tmp_path, "init", str(tmp_path / "lab"))
    assert done.returncode == 0, done.stderr
    return tmp_path / "lab"


def trials(workspace: Path) -> list[TrialDirectory]:
    return [TrialDirectory(path) for path in sorted((workspace / "runs").glob("R*/seed-*"))]


def written(workspace: Path) -> dict[Path, bytes]:
    """Everything that has been appended so far, by file; curves.jsonl is a summary and written whole."""
    lines = (workspace / "runs").glob("R*/**/*.jsonl")
    return {path: path.read_bytes() for path in lines if path.name != "curves.jsonl"}


def whole_lines(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def victims(workspace: Path, command: subprocess.Popen[bytes]) -> dict[str, list[int]]:
    """Living processes of the run, by role."""
    found: dict[str, list[int]] = {"command": [command.pid] if command.poll() is None else []}
    found["trainer"] = [t.pid for t in trainers() if t.trial and workspace in t.trial.parents]
    for role, module in (("finaliser", b"dreamerlab.lab.finalise"), ("mirror", b"dreamerlab.lab.mirror_process")):
        found[role] = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                argv = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if module in argv and os.fsencode(workspace) in b"\0".join(argv):
                found[role].append(int(entry.name))
    return {role: pids for role, pids in found.items() if pids}


def check_truth(workspace: Path) -> None:
    """A dead process is never shown as running, a killed one never as finished."""
    for trial in trials(workspace):
        status = read_status(trial)
        state = effective_state(status)
        if state == "running":
            assert status.pid is not None
            assert alive(status.pid, status.pid_start, status.boot_id)
        if state == "finished":
            assert status.spent >= (status.budget_amount or 0) > 0, status
            assert list(trial.checkpoints.glob("*.pt")), "finished without a checkpoint"


def scores(workspace: Path) -> dict[str, list[dict]]:
    from dreamerlab.runs.series import read_evals

    return {trial.path.name: timeless(read_evals(trial)[0]) for trial in trials(workspace)}


def torment(workspace: Path, kills: int, seed: int, leaves: list[str]) -> list[str]:
    """Run, kill one process after another, resume; return what was killed."""
    rng = random.Random(seed)
    killed: list[str] = []
    words = ["run", "--baseline", "--env", "cartpole", "--seeds", str(len(SEEDS)), "--jobs", "2", *leaves]
    command = start(workspace, *words)
    before: dict[Path, bytes] = {}
    for _ in range(kills):
        time.sleep(rng.uniform(0.2, 5.0))
        living = victims(workspace, command)
        if living:
            role = rng.choice(sorted(living))
            seen_at, before = time.monotonic(), {**before, **written(workspace)}
            os.kill(rng.choice(living[role]), signal.SIGKILL)
            killed.append(role)
            assert time.monotonic() - seen_at < 2
        for path, data in before.items():
            assert path.read_bytes().startswith(whole_lines(data)), f"{path} lost lines"
        check_truth(workspace)
        if command.poll() is None and killed and killed[-1] == "command":
            command.wait()
        if command.poll() is not None:
            wait_for_silence(workspace, command)
            check_truth(workspace)
            listed = dreamerlab(workspace, "status", "--json")
            assert listed.returncode == 0, listed.stderr
            has_run = bool(trials(workspace))
            command = start(workspace, *(["resume"] if has_run else words))
    command.wait(timeout=300)
    wait_for_silence(workspace, command)
    return killed


def wait_for_silence(workspace: Path, command: subprocess.Popen[bytes]) -> None:
    """Trainers whose command was killed stop by themselves: no orphans."""
    deadline = time.monotonic() + 60
    while "trainer" in victims(workspace, command):
        assert time.monotonic() < deadline, "a trainer outlived its command by a minute"
        time.sleep(0.2)


def finish(workspace: Path) -> None:
    for _ in range(3):
        if all(effective_state(read_status(trial)) == "finished" for trial in trials(workspace)):
            break
        done = dreamerlab(workspace, "resume")
        assert done.returncode in (0, 7), done.stderr
    assert [effective_state(read_status(trial)) for trial in trials(workspace)] == ["finished"] * len(SEEDS)
    assert not any(effective_state(read_status(trial)) in ONGOING for trial in trials(workspace))
    dreamerlab(workspace, "doctor", "--fix", "--yes")
    assert all(trial.summary_path.exists() for trial in trials(workspace))


def undisturbed(tmp_path: Path, leaves: list[str]) -> dict[str, list[dict]]:
    calm = light_workspace(tmp_path / "calm").path
    done = dreamerlab(calm, "run", "--baseline", "--env", "cartpole", "--seeds", str(len(SEEDS)), *leaves)
    assert done.returncode == 0, done.stderr
    return scores(calm)


@pytest.mark.slow
@pytest.mark.parametrize("kills, seed, env_steps", [(2, 1, 200), (25, 2, 400), (25, 3, 400)])
def test_kills_at_random_moments_lose_nothing_and_tell_no_lies(
    workspace: Path, tmp_path: Path, kills: int, seed: int, env_steps: int
) -> None:
    leaves = [*LEAVES, f"budget.amount={env_steps}", f"eval.every={env_steps // 4}"]
    killed = torment(workspace, kills, seed, leaves)
    assert killed, "nothing was running when the kills came"
    finish(workspace)
    assert scores(workspace) == undisturbed(tmp_path, leaves)
    for trial in trials(workspace):
        summary = json.loads(trial.summary_path.read_text())
        assert summary["state"] == "finished"
