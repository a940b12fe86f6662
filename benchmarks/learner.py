"""What an update costs, and how much of training is not learning.

One thread, the `nano` preset on CartPole, in this process; medians over interleaved rounds.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

SHIPPED = Path(__file__).parent.parent


def measure() -> list[tuple[str, float, float | None]]:
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
    return [
        ("nano update, ms", 1000 * update_s, None),
        ("env step with policy and replay insert, ms", 1000 * acting_s, None),
        ("env step and insert without the policy, % of training", 100 * (acting_s - choosing_s) / whole_s, None),
        ("acting share of training at the preset's ratio, %", 100 * acting_s / whole_s, None),
        ("evaluation of 2 x 10 episodes, in updates", evaluation / update_s, None),
    ]


def _seconds(call) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
