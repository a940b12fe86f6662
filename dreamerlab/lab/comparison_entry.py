"""The entry that a comparison leaves in the log: its tables, once for the same runs, reducer and records.

A comparison with a trial still at work is none yet and leaves nothing. Never in the way: a workspace that cannot be
written to, or a lock that is held, costs a word and no more, since the tables are already on the screen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dreamerlab.atomic import read_small
from dreamerlab.errors import LabError
from dreamerlab.lab.ledger import open_record, registry_of
from dreamerlab.lab.publish import publish
from dreamerlab.protocol.registry import ENTRY, Registry
from dreamerlab.protocol.state import COMPARED
from dreamerlab.report.comparison import to_markdown
from dreamerlab.report.evidence import Evidence
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.status import ONGOING
from dreamerlab.runs.store import Workspace


class _Known(Exception):
    """Somebody compared these records before; carries the entry's id."""


def enter(
    workspace: Workspace, evidence: Evidence, say: Callable[[str], None], warn: Callable[[str], None]
) -> str | None:
    """Put the comparison into the log unless it is there already; return the id of its entry, None without one."""
    working = [run.id for run in evidence.runs if any(seed.state in ONGOING for seed in run.seeds)]
    if working:
        say(f"not entered in the log: {', '.join(working)} is still at work")
        return None
    try:
        data = _data(workspace, evidence)
        if (known := _find(registry_of(workspace), data)) is not None:
            return known
        made = open_record(workspace, ENTRY, COMPARED, data, provided=lambda registry: _refuse_known(registry, data))
        others = " ".join(str(run) for run in data["runs"])
        publish(workspace, [made], f"{made}: compare {others}", warn)
    except _Known as known:
        return str(known)
    except (LabError, OSError) as error:
        reason = error.message if isinstance(error, LabError) else error.strerror or error
        say(f"not entered in the log: {reason}")
        return None
    say(f"entered in the log as {made}")
    return made


def record_digest(run: RunDirectory, seeds: Sequence[int]) -> str:
    """Return a sha256 over the committed text a comparison reads: manifest, config, and of every seed its results."""
    digest = hashlib.sha256()
    paths = [run.manifest_path, run.config_path]
    for seed in seeds:
        trial = run.trial(seed)
        paths += [trial.evals_path, trial.summary_path]
    for path in paths:
        try:
            content = hashlib.sha256(read_small(str(path))).hexdigest()
        except FileNotFoundError:
            content = "absent"
        digest.update(f"{path.relative_to(run.path).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _data(workspace: Workspace, evidence: Evidence) -> dict[str, Any]:
    runs = [run.id for run in evidence.runs]
    seeds = {run.id: [seed.seed for seed in run.seeds] for run in evidence.runs}
    return {
        "runs": runs,
        "hypotheses": [one.id for one in evidence.hypotheses],
        "reducer": " / ".join(dict.fromkeys(run.evaluation["score"] for run in evidence.runs)),
        "records": {run: record_digest(workspace.run(run), seeds[run]) for run in runs},
        "markdown": to_markdown(evidence, brief=True),
    }


def _find(registry: Registry, data: Mapping[str, Any]) -> str | None:
    """Return the entry of the same runs (in any order), reducer and records; None when there is none."""
    mark = f'"{data["runs"][0]}"'.encode()
    for entry_id in map(str, registry.ids(ENTRY)):
        try:
            # Of a thousand entries only those that name the first run are parsed.
            if mark not in read_small(str(registry.path(entry_id))):
                continue
            first = registry.read(entry_id).events[0]
        except (OSError, LabError, IndexError):
            continue
        if first.event == COMPARED and _key(first.data) == _key(data):
            return entry_id
    return None


def _key(data: Mapping[str, Any]) -> tuple[object, ...]:
    return sorted(data.get("runs") or ()), data.get("reducer"), data.get("records")


def _refuse_known(registry: Registry, data: Mapping[str, Any]) -> None:
    """Look once more under the lock: another process may have compared the same at the same moment."""
    if (known := _find(registry, data)) is not None:
        raise _Known(known)
