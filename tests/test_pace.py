"""The measure of how slow a machine is: taken meanwhile, on the core the benchmark is held to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import pytest

from benchmarks import pace


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[str]]:
    """Every process begun meanwhile."""
    begun: list[subprocess.Popen[str]] = []

    class Listed(subprocess.Popen[str]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            begun.append(self)

    monkeypatch.setattr(subprocess, "Popen", Listed)
    return begun


def cores() -> set[int]:
    return os.sched_getaffinity(0) if sys.platform == "linux" else set()


def test_the_pace_is_taken_meanwhile_on_one_core(
    started: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cores()
    with pace.alongside() as one:
        assert len(cores()) <= 1
        time.sleep(2 * pace.PAUSE_S)
    assert cores() == before
    assert 0.2 < one.slowness < 50.0
    monkeypatch.setattr(pace, "PROMISED_S", 1000.0)
    with pace.alongside() as other:
        pass
    assert 0.0 < other.slowness < 0.01
    assert [process.poll() is None for process in started] == [False, False]


def test_a_benchmark_that_fails_leaves_no_sampler_and_all_cores(started: list[subprocess.Popen[str]]) -> None:
    before = cores()
    with pytest.raises(KeyError), pace.alongside():
        raise KeyError
    assert cores() == before
    assert [process.poll() is None for process in started] == [False]
