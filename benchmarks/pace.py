"""How slow this machine is at the moment at what the light commands do, in multiples of the machine of the promises.

Limits in CPU seconds were promised on one machine (protocol/reference/benchmarks.md); another one, or the same one
beside busy neighbours, needs several times as long for the same work. So each such limit is taken times what a fixed
piece of work costs here and now, measured before and after the benchmark that has it.
"""

from __future__ import annotations

import ast
import hashlib
import json
import statistics
import time

PROMISED_S = 0.092
"""CPU seconds of `work` on the machine of the promises.

Deduced, not measured there: 0.21 on a machine where nine rows of the table in CPU seconds took 2.05 to 2.70 times as
long, 2.29 in the geometric mean.
"""


def slowness(rounds: int = 5) -> float:
    """Return the median CPU time of `work`, in multiples of `PROMISED_S`."""
    work()
    return statistics.median(_seconds() for _ in range(rounds)) / PROMISED_S


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
