"""One side of a comparison as a process of its own: holds a learner, and does what it is told line by line.

Commands on standard input: `update`, `flops`, `profile`, and the end of input to stop. Answers are lines of JSON on
standard output. Every side runs this file with its own learner, so both are measured by the same code.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peers.profiling import split
from benchmarks.peers.sizes import SIZES, Size, make_rows

Build = Callable[[Size, dict[str, np.ndarray]], tuple[Callable[[], Any], int]]
"""Given a size and the rows of a batch, returns a function that makes one update, and the number of parameters."""


def _linear_flops(x: Any, weight: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    rows, inputs = x
    return 2 * rows * inputs * weight[0]


def _added_flops(_: Any, x: Any, weight: Any, *__: Any, out_shape: Any, **___: Any) -> int:
    rows, inputs = x
    return 2 * rows * inputs * weight[1]


def _added_blocks_flops(_: Any, x: Any, weight: Any, *__: Any, out_shape: Any, **___: Any) -> int:
    groups, rows, inputs = x
    return 2 * groups * rows * inputs * weight[2]


UNCOUNTED = {
    torch.ops.mkldnn._linear_pointwise: _linear_flops,
    torch.ops.aten.addmm_: _added_flops,
    torch.ops.aten.baddbmm_: _added_blocks_flops,
}
"""Products that torch's counter does not know."""


def serve(build: Build) -> None:
    """Answer commands about the learner of `build` at the size, the seed and the threads of the command line."""
    name, seed, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not be taken for an answer
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(seed)
    size = SIZES[name]
    update, parameters = build(size, make_rows(size, seed))
    before_mib = _peak_mib()

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=answers, flush=True)

    answer(parameters=parameters, before_mib=before_mib)
    for line in sys.stdin:
        command = line.strip()
        if command == "update":
            wall, cpu = time.perf_counter(), time.process_time()
            update()
            answer(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall, peak_mib=_peak_mib())
        elif command == "flops":
            with FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter:
                update()
            answer(flops=counter.get_total_flops())
        elif command == "profile":
            answer(**split(update))
        else:
            raise ValueError(f"unknown command {command!r}")


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
