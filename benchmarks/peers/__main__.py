"""`python -m benchmarks.peers [SIZE ...]`: our update against sheeprl's, paired and interleaved, in one run.

Two processes for every size hold a learner each, of the same size and on the same rows, and update in turn, so that a
busy moment hits both alike. A round is one update of each; its ratio is ours over theirs in CPU time. Exit code 1 when
the median ratio of a size is over its limit. Run by `make bench-peers`, which makes the peer's environment first.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.sizes import SIZES, Size
from dreamerlab.tables import Table

ROOT = Path(__file__).parents[2]
PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"


class Side:
    """A worker process (see `worker`) and what it answered."""

    def __init__(self, command: Sequence[str], size: Size, threads: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [*command, size.name, "0", str(threads)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.opening = self._read()
        self.updates: list[dict[str, float]] = []

    def ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate()
            raise RuntimeError(f"the worker stopped:\n{errors[-2000:]}")
        return json.loads(line)


@dataclass(frozen=True)
class Result:
    """One size, measured."""

    size: Size
    ours: Side
    theirs: Side
    ratios: list[float]
    wall_ratios: list[float]
    flops: tuple[float, float]
    profiles: tuple[dict[str, Any], dict[str, Any]]


def measure(
    sizes: Sequence[Size], rounds: int, threads: int, ours: Sequence[str], theirs: Sequence[str]
) -> list[Result]:
    """Return the timings of `rounds` rounds, after two that warm up; sides take turns at going first.

    Every round updates every size: a machine's slow minutes hit all sizes alike instead of deciding about one of them.
    """
    pairs = [(Side(ours, size, threads), Side(theirs, size, threads)) for size in sizes]
    for number in range(rounds + 2):
        for sides in pairs:
            for side in sides if number % 2 else reversed(sides):
                answer = side.ask("update")
                if number >= 2:
                    side.updates.append(answer)
    return [_result(size, *sides) for size, sides in zip(sizes, pairs, strict=True)]


def _result(size: Size, ours: Side, theirs: Side) -> Result:
    def ratios(clock: str) -> list[float]:
        return [a[clock] / b[clock] for a, b in zip(ours.updates, theirs.updates, strict=True)]

    flops = ours.ask("flops")["flops"], theirs.ask("flops")["flops"]
    profiles = ours.ask("profile"), theirs.ask("profile")
    for side in (ours, theirs):
        side.close()
    return Result(size, ours, theirs, ratios("cpu_s"), ratios("wall_s"), flops, profiles)


def product_rate(threads: int) -> float:
    """Return the most multiply-adds this machine does here, in GFLOP per CPU second, over libraries and shapes."""
    script = (
        "import time, torch\n"
        f"torch.set_num_threads({threads})\n"
        "best = 0.0\n"
        "for rows in (1024, 2048, 4096):\n"
        "    x, w = torch.randn(rows, 512), torch.randn(512, 512)\n"
        "    for run in (lambda: x @ w, lambda: torch.ops.mkldnn._linear_pointwise(x, w, None, 'none', [], '')):\n"
        "        for _ in range(20):\n"
        "            started = time.process_time(); run()\n"
        "            best = max(best, 2 * rows * 512 * 512 / max(time.process_time() - started, 1e-9))\n"
        "print(best)\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout) / 1e9


def table_of(results: Sequence[Result], rate: float) -> Table:
    """Return one row per size and side, and the ratio."""
    header = ("size", "side", "parameters", "CPU ms", "wall ms", "GFLOP", "x floor", "peak MiB", "operations", "ratio")
    table = Table((*header, "limit", ""), right=frozenset(header[2:]) | {"limit"})
    # The floor is what the cheaper side must multiply at the machine's best rate.
    for result in results:
        floor_s = min(result.flops) / 1e9 / rate
        for name, side, flops, profile in zip(
            ("ours", "sheeprl"), (result.ours, result.theirs), result.flops, result.profiles, strict=True
        ):
            cpu_s, wall_s = (statistics.median(u[clock] for u in side.updates) for clock in ("cpu_s", "wall_s"))
            figures = (
                f"{side.opening['parameters']:,}",
                f"{1000 * cpu_s:.1f}",
                f"{1000 * wall_s:.1f}",
                f"{flops / 1e9:.1f}",
                f"{cpu_s / floor_s:.1f}",
                f"{max(u['peak_mib'] for u in side.updates) - side.opening['before_mib']:.0f}",
                f"{profile['operations']:,}",
            )
            if name == "ours":
                low, median, high = np.percentile(result.ratios, (10, 50, 90))
                over = "OVER" if median > result.size.limit.promised else ""
                last = (f"{median:.3f} ({low:.3f} to {high:.3f})", f"{result.size.limit.promised:g}", over)
            else:
                last = (f"wall {statistics.median(result.wall_ratios):.3f}", f"hope {result.size.limit.hoped:g}", "")
            table.add(result.size.name, name, *figures, *last)
    return table


def shares_of(results: Sequence[Result]) -> Table:
    """Return where the time goes, by kind of tensor operation, as shares of one profiled update."""
    kinds = sorted({kind for result in results for profile in result.profiles for kind in profile["shares"]})
    table = Table(("size", "side", *kinds), right=frozenset(kinds))
    for result in results:
        for name, profile in zip(("ours", "sheeprl"), result.profiles, strict=True):
            table.add(result.size.name, name, *(f"{100 * profile['shares'].get(kind, 0):.0f}%" for kind in kinds))
    return table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("sizes", nargs="*", default=list(SIZES), help=f"of {', '.join(SIZES)}; default all")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--threads", type=int, default=1, help="of each side; 1 is the default of both products")
    parser.add_argument("--ours", default=sys.executable, help="python of our side")
    parser.add_argument("--peer", default=str(PEER_PYTHON), help="python of the peer's environment")
    options = parser.parse_args()
    if unknown := [name for name in options.sizes if name not in SIZES]:
        parser.error(f"no size {', '.join(unknown)}; there are {', '.join(SIZES)}")
    rate = product_rate(options.threads)
    print(f"{time.strftime('%Y-%m-%d')}, {platform.platform()}, {options.threads} threads, float32")
    print(f"{rate:.0f} GFLOP per CPU second in matrix products\n")
    ours, theirs = (
        [python, "-m", f"benchmarks.peers.{side}"]
        for python, side in ((options.ours, "ours"), (options.peer, "sheeprl_side"))
    )
    sizes = [SIZES[name] for name in options.sizes]
    results = measure(sizes, options.rounds, options.threads, ours, theirs)
    print(table_of(results, rate).to_text())
    print(shares_of(results).to_text())
    return 0 if all(statistics.median(r.ratios) <= r.size.limit.promised for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
