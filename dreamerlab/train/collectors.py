"""Environments that play in processes of their own (`collect.mode: process`; M-CP-07 to 10).

Each environment has a process with its own copy of the policy on the CPU, and a pipe to the trainer. One message is
one env step: its rows, the episode it ended, and the version of the weights it was played with. A collector that is
`QUEUE` env steps ahead waits, so that what comes is never old; nothing is ever dropped. The trainer takes one env step
at a time when the limiter allows it, goes ahead with updates within `collect.slack` when none is there, and else waits,
for a moment at a time, so that signals and heartbeats are never kept waiting.

Weights lie in memory shared by all, written after every env step's worth of updates under a sequence number that is
odd while they change; no lock exists that a killed process could keep. Collectors ignore the terminal's signals, are
killed by the kernel when the trainer dies, and are joined when it closes. One that dies ends the trial by name.

Which env steps come in which order depends on timing: runs repeat in distribution only. A resume is exact for the
learner and its replay; open episodes are abandoned, and collectors start new ones from fresh random streams.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np
import torch

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.envs.make import describe
from dreamerlab.envs.watchdog import watchdog
from dreamerlab.errors import LabError, TrialFailed
from dreamerlab.experience.collector import Collector, EpisodeEnd, Policy, RandomStart
from dreamerlab.experience.episode import Step
from dreamerlab.experience.limiter import Limiter
from dreamerlab.experience.matchmaking import HockeyMatches
from dreamerlab.experience.replay import Replay
from dreamerlab.experience.targets import number_of
from dreamerlab.train.acting import ActingPolicy
from dreamerlab.train.generators import with_own_generators
from dreamerlab.train.opponents import Company, maker
from dreamerlab.train.pool import PoolMembers
from dreamerlab.train.runtime import numpy_stream, prepare_process, torch_stream

QUEUE = 16
"""Env steps of one collector that may wait for the trainer."""
_FULL_S = 0.001
_WAIT_S = 0.1
_LEAVE_S = 5.0
_SPAWN = multiprocessing.get_context("spawn")
_SEQUENCE, _VERSION, _OVER = 0, 1, 2


class Shared:
    """What the trainer tells its collectors, in memory that all of them see: it writes, they read.

    The parameters of the agent under a version, how many env steps of each collector were taken, and that it is over.
    """

    def __init__(self, agent: Agent, collectors: int) -> None:
        self._bytes = _SPAWN.RawArray(ctypes.c_byte, _flat(agent).nbytes)
        self._header = _SPAWN.RawArray(ctypes.c_longlong, 3)
        self.taken = _SPAWN.RawArray(ctypes.c_longlong, collectors)
        """Env steps taken of each collector."""

    def write(self, agent: Agent, version: int) -> None:
        """Publish the agent's parameters as `version`."""
        weights = _flat(agent)
        self._header[_SEQUENCE] += 1
        np.ctypeslib.as_array(self._bytes).view(np.uint8)[:] = weights.view(np.uint8)
        self._header[_VERSION] = version
        self._header[_SEQUENCE] += 1

    def end(self) -> None:
        """Tell the collectors to leave."""
        self._header[_OVER] = 1

    @property
    def over(self) -> bool:
        """Whether collectors are to leave."""
        return bool(self._header[_OVER])

    @property
    def version(self) -> int:
        """The newest version that was published, or is about to be."""
        return self._header[_VERSION]

    def read_into(self, agent: Agent) -> int:
        """Bring an agent on the CPU up to date; return the version it then has."""
        while True:
            before, version = self._header[_SEQUENCE], self._header[_VERSION]
            copied = np.ctypeslib.as_array(self._bytes).view(np.uint8).copy()
            if before % 2 == 0 and self._header[_SEQUENCE] == before:
                break
            time.sleep(0.001)
        place = 0
        with torch.no_grad():
            for parameter in agent.parameters():
                size = parameter.numel() * parameter.element_size()
                values = torch.from_numpy(copied[place : place + size]).view(parameter.dtype)
                parameter.copy_(values.view(parameter.shape))
                place += size
        return version


def _flat(agent: Agent) -> np.ndarray:
    with torch.no_grad():
        return torch.cat([parameter.reshape(-1) for parameter in agent.parameters()]).cpu().numpy()


@dataclass(frozen=True)
class _Orders:
    """What a collector process is told at its start."""

    config: Config
    seed: int
    stream: int
    start: int
    """How often the collectors of this trial were started before."""
    random_steps: int
    info: tuple[str, ...]
    """Entries of the environment's info that the trainer has use for."""
    trainer: int
    company: Company
    """Whom it meets in hockey, beside the bots."""
    env_steps: int
    """Env steps of the trial when it starts."""
    results: dict[str, list[float]] | None
    """Points of the last games against each opponent, where games are played."""


@dataclass(frozen=True)
class _Played:
    """One env step."""

    rows: list[Step]
    end: EpisodeEnd | None
    version: int


@dataclass(frozen=True)
class _Failed:
    """Why a collector cannot go on."""

    message: str
    hint: str | None
    trace: str


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
        be made instead. Raises TrialFailed naming a collector that failed or died.
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
        for row in played.rows:
            self._replay.add(row, stream)
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

    def updated(self, updates: int) -> None:
        """Count an update, `updates` in all; publish the weights when an env step's worth of them was made."""
        self._limiter.updated()
        self._version = updates
        if self._shared is not None and updates % self._every == 0:
            self._shared.write(self._agent, updates)

    def metrics(self) -> dict[str, float]:
        """Return how old the weights were that the env steps since the last call were played with, on average.

        With the number of episodes that were abandoned, if there are any.
        """
        behind, steps = self._behind
        self._behind = [0, 0]
        lost = {"replay/episodes_abandoned": float(self.abandoned)} if self.abandoned else {}
        return ({"replay/weights_behind": behind / steps} if steps else {}) | lost

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
        if self._matches is not None and "matchmaker" in state:
            self._matches.load_state_dict(state["matchmaker"])

    def _start(self) -> None:
        config, count = self._config, self._config.collect.envs
        self._shared = Shared(self._agent, count)
        self._shared.write(self._agent, self._version)
        results = None
        if self._matches is not None:
            self._matches.prepare(self.env_steps)
            results = self._matches.results
        random_steps = -(-max(0, config.collect.random_steps - self.env_steps) // count)
        for stream in range(count):
            ours, theirs = _SPAWN.Pipe(duplex=False)
            orders = _Orders(
                config,
                self._seed,
                stream,
                self._starts,
                random_steps,
                self._replay.info_keys,
                os.getpid(),
                self._company,
                self.env_steps,
                results,
            )
            name = f"collector {stream}"
            process = _SPAWN.Process(target=_play, args=(orders, theirs, self._shared), name=name, daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        self._starts += 1

    def _receive(self, stream: int) -> _Played:
        try:
            message = self._pipes[stream].recv()
        except (EOFError, OSError) as error:
            raise self._dead(stream) from error
        if isinstance(message, _Failed):
            print(message.trace, file=sys.stderr)
            raise TrialFailed(f"{message.message} (in collector {stream})", hint=message.hint)
        assert isinstance(message, _Played), message
        assert self._shared is not None
        self._shared.taken[stream] += 1
        return message

    def _dead(self, stream: int) -> TrialFailed:
        process = self._processes[stream]
        process.join(_LEAVE_S)
        code = process.exitcode
        how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exited with {code}"
        return TrialFailed(
            f"collector {stream} (pid {process.pid}) of environment '{self._config.env.id}' {how}",
            hint="its last words, if any, are in the console file of this attempt; resuming starts a new one",
        )

    def _note_silence(self, ready: list[Any]) -> None:
        """Raise TrialFailed when a collector has sent nothing for far longer than its own watch would let it."""
        now, limit = time.monotonic(), self._config.execution.step_timeout_s + 60.0
        for stream, pipe in enumerate(self._pipes):
            if pipe in ready:
                self._silent_since.pop(stream, None)
            elif now - self._silent_since.setdefault(stream, now) > limit:
                pid = self._processes[stream].pid
                raise TrialFailed(f"collector {stream} (pid {pid}) has sent nothing for {limit:.0f} s")


class _Outbox:
    """Stands where replay stands in a collector process: keeps rows until they are sent."""

    def __init__(self, info: tuple[str, ...]) -> None:
        self._info = info
        self.wants_info = bool(info)
        self.rows: list[Step] = []

    def add(self, step: Step, stream: int = 0) -> None:
        """Keep a row; of its info only the numbers that are wanted, since the rest may be anything."""
        if self.wants_info:
            step["info"] = {key: number_of(step.get("info", {}), key) for key in self._info}
        self.rows.append(step)


def _play(orders: _Orders, pipe: Connection, shared: Shared) -> None:
    """Play one environment until the trainer goes away: the whole life of a collector process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _die_with(orders.trainer)

    def tell(error: BaseException) -> None:
        known = isinstance(error, LabError)
        message = error.message if known else f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error))
        pipe.send(_Failed(message, error.hint if known else None, trace))

    watchdog.on_hang(tell)
    try:
        _play_on(orders, pipe.send, shared)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the trainer has closed its end
    except BaseException as error:
        with suppress(OSError):
            tell(error)
    finally:
        # Nothing is left to be done, and an interpreter with torch in it takes its time to be taken down.
        sys.stderr.flush()
        os._exit(0)


def _play_on(orders: _Orders, send: Callable[[_Played], None], shared: Shared) -> None:
    here = orders.config.execution.model_copy(update={"device": "cpu", "compile": False})
    config, name = orders.config.model_copy(update={"execution": here}), f"{orders.stream} of start {orders.start}"
    prepare_process(orders.seed, threads=1)
    env = with_own_generators(maker(config, orders.company), alternating=False)
    spec, outbox = describe(env), _Outbox(orders.info)
    agent = Agent(spec, config)
    policy = ActingPolicy(agent, 1, torch_stream(orders.seed, f"actions {name}", torch.device("cpu")))
    random_start = RandomStart(orders.random_steps, spec.action, numpy_stream(orders.seed, f"random actions {name}"))
    starts, matches = [numpy_stream(orders.seed, f"episode starts {name}")], _matches(orders, name, shared)
    collector = Collector([env], outbox, starts, random_start, matches)
    version = shared.read_into(agent)
    while True:
        while collector.env_steps - shared.taken[orders.stream] >= QUEUE and not shared.over:
            _leave_without(orders.trainer)
            time.sleep(_FULL_S)
        if shared.over:
            return
        if shared.version != version:
            version = shared.read_into(agent)
        ends = collector.step(policy)
        send(_Played(outbox.rows, ends[0] if ends else None, version))
        outbox.rows = []


def _matches(orders: _Orders, name: str, shared: Shared) -> HockeyMatches | None:
    """Return what chooses the games of one collector; how far the trial has come it reads from the shared counts."""
    if orders.results is None:
        return None
    members = None if orders.company.pool is None else PoolMembers(orders.company.pool)
    matches = HockeyMatches(
        orders.config.hockey,
        numpy_stream(orders.seed, f"opponents {name}"),
        resolved=orders.company.resolved,
        members=members,
        clock=lambda: orders.env_steps + sum(shared.taken),
    )
    matches.take_results(orders.results)
    return matches


def _die_with(trainer: int) -> None:
    """Have the kernel kill this process when the trainer dies, where it can (Linux); else it leaves by itself."""
    if sys.platform == "linux":
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    _leave_without(trainer)


def _leave_without(trainer: int) -> None:
    if os.getppid() != trainer:
        os._exit(0)
