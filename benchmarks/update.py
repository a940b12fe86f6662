"""What an update costs against the least it could cost, and what training spends on everything else.

One thread, in CPU time of that thread (where environments are watched by a timer the clock of the process is coarse).
The floor of an update is the arithmetic of its products at the best rate this machine reached a moment before.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dreamerlab.experience.collector import Policy

SHIPPED = Path(__file__).parent.parent
ROUNDS = 9
LIMIT_SHARE = 5.0


def measure() -> list[tuple[str, float, float | None]]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.peers.__main__ import product_rate
    from benchmarks.peers.ours import build
    from benchmarks.peers.sizes import SIZES, make_rows
    from benchmarks.peers.worker import UNCOUNTED

    torch.set_num_threads(1)
    rate = product_rate(1)
    rows: list[tuple[str, float, float | None]] = [("products, GFLOP per CPU second", rate, None)]
    for name in ("S0", "S1"):
        update, _ = build(SIZES[name], make_rows(SIZES[name], 0))
        seconds = statistics.median(_cpu_seconds(update) for _ in range(ROUNDS))
        with FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter:
            update()
        floor_s = counter.get_total_flops() / 1e9 / rate
        rows += [(f"{name} update, CPU ms", 1000 * seconds, None), (f"{name} update, x floor", seconds / floor_s, None)]
    for preset, ratio in (("nano", None), ("small", None), (None, 32.0)):
        rows += _shares(preset, ratio)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [*rows, ("peak memory of this process, MiB", peak, None)]


class Training(NamedTuple):
    """What training between two updates consists of, in CPU seconds."""

    train_ratio: float
    update: float
    acting: float
    """One env step with policy and insert."""
    choosing: float
    """Of it the policy."""
    sampling: float
    steps_per_update: float
    steps_per_line: int
    """Env steps between two lines of metrics."""

    @property
    def whole(self) -> float:
        """An update with the env steps that belong to it."""
        return self.update + self.acting * self.steps_per_update + self.sampling

    @property
    def line(self) -> float:
        """All between two lines of metrics."""
        return self.whole / self.steps_per_update * self.steps_per_line


def _shares(preset: str | None, ratio: float | None) -> list[tuple[str, float, float | None]]:
    """Return what an update of a trial costs, and the share of its training that is not learning."""
    at = training(preset, ratio)
    without_s = (at.acting - at.choosing) * at.steps_per_update + at.sampling
    name = f"{preset or 'size1m'} at train_ratio {at.train_ratio:g}"
    return [
        (f"{name}: update, CPU ms", 1000 * at.update, None),
        (f"{name}: env step with policy and insert, CPU ms", 1000 * at.acting, None),
        (f"{name}: of it the policy, CPU ms", 1000 * at.choosing, None),
        (f"{name}: env steps, inserts and sampling, % of training", 100 * without_s / at.whole, LIMIT_SHARE),
        (f"{name}: the same with the policy, % of training", 100 * (at.whole - at.update) / at.whole, None),
    ]


def training(preset: str | None, ratio: float | None = None) -> Training:
    """Train a preset for some updates and return the medians."""
    from dreamerlab.config.layers import resolve
    from dreamerlab.train.session import Session

    overrides = [] if ratio is None else [f"train.train_ratio={ratio:g}"]
    config = resolve(SHIPPED, "cartpole", preset, overrides).config
    session = Session(config, seed=0)
    while not session.can_learn:
        session.collector.step(session.policy)
    session.update()
    train = config.train
    # Steps between updates, as in training; they are what acting must look at the weights anew for.
    steps = max(1, round(train.batch_size * train.batch_length / train.train_ratio))
    policy = Timed(session.policy)
    update, acting, choosing, sampling = [], [], [], []
    for _ in range(ROUNDS):
        for _ in range(steps):
            acting.append(_cpu_seconds(lambda: session.collector.step(policy)))
            choosing.append(policy.take())
        sampling.append(
            _cpu_seconds(lambda: session.replay.sample(train.batch_size, train.batch_length, session._replay_rng))
        )
        update.append(_cpu_seconds(session.update))
    session.close()
    medians = map(statistics.median, (update, acting, choosing, sampling))
    per_update = train.batch_size * train.batch_length / train.train_ratio
    return Training(train.train_ratio, *medians, per_update, config.log.every)


class Timed:
    """A policy, and the time its calls took by a clock."""

    def __init__(self, policy: Policy, clock: Callable[[], float] = time.thread_time) -> None:
        self._policy, self._clock, self._spent_s = policy, clock, 0.0

    def __call__(self, *arguments: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        started = self._clock()
        chosen = self._policy(*arguments)
        self._spent_s += self._clock() - started
        return chosen

    def take(self) -> float:
        """Return the seconds since the last call of this."""
        spent_s, self._spent_s = self._spent_s, 0.0
        return spent_s


def _cpu_seconds(call: Callable[[], Any]) -> float:
    started = time.thread_time()
    call()
    return time.thread_time() - started
