"""`queue load`: a file of experiments into the queue, all of it or none.

A file is a mapping from names to items; an item has either a `sentence`, with the same words beside it as `propose`
has flags, and becomes a waiting hypothesis, or an `idea`, and becomes a waiting idea. Everything is read and checked
before anything is written; what is there already is left alone, so that a file can be loaded again. The examples that
are shipped stand in `protocol/queue_*.yaml`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from dreamerlab.errors import Conflict, LabError, NotFound, UsageError, did_you_mean
from dreamerlab.lab.execute import Voice
from dreamerlab.lab.ledger import open_record, registry_of
from dreamerlab.lab.publish import publish
from dreamerlab.protocol.entries import IDEA, entries
from dreamerlab.protocol.hypothesis import Proposal
from dreamerlab.protocol.registry import ENTRY, HYPOTHESIS, Registry
from dreamerlab.protocol.state import NOTED, PROPOSED
from dreamerlab.runs.store import Workspace

SHIPPED = {"examples": "the examples", "hockey": "the hockey experiments", "disputes": "the disputes"}
"""Files that come with the package, by what one writes to load them."""
_IDEA_KEYS = ("idea", "source", "needs", "why")
_SENTENCE_KEYS = (
    "sentence",
    "source",
    "why",
    "reason",
    "env",
    "experiment",
    "set",
    "seeds",
    "baseline-seeds",
    "reducer",
    "looks",
    "kill",
    "fail-score",
    "new-family",
    "baseline",
    "replicates",
    "follows",
)
_LISTS = ("set", "kill")


@dataclass(frozen=True)
class FileItem:
    """One experiment of a file, as it was written."""

    name: str
    line: int
    values: Mapping[str, Any]

    @property
    def source(self) -> str:
        """Where it comes from: what the file says, else its own name."""
        return str(self.values.get("source", self.name))


@dataclass
class Loaded:
    """What became of a file: ids in the order of the file, and the names of items that were there before."""

    hypotheses: list[str] = field(default_factory=list[str])
    ideas: list[str] = field(default_factory=list[str])
    present: list[str] = field(default_factory=list[str])

    def to_data(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {"hypotheses": self.hypotheses, "ideas": self.ideas, "present": self.present}


def load_file(workspace: Workspace, source: str, voice: Voice, *, wanted: bool = True) -> Loaded:
    """Queue every item of the file `source` (or one of those `SHIPPED`) that is not there yet; commit that once."""
    from dreamerlab.lab.propose import propose

    origin, items = read_items(source)
    registry = registry_of(workspace)
    loaded = Loaded()
    ready: list[tuple[FileItem, Proposal | None]] = []
    quiet = Voice(lambda _: None, voice.warn)
    for item in items:
        if _is_present(registry, item):
            loaded.present.append(item.name)
        elif "idea" in item.values:
            ready.append((item, None))
        else:
            try:
                proposal = propose(workspace, _request(item), quiet, rehearse=True).proposal
            except LabError as error:
                raise type(error)(
                    f"{origin} line {item.line}, {item.name}: {error.message}", hint=error.hint
                ) from error
            ready.append((item, proposal))
    start = time.time()
    for number, (item, proposal) in enumerate(ready):
        # They are written within a second: the order of the file is kept by a rank of its own.
        rank = start + number * 1e-5
        if proposal is None:
            loaded.ideas.append(open_record(workspace, ENTRY, NOTED, {**_idea(item), "rank": rank}))
        else:
            data = {**proposal.to_dict(), "source": item.source, "rank": rank}
            made = open_record(workspace, HYPOTHESIS, PROPOSED, data, provided=_name_is_free(item.name))
            loaded.hypotheses.append(made)
    made = [*loaded.hypotheses, *loaded.ideas]
    if made:
        publish(workspace, made, f"Queue {len(made)} experiments from {origin}", voice.warn, wanted=wanted)
    return loaded


def read_items(source: str) -> tuple[str, list[FileItem]]:
    """Return the name of a file of experiments and its items in order; UsageError names the line that is wrong."""
    from dreamerlab.config.strict_yaml import YamlFault, read_entries

    path = Path(source)
    origin = path.name
    if source in SHIPPED and not path.exists():
        path, origin = Path(__file__).parent.parent / "protocol" / f"queue_{source}.yaml", SHIPPED[source]
    written = 'an item is   NAME: {sentence: "..."}   or   NAME: {idea: "..."}'
    if not path.exists():
        raise NotFound(f"there is no file {path}{did_you_mean(source, SHIPPED)}", hint=f"name a yaml file; {written}")
    try:
        read = read_entries(path)
    except YamlFault as fault:
        raise UsageError(f"{path}: {fault}", hint=written) from fault
    values: dict[str, dict[str, Any]] = {}
    lines: dict[str, int] = {}
    for entry in read:
        name, dot, key = entry.key.partition(".")
        if not dot:
            raise UsageError(
                f"{path} line {entry.line}: '{name}' is no item", hint='write it as   NAME: {sentence: "..."}'
            )
        lines.setdefault(name, entry.line)
        values.setdefault(name, {})[key] = _checked(path, entry.line, key, entry.value)
    items = [FileItem(name, lines[name], found) for name, found in values.items()]
    for item in items:
        _check_keys(path, item)
    if not items:
        raise UsageError(f"{path} holds no items", hint=written)
    return origin, items


def _checked(path: Path, line: int, key: str, value: object) -> Any:
    if key in _LISTS:
        several = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
        return tuple(str(one) for one in several)
    if key == "new-family":
        if not isinstance(value, bool):
            raise UsageError(f"{path} line {line}: {key} is '{value}', neither true nor false", hint=f"{key}: true")
        return value
    if isinstance(value, tuple):
        return ",".join(str(one) for one in cast("tuple[object, ...]", value))
    if value is None or not str(value).strip():
        raise UsageError(f"{path} line {line}: {key} is empty", hint="fill it in, or leave the line out")
    return str(value)


def _check_keys(path: Path, item: FileItem) -> None:
    where = f"{path} line {item.line}, {item.name}"
    both = [key for key in ("sentence", "idea") if key in item.values]
    if len(both) != 1:
        said = "has both a sentence and an idea" if both else "has neither a sentence nor an idea"
        raise UsageError(f"{where} {said}", hint="a sentence can be run, an idea cannot yet: keep one of them")
    known = _SENTENCE_KEYS if both == ["sentence"] else _IDEA_KEYS
    for key in item.values:
        if key not in known:
            raise UsageError(
                f"{where}: '{key}' says nothing here{did_you_mean(key, known)}", hint=f"known are: {', '.join(known)}"
            )


def _request(item: FileItem) -> Any:
    from dreamerlab.lab.proposal_plan import PlanRequest
    from dreamerlab.lab.propose import ProposeRequest

    values = item.values
    plan = PlanRequest(
        seeds=values.get("seeds"),
        baseline_seeds=values.get("baseline-seeds"),
        reducer=values.get("reducer"),
        looks=values.get("looks"),
        kill=values.get("kill", ()),
        fail_score=values.get("fail-score"),
    )
    return ProposeRequest(
        sentence=values["sentence"],
        env=values.get("env"),
        experiment=values.get("experiment"),
        overrides=values.get("set", ()),
        baseline=values.get("baseline"),
        plan=plan,
        new_family=values.get("new-family", False),
        why=values.get("why"),
        name=item.name,
        reason=values.get("reason"),
        queue=True,
        replicates=values.get("replicates"),
        follows=values.get("follows"),
    )


def _idea(item: FileItem) -> dict[str, Any]:
    named = {"needs": item.values.get("needs"), "source": item.source, "cause": item.values.get("why")}
    fields = {name: text for name, text in named.items() if text is not None}
    return {"kind": IDEA, "name": item.name, "text": item.values["idea"], "about": [], "fields": fields}


def _is_present(registry: Registry, item: FileItem) -> bool:
    """Tell whether an item was loaded before, also when it has left the queue since."""
    if "idea" not in item.values:
        return item.name in registry.names()
    return any(entry.kind == IDEA and entry.text == item.values["idea"] for entry in entries(registry))


def _name_is_free(name: str) -> Callable[[Registry], None]:
    def check(registry: Registry) -> None:
        if name in registry.names():
            raise Conflict(f"'{name}' was queued by another process", hint="dreamerlab queue")

    return check
