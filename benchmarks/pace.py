"""How slow this machine is at the moment at what the light commands do, in multiples of the machine of the promises.

Limits in CPU seconds were promised on one machine (protocol/reference/benchmarks.md); another one, or the same one
beside busy neighbours, needs several times as long for the same work. So each such limit is taken times what a fixed
piece of work costs meanwhile, on the same core: before and after says little where the pace changes within seconds.

`python -m benchmarks.pace` does that work again and again, with pauses, and prints what each time cost.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROMISED_S = 0.092
"""CPU seconds of `work` on the machine of the promises.

Deduced, not measured there: 0.21 on a machine where nine rows of the table in CPU seconds took 2.05 to 2.70 times as
long, 2.29 in the geometric mean.
"""


PAUSE_S = 0.5


class Pace:
    """How slow the machine was while a benchmark ran."""

    slowness = 1.0
    """CPU time of `work` in multiples of `PROMISED_S`: what all of a stretch of time takes, its pace being uneven."""


@contextmanager
def alongside() -> Iterator[Pace]:
    """Measure the pace within, of a single core, on which everything started within has to stay."""
    pace, cores = Pace(), _cores()
    if cores:
        os.sched_setaffinity(0, {min(cores)})
    command = [sys.executable, "-m", "benchmarks.pace"]
    sampler = subprocess.Popen(command, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE, text=True)
    assert sampler.stdout is not None
    try:
        first = float(sampler.stdout.readline())
        yield pace
    finally:
        sampler.terminate()
        # The last line may have been cut short.
        *lines, _ = sampler.communicate()[0].split("\n")
        if cores:
            os.sched_setaffinity(0, cores)
    pace.slowness = statistics.harmonic_mean([first, *map(float, lines)]) / PROMISED_S


def _cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def work() -> str:
    """Do what reading and rendering records consists of: JSON, sorting, joining, a parser in Python's own, hashes."""
    digest = hashlib.sha256()
    for i in range(40):
        record = {f"metric/{k}": {"value": k * 1.25 + i, "steps": list(range(k, k + 40))} for k in range(60)}
        text = json.dumps(record, sort_keys=True)
        again = json.loads(text)
        lines = sorted(f"{name}: {value['value']:.6g} {sum(value['steps'])}" for name, value in again.items())
        source = "\n".join(f"v{k} = {{'a': [{k}, {i}], 'b': ({k} + {i}) * 2}}" for k in range(60))
        names = [node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
        digest.update("\n".join([*lines, *names, text]).encode())
    return digest.hexdigest()


def _seconds() -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    work()
    while True:
        print(_seconds(), flush=True)
        time.sleep(PAUSE_S)
