"""The whole life of a collector process: it plays one environment and sends every env step to the trainer.

One message is one env step: its rows, the episode it ended, and the version of the weights it was played with. A
collector that is `QUEUE` env steps ahead waits, so that what comes is never old.

Weights lie in memory shared by all, written after every env step's worth of updates under a sequence number that is
odd while they change; no lock exists that a killed process could keep. Collectors ignore the terminal's signals, are
killed by the kernel when the trainer dies, and are joined when it closes.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import torch

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.agent import Agent
from dreamerlab.envs.make import describe
from dreamerlab.envs.watchdog import watchdog
from dreamerlab.errors import LabError
from dreamerlab.experience.collector import Collector, EpisodeEnd, RandomStart
from dreamerlab.experience.episode import Step
from dreamerlab.experience.matchmaking import HockeyMatches
from dreamerlab.experience.targets import number_of
from dreamerlab.train.acting import ActingPolicy
from dreamerlab.train.generators import with_own_generators
from dreamerlab.train.opponents import Company, maker
from dreamerlab.train.pool import PoolMembers
from dreamerlab.train.runtime import numpy_stream, prepare_process, torch_stream
from dreamerlab.train.sparse import other_side_of, shaping_of

QUEUE = 16
"""Env steps of one collector that may wait for the trainer."""
SPAWN = multiprocessing.get_context("spawn")
_FULL_S = 0.001
_SEQUENCE, _VERSION, _OVER = 0, 1, 2


class Shared:
    """What the trainer tells its collectors, in memory that all of them see: it writes, they read.

    The parameters of the agent under a version, how many env steps of each collector were taken, and that it is over.
    """

    def __init__(self, agent: Agent, collectors: int) -> None:
        self._bytes = SPAWN.RawArray(ctypes.c_byte, _flat(agent).nbytes)
        self._header = SPAWN.RawArray(ctypes.c_longlong, 3)
        self.taken = SPAWN.RawArray(ctypes.c_longlong, collectors)
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
class Orders:
    """What a collector process is told at its start."""

    config: Config
    seed: int
    stream: int
    start: int
    """How often collectors of this trial were started before, all at once or one that was killed."""
    random_steps: int
    info: tuple[str, ...]
    """Entries of the environment's info that the trainer has use for."""
    trainer: int
    company: Company
    """Whom it meets in hockey, beside the bots."""
    env_steps: int
    """Env steps of the trial beside those that are counted in `Shared.taken`."""
    taken: int
    """Env steps taken of this collector before it was started, by processes that were killed."""
    results: dict[str, list[float]] | None
    """Points of the last games against each opponent, where games are played."""


@dataclass(frozen=True)
class Played:
    """One env step."""

    rows: list[tuple[Step, int]]
    """Each with its side: 0 is the agent's, 1 the other player's."""
    end: EpisodeEnd | None
    version: int


@dataclass(frozen=True)
class Failed:
    """Why a collector cannot go on."""

    message: str
    hint: str | None
    trace: str


class _Outbox:
    """Stands where replay stands in a collector process: keeps rows until they are sent."""

    def __init__(self, info: tuple[str, ...]) -> None:
        self._info = info
        self.wants_info = bool(info)
        self.rows: list[tuple[Step, int]] = []

    def add(self, step: Step, stream: int = 0) -> None:
        """Keep a row of the agent's side, 0, or the other's, 1.

        Of its info only the numbers that are wanted, since the rest may be anything.
        """
        if self.wants_info:
            step["info"] = {key: number_of(step.get("info", {}), key) for key in self._info}
        self.rows.append((step, stream))


def play(orders: Orders, pipe: Connection, shared: Shared) -> None:
    """Play one environment until the trainer goes away: the whole life of a collector process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _die_with(orders.trainer)

    def tell(error: BaseException) -> None:
        known = isinstance(error, LabError)
        message = error.message if known else f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error))
        pipe.send(Failed(message, error.hint if known else None, trace))

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


def _play_on(orders: Orders, send: Callable[[Played], None], shared: Shared) -> None:
    here = orders.config.execution.model_copy(update={"device": "cpu", "compile": False})
    config, name = orders.config.model_copy(update={"execution": here}), f"{orders.stream} of start {orders.start}"
    prepare_process(orders.seed, threads=1)
    env = with_own_generators(maker(config, orders.company), alternating=False)
    spec, outbox = describe(env), _Outbox(orders.info)
    agent = Agent(spec, config)
    policy = ActingPolicy(agent, 1, torch_stream(orders.seed, f"actions {name}", torch.device("cpu")))
    random_start = RandomStart(orders.random_steps, spec.action, numpy_stream(orders.seed, f"random actions {name}"))
    starts, matches = [numpy_stream(orders.seed, f"episode starts {name}")], _matches(orders, name, shared)
    core = agent.world.dynamics
    other_side = other_side_of(config, [env], outbox, (core.deter, core.stoch))
    collector = Collector([env], outbox, starts, random_start, matches, shaping_of(config), other_side)
    version = shared.read_into(agent)
    while True:
        while orders.taken + collector.env_steps - shared.taken[orders.stream] >= QUEUE and not shared.over:
            _leave_without(orders.trainer)
            time.sleep(_FULL_S)
        if shared.over:
            return
        if shared.version != version:
            version = shared.read_into(agent)
        ends = collector.step(policy)
        send(Played(outbox.rows, ends[0] if ends else None, version))
        outbox.rows = []


def _matches(orders: Orders, name: str, shared: Shared) -> HockeyMatches | None:
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
