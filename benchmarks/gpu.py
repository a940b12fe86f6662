"""What an update costs on a GPU: eager, compiled and as a CUDA graph, in float32 and bfloat16.

Times are medians of what passes on the device from one update to the next, by CUDA events; the host's launches are
counted by torch's profiler. Each way is measured in a process of its own (`python -m benchmarks.gpu SIZE DTYPE WAY`,
WAY one of `WAYS`), with a batch that lies on the device already. Without a GPU nothing is measured, and that is said.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parent.parent
SIZES = ("S2", "size12m")
DTYPES = ("float32", "bfloat16")
WAYS: dict[str, dict[str, bool]] = {
    "eager": {},
    "compile": {"compile": True},
    "graphs": {"cuda_graphs": True},
    "eager, deterministic": {"deterministic": True},
    "graphs, deterministic": {"cuda_graphs": True, "deterministic": True},
}
WARM_UPS, ROUNDS = 5, 50
TIMEOUT_S = 420.0
TARGET_S2_MS = 6.0
_LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch", "cudaMemcpyAsync", "cudaMemsetAsync")


def measure() -> list[tuple[str, float, float | None]]:
    import torch

    if not torch.cuda.is_available():
        print("gpu: not run: no GPU")
        return []
    print(f"gpu: {torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    rows: list[tuple[str, float, float | None]] = []
    for size in SIZES:
        times: dict[tuple[str, str], float] = {}
        for dtype in DTYPES:
            for way in WAYS:
                if "deterministic" in way and dtype != "float32":
                    continue
                found = _in_its_own_process(size, dtype, way)
                if found is None:
                    continue
                times[dtype, way] = found["ms"]
                name = f"{size} {dtype} {way}"
                rows += [(f"{name}, ms", found["ms"], None), (f"{name}, launches", found["launches"], None)]
                beside = way.partition(",")[0] if "deterministic" in way else "eager"
                if way != "eager" and (dtype, beside) in times:
                    rows.append((f"{name}, x {beside}", found["ms"] / times[dtype, beside], None))
        if times:
            limit = TARGET_S2_MS if size == "S2" else None
            rows.append((f"{size}: the fastest of these, ms", min(times.values()), limit))
    return rows


def _in_its_own_process(size: str, dtype: str, way: str) -> dict[str, float] | None:
    """Return what one way was measured to cost; None, with the reason on stderr, where it could not be."""
    command = [sys.executable, "-m", "benchmarks.gpu", size, dtype, way]
    try:
        done = subprocess.run(command, cwd=SHIPPED, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        print(f"gpu: {size} {dtype} {way}: not done after {TIMEOUT_S:g} s", file=sys.stderr)
        return None
    if done.returncode != 0:
        print(f"gpu: {size} {dtype} {way}: {done.stderr.strip()[-1500:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def build(name: str, dtype: str, way: str, device: str = "cuda") -> Callable[[], Any]:
    """Return a function that makes one update as the trainer makes it."""
    import torch

    from benchmarks.peers.ours import batch_of, spec_of
    from benchmarks.peers.sizes import make_rows
    from dreamerlab.config.schema_process import Execution
    from dreamerlab.dreamer.agent import Agent
    from dreamerlab.dreamer.cuda_graphs import RecordedUpdates
    from dreamerlab.train.runtime import repeat_gradients

    size, config = _sized(name)
    execution = Execution.model_validate({"device": device, "dtype": dtype, **WAYS[way]})
    config = config.model_copy(update={"execution": execution})
    place = torch.device(device)
    repeat_gradients(place, deterministic=execution.deterministic)
    torch.manual_seed(0)
    agent = Agent(spec_of(size), config).to(place)
    batch = batch_of(size, make_rows(size, 0)).map(lambda tensor: tensor.to(place))
    update = RecordedUpdates(agent) if execution.cuda_graphs else agent.update
    return partial(update, batch, torch.Generator(place).manual_seed(0))


def _sized(name: str) -> tuple[Any, Any]:
    """Return the task and batch of a size, and its config: one of the peers' comparison, or a preset as it is shipped.

    A preset sees and does what S2 does, in batches of the reference's size.
    """
    from benchmarks.peers.ours import config_of
    from benchmarks.peers.sizes import SIZES as COMPARED
    from dreamerlab.config.layers import resolve

    if name in COMPARED:
        return COMPARED[name], config_of(COMPARED[name])
    config = resolve(SHIPPED, "cartpole", name, []).config
    model, train = config.model, config.train
    widths = {key: getattr(model, key) for key in ("deter", "units", "stoch", "classes", "cnn_depth")}
    size = replace(COMPARED["S2"], name=name, batch=train.batch_size, length=train.batch_length, **widths)
    return size, config


def time_update(update: Callable[[], Any]) -> dict[str, float]:
    """Return median milliseconds of an update on the device, and what the host launches for one."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    for _ in range(WARM_UPS):
        update()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(ROUNDS + 1)]
    marks[0].record()
    for mark in marks[1:]:
        update()
        mark.record()
    torch.cuda.synchronize()
    ms = statistics.median(before.elapsed_time(after) for before, after in itertools.pairwise(marks))
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recorded:
        update()
        torch.cuda.synchronize()
    launches = sum(event.name.startswith(_LAUNCHES) for event in recorded.events() or ())
    return {"ms": ms, "launches": float(launches)}


if __name__ == "__main__":
    print(json.dumps(time_update(build(*sys.argv[1:4]))))
