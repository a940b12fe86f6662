"""Environments that play in processes of their own (`collect.mode: process`; M-CP-07 to 10).

Each environment has a process with its own copy of the policy on the CPU, and a pipe to the trainer
(`collector_process.py`). The trainer takes one env step at a time when the limiter allows it, goes ahead with updates
within `collect.slack` when none is there, and else waits, for a moment at a time, so that signals and heartbeats are
never kept waiting. Nothing that was sent is ever dropped.

A collector that is killed from outside, by a person or by the kernel where memory runs out, is started again. Its open
episode is abandoned: the rows that came of it stay in replay, where `episode.py` says how they are read. One that is
killed again and again, and one that ends in any other way (its environment raised, hung or crashed), ends the trial by
name.

Which env steps come in which order depends on timing: runs repeat in distribution only. A resume is exact for the
learner and its replay; open episodes are abandoned, and counted, and collectors start new ones from fresh random
streams. Where games are played each collector chooses its own, and the trainer keeps the results.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.errors import TrialFailed
from dreamerlab.experience.collector import EpisodeEnd, Policy
from dreamerlab.experience.limiter import Limiter
from dreamerlab.experience.matchmaking import HockeyMatches
from dreamerlab.experience.replay import Replay
from dreamerlab.train.collector_process import SPAWN, Failed, Orders, Played, Shared, play
from dreamerlab.train.opponents import Company

_WAIT_S = 0.1
_LEAVE_S = 5.0
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that tell nothing of the environment, as those of a crash or of the watchdog do."""
DEATHS, WITHIN = 3, 1000
"""So many deaths of one collector within so many env steps of the trial end it."""


class ProcessCollectors:
    """Plays `collect.envs` environments in as many processes; stands where `Collector` stands in the loop."""

    def __init__(
        self,
        config: Config,
        seed: int,
        agent: Agent,
        replay: Replay,
        limiter: Limiter,
        company: Company | None = None,
        matches: HockeyMatches | None = None,
    ) -> None:
        self._config, self._seed, self._agent, self._replay, self._limiter = config, seed, agent, replay, limiter
        self._company, self._matches = company or Company(), matches
        self.env_steps = 0
        """Env steps taken into replay so far."""
        self.episodes = 0
        """Episodes finished so far."""
        self.abandoned = 0
        """Episodes that were never finished, since the collectors ended in the middle of them."""
        self._under_way = [False] * config.collect.envs
        """Whether a row of each collector's present episode was taken into replay."""
        self.restarts = 0
        """How often a collector that was killed was started again."""
        self._deaths: list[list[int]] = [[] for _ in self._under_way]
        """After how many env steps of the trial each collector was killed, of late."""
        self._unheard: set[int] = set()
        """Collectors that were started again and have sent nothing since."""
        self.idle = False
        """Whether the last call found no env step to take."""
        self._starts = 0
        self._every = max(1, int(limiter.per_env_step))
        self._version = 0
        self._behind = [0, 0]
        self._shared: Shared | None = None
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        self._silent_since: dict[int, float] = {}

    @property
    def pids(self) -> list[int]:
        """Process ids of the collectors; empty before the first step."""
        return [process.pid for process in self._processes]

    def step(self, policy: Policy | None = None) -> list[EpisodeEnd]:
        """Take one env step into replay, if the limiter lets it and there is one; return the episode it ended, if any.

        Starts the collectors when called first. Waits a tenth of a second at most, and not at all where an update can
        be made instead. Starts a collector again that was killed; raises TrialFailed naming one that failed, ended by
        itself or was killed too often.
        """
        if not self._processes:
            self._start()
        self.idle = True
        if not self._limiter.may_collect():
            return []
        ready = wait(self._pipes, 0.0 if self._limiter.may_update() else _WAIT_S)
        self._note_silence(ready)
        if not ready:
            return []
        # In turn, so that a fast environment does not push others aside.
        order = [(self.env_steps + offset) % len(self._pipes) for offset in range(len(self._pipes))]
        stream = next(number for number in order if self._pipes[number] in ready)
        played = self._receive(stream)
        if played is None:
            self._restart(stream)
            return []
        for row, side in played.rows:
            self._replay.add(row, stream + side * len(self._pipes))
        self.idle = False
        self.env_steps += 1
        self._limiter.collected()
        self._behind[0] += self._version - played.version
        self._behind[1] += 1
        self._under_way[stream] = played.end is None
        if self._matches is not None:
            self._matches.prepare(self.env_steps)
        if played.end is None:
            return []
        self.episodes += 1
        end = replace(played.end, episode=self.episodes)
        if self._matches is not None:
            self._matches.ended(end)
        return [end]

    def updates_due(self) -> int:
        """Return how many updates to make, learning being possible: those due, or one ahead while nothing comes."""
        self._limiter.begin()
        return self._limiter.due() or int(self.idle and self._limiter.may_update())

    def forgive(self) -> None:
        """Count the updates that are due as made: none will come any more, and no env step is to wait for one."""
        self._limiter.begin()
        for _ in range(self._limiter.due()):
            self._limiter.updated()

    def updated(self, updates: int) -> None:
        """Count an update, `updates` in all; publish the weights when an env step's worth of them was made."""
        self._limiter.updated()
        self._version = updates
        if self._shared is not None and updates % self._every == 0:
            self._shared.write(self._agent, updates)

    def metrics(self) -> dict[str, float]:
        """Return how old the weights were that the env steps since the last call were played with, on average.

        With the numbers of episodes that were abandoned and of collectors started again, if there are any.
        """
        behind, steps = self._behind
        self._behind = [0, 0]
        lost = {"replay/episodes_abandoned": self.abandoned, "replay/collector_restarts": self.restarts}
        known = {name: float(count) for name, count in lost.items() if count}
        return ({"replay/weights_behind": behind / steps} if steps else {}) | known

    def close(self) -> None:
        """End the collectors and wait for them; what they have not handed over is lost."""
        if self._shared is not None:
            self._shared.end()
        for pipe in self._pipes:
            pipe.close()
        until = time.monotonic() + _LEAVE_S
        for process in self._processes:
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        self._pipes, self._processes = [], []

    def state_dict(self) -> dict[str, Any]:
        """Return the counts; collectors themselves cannot be saved."""
        return {
            "env_steps": self.env_steps,
            "episodes": self.episodes,
            "starts": self._starts,
            "abandoned": self.abandoned,
            "restarts": self.restarts,
            "under_way": list(self._under_way),
            **({} if self._matches is None else {"matchmaker": self._matches.state_dict()}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the counts; new episodes come from streams that were never used.

        Those that were under way are abandoned, and counted as such.
        """
        self.env_steps, self.episodes, self._starts = (state[name] for name in ("env_steps", "episodes", "starts"))
        # Earlier versions did not count.
        self.abandoned = state.get("abandoned", 0) + sum(state.get("under_way", ()))
        self.restarts = state.get("restarts", 0)
        if self._matches is not None and "matchmaker" in state:
            self._matches.load_state_dict(state["matchmaker"])

    def _start(self) -> None:
        count = self._config.collect.envs
        self._shared = Shared(self._agent, count)
        self._shared.write(self._agent, self._version)
        if self._matches is not None:
            self._matches.prepare(self.env_steps)
        for stream in range(count):
            pipe, process = self._started(stream, self._shared)
            self._pipes.append(pipe)
            self._processes.append(process)
        self._starts += 1

    def _started(self, stream: int, shared: Shared) -> tuple[Connection, Any]:
        """Start the process of a collector, which goes on from what was taken of it; return its pipe and itself."""
        taken, before = shared.taken[stream], self.env_steps - sum(shared.taken)
        random_steps = -(-max(0, self._config.collect.random_steps - before) // len(self._under_way))
        ours, theirs = SPAWN.Pipe(duplex=False)
        orders = Orders(
            self._config,
            self._seed,
            stream,
            self._starts,
            max(0, random_steps - taken),
            self._replay.info_keys,
            os.getpid(),
            self._company,
            before,
            taken,
            None if self._matches is None else self._matches.results,
        )
        process = SPAWN.Process(target=play, args=(orders, theirs, shared), name=f"collector {stream}", daemon=True)
        process.start()
        theirs.close()
        return ours, process

    def _receive(self, stream: int) -> Played | None:
        """Return the next env step of a collector that has one, None when it has ended instead."""
        try:
            message = self._pipes[stream].recv()
        except (EOFError, OSError):
            return None
        if isinstance(message, Failed):
            print(message.trace, file=sys.stderr)
            raise TrialFailed(f"{message.message} (in collector {stream})", hint=message.hint)
        assert isinstance(message, Played), message
        assert self._shared is not None
        self._shared.taken[stream] += 1
        self._unheard.discard(stream)
        return message

    def _restart(self, stream: int) -> None:
        """Start a collector again that was killed, and count what is lost; TrialFailed when that does not help."""
        assert self._shared is not None
        process = self._processes[stream]
        process.join(_LEAVE_S)
        code = process.exitcode
        how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exited with {code}"
        died = f"collector {stream} (pid {process.pid}) of environment '{self._config.env.id}' {how}"
        hint = "its last words, if any, are in the console file of this attempt; resuming starts a new one"
        if code is None or -code not in _FROM_OUTSIDE:
            raise TrialFailed(died, hint=hint)
        deaths = [at for at in self._deaths[stream] if self.env_steps - at < WITHIN] + [self.env_steps]
        memory = "the kernel kills what takes too much memory: fewer collect.envs need less"
        if stream in self._unheard:
            raise TrialFailed(f"{died} before its first env step, having been started again", hint=memory)
        if len(deaths) >= DEATHS:
            raise TrialFailed(f"{died}, {DEATHS} times within {WITHIN} env steps", hint=memory)
        self._pipes[stream].close()
        process.close()
        self.restarts += 1
        self.abandoned += self._under_way[stream]
        lost = "its open episode is discarded" if self._under_way[stream] else "replay has no open episode of it"
        print(
            f"warning: {died}; it is started again (restart {self.restarts} of this trial), {lost} "
            f"(episodes abandoned: {self.abandoned})",
            file=sys.stderr,
        )
        self._deaths[stream], self._under_way[stream] = deaths, False
        self._silent_since.pop(stream, None)
        self._unheard.add(stream)
        # Under a number that no start had before, so that its random streams are new ones.
        self._pipes[stream], self._processes[stream] = self._started(stream, self._shared)
        self._starts += 1

    def _note_silence(self, ready: list[Any]) -> None:
        """Raise TrialFailed when a collector has sent nothing for far longer than its own watch would let it."""
        now, limit = time.monotonic(), self._config.execution.step_timeout_s + 60.0
        for stream, pipe in enumerate(self._pipes):
            if pipe in ready:
                self._silent_since.pop(stream, None)
            elif now - self._silent_since.setdefault(stream, now) > limit:
                pid = self._processes[stream].pid
                raise TrialFailed(f"collector {stream} (pid {pid}) has sent nothing for {limit:.0f} s")
