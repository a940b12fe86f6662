"""`python -m benchmarks [NAME ...]`: run the benchmarks, print one table, and say which machine it was.

Each benchmark returns rows of (what, measured, limit or None); a limit that is passed is marked, and the exit code
is 1 then. Limits are those the project promises, see README; those in CPU seconds are of the machine of the promises
and are taken times how slow this one is, see `pace`.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from contextlib import nullcontext

from benchmarks import (
    comparing,
    diagnosing,
    gpu,
    hockey,
    learner,
    linting,
    metrics_cost,
    mirroring,
    notebook,
    overhead,
    pace,
    report,
    startup,
    update,
)
from dreamerlab.tables import Table

BENCHMARKS: dict[str, Callable[[], list[tuple[str, float, float | None]]]] = {
    "startup": startup.measure,
    "compare": comparing.measure,
    "diagnose": diagnosing.measure,
    "lint": linting.measure,
    "log": notebook.measure,
    "report": report.measure,
    "mirror": mirroring.measure,
    "overhead": overhead.measure,
    "learner": learner.measure,
    "update": update.measure,
    "metrics": metrics_cost.measure,
    "hockey": hockey.measure,
    "gpu": gpu.measure,
}

PACED = {"compare", "diagnose", "lint", "log", "report"}
"""Those with limits in CPU seconds."""


def main() -> int:
    names = sys.argv[1:] or list(BENCHMARKS)
    table = Table(("benchmark", "measured", "limit", ""), right=frozenset({"measured", "limit"}))
    passed = True
    for name in names:
        with pace.alongside() if name in PACED else nullcontext(pace.Pace()) as paced:
            rows = BENCHMARKS[name]()
        for what, value, limit in rows:
            scale = paced.slowness if what.endswith("CPU s") else 1.0
            within = limit is None or value <= limit * scale
            passed &= within
            promised = None if limit is None else f"{limit:g}" if scale == 1.0 else f"{limit:g} x {scale:.2f}"
            table.add(f"{name}: {what}", f"{value:.3g}", promised, "" if within else "OVER")
    if table.rows:
        print(f"{platform.platform()}, Python {platform.python_version()}")
        print(table.to_text())
    return 0 if passed else 1


sys.exit(main())
