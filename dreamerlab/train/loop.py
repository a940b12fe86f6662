"""The training loop, on one page: collect, update, log, evaluate, checkpoint, stop.

Order within an env step follows the reference (FACTS A10): act, environment, replay, then the updates that are due.
Everything that happens "every N" counts env steps, so a resumed trial does it at the same moments; the last env step
of the budget is followed by a metric line and an evaluation whatever its number.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from dreamerlab.train.recorder import Recorder
from dreamerlab.train.runtime import StopRequest, TrainingClock
from dreamerlab.train.session import Session


def train(
    session: Session, recorder: Recorder, clock: TrainingClock, stop: StopRequest, save: Callable[[], None]
) -> bool:
    """Train until the budget is spent (True) or a stop is requested (False); `save` writes a checkpoint.

    A stop is honoured between env steps. The final state of a finished trial is saved by the caller.
    """
    config, at = session.config, session.counters

    def beat() -> None:
        recorder.heartbeat(at, session.spent())

    recorder.start_clock()
    while session.spent() < config.budget.amount:
        if stop.check():
            save()
            return False
        started = time.monotonic()
        ended = session.collector.step(session.policy)
        at.env_steps, at.episodes = session.collector.env_steps, session.collector.episodes
        recorder.after_acting(time.monotonic() - started)
        for end in ended:
            recorder.after_episode(end, at)
        for _ in range(session.updates_due()):
            started = time.monotonic()
            metrics = session.update()
            recorder.after_update(metrics, time.monotonic() - started)
        at.wall_s = clock.total_s()
        beat()
        finished = session.spent() >= config.budget.amount
        if at.env_steps % config.log.every == 0 or finished:
            recorder.write_metrics(at, session.pace_metrics())
        if at.env_steps % config.eval.every == 0 or finished:
            recorder.write_evaluation(at, session.evaluator.evaluate(session.agent, beat))
            recorder.note_progress(at, session.spent())
            recorder.write_status()
        if at.env_steps % config.checkpoint.every == 0 and not finished:
            save()
    return True
