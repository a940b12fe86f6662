"""Trials on this machine: a queue, a number of workers, and an orderly end whatever happens.

Owns the supervision loop: start, wait, settle, stop. One trial is one process (`trainer.py`), and a trial that fails
does not disturb the others; the trials of several runs may share one pool. The first Ctrl-C (or SIGTERM, SIGHUP) asks
the trainers to write checkpoints and waits for them; a second Ctrl-C kills them. Should this process itself be killed,
the trainers notice and stop by themselves. A rule may end a trial for good; what the rule says is the caller's.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from dreamerlab.launch.trainer import Trainer, mark, record_end, settle, start_trainer
from dreamerlab.runs.directory import TrialDirectory
from dreamerlab.runs.status import Status

_LOOK_EVERY_S = 0.2
_RULE_EVERY_S = 1.0
_RULE_PATIENCE_S = 60.0
"""A trainer that a rule has ended writes no further word that counts: it is killed when it does not go by itself."""
_SAME_KEYPRESS_S = 0.5
"""Wrappers such as make pass on a Ctrl-C that the terminal has delivered already: that is one, not two."""


NOT_STARTED = "interrupted before it started"
Rule = Callable[[TrialDirectory], str | None]
"""Asked about a trial that runs or has just ended: why it is over for good, or None to let it be."""


@dataclass(frozen=True)
class Task:
    """One trial, and the code it runs from."""

    trial: TrialDirectory
    snapshot: Path
    threads: int


@dataclass(frozen=True)
class Plan:
    """Which trials in which order, how many at once."""

    tasks: Sequence[Task]
    folder: Path
    """Where the trainers work: the workspace."""
    jobs: int


def physical_cores() -> int:
    """Return the number of physical cores this process may use, at least 1."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores: set[str] = set()
    for cpu in allowed:
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(topology.read_text().strip())
        except OSError:
            cores.add(str(cpu))
    return max(1, len(cores))


def default_jobs(num_trials: int, threads: int) -> int:
    """Return how many trials to run at once: as many as the cores carry, at least one."""
    return max(1, min(num_trials, physical_cores() // threads))


class LocalPool:
    """Runs a plan to its end; `say` takes lines of talk, `look` is called a few times a second, `rule` every second."""

    def __init__(
        self, plan: Plan, say: Callable[[str], None], look: Callable[[], None], rule: Rule | None = None
    ) -> None:
        self._plan, self._say, self._look, self._rule = plan, say, look, rule
        self._waiting = deque(plan.tasks)
        self._running: list[Trainer] = []
        self._ended: dict[TrialDirectory, Status] = {}
        self._several = len({task.trial.run.id for task in plan.tasks}) > 1
        self._ruled: dict[TrialDirectory, str] = {}
        self._ruled_at: dict[TrialDirectory, float] = {}
        self._rule_next_at = 0.0
        self._stop_asked_at: float | None = None
        self._stop_told = self._kill = False

    @property
    def interrupted(self) -> bool:
        """Whether a signal asked for the end."""
        return self._stop_asked_at is not None

    def run(self) -> dict[TrialDirectory, Status]:
        """Run every trial, already marked as queued by this process; return the final status of each."""
        with self._listening():
            try:
                self._supervise()
            finally:
                # Only our own bugs lead here with trainers alive; they would notice and stop, but later.
                for trainer in self._running:
                    trainer.ask_to_stop()
        return self._ended

    def _supervise(self) -> None:
        while self._waiting or self._running:
            if self.interrupted:
                self._stop()
            while self._waiting and len(self._running) < self._plan.jobs and not self.interrupted:
                self._start(self._waiting.popleft())
            self._show()
            time.sleep(_LOOK_EVERY_S)
            self._reap()
            self._apply_rule()
        self._show()

    def _start(self, task: Task) -> None:
        trial = task.trial
        try:
            self._running.append(start_trainer(trial, task.snapshot, self._plan.folder, task.threads))
        except OSError as error:
            reason = f"the trainer could not be started: {error.strerror or error}"
            self._ended[trial] = record_end(trial, max([1, *trial.attempts()]), "failed", reason)

    def _reap(self) -> None:
        for trainer in [one for one in self._running if one.process.poll() is not None]:
            self._running.remove(trainer)
            trial = trainer.trial
            status = settle(trainer, asked_to_stop=self._stop_told, killed_by_us=self._kill)
            # Asked once more at the end, so that the outcome does not depend on when we looked.
            if (over := self._over(trial)) is not None:
                status = record_end(trial, trainer.attempt, "stopped", over)
                self._say(f"{self._name(trial)} is stopped: {over}")
            self._ended[trial] = status
            if status.state == "failed":
                self._say(f"{self._name(trial)} failed: {status.reason}")
                error, console = trial.error_path(trainer.attempt), trial.console_path(trainer.attempt)
                self._say(f"  see {error if error.exists() else console}")

    def _apply_rule(self) -> None:
        now = time.monotonic()
        if self._rule is None or now < self._rule_next_at:
            return
        self._rule_next_at = now + _RULE_EVERY_S
        for trainer in self._running:
            asked_at = self._ruled_at.get(trainer.trial)
            if asked_at is not None and now - asked_at > _RULE_PATIENCE_S:
                trainer.kill()
            elif asked_at is None and self._over(trainer.trial) is not None:
                self._ruled_at[trainer.trial] = now
                trainer.ask_to_stop()

    def _over(self, trial: TrialDirectory) -> str | None:
        """Return why a rule has ended the trial; what it said once stays said."""
        if trial not in self._ruled and self._rule is not None and (reason := self._rule(trial)) is not None:
            self._ruled[trial] = reason
        return self._ruled.get(trial)

    def _name(self, trial: TrialDirectory) -> str:
        return f"{trial.run.id} seed {trial.seed}" if self._several else f"seed {trial.seed}"

    def _stop(self) -> None:
        if self._waiting:
            waiting = [task.trial for task in self._waiting]
            mark(waiting, "interrupted", NOT_STARTED)
            self._ended |= {trial: Status("interrupted", trial.seed, reason=NOT_STARTED) for trial in waiting}
            self._waiting.clear()
        if not self._stop_told:
            self._stop_told = True
            if self._running:
                names = [self._name(one.trial) if self._several else str(one.trial.seed) for one in self._running]
                which = ", ".join(names) if self._several else f"seed {', '.join(names)}"
                self._say(f"stopping: waiting for the checkpoint of {which} (Ctrl-C again kills at once)")
            for trainer in self._running:
                trainer.ask_to_stop()
        if self._kill:
            for trainer in self._running:
                trainer.kill()

    def _show(self) -> None:
        try:
            self._look()
        except Exception as error:
            # Whatever is wrong with the display, training goes on.
            self._look = lambda: None
            self._say(f"progress cannot be shown any more: {type(error).__name__}: {error}")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._stop_asked_at is None:
            self._stop_asked_at = now
        elif number != signal.SIGHUP and now - self._stop_asked_at > _SAME_KEYPRESS_S:
            self._kill = True

    @contextmanager
    def _listening(self) -> Generator[None]:
        """Take over the stop signals, except those that whoever started us chose to ignore (nohup, `&`)."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        ours = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
        for number in ours:
            signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            for number in ours:
                signal.signal(number, before[number])
