"""What the whole notebook costs: 1,000 hypotheses of two runs of five seeds, 20 runs with 200,000 rows of metrics.

Rendered from nothing, and written into one HTML file by a process that may have 4 GB. CPU time, so that waiting for
other work on the host does not count. Where Chromium and playwright are installed: how long 300 runs take to open.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.workspace import Size, fill

WHOLE = Size(1000, seeds=5, own_baselines=True, full=20)
OPENED = Size(150, seeds=3, own_baselines=True, full=20, rows=2000)
MEMORY_GB, LOG_S, REPORT_S, OPEN_S = 4.0, 60.0, 90.0, 3.0


def measure() -> list[tuple[str, float, float | None]]:
    with tempfile.TemporaryDirectory() as folder:
        lab = fill(Path(folder) / "lab", WHOLE).path
        log_s, _ = limited([sys.executable, "-m", "dreamerlab", "log", "--rebuild", "--no-commit"], lab)
        report_s, peak_gb = limited([sys.executable, "-m", "dreamerlab", "report"], lab)
        size_mb = (lab / "report.html").stat().st_size / 1e6
        rows: list[tuple[str, float, float | None]] = [
            ("log --rebuild of 1,000 hypotheses, 2,000 runs, 10,000 trials, CPU s", log_s, LOG_S),
            ("the same as one HTML file, CPU s", report_s, REPORT_S),
            ("memory it took, GB", peak_gb, MEMORY_GB),
            ("size of the file, MB", size_mb, None),
        ]
        small = fill(Path(folder) / "small", OPENED).path
        limited([sys.executable, "-m", "dreamerlab", "report"], small)
        opening = opening_s(small / "report.html")
    return [*rows, ("opening the file of 300 runs in Chromium, s", opening, OPEN_S)] if opening is not None else rows


def limited(command: list[str], cwd: Path) -> tuple[float, float]:
    """Return (CPU seconds, largest memory in GB) of a command that dies when it asks for more than is allowed."""
    most = int(MEMORY_GB * 1e9)
    limit = (resource.RLIMIT_AS, (most, most))
    process = subprocess.Popen(
        command,
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(*limit),
    )
    assert process.stderr is not None
    said = process.stderr.read()
    # Waited for by hand, because only this tells what one child used.
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0, said
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6


def opening_s(page: Path) -> float | None:
    """Return the median time until the page can be used, None where there is no browser to ask."""
    from tests.browser import browser

    with browser() as found:
        if found is None:
            return None
        times: list[float] = []
        for _ in range(3):
            tab = found.new_page()
            start = time.perf_counter()
            tab.goto(page.as_uri())
            tab.wait_for_selector("#hypotheses-filter")
            times.append(time.perf_counter() - start)
            tab.close()
        return sorted(times)[1]
