"""Updates recorded as CUDA graphs: one launch instead of thousands (M-CP-21, `execution.cuda_graphs`).

At the reference's small sizes a GPU spends an update waiting for Python to launch the next operation. A graph is the
list of those operations with the addresses they read and write; replaying it repeats the whole update, optimiser step
and slow critic included, on whatever these addresses hold by then. Hence:

    batch        copied into memory of the recording, which keeps its shapes; other shapes are recorded anew
    results      copied out of it, for the next replay writes over them
    agent        everything an update changes is changed in place, so a replay goes on from where the last one ended
    randomness   the recording knows the generator: every replay draws what an update without one would have drawn,
                 and the generator's state stays what a checkpoint can hold

Updates that are made only to prepare a recording are undone. What an update may not do to be recorded is written down
as a test (`tests/dreamer/capture_discipline.py`). Never run on a GPU so far: none was at hand; all but `CudaRecorder`
is tested on the CPU with a stand-in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from dreamerlab.dreamer.agent import Agent
from dreamerlab.dreamer.batch import Batch, Update
from dreamerlab.dreamer.schedules import Learn

REHEARSALS = 3
"""Updates before a recording: libraries choose their kernels and take their memory in the first ones."""


class Results(NamedTuple):
    """What an update returns, in few tensors: each one costs a copy after every replay."""

    metrics: Tensor
    """All of them in one row, in the order of their names."""
    deter: Tensor
    stoch: Tensor
    model_loss: Tensor
    rank: Tensor


@runtime_checkable
class Recorder(Protocol):
    """Who writes operations down; a stand-in lets everything else be tested without a GPU."""

    def rehearse(self, run: Callable[[], object]) -> None:
        """Run as the recording will, a few times."""
        ...

    def record(self, run: Callable[[], Results], generator: torch.Generator) -> tuple[Callable[[], None], Results]:
        """Return what replays `run`, and where each replay leaves its results; `generator` goes on in every one."""
        ...


class CudaRecorder:
    """Records CUDA graphs in one pool of memory: only one of them runs at a time, and results are copied out."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()
        self._first: torch.cuda.CUDAGraph | None = None

    def rehearse(self, run: Callable[[], object]) -> None:
        """Run on the stream that will be recorded: libraries keep their workspaces by stream."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(REHEARSALS):
                run()
        torch.cuda.current_stream().wait_stream(self._stream)

    def record(self, run: Callable[[], Results], generator: torch.Generator) -> tuple[Callable[[], None], Results]:
        """Return the graph's replay and the memory its results come to lie in; nothing is computed here."""
        graph = torch.cuda.CUDAGraph()
        # Without this a replay would draw the numbers of the recording over and over.
        graph.register_generator_state(generator)
        pool = None if self._first is None else self._first.pool()
        with torch.cuda.graph(graph, pool=pool, stream=self._stream):
            results = run()
        self._first = self._first or graph
        return graph.replay, results


@dataclass(frozen=True)
class _Recorded:
    inputs: dict[str, Tensor]
    replay: Callable[[], None]
    names: tuple[str, ...]
    """Of the metrics."""
    results: Results
    generator: torch.Generator
    """Kept alive: recordings are looked up by it."""


class RecordedUpdates:
    """`Agent.update`, replayed from one recording for each kind of learning, shape of batch and generator.

    The agent must be on its device already, and keep its parameters where they are: loading a state is fine, moving
    the agent is not.
    """

    def __init__(self, agent: Agent, recorder: Recorder | None = None) -> None:
        self._agent = agent
        self._recorder = CudaRecorder() if recorder is None else recorder
        self._changing: list[Tensor] = list(agent.state_dict(keep_vars=True).values())
        self._recorded: dict[object, _Recorded] = {}

    def __call__(self, batch: Batch, generator: torch.Generator, *, learn: Learn = "all") -> Update:
        """Learn from one batch, on whatever device that is; see `Agent.update`.

        The first batch of a kind takes seconds. The results are the caller's to keep.
        """
        given = batch.tensors()
        key = learn, id(generator), tuple((name, tensor.shape, tensor.dtype) for name, tensor in given.items())
        if key not in self._recorded:
            self._recorded[key] = self._record(batch, generator, learn)
        recorded = self._recorded[key]
        for name, tensor in given.items():
            recorded.inputs[name].copy_(tensor, non_blocking=True)
        recorded.replay()
        # A replay moves the weights behind autograd's back; what is derived from them (`RSSM._kept_hoist`) must notice.
        torch.autograd.graph.increment_version(self._changing)
        metrics, *rest = (tensor.clone() for tensor in recorded.results)
        return Update(dict(zip(recorded.names, metrics.unbind(), strict=True)), *rest)

    def _record(self, batch: Batch, generator: torch.Generator, learn: Learn) -> _Recorded:
        device = self._agent.optimizer.momentum.device
        inputs = batch.map(lambda tensor: tensor.to(device, copy=True))
        names: tuple[str, ...] = ()

        def run() -> Results:
            nonlocal names
            done = self._agent.update(inputs, generator, learn=learn)
            names = tuple(done.metrics)
            kinds = {value.dtype for value in done.metrics.values()}
            assert len(kinds) == 1, kinds
            return Results(torch.stack(list(done.metrics.values())), done.deter, done.stoch, done.model_loss, done.rank)

        with self._undone(generator):
            self._recorder.rehearse(run)
        with self._undone(generator):
            replay, results = self._recorder.record(run, generator)
        return _Recorded(inputs.tensors(), replay, names, results, generator)

    @contextmanager
    def _undone(self, generator: torch.Generator) -> Iterator[None]:
        """Put agent and generator back to where they were before the block."""
        before, state = [tensor.detach().clone() for tensor in self._changing], generator.get_state()
        yield
        with torch.no_grad():
            for tensor, value in zip(self._changing, before, strict=True):
                tensor.copy_(value)
        generator.set_state(state)
