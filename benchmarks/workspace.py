"""Workspaces of any size for the benchmarks: one judged hypothesis through the real writers, and copies of it.

    H0001-abc  R0002-abc against R0001-abc        all against the first run ...
    H0002-abc  R0004-abc against R0003-abc        ... or each against one of its own

Copies differ in ids, names, times and in what they follow; files that are the same in all are one file on disk with
many names, so that ten thousand trials take seconds. A run may have full rows: the metrics of a long training, thinned.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from dreamerlab.lab.ledger import registry_of
from dreamerlab.protocol.chain import Event, encode, first_link, link
from dreamerlab.protocol.state import NOTED, PROPOSED
from dreamerlab.runs.curves import write_curves
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.store import Workspace
from tests.lab.workspaces import light_workspace
from tests.report.notebooks import Notebook, a_run, rising

_TAIL = "abc"
_LONG_AGO = 1.7e9
_METRICS = ("wm/loss", "wm/kl_nats", "behavior/policy_loss", "behavior/entropy_nats")


@dataclass(frozen=True)
class Size:
    """How much there is."""

    hypotheses: int
    seeds: int = 3
    evaluations: int = 16
    own_baselines: bool = False
    """Whether every hypothesis has a baseline run of its own."""
    notes: bool = False
    """Whether there is a note about each."""
    full: int = 0
    """So many runs have full rows."""
    rows: int = 200_000
    recent: int = 0
    """So many of the newest runs were touched just now, the others long ago."""


def fill(folder: Path, size: Size) -> Workspace:
    """Make a workspace in `folder` and return it."""
    with patch("os.fsync"):  # nothing here has to survive a power cut
        model, record, treatment, baseline = _model(folder.with_name(f"{folder.name}-model"), size)
        workspace = light_workspace(folder)
        events = registry_of(model).read(record).events
        workspace.runs.mkdir(exist_ok=True)
        registry_of(workspace).folder.mkdir(exist_ok=True)
        against = _copy(baseline, workspace, 1, None)
        for number in range(1, size.hypotheses + 1):
            if size.own_baselines and number > 1:
                against = _copy(baseline, workspace, 2 * number - 1, None)
            run = _copy(treatment, workspace, 2 * number if size.own_baselines else number + 1, _id("H", number))
            renamed = {record: _id("H", number), treatment.id: run.id, baseline.id: against.id}
            _write(workspace, _id("H", number), [_renamed(event, renamed, number) for event in events])
            if size.notes:
                data = {"kind": "conclusion", "text": "as expected " * 20, "about": [_id("H", number)], "fields": {}}
                _write(workspace, _id("E", number), [Event(NOTED, _later(events[-1].time, number), "Ada", data)])
        runs = sorted(workspace.runs.iterdir())
        _fill_rows(runs[: size.full], size.rows)
        for path in runs[: len(runs) - size.recent]:
            for trial in RunDirectory(path).trials():
                os.utime(trial.path, (_LONG_AGO, _LONG_AGO))
    return workspace


def _model(folder: Path, size: Size) -> tuple[Workspace, str, RunDirectory, RunDirectory]:
    """Return a workspace with one judged hypothesis, its id, and its two runs."""
    workspace = light_workspace(folder)
    book = Notebook(workspace)
    shape = {"seeds": size.seeds, "points": size.evaluations}
    base = a_run(workspace, "base", rising(210, seed=1, **shape))
    first = a_run(workspace, "first", rising(300, seed=2, **shape), kind="treatment")
    seeds = tuple(range(size.seeds))
    record = book.propose("change optimizer.lr_actor=1e-4 -> expect eval/return to rise by 50", seeds=seeds)
    book.launch(record, first, base)
    book.finish(record, first)
    book.judge(record, first, base)
    return workspace, record, first, base


def _id(letter: str, number: int) -> str:
    return f"{letter}{number:04d}-{_TAIL}"


def _copy(source: RunDirectory, workspace: Workspace, number: int, hypothesis: str | None) -> RunDirectory:
    """Give a run another id; all of its files but the manifest are shared."""
    target = workspace.run(_id("R", number))
    for folder, _, names in os.walk(source.path):
        there = target.path / os.path.relpath(folder, source.path)
        there.mkdir(parents=True)
        for name in names:
            if Path(folder, name) != source.manifest_path:
                os.link(Path(folder, name), there / name)
    facts = json.loads(source.manifest_path.read_text())
    target.manifest_path.write_text(json.dumps({**facts, "id": target.id, "name": None, "hypothesis": hypothesis}))
    return target


def _renamed(event: Event, ids: Mapping[str, str], number: int) -> Event:
    text = json.dumps(dict(event.data))
    for old, new in ids.items():
        text = text.replace(old, new)
    data = json.loads(text)
    if event.event == PROPOSED:
        data["name"] = f"idea-{number}"
        data["follows"] = _id("H", number // 2) if number % 4 == 3 else None
    return Event(event.event, _later(event.time, number), event.author, data)


def _write(workspace: Workspace, record: str, events: list[Event]) -> None:
    previous, lines = first_link(record), b""
    for place, event in enumerate(events, start=1):
        line = encode(event, place, previous)
        lines, previous = lines + line, link(line.removesuffix(b"\n"))
    registry_of(workspace).path(record).write_bytes(lines)


def _later(time: str, days: int) -> str:
    return f"{2026 + days // 336}-{1 + days % 336 // 28:02d}-{1 + days % 28:02d}{time[10:]}"


def _fill_rows(runs: list[Path], rows: int) -> None:
    """Give the first seed of each run the metrics of a training with so many lines."""
    if not runs:
        return
    first = RunDirectory(runs[0]).trial(0)
    first.attempt_dir(1).mkdir(parents=True)
    with first.metrics_path(1).open("w", encoding="utf-8") as file:
        for at in range(1, rows + 1):
            values = ", ".join(f'"{name}": {math.sin(at / (9 + nth)) / at:.6g}' for nth, name in enumerate(_METRICS))
            clocks = f'"time": {1e9 + at}, "env_steps": {at}, "updates": {at // 2}, "wall_s": {at / 20}, "attempt": 1'
            file.write(f'{{{clocks}, "values": {{{values}}}}}\n')
    first.curves_path.unlink()
    write_curves(first)
    for path in runs[1:]:
        trial = RunDirectory(path).trial(0)
        trial.attempt_dir(1).mkdir(parents=True)
        os.link(first.metrics_path(1), trial.metrics_path(1))
        trial.curves_path.unlink()
        os.link(first.curves_path, trial.curves_path)
