"""FACTS F20 with real processes: a trial that is killed at random moments and resumed is the one that never was.

Whatever it observes and does, alone or with several environments, with one thread or two: the same parameters, moments,
replay, generators, metric lines, evaluations and episodes to the last bit. That it is so for two processes that were
not disturbed follows, since one of the two compared was not.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from dreamerlab.runs.attempts import read_attempts
from dreamerlab.runs.checkpoints import name_of
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.series import join_attempts, read_episodes, read_evals, read_lines
from dreamerlab.runs.status import effective_state, read_status
from dreamerlab.train import checkpoint
from dreamerlab.train.opponents import Company
from dreamerlab.train.session import Session
from tests.train.trials import make_trial, timeless, tiny_config

ROOT = Path(__file__).parents[2]
STATE, PIXELS = "tests.toy_envs:Chain-v0", "tests.toy_envs:Square-v0"
MOVE, DICE = "tests.toy_envs:Move-v0", "tests.toy_envs:GlobalDice-v0"


def trainer(trial: TrialDirectory, threads: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "dreamerlab.train", str(trial.path)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def kill_at(trial: TrialDirectory, attempt: int, lines: int, process: subprocess.Popen[bytes]) -> None:
    """Kill the trainer once an attempt has written so many metric lines."""
    deadline = time.monotonic() + 240
    path = trial.metrics_path(attempt)
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < lines):
        assert time.monotonic() < deadline, "it wrote no more lines"
        time.sleep(0.002)
    assert process.poll() is None, f"it ended before it could be killed: {process.communicate()[1].decode()}"
    process.send_signal(signal.SIGKILL)
    process.communicate()


def finish(trial: TrialDirectory, threads: int) -> None:
    process = trainer(trial, threads)
    _, said = process.communicate(timeout=280)
    assert process.returncode == 0, said.decode()
    assert effective_state(read_status(trial)) == "finished"


def outcome(trial: TrialDirectory) -> dict[str, Any]:
    """Everything a trial leaves behind, without clocks."""
    starts = {record["attempt"]: record["start_env_steps"] for record in read_attempts(trial)}
    metrics = [line for attempt in trial.attempts() for line in read_lines(trial.metrics_path(attempt))[0]]
    session = checkpoint.load(trial.checkpoints).state["session"]
    session["counters"].pop("wall_s")
    return {
        "state": flat(session),
        "metrics": timeless(join_attempts(metrics, starts)),
        "evaluations": timeless(read_evals(trial)[0]),
        "episodes": timeless(read_episodes(trial)[0]),
    }


def flat(value: Any) -> Any:
    """Return nested state as comparable plain values, arrays and tensors by their bytes."""
    if isinstance(value, dict):
        return {key: flat(item) for key, item in value.items()}
    if isinstance(value, list):
        return [flat(item) for item in value]
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), tuple(value.shape), value.numpy().tobytes())
    return (str(value.dtype), value.shape, value.tobytes()) if hasattr(value, "tobytes") else value


def sources() -> str:
    """Return a hash of the code that processes started from here run."""
    files = [*(ROOT / "dreamerlab").rglob("*.py"), ROOT / "tests/toy_envs.py"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


def kill_and_compare(tmp_path: Path, kills: int, **sections: dict[str, Any]) -> None:
    code, threads = sources(), sections.get("execution", {}).get("threads", 1)
    leaves = {
        "checkpoint": {"every": 30, "keep_replay": True},
        "log": {"every": 5},
        "eval": {"every": 70, "episodes": 2},
    }
    config = tiny_config(**{"budget": {"amount": 240}, **leaves, **sections})
    whole, broken = make_trial(tmp_path / "whole", config), make_trial(tmp_path / "broken", config)
    rng = random.Random(str(sections))
    for attempt in range(1, kills + 1):
        kill_at(broken, attempt, rng.randint(2, config.budget.amount // 6 // kills), trainer(broken, threads))
    finish(broken, threads)
    finish(whole, threads)
    assert sources() == code, "someone edited the code between two processes: nothing is shown"
    assert [record["state"] for record in read_attempts(broken)] == ["running"] * kills + ["finished"]
    left, right = outcome(whole), outcome(broken)
    for part in ("episodes", "metrics", "evaluations"):
        assert left[part] == right[part], part
    assert left["state"].keys() == right["state"].keys()
    for part in left["state"]:
        assert left["state"][part] == right["state"][part], part


@pytest.mark.slow
def test_three_environments_with_numbers_to_choose_F20(tmp_path: Path) -> None:
    """With an evaluation on the way; each in a process of its own, as sets and hashes have another order in each."""
    settings = {"collect": {"envs": 3}, "budget": {"amount": 75}, "eval": {"every": 40, "episodes": 2}}
    kill_and_compare(tmp_path, 1, env={"id": MOVE}, **settings)


HOCKEY = "dreamerlab/HockeyOne-v0"


def test_games_go_on_in_the_middle_F20(tmp_path: Path) -> None:
    """M-HK-02: against bots and past selves, one of which joins afterwards, over the border of two stages."""
    hockey = {
        "curriculum": ("0 shooting weak+self", "100 defense strong+self:2"),
        "pool_every": 60,
        "pool_size": 2,
    }
    config = tiny_config(env={"id": HOCKEY}, hockey=hockey, collect={"envs": 2}, train={"train_ratio": 0.5})
    company = Company(pool=tmp_path / "opponents", belongs={"run": "R0001-abc", "seed": 3, "family": "f"})

    def go(session: Session, rounds: int) -> list[Any]:
        ended: list[Any] = []
        for _ in range(rounds):
            ended += session.collector.step(session.policy)
            session.counters.env_steps = session.collector.env_steps
            for _ in range(session.updates_due()):
                session.update()
        return ended

    whole = Session(config, 3, company=company)
    go(whole, 45)
    saved = session_state(whole, tmp_path)
    games = go(whole, 45)
    after = session_state(whole, tmp_path)
    parts = Session(config, 3, company=company)
    parts.load_state_dict(saved)
    assert go(parts, 45) == games
    assert flat(session_state(parts, tmp_path)) == flat(after)
    met = {end.game["opponent"] for end in games}
    assert any(name.startswith("self@") for name in met), met
    assert saved["collector"]["matchmaker"] != after["collector"]["matchmaker"]


def session_state(session: Session, folder: Path) -> dict[str, Any]:
    """The state of a session as a checkpoint gives it back."""
    facts = {"run": "R0001-abc", "seed": 3, "family": "f", "updates": 0, "episodes": 0, "wall_s": 0.0}
    at = session.counters.env_steps
    checkpoint.save(folder, session.state_dict(), None, env_steps=at, has_replay=True, **facts)
    return checkpoint.open_exactly(folder, name_of(at))


@pytest.mark.slow
@pytest.mark.parametrize("envs", [1, 3])
@pytest.mark.parametrize(
    "hockey",
    [
        {"opponent": ("weak", "strong:2", "random"), "side": "both", "mode": "normal"},
        {"curriculum": ("0 shooting weak", "90 defense strong", "150 normal weak:3+strong"), "starts": "random"},
        {"opponent": ("self", "weak:0.3"), "pool_every": 40, "pool_size": 2, "mode": "shooting"},
    ],
)
def test_whoever_it_plays_against_F20(tmp_path: Path, hockey: dict[str, Any], envs: int) -> None:
    """M-HK-02."""
    settings = {"collect": {"envs": envs}, "budget": {"amount": 330}, "train": {"train_ratio": 3.0}}
    kill_and_compare(tmp_path, 2, env={"id": HOCKEY}, hockey=hockey, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("envs", [1, 3])
@pytest.mark.parametrize("env_id", [STATE, PIXELS, MOVE, DICE, "CartPole-v1"])
@pytest.mark.parametrize("threads", [1, 2])
def test_whatever_it_sees_and_does_F20(tmp_path: Path, env_id: str, envs: int, threads: int) -> None:
    if threads == 2 and (env_id, envs) not in ((PIXELS, 3), (MOVE, 1)):
        pytest.skip("two threads change nothing about environments")
    budget = {"amount": 90 if env_id == PIXELS else 240}  # convolutions take their time
    settings = {"collect": {"envs": envs}, "execution": {"threads": threads}, "budget": budget}
    kill_and_compare(tmp_path, 3, env={"id": env_id}, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("observe", ["pixels", "both"])
def test_rendered_pictures_F20(tmp_path: Path, observe: str) -> None:
    pytest.importorskip("pygame")
    kill_and_compare(tmp_path, 2, env={"id": "CartPole-v1", "observe": observe}, budget={"amount": 120})


@pytest.mark.slow
@pytest.mark.parametrize(
    "sections",
    [
        {"train": {"learn": "world"}},
        {"train": {"model_only_updates": 10, "actor_every": 3}},
        {"log": {"every": 5, "every_updates": 2}},
        {"replay": {"mixture": (0.5, 0.3, 0.2), "capacity": 150}},
        {"smooth": {"kernel": "gaussian", "width": 3.0}},
        {"optimizer": {"name": "adam_clip", "lr_schedule": "linear to 0.1x over 20 updates"}},
    ],
)
def test_whatever_it_learns_F20(tmp_path: Path, sections: dict[str, Any]) -> None:
    kill_and_compare(tmp_path, 2, **sections)
