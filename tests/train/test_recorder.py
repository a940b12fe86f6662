"""What is written while a trial trains: pace figures mean what the catalogue says, also across a resume."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dreamerlab.runs.status import Status
from dreamerlab.train.recorder import Counters, Recorder
from tests.train.trials import lines, make_trial, tiny_config


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [100.0]
    monkeypatch.setattr("dreamerlab.train.recorder.time.monotonic", lambda: clock[0])
    return clock


def _recorder(tmp_path: Path, attempt: int) -> Recorder:
    trial = make_trial(tmp_path / str(attempt), tiny_config())
    trial.attempt_dir(attempt).mkdir(parents=True)
    return Recorder(trial, attempt, Status("running", 0))


def test_pace_counts_the_time_before_a_stop_with_the_work_before_it(tmp_path: Path, now: list[float]) -> None:
    first = _recorder(tmp_path, 1)
    now[0] += 30  # building environment and agent is no training
    first.start_clock()
    for _ in range(8):
        now[0] += 1
        first.after_acting(0.25)
        first.after_update({"wm/loss": torch.tensor(1.0)}, 0.5)
    state = first.state_dict()

    now[0] += 1000  # between the attempts
    second = _recorder(tmp_path, 2)
    second.load_state_dict(state)
    second.start_clock()
    for _ in range(2):
        now[0] += 1
        second.after_acting(0.25)
        second.after_update({"wm/loss": torch.tensor(1.0)}, 0.5)
    second.write_metrics(Counters(env_steps=10, updates=10), {})

    (line,) = lines(second._trial.metrics_path(2))
    assert line["values"] == {
        "wm/loss": 1.0,
        "pace/update_ms": 500.0,
        "pace/env_steps_per_s": 1.0,
        "pace/updates_per_s": 1.0,
        "pace/acting_share": 0.25,
    }


def test_sums_from_a_checkpoint_go_on_where_the_agent_computes(tmp_path: Path) -> None:
    """Checkpoints are read to the CPU; the `meta` device, which holds no numbers, stands in for a GPU."""
    first, second = _recorder(tmp_path, 1), _recorder(tmp_path, 2)
    first.after_update({"wm/loss": torch.tensor(1.0)}, 0.5)
    second.load_state_dict(first.state_dict())
    for _ in range(2):
        second.after_update({"wm/loss": torch.tensor(1.0, device="meta")}, 0.5)
    (total,) = second._means.sums.values()
    assert total.device.type == "meta"
