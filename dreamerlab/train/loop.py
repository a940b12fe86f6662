"""The training loop, on one page: collect, update, log, evaluate, checkpoint, stop.

Order within an env step follows the reference (FACTS A10): act, environment, replay, then the updates that are due.
Everything that happens "every N env steps" happens when a multiple of N is reached or passed, for several environments
advance at once; env steps are counted over all attempts, so a resumed trial does it at the same moments. The last env
step of the budget is followed by a metric line and an evaluation whatever its number. What probes find at an evaluation
is in the metric line of that moment, or in a line of its own. With several environments the budget is passed by fewer
env steps than there are environments.
"""

from __future__ import annotations

import time
from typing import Protocol

from dreamerlab.train.predictions import foresight_of_trial
from dreamerlab.train.probes import probes_of_trial
from dreamerlab.train.recorder import Recorder
from dreamerlab.train.runtime import StopRequest, TrainingClock
from dreamerlab.train.session import COUNT_UPDATES, Session


class Keeper(Protocol):
    """Who writes checkpoints: `keeper.py`."""

    def latest(self) -> None:
        """Save everything, to go on from."""
        ...

    def milestone(self) -> None:
        """Save the agent, to be kept for good."""
        ...

    def evaluated(self, score: float) -> None:
        """Save the agent if no evaluation was better so far."""
        ...

    def restore_best(self) -> None:
        """Give the session the agent of the best evaluation so far back."""
        ...


def train(session: Session, recorder: Recorder, clock: TrainingClock, stop: StopRequest, keeper: Keeper) -> bool:
    """Train until the budget is spent (True) or a stop is requested (False).

    A stop is honoured between env steps. The final state of a finished trial is saved by the caller.
    """
    config, at = session.config, session.counters
    in_updates = config.budget.unit in COUNT_UPDATES
    foresight = foresight_of_trial(config, session.agent, session.seed)
    probes = probes_of_trial(session)

    def beat() -> None:
        recorder.heartbeat(at, session.spent())

    def passed(every: int | None, before: int, now: int) -> bool:
        return every is not None and now // every > before // every

    recorder.start_clock()
    while session.spent() < config.budget.amount:
        if stop.check():
            keeper.latest()
            return False
        before, started = at.env_steps, time.monotonic()
        ended = session.collector.step(session.policy)
        at.env_steps, at.episodes = session.collector.env_steps, session.collector.episodes
        recorder.after_acting(time.monotonic() - started)
        for end in ended:
            recorder.after_episode(end, at)
            at.early_goals += end.terminated and not at.updates
        line_due = False
        for number in range(session.updates_due()):
            if number:
                beat()
            if line_due:
                recorder.write_metrics(at, session.pace_metrics())
            started = time.monotonic()
            metrics = session.update()
            recorder.after_update(metrics, time.monotonic() - started)
            line_due = passed(config.log.every_updates, at.updates - 1, at.updates)
            if in_updates and session.spent() >= config.budget.amount:
                break
        recorder.require_finite()
        at.wall_s = clock.total_s()
        beat()
        finished = session.spent() >= config.budget.amount
        evaluating = passed(config.eval.every, before, at.env_steps) or finished
        probed = probes.look(beat) if probes is not None and evaluating else {}
        if line_due or passed(config.log.every, before, at.env_steps) or finished:
            recorder.write_metrics(at, session.pace_metrics() | probed)
        elif probed:
            recorder.write_probes(at, probed)
        if evaluating:
            results = session.evaluator.evaluate(session.agent, beat)
            score = recorder.write_evaluation(at, results, session.spent())
            keeper.evaluated(score)
            if session.controls.evaluated(score, at.env_steps):
                keeper.restore_best()
            if foresight is not None:
                recorder.write_predictions(at, foresight.look(session.agent, beat))
            recorder.note_progress(at, session.spent())
            recorder.write_status()
        recorder.write_decisions(at, session.controls.take_events())
        if passed(config.checkpoint.keep_every, before, at.env_steps):
            keeper.milestone()
        if passed(config.checkpoint.every, before, at.env_steps) and not finished:
            keeper.latest()
    return True
