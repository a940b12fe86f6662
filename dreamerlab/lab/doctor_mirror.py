"""Checks of `doctor` on the MLflow mirror: the state of its database, and runs that are not in it.

The database is looked at with SQLite alone and read-only; MLflow is not imported. Everything in it can be filled in
again from the records, so a damaged one is set aside and a new one made. A store of the user's choice
(MLFLOW_TRACKING_URI) is only asked whether it answers: `doctor_places.py`.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from dreamerlab.errors import ToolFailed
from dreamerlab.lab import mirror
from dreamerlab.lab.doctor_findings import Finding
from dreamerlab.lab.network_disk import LOCAL_DATABASE, network_disk
from dreamerlab.lab.preflight import is_installed
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.status import ONGOING, effective_state, read_status
from dreamerlab.runs.store import Workspace, run_ids
from dreamerlab.tracking import mirror_state

_PATIENCE_S = 2.0
_REVISION = re.compile(r"^(down_revision|revision)(?::[^=]*)?\s*=\s*(.*)$", re.MULTILINE)
_QUOTED = re.compile(r"['\"](\w+)['\"]")


def database(workspace: Workspace) -> Iterator[Finding]:
    """Yield what is wrong with the workspace's own database: missing, locked, older or newer schema, garbage."""
    if os.environ.get(mirror_state.URI_VARIABLE) or not is_installed("mlflow"):
        return
    path, prepare, refill = workspace.mlflow_db, partial(_prepare, workspace), partial(_refill, workspace)
    where = str(path)
    if kind := network_disk(path.parent):
        text = f"the MLflow database lies on a network disk ({kind}), where SQLite's locks cannot be trusted"
        yield Finding("database", where, text, hint=LOCAL_DATABASE)
    if not path.exists():
        if _mirrored(workspace):
            text = "the MLflow database is gone; runs were in it, and their records are here"
            yield Finding("database", where, text, "make a new one and send every run again", refill)
        return
    try:
        schema = _schema(path)
    except sqlite3.OperationalError as error:
        yield _unopened(path, error)
        return
    except sqlite3.DatabaseError as error:
        text = f"the MLflow database is damaged ({error}); all of it can be filled in again from the records"
        yield Finding("database", where, text, "set it aside, make a new one and send every run again", refill)
        return
    if schema is None:
        text = "the MLflow database holds nothing of MLflow yet: its making was cut short"
        yield Finding("database", where, text, "make its tables", prepare)
        return
    known, newest = _revisions()
    if not known or schema == newest:
        return
    if schema in known:
        text = f"the MLflow database has an older schema ({schema}) than the installed MLflow ({newest})"
        yield Finding("database", where, text, "let MLflow bring it up to date", prepare)
    else:
        text = f"the MLflow database has a schema ({schema}) that the installed MLflow does not know"
        yield Finding("database", where, text, hint="pip install --upgrade mlflow")


def not_mirrored(workspace: Workspace) -> Iterator[Finding]:
    """Yield ended runs whose mirror failed or was cut short, with the reason it gave."""
    if not is_installed("mlflow"):
        return
    behind: dict[str, list[RunDirectory]] = {}
    for run_id in run_ids(workspace):
        run = workspace.run(str(run_id))
        line = None if _is_ongoing(run) else mirror_state.standing(workspace, run)
        if line is not None and mirror_state.is_behind(line):
            behind.setdefault(line, []).append(run)
    for line, runs in behind.items():
        where = ", ".join(run.id for run in runs)
        text = f"MLflow lacks some or all of it: {line}"
        yield Finding("not mirrored", where, text, "send what is missing", partial(_send, workspace, runs))


def _schema(path: Path) -> str | None:
    """Return the schema's revision; None when there are no tables; sqlite3.DatabaseError when it cannot be read."""
    address = f"file:{quote(os.fsencode(path))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE_S)) as connection:
        if connection.execute("select name from sqlite_master where name = 'alembic_version'").fetchone() is None:
            return None
        damage = connection.execute("pragma quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise sqlite3.DatabaseError(str(damage).splitlines()[0])
        found = connection.execute("select version_num from alembic_version").fetchone()
        return None if found is None else str(found[0])


def _unopened(path: Path, error: sqlite3.OperationalError) -> Finding:
    if "locked" in str(error):
        holders = _holders(path)
        who = f" by process {', '.join(map(str, holders))}" if holders else ""
        text = f"the MLflow database is locked{who}: the mirror waits, training does not"
        return Finding("database", str(path), text, hint="end what holds it; then: dreamerlab data sync")
    return Finding("database", str(path), f"the MLflow database cannot be read: {error}", hint=f"ls -l '{path}'*")


def _holders(path: Path) -> list[int]:
    """Return the processes that hold a lock on a file, as the kernel lists them; empty where it does not."""
    try:
        inode = path.stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    found = {int(words[4]) for words in map(str.split, lines) if len(words) > 5 and words[5].endswith(f":{inode}")}
    return sorted(pid for pid in found if pid > 0)


@lru_cache(maxsize=1)
def _revisions() -> tuple[frozenset[str], str | None]:
    """Return every schema revision the installed MLflow knows, and the newest; nothing where they cannot be found."""
    spec = find_spec("mlflow")
    if spec is None or spec.origin is None:
        return frozenset(), None
    known: set[str] = set()
    older: set[str] = set()
    for path in (Path(spec.origin).parent / "store" / "db_migrations" / "versions").glob("*.py"):
        for name, value in _REVISION.findall(path.read_text(errors="replace")):
            (known if name == "revision" else older).update(_QUOTED.findall(value))
    newest = known - older
    return (frozenset(known), next(iter(newest))) if len(newest) == 1 else (frozenset(), None)


def _is_ongoing(run: RunDirectory) -> bool:
    return any(effective_state(read_status(trial)) in ONGOING for trial in run.trials())


def _mirrored(workspace: Workspace) -> list[RunDirectory]:
    """Return the runs of which the mirror remembers that it has sent something."""
    runs = [workspace.run(str(run_id)) for run_id in run_ids(workspace)]
    return [run for run in runs if mirror_state.load_place(workspace, run.id) is not None]


def _prepare(workspace: Workspace) -> None:
    failure = mirror.prepare(workspace)
    if failure is not None:
        raise ToolFailed(failure)


def _refill(workspace: Workspace) -> None:
    runs = _mirrored(workspace)
    _prepare(workspace)
    _send(workspace, runs)


def _send(workspace: Workspace, runs: Sequence[RunDirectory]) -> None:
    failed = [done for done in mirror.sync(workspace, runs) if done.state == "failed"]
    if failed:
        raise ToolFailed("; ".join(f"{done.run}: {done.message}" for done in failed), hint=failed[0].hint)
