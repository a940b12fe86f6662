"""`report --follow`: the report written again and again while something trains; the page reloads itself, no server.

What the records say is gathered anew only where a record changed; what trains is looked at every time. Never more than
a tenth of a core: where writing takes long, the rounds are further apart. At the end the page stays as it is.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from dreamerlab.atomic import atomic_write_text
from dreamerlab.errors import LabError
from dreamerlab.lab.html_report import Report, gather, remove_drafts, target
from dreamerlab.lab.log_cache import run_stamp, stamp
from dreamerlab.lab.programs import asked_to_end
from dreamerlab.lab.report_live import what_trains
from dreamerlab.report.live_page import unfollowed
from dreamerlab.runs.directory import STATUS, TRIAL
from dreamerlab.runs.status import effective_state, load_status
from dreamerlab.runs.store import Workspace

_TENTH = 10
_FILMS = (".gif", ".mp4", ".png")


def follow(
    workspace: Workspace,
    out: Path | None,
    every_s: int,
    *,
    films_mb: float,
    curves_mb: float,
    first: Callable[[Report], None],
    warn: Callable[[str], None],
) -> None:
    """Write the report every `every_s` seconds until Ctrl-C or SIGTERM; `first` is told of the first one.

    UsageError, NotFound or ToolFailed as `build` has them for the first report; later ones are said and tried again.
    """
    path = target(workspace, out)
    known, gathered = "", None
    is_written, complaint, period = False, "", every_s
    try:
        with asked_to_end():
            while True:
                started, used = time.monotonic(), time.process_time()
                try:
                    now = fingerprint(workspace)
                    if gathered is None or now != known:
                        gathered, known = gather(workspace, films_mb=films_mb, curves_mb=curves_mb), now
                    done = gathered.write(path, what_trains(workspace, period))
                    if not is_written:
                        first(done)
                    is_written, complaint = True, ""
                except LabError as error:
                    if not is_written:
                        raise
                    if complaint != error.message:
                        warn(f"{error.message}; trying again")
                    complaint = error.message
                period = max(every_s, math.ceil(_TENTH * (time.process_time() - used)))
                time.sleep(max(0.0, period - (time.monotonic() - started)))
    except KeyboardInterrupt:
        pass  # the way to end it
    finally:
        remove_drafts(path, own=os.getpid())
        if is_written:
            with suppress(OSError, LabError, ValueError):  # somebody put something else there
                atomic_write_text(path, unfollowed(path.read_text(encoding="utf-8")))


def fingerprint(workspace: Workspace) -> str:
    """Return a mark of all records but what a trial writes while it trains, its evaluations excepted."""
    return " ".join(_marks(workspace))


def _marks(workspace: Workspace) -> Iterator[str]:
    yield from (f"{one.name}:{stamp(one.path)}" for one in _entries(workspace.protocol / "registry"))
    yield from (f"{one.name}:{stamp(one.path)}" for one in _entries(workspace.path) if one.name.endswith(_FILMS))
    for run in _entries(workspace.runs):
        yield f"{run.name}:{stamp(run.path)}:{run_stamp(run.path)}"
        for trial in _entries(Path(run.path)):
            if trial.name.startswith(TRIAL):
                yield effective_state(load_status(f"{trial.path}/{STATUS}", 0))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda one: one.name)
    except OSError:
        return []
