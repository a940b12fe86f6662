"""What the last rendering of the log knew, so that the next one reads only what changed since.

Per record: which bytes it was read from, the little of it that the rest of the log needs, its entry, and which files
were written for it. Lives in `.dreamerlab/cache`; deleting it costs one slow rendering and nothing else. A file counts
as unchanged while size, time, and inode are the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import dreamerlab
from dreamerlab.atomic import atomic_write_bytes, read_object, read_small, to_json
from dreamerlab.protocol.entries import Entry
from dreamerlab.protocol.hypothesis import proposal_from_dict
from dreamerlab.protocol.state import Hypothesis
from dreamerlab.runs.directory import TRIAL, RunDirectory
from dreamerlab.runs.store import Workspace

_FIRST_WORDS = 300
_ENTRY_FIELDS = ("status", "needs", "source", "next", "change")
_ARM = ("mean", "low", "high", "seeds", "reached")
_FIGURES = ("p", "difference", "low", "high", "level", "delta")
_RENDERERS = ("report", "lab/log*.py", "protocol/t*.py", "protocol/state.py", "protocol/entries.py", "stats/curves.py")


@dataclass
class Digest:
    """One record: what the rest of the log needs of it, and what was rendered for it."""

    id: str
    stamp: str
    """Of the record's file (`stamp`)."""
    faults: tuple[str, ...] = ()
    slim: Mapping[str, Any] | None = None
    """A hypothesis or an entry without its bulk; None when the record cannot be understood."""
    cites: tuple[str, ...] = ()
    """Ids that an entry cites, as typed."""
    inputs: str = ""
    """Of everything its page and its entry were rendered from."""
    text: str = ""
    """Its entry in the log."""
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])
    """Path inside `protocol` -> stamp of the file as it was written."""

    @cached_property
    def state(self) -> Hypothesis | None:
        """The hypothesis, without forecast, trials and details of its figures; None for an entry."""
        if self.slim is None or not self.id.startswith("H"):
            return None
        proposal = proposal_from_dict(self.slim["proposal"])
        values: dict[str, Any] = {**self.slim, "faults": self.faults, "proposal": proposal}
        return Hypothesis(**values)

    @cached_property
    def entry(self) -> Entry | None:
        """The entry, with the first words of its text; None for a hypothesis."""
        if self.slim is None or self.id.startswith("H"):
            return None
        values: dict[str, Any] = {**self.slim, "faults": self.faults, "about": tuple(self.slim["about"])}
        return Entry(**values)

    def forget(self) -> None:
        """Drop what was understood of the record: it cannot be put into words."""
        self.slim = None
        for name in ("state", "entry"):
            self.__dict__.pop(name, None)


_RUN = RunDirectory(Path("run"))
_RUN_FILES = tuple(path.name for path in (_RUN.manifest_path, _RUN.config_path))
_SEED = _RUN.trial(0)
_TRIAL_FILES = tuple(
    path.name for path in (_SEED.summary_path, _SEED.evals_path, _SEED.curves_path, _SEED.attempts_path)
)
_NAMES = tuple(item.name for item in fields(Digest))


def slim_state(state: Hypothesis) -> dict[str, Any]:
    """Return a hypothesis as JSON-ready values, without its bulk."""
    proposal = state.proposal.to_dict()
    source = {"source": proposal["source"]} if "source" in proposal else {}
    small: dict[str, Any] = {"reading": "", "why": None, "reason": None, "forecast": {}}
    known = {key: value for key, value in proposal.items() if key not in state.proposal.extra}
    verdict = None if state.verdict is None else _slim_verdict(state.verdict)
    names = ("id", "proposed_at", "author", "phase", "launched_at", "run", "baseline_run", "ended_at", "adopted_at")
    rest = {name: getattr(state, name) for name in (*names, "withdrawn", "rank")}
    return {**rest, "verdict": verdict, "proposal": {**known, **small, **source}}


def slim_entry(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON-ready values, without its bulk."""
    names = ("id", "kind", "time", "author", "rank", "dropped", "filed")
    fields = {name: entry.fields[name] for name in _ENTRY_FIELDS if name in entry.fields}
    words = {"text": entry.text[:_FIRST_WORDS], "about": list(entry.about), "fields": fields}
    return {**{name: getattr(entry, name) for name in names}, **words}


def load(workspace: Workspace) -> dict[str, Digest]:
    """Return what is known by record id; nothing when there is no cache, or it is another version's."""
    try:
        content = read_object(str(_path(workspace)))
        if content.get("version") != _version():
            return {}
        records = cast("Mapping[str, dict[str, Any]]", content["records"])
        return {key: _digest(data) for key, data in records.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def save(workspace: Workspace, digests: Mapping[str, Digest]) -> None:
    """Keep what is known; a cache that cannot be written costs time, never more."""
    content = {"version": _version(), "records": {key: _data(digest) for key, digest in digests.items()}}
    with suppress(Exception):
        _path(workspace).parent.mkdir(parents=True, exist_ok=True)
        atomic_write_bytes(_path(workspace), to_json(content).encode(), durable=False)


def stamp(path: str) -> str:
    """Return a mark of a file as it is now, `none` when it is not there."""
    try:
        found = os.stat(path)  # noqa: PTH116  # ten thousand of these; path objects would double their cost
    except OSError:
        return "none"
    return f"{found.st_size}.{found.st_mtime_ns}.{found.st_ino}"


def run_stamp(path: str) -> str:
    """Return a mark of everything the log reads of a run."""
    names = list(_RUN_FILES)
    with suppress(OSError), os.scandir(path) as found:
        seeds = sorted(one.name for one in found if one.name.startswith(TRIAL))
        names += [f"{seed}/{name}" for seed in seeds for name in _TRIAL_FILES]
    return " ".join(stamp(f"{path}/{name}") for name in names)


def digest_of(*parts: object) -> str:
    """Return a short hash of JSON-ready values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _digest(data: dict[str, Any]) -> Digest:
    values: dict[str, Any] = {**data, "faults": tuple(data["faults"]), "cites": tuple(data["cites"])}
    return Digest(**values)


def _data(digest: Digest) -> dict[str, Any]:
    return {name: getattr(digest, name) for name in _NAMES}


def _slim_verdict(verdict: Mapping[str, Any]) -> dict[str, Any]:
    figures = cast("Mapping[str, Any]", verdict.get("figures") or {})
    arm = cast("Mapping[str, Any]", figures.get("treatment") or {})
    kept = {name: figures[name] for name in _FIGURES if name in figures}
    kept["treatment"] = {name: arm[name] for name in _ARM if name in arm}
    names = ("outcome", "label", "qualifiers", "needs_seeds")
    return {**{name: verdict[name] for name in names if name in verdict}, "figures": kept}


def _path(workspace: Workspace) -> Path:
    return workspace.cache / "log.json"


def _version() -> str:
    """Return a hash of the code that renders: another version knows nothing of this one's pages."""
    package = Path(dreamerlab.__file__).parent
    files = [
        path
        for pattern in _RENDERERS
        for path in sorted(package.glob(f"{pattern}/*.py" if "." not in pattern else pattern))
    ]
    return hashlib.sha256(b"".join(read_small(str(path)) for path in files)).hexdigest()
