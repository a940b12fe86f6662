"""Environments that hang, really, in a process of their own: named, interrupted, and ended when nothing else helps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import timeit
from pathlib import Path

import numpy as np
import pytest

from dreamerlab.config.schema_task import Env
from dreamerlab.envs.faults import EnvironmentFault
from dreamerlab.envs.make import make_env
from dreamerlab.envs.watchdog import watchdog
from dreamerlab.errors import TrialFailed

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys, traceback
import numpy as np
from dreamerlab.config.schema_task import Env
from dreamerlab.envs.make import make_env
from dreamerlab.envs.watchdog import watchdog

def write_state(fault):
    print("STATE", "".join(traceback.format_exception(fault)), flush=True)

watchdog.on_hang(write_state)
for name in sys.argv[2:]:
    env = make_env(Env(id=name), step_timeout_s=float(sys.argv[1]))
    try:
        env.reset(seed=9)
        for _ in range(30):
            print("STEP", flush=True)
            if env.step(np.array([1]))[2]:
                env.reset(seed=9)
    except Exception as error:
        print("FAULT", type(error).__name__, type(error.__cause__).__name__, error.message, flush=True)
print("END", flush=True)
"""


def start(limit_s: float, *names: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(limit_s), *names]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ, cwd=ROOT)


def odd(name: str) -> str:
    return f"tests.envs.odd_envs:odd/{name}-v0"


def named(name: str, call: str, step: int, seconds: str) -> str:
    place = f"step {step} of the episode with reset seed 9"
    return f"environment '{name}' failed in {call} at {place}: it did not come back within {seconds} s"


def test_a_call_that_takes_too_long_is_an_ordinary_fault() -> None:
    """The environment is named with call, place and seconds, the process lives, and other environments go on."""
    process = start(0.3, odd("Sleeps"), odd("Loops"), "tests.toy_envs:HangInReset-v0", odd("Honest"))
    out, err = process.communicate(timeout=60)
    lines = [line for line in out.splitlines() if not line.startswith("STEP")]
    assert lines == [
        f"FAULT EnvironmentFault Hung {named(odd('Sleeps'), 'step(1)', 3, '0.3')}",
        f"FAULT EnvironmentFault Hung {named(odd('Loops'), 'step(1)', 3, '0.3')}",
        f"FAULT EnvironmentFault Hung {named('tests.toy_envs:HangInReset-v0', 'reset(seed=9)', 0, '0.3')}",
        "END",
    ]
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("name, place", [("Foreign", "wait_for_itself"), ("Swallows", "time.sleep(self._seconds)")])
def test_a_process_that_cannot_be_interrupted_ends_with_its_state_written(name: str, place: str) -> None:
    process = start(0.3, odd(name), odd("Honest"))
    out, err = process.communicate(timeout=60)
    said = named(odd(name), "step(1)", 3, "0.3")
    assert process.returncode == TrialFailed.exit_code
    assert f"STATE dreamerlab.envs.faults.EnvironmentFault: {said}" in out
    assert place in out.partition("Where it stands")[2], "the traceback leads to the line that hangs"
    assert "END" not in out
    assert f"error: {said}\n\nhint: " in err


@pytest.mark.slow
def test_code_that_stops_every_thread_ends_the_process_with_a_traceback() -> None:
    process = start(0.3, odd("HoldsOn"))
    out, err = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGPROF
    assert "END" not in out
    assert "odd_envs.py" in err


@pytest.mark.slow
def test_time_during_which_the_process_stood_still_does_not_count() -> None:
    """Ctrl-Z in the middle of a step is no hanging environment."""
    process = start(2.0, odd("TakesASecond"))
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline() == "STEP\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    assert out.splitlines()[-1] == "END"
    assert "FAULT" not in out
    assert (process.returncode, err) == (0, "")


def test_slow_but_within_the_limit_passes_and_late_signals_are_ignored() -> None:
    env = make_env(Env(id=odd("Honest")), step_timeout_s=30)
    env.reset(seed=0)
    watchdog._overdue = (env,)  # as if the call had come back just as the signal was sent
    signal.raise_signal(signal.SIGVTALRM)
    watchdog._overdue = None
    assert env.step(np.array([0]))[1] == 1.0


def test_a_fault_of_another_kind_ends_the_watch_over_its_call() -> None:
    env = make_env(Env(id=odd("Raises")), step_timeout_s=30)
    env.reset(seed=0)
    env.step(np.array([0]))
    env.step(np.array([0]))
    with pytest.raises(EnvironmentFault, match="ZeroDivisionError"):
        env.step(np.array([0]))
    assert watchdog.call is None


_LAST = """
import gc, signal, threading, time
from dreamerlab.config.schema_task import Env
from dreamerlab.envs.make import make_env

def watching():
    return any(thread.name == "environment watchdog" for thread in threading.enumerate())

env = make_env(Env(id={id!r}), step_timeout_s=0.5)
assert watching()
del env
deadline = time.monotonic() + 20
while watching() and time.monotonic() < deadline:
    gc.collect()
    time.sleep(0.05)
assert not watching()
assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)
"""


def test_the_watch_ends_with_its_last_environment() -> None:
    # In a process of its own: environments of other tests would keep the watch alive here.
    subprocess.run([sys.executable, "-c", _LAST.format(id=odd("Honest"))], check=True, timeout=120)


def test_watching_costs_less_than_five_microseconds_a_step() -> None:
    def cost(limit_s: float | None) -> float:
        env = make_env(Env(id=odd("Honest"), time_limit=10**9), step_timeout_s=limit_s)
        env.reset(seed=0)
        action = np.array([0])
        return min(timeit.repeat(lambda: env.step(action), number=300, repeat=20)) / 300

    assert cost(60) - cost(None) < 5e-6
