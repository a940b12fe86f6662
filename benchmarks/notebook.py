"""What the log costs with 1,000 hypotheses and 1,000 runs in it: after one event, and rendered from nothing."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.startup import cpu_seconds
from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.chain import Event, encode, first_link, link
from dreamerlab.runs.store import Workspace
from tests.lab.workspaces import light_workspace
from tests.report.notebooks import Notebook, a_run, rising

HYPOTHESES, ROUNDS = 1000, 3
LIMIT_S = 1.0


def measure() -> list[tuple[str, float, float | None]]:
    with tempfile.TemporaryDirectory() as folder:
        workspace = light_workspace(Path(folder) / "lab")
        fill(workspace, HYPOTHESES)
        command = [sys.executable, "-m", "dreamerlab", "log"]
        whole = cpu_seconds(command, workspace.path)
        book = Notebook(workspace)
        once: list[float] = []
        for number in range(ROUNDS):
            book.note("observation", f"Seen {number} times.", str(registry_of(workspace).ids("H")[number]))
            once.append(cpu_seconds(command, workspace.path))
        return [
            ("log after one event, 1,000 hypotheses and runs, CPU s", statistics.median(once), LIMIT_S),
            ("log rendered from nothing, CPU s", whole, None),
        ]


def fill(workspace: Workspace, count: int) -> None:
    """Make `count` judged hypotheses, each with a run of its own and all against the first run."""
    book = Notebook(workspace)
    base = a_run(workspace, "base", rising(210, seeds=3, seed=1))
    first = a_run(workspace, "first", rising(300, seeds=3, seed=2))
    hypothesis = book.propose("change optimizer.lr_actor=1e-4 -> expect eval/return to rise by 50", seeds=(0, 1, 2))
    book.launch(hypothesis, first, base)
    book.finish(hypothesis, first)
    book.judge(hypothesis, first, base)
    registry = registry_of(workspace)
    events = registry.read(hypothesis).events
    for number in range(2, count + 1):
        record, run = f"H{number:04d}-abc", f"R{number + 1:04d}-abc"
        previous, lines = first_link(record), b""
        for place, event in enumerate(events, start=1):
            data = _renamed(event, first.id, run)
            line = encode(Event(event.event, _later(event.time, number), event.author, data), place, previous)
            lines, previous = lines + line, link(line.removesuffix(b"\n"))
        registry.path(record).write_bytes(lines)
        if number < count:
            _copy_run(workspace, first.id, run)


def _renamed(event: Event, old: str, new: str) -> dict[str, object]:
    return json.loads(json.dumps(dict(event.data)).replace(old, new))


def _later(time: str, days: int) -> str:
    return f"{2026 + days // 336}-{1 + days % 336 // 28:02d}-{1 + days % 28:02d}{time[10:]}"


def _copy_run(workspace: Workspace, source: str, target: str) -> None:
    shutil.copytree(workspace.run(source).path, workspace.run(target).path)
    manifest = workspace.run(target).manifest_path
    manifest.write_text(manifest.read_text().replace(source, target))
