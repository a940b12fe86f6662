"""Which checkpoints are kept: the newest, the best, one every so often; and that a disk does not fill with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dreamerlab.errors import Conflict, NotFound
from dreamerlab.runs.checkpoints import BEST, KEPT, LATEST, choose, names
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.train import checkpoint
from dreamerlab.train.attempt import execute
from dreamerlab.train.evaluate import Episodes, Evaluator
from dreamerlab.train.recorder import Recorder
from dreamerlab.train.runtime import StopRequest
from tests.train.trials import lines, make_trial, tiny_config


@pytest.fixture(autouse=True)
def _leave_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StopRequest, "listen", lambda self: None)


def scores(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """Have evaluations come out as told, one after another."""
    left = list(values)

    def told(self, agent, beat=None):
        value = left.pop(0)
        return {policy: Episodes([value], [1]) for policy in ("mode", "sample")}

    monkeypatch.setattr(Evaluator, "evaluate", told)


def steps(trial: TrialDirectory, kind: str) -> list[int]:
    return [int(name.partition("-")[2]) for name in names(trial.checkpoints, kind)]


def test_the_best_is_kept_apart_from_the_newest_M_CP_35(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """M-CP-35: by eval/return_mode, the first of equals, without replay; every 25 env steps one for good."""
    settings = {"every": 20, "keep_every": 25}
    trial = make_trial(tmp_path, tiny_config(eval={"every": 10, "episodes": 1}, checkpoint=settings))
    scores(monkeypatch, 1, 5, 3, 5, 4, 2)
    execute(trial.path, None, None)
    assert (steps(trial, BEST), steps(trial, KEPT), steps(trial, LATEST)) == ([20], [50, 25], [60])
    best = checkpoint.load(trial.checkpoints, "best")
    assert (best.info.env_steps, best.info.score, best.info.has_replay) == (20, 5.0, False)
    assert best.state["session"].keys() == {"agent", "counters"}
    assert checkpoint.load(trial.checkpoints, "50").info.env_steps == 50
    assert checkpoint.load(trial.checkpoints).info.file == "ckpt-000000060.pt"
    with pytest.raises(NotFound, match=r"no checkpoint of env step 30 in .* some of env step 20, 25, 50, 60"):
        checkpoint.load(trial.checkpoints, "30")


def test_without_keep_best_there_is_none(tmp_path: Path) -> None:
    trial = make_trial(tmp_path, tiny_config(budget={"amount": 30}, checkpoint={"keep_best": False}))
    execute(trial.path, None, None)
    assert steps(trial, BEST) == steps(trial, KEPT) == []
    with pytest.raises(NotFound, match="no checkpoint 'best' in"):
        choose(trial.checkpoints, "best")


def test_a_resumed_trial_forgets_the_best_of_the_stretch_that_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at 35 after a splendid evaluation at 30, it goes on from 20, where another one was the best."""
    trial = make_trial(tmp_path, tiny_config(eval={"every": 10, "episodes": 1}, checkpoint={"every": 20}))
    scores(monkeypatch, 2, 1, 9)
    heartbeat = Recorder.heartbeat

    def die(self, at, spent):
        if at.env_steps == 35:
            raise KeyboardInterrupt
        heartbeat(self, at, spent)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "heartbeat", die)
        with pytest.raises(Exception, match="KeyboardInterrupt"):
            execute(trial.path, None, None)
    assert steps(trial, BEST) == [30, 10], "the one that the checkpoint knows stays until the next checkpoint"
    scores(monkeypatch, 1, 1, 3, 1)
    execute(trial.path, None, None)
    assert steps(trial, BEST) == [50]
    assert [line["env_steps"] for line in lines(trial.evals_path)] == [10, 20, 30, 30, 40, 50, 60]


def test_however_long_a_trial_the_disk_holds_as_many_checkpoints(tmp_path: Path) -> None:
    settings = {"every": 3, "keep": 2}
    budget, evaluation = {"amount": 30}, {"every": 10, "episodes": 1}
    trial = make_trial(tmp_path, tiny_config(budget=budget, eval=evaluation, checkpoint=settings))
    most: list[int] = []
    save = checkpoint.save

    def counted(folder, *args, **kwargs):
        info = save(folder, *args, **kwargs)
        most.append(sum(1 for _ in folder.iterdir()))
        return info

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", counted)
        execute(trial.path, None, None)
    assert len(most) > 10
    assert max(most) <= 2 * (2 + 2), "two newest, the best and the one before it; a description beside each"


def test_a_damaged_best_is_refused_for_nothing_can_stand_in_for_it(tmp_path: Path) -> None:
    trial = make_trial(tmp_path, tiny_config(budget={"amount": 30}))
    execute(trial.path, None, None)
    (best,) = trial.checkpoints.glob("best-*.pt")
    best.write_bytes(best.read_bytes()[:-1])
    with pytest.raises(Conflict, match=rf"{best.name} cannot be used: \d+ bytes instead of \d+"):
        checkpoint.load(trial.checkpoints, "best")


_KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
import torch
from dreamerlab.train import checkpoint
write = torch.save
def dying(state, file):
    write(state, file)
    if "20" in file.name:
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
torch.save = dying
for at in (10, 20):
    facts = dict(run="R1", seed=0, family="f", env_steps=at, updates=at, episodes=0, wall_s=0.0, has_replay=True)
    checkpoint.save(Path(sys.argv[1]), {"at": at}, 2, **facts)
"""


def test_a_process_killed_while_writing_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED_WHILE_WRITING, str(tmp_path)], capture_output=True)
    assert done.returncode == -9, done.stderr
    loaded = checkpoint.load(tmp_path)
    assert (loaded.state, loaded.passed_over) == ({"at": 10}, [])
    assert [path.name for path in tmp_path.glob(".*")] == [".ckpt-000000020.pt.tmp"]
