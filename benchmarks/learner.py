"""What an update costs, and how much of training is not learning.

One thread, the `nano` preset on CartPole, in this process; medians over interleaved rounds.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import NamedTuple

SHIPPED = Path(__file__).parent.parent


class Training(NamedTuple):
    """Where the time of training goes, in seconds."""

    update: float
    env_step: float
    """With its policy and insert."""
    policy: float
    """Of one env step."""
    evaluation: float
    whole: float
    """Of one env step and its share of updates."""
    line: float
    """Of everything between two lines of metrics, evaluations left out."""


def measure() -> list[tuple[str, float, float | None]]:
    at = training()
    return [
        ("nano update, ms", 1000 * at.update, None),
        ("env step with policy and replay insert, ms", 1000 * at.env_step, None),
        ("env step and insert without the policy, % of training", 100 * (at.env_step - at.policy) / at.whole, None),
        ("acting share of training at the preset's ratio, %", 100 * at.env_step / at.whole, None),
        ("evaluation of 2 x 10 episodes, in updates", at.evaluation / at.update, None),
    ]


def training() -> Training:
    """Train `nano` for sixty updates and return the medians."""
    from benchmarks.update import Timed
    from dreamerlab.config.layers import resolve
    from dreamerlab.train.session import Session

    config = resolve(SHIPPED, "cartpole", "nano", []).config
    session = Session(config, seed=0)
    while not session.can_learn:
        session.collector.step(session.policy)
    for _ in range(10):
        session.update()
    policy = Timed(session.policy, time.perf_counter)
    update, acting, choosing = [], [], []
    for _ in range(60):
        update.append(_seconds(session.update))
        acting.append(_seconds(lambda: session.collector.step(policy)))
        choosing.append(policy.take())
    evaluation = statistics.median(_seconds(lambda: session.evaluator.evaluate(session.agent)) for _ in range(3))
    per_step = config.train.train_ratio / (config.train.batch_size * config.train.batch_length)
    update_s, acting_s, choosing_s = map(statistics.median, (update, acting, choosing))
    whole_s = acting_s + per_step * update_s
    return Training(update_s, acting_s, choosing_s, evaluation, whole_s, config.log.every * whole_s)


def _seconds(call) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
