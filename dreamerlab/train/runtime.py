"""The process a trial runs in: random streams, threads, stop requests, and the clock that counts across attempts.

Owns what is global to the process. Does not know agents, replay or files; `session.py` puts those together.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
import zlib
from collections.abc import Callable, Mapping
from types import FrameType
from typing import NamedTuple

import numpy as np
import torch

from dreamerlab.errors import UsageError
from dreamerlab.runs.processes import SUPERVISOR_VARIABLE, alive

# Numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def stream_seed(seed: int, name: str) -> int:
    """Return the 63-bit seed of the random stream called `name` of the trial with this `seed`.

    Streams are independent, and adding one never shifts another: each depends on its own name alone.
    """
    words = np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(2, np.uint32)
    return (int(words[0]) << 31) ^ int(words[1])


def numpy_stream(seed: int, name: str) -> np.random.Generator:
    """Return numpy's generator of a named stream."""
    return np.random.Generator(np.random.PCG64(stream_seed(seed, name)))


def torch_stream(seed: int, name: str, device: torch.device) -> torch.Generator:
    """Return torch's generator of a named stream, on `device`."""
    return torch.Generator(device).manual_seed(stream_seed(seed, name))


def usable_device(name: str) -> torch.device:
    """Return the device that a config names; UsageError where this machine does not have it."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            f"execution.device={name}, and torch sees no CUDA device here",
            hint="execution.device=cpu trains the same, slower; what torch sees: python -m torch.utils.collect_env",
        )
    return torch.device(name)


def prepare_process(seed: int, threads: int) -> None:
    """Pin torch's threads and seed its global generator (only initialisation draws from it)."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:
        torch.set_num_interop_threads(1)
    torch.manual_seed(stream_seed(seed, "initialisation"))


def keep_freed_memory() -> None:
    """Let the C library keep what is freed for the next update instead of handing it back to the kernel.

    An update frees and takes hundreds of megabytes in pieces; every page that comes back from the kernel costs a fault
    and is filled with zeros first: a tenth of an update. Elsewhere than in glibc this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)  # a mapping of its own goes back to the kernel whatever its size
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)


def repeat_gradients(device: torch.device, *, deterministic: bool) -> None:
    """Make gradients the same in every run: always on the CPU, on a GPU where `deterministic` asks for it.

    With several threads the gradient of indexing is otherwise added up in whatever order the threads come by. On a GPU
    it is slower, and operations that cannot repeat raise; that was not run on one.
    """
    if deterministic and device.type == "cuda":
        # Read by cuBLAS when it starts; without it torch refuses every matrix product in this mode.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic or device.type == "cpu")
    # No memory is read before it is written, so filling it would only cost time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]


class Supervisor(NamedTuple):
    """The process that started this one and collects its result."""

    pid: int
    start_ticks: int | None

    @classmethod
    def named_in(cls, environment: Mapping[str, str]) -> Supervisor | None:
        """Return the supervisor that the launcher wrote into the environment; None when the trial runs on its own."""
        pid, _, start = environment.get(SUPERVISOR_VARIABLE, "").partition(":")
        return cls(int(pid), int(start) or None) if pid.isdecimal() and start.isdecimal() else None


class StopRequest:
    """Says whether the trial should stop, and why: a signal arrived, or the process that started it is gone.

    Signals only set a flag, so an update is never torn; the loop looks after every env step.
    """

    def __init__(self, supervisor: Supervisor | None) -> None:
        self.reason: str | None = None
        self._supervisor = supervisor
        self._last_look = time.monotonic()

    def listen(self) -> None:
        """Turn SIGTERM, SIGINT and SIGHUP into a request, except what is ignored already (nohup, `&`)."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def check(self) -> bool:
        """Tell whether to stop; looks for the supervisor once a second."""
        now = time.monotonic()
        if self.reason is None and self._supervisor is not None and now - self._last_look > 1.0:
            self._last_look = now
            if not alive(self._supervisor.pid, self._supervisor.start_ticks):
                self.reason = f"the process that started it (pid {self._supervisor.pid}) is gone"
        return self.reason is not None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.reason = f"stopped by {signal.Signals(number).name}"


class TrainingClock:
    """Seconds of training over all attempts, evaluations and checkpoints included."""

    def __init__(self, before_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._before_s, self._now = before_s, now
        self._start = now()

    def total_s(self) -> float:
        """Wall seconds of this attempt plus those of the attempts it continues."""
        return self._before_s + self._now() - self._start
