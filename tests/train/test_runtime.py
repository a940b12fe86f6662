from __future__ import annotations

import os
import signal

import pytest
import torch

from dreamerlab.errors import UsageError
from dreamerlab.runs.processes import SUPERVISOR_VARIABLE, own_identity
from dreamerlab.train.runtime import (
    StopRequest,
    Supervisor,
    TrainingClock,
    numpy_stream,
    repeat_gradients,
    stream_seed,
    torch_stream,
    usable_device,
)


def test_streams_depend_on_seed_and_name_alone() -> None:
    seeds = {stream_seed(seed, name) for seed in range(50) for name in ("actions", "replay", "updates")}
    assert len(seeds) == 150
    assert stream_seed(3, "replay") == stream_seed(3, "replay")
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_generators_of_one_stream_agree() -> None:
    assert numpy_stream(1, "a").random() == numpy_stream(1, "a").random()
    cpu = torch.device("cpu")
    draws = [torch.rand(3, generator=torch_stream(1, name, cpu)) for name in ("a", "a", "b")]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_signal_only_sets_a_request() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    stop = StopRequest(None)
    try:
        stop.listen()
        assert not stop.check()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.check()
        assert stop.reason == "stopped by SIGTERM"
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_vanished_supervisor_is_a_request(monkeypatch) -> None:
    me = own_identity()
    gone, here = Supervisor(me.pid, 1), Supervisor(me.pid, me.start_ticks)
    now = [0.0]
    monkeypatch.setattr("dreamerlab.train.runtime.time.monotonic", lambda: now[0])
    stop, kept = StopRequest(gone), StopRequest(here)
    assert not stop.check(), "looked again within a second"
    now[0] = 2.0
    assert stop.check()
    assert "is gone" in (stop.reason or "")
    assert not kept.check()


def test_clock_continues_where_the_last_attempt_stopped() -> None:
    now = [10.0]
    clock = TrainingClock(5.0, lambda: now[0])
    now[0] = 12.5
    assert clock.total_s() == 7.5


def test_the_supervisor_is_read_from_the_environment() -> None:
    me = own_identity()
    assert Supervisor.named_in({SUPERVISOR_VARIABLE: me.supervisor_value()}) == (me.pid, me.start_ticks)
    assert Supervisor.named_in({SUPERVISOR_VARIABLE: "12:0"}) == (12, None)
    assert Supervisor.named_in({}) is None
    assert Supervisor.named_in({SUPERVISOR_VARIABLE: "garbage"}) is None


@pytest.mark.parametrize(
    ("device", "asked", "on"), [("cpu", False, True), ("cuda", False, False), ("cuda", True, True)]
)
def test_what_repeats_bit_for_bit_is_the_cpu_and_a_gpu_that_is_asked_to(
    device: str, asked: bool, on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    repeat_gradients(torch.device(device), deterministic=asked)
    assert torch.are_deterministic_algorithms_enabled() is on
    assert (os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None) is not None) is (device == "cuda" and asked)


def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="device=cuda, and torch sees no CUDA device") as refused:
        usable_device("cuda")
    assert refused.value.hint
    assert usable_device("cpu").type == "cpu"
