"""What measuring costs: the metrics of updates, the lines they are written in, and the probes at evaluations.

Metrics are computed in the middle of an update, so an update cannot be run without them. Instead every operation of
one is recorded, and those are repeated by themselves whose results reach metrics and nothing else: no loss, no state.
In CPU time of one thread, at the default cadence of lines and evaluations, as a share of acting and learning.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SHIPPED = Path(__file__).parent.parent
LIMIT_PERCENT = 3.0
ROUNDS, REPEATS = 25, 5

Operation = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]


def measure() -> list[tuple[str, float, float | None]]:
    torch.set_num_threads(1)
    rows: list[tuple[str, float, float | None]] = []
    for preset, overrides in (("nano", []), ("small", []), (None, ["train.train_ratio=32"])):
        rows += _of_preset(preset, overrides)
    return rows


class Recording(TorchDispatchMode):
    """Keeps every operation, and everything it was given alive: memory that is used again would mix up its owners."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, result))
        return result


def only_for_metrics(operations: Sequence[Operation], wanted: Iterable[Tensor]) -> list[Operation]:
    """Return the operations that nothing in `wanted` follows from, in order.

    Followed backwards from memory to memory, so that what is written through a view is followed too.
    """
    needed = {_memory(tensor) for tensor in wanted}
    others: list[Operation] = []
    for operation in reversed(operations):
        read, written = _tensors(operation[1:3]), _tensors(operation[3])
        # The result of an operation in place is what it wrote into.
        if needed.isdisjoint(map(_memory, written)):
            others.append(operation)
        else:
            needed |= set(map(_memory, read))
    return others[::-1]


@torch.no_grad()
def as_called(operation: Operation) -> Callable[..., Any]:
    """Return what repeats an operation the way an update asks for it: as recorded it would take a sixth longer."""
    func, args, kwargs, result = operation
    name = func.overloadpacket.__name__
    for home in (torch, Tensor, torch._C._special):
        call = getattr(home, name, None)
        if call is None:
            continue
        try:
            shapes = [tensor.shape for tensor in _tensors(call(*args, **kwargs))]
        except (TypeError, RuntimeError):  # its arguments have other names there
            continue
        if shapes == [tensor.shape for tensor in _tensors(result)]:
            return call  # type: ignore[no-any-return]
    return func._op  # type: ignore[no-any-return]


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _of_preset(preset: str | None, overrides: list[str]) -> list[tuple[str, float, float | None]]:
    from dreamerlab.config.layers import resolve
    from dreamerlab.runs.directory import RunDirectory
    from dreamerlab.runs.status import Status
    from dreamerlab.train.probes import probes_of_trial
    from dreamerlab.train.recorder import Recorder
    from dreamerlab.train.session import Session, to_batch

    config = resolve(SHIPPED, "cartpole", preset, overrides).config
    train = config.train
    session = Session(config, seed=0)
    for _ in range(600):
        session.collector.step(session.policy)
    while not session.can_learn:
        session.collector.step(session.policy)
    session.update()
    probes = probes_of_trial(session)
    assert probes is not None
    sample = session.replay.sample(train.batch_size, train.batch_length, session._replay_rng)
    batch = to_batch(sample, torch.device("cpu"))
    with Recording() as recording:
        losses, observed = session.agent.losses(batch, torch.Generator().manual_seed(0))
    with Recording() as backwards:
        session.agent._gradients(losses.terms, ("world", "actor", "critic"))
    assert losses.model is not None  # what replay may rank rows by
    kept = [*losses.terms.values(), losses.model, *observed, *session.agent.state_dict(keep_vars=True).values()]
    # What gradients are computed from is no metric either.
    kept += _tensors([(args, kwargs) for _, args, kwargs, _ in backwards.operations])
    extra = only_for_metrics(recording.operations, kept)

    direct = [(as_called(operation), operation[1], operation[2]) for operation in extra]

    def repeat() -> None:
        with torch.no_grad():
            for func, args, kwargs in direct:
                func(*args, **kwargs)

    with tempfile.TemporaryDirectory() as folder:
        trial = RunDirectory(Path(folder) / "R0001-abc").trial(0)
        trial.attempt_dir(1).mkdir(parents=True)
        recorder, at = Recorder(trial, 1, Status("running", 0)), session.counters

        def line() -> None:
            at.env_steps += 1
            recorder.write_metrics(at, session.pace_metrics())

        latest: dict[str, Tensor] = {}
        calls: dict[str, Callable[[], Any]] = {
            "update": lambda: latest.update(session.update()),
            # In an update what they read has just been computed; the first time here it has to be fetched from afar.
            **{f"metrics {number}": repeat for number in range(REPEATS)},
            "surprise": lambda: session.controls.after(latest),
            "sums": lambda: recorder.after_update(latest, 0.0),
            "line": line,
            "probes": probes.look,
            "acting": lambda: session.collector.step(session.policy),
        }
        rounds = [{name: _cpu_seconds(call) for name, call in calls.items()} for _ in range(ROUNDS)]
    session.close()
    # Others may be at work on the machine: of every call the quickest counts.
    spent = {name: min(one[name] for one in rounds) for name in calls}
    metrics = min(spent[f"metrics {number}"] for number in range(REPEATS))
    updates = train.train_ratio / (train.batch_size * train.batch_length)  # per env step, as is all that follows
    whole = spent["acting"] + updates * spent["update"]
    of_metrics = updates * (metrics + spent["surprise"] + spent["sums"]) + spent["line"] / config.log.every
    of_probes = spent["probes"] / config.eval.every
    name = f"{preset or 'size1m'} at train_ratio {train.train_ratio:g}"
    return [
        (f"{name}: metrics of updates and their lines, % of training", 100 * of_metrics / whole, None),
        (f"{name}: probes, % of training", 100 * of_probes / whole, None),
        (f"{name}: both, % of training", 100 * (of_metrics + of_probes) / whole, LIMIT_PERCENT),
        (f"{name}: one look of the probes, CPU ms", 1000 * spent["probes"], None),
    ]


def _cpu_seconds(call: Callable[[], Any]) -> float:
    started = time.thread_time()
    call()
    return time.thread_time() - started
