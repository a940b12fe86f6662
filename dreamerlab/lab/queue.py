"""`queue`: what is to be tried next, in order (M-PROT-12).

Two sorts of items wait: hypotheses proposed with `--queue`, which can be taken and run, and ideas (notes of the kind
`idea`), which say what they need before they can be. New items go last; a moved item carries its rank in its own
record, so that two branches can move different items and merge. Reading a file of items is `queue_files.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dreamerlab.errors import Conflict, GateRefused, NotFound, UsageError, did_you_mean
from dreamerlab.ids import letter_of, matching, parse_id
from dreamerlab.lab.ledger import append, registry_of
from dreamerlab.lab.life import withdraw
from dreamerlab.lab.publish import publish
from dreamerlab.protocol.chain import Record
from dreamerlab.protocol.entries import IDEA, Entry, entries, entry_of
from dreamerlab.protocol.state import DROPPED, FILED, MOVED, OPENED, QUEUED, Hypothesis, fold, hypotheses
from dreamerlab.runs.store import Workspace

_EMPTY_HINT = (
    'propose one for later: dreamerlab propose "..." --queue, or load examples: dreamerlab queue load examples'
)


@dataclass(frozen=True)
class Item:
    """One thing that waits."""

    id: str
    runnable: bool
    text: str
    """The sentence of a hypothesis, the words of an idea."""
    name: str | None
    needs: str | None
    """Why an idea cannot be run yet."""
    source: str | None
    rank: float
    """Low comes first."""

    def to_data(self, place: int) -> dict[str, Any]:
        """Return the item as JSON-ready values, with its place from 1."""
        return {
            "place": place,
            "id": self.id,
            "runnable": self.runnable,
            "text": self.text,
            "name": self.name,
            "needs": self.needs,
            "source": self.source,
        }


def queue_items(workspace: Workspace) -> list[Item]:
    """Return what waits, first to last."""
    registry = registry_of(workspace)
    return waiting_items(hypotheses(registry), entries(registry))


def waiting_items(states: Iterable[Hypothesis], noted: Iterable[Entry]) -> list[Item]:
    """Return which of these hypotheses and entries wait, first to last."""
    waiting = [_hypothesis_item(state) for state in states if state.phase == QUEUED]
    waiting += [_idea_item(entry) for entry in noted if _is_waiting(entry)]
    return sorted(waiting, key=lambda item: (item.rank, item.id))


def take_next(workspace: Workspace, warn: Callable[[str], None], *, wanted: bool = True) -> Hypothesis:
    """Take the first hypothesis from the queue, so that it can be run, and return it; NotFound when none waits.

    Two that ask at the same moment are given two different ones.
    """
    items = queue_items(workspace)
    for item in items:
        if not item.runnable:
            continue
        try:
            append(workspace, item.id, OPENED, {}, provided=_still_queued, report=warn)
        except Conflict:
            if fold(registry_of(workspace).read(item.id)).phase == QUEUED:
                raise  # its record is damaged
            continue  # another process has just taken it
        publish(workspace, [item.id], f"Take {item.id} from the queue", warn, wanted=wanted)
        return fold(registry_of(workspace).read(item.id))
    if items:
        raise NotFound(
            f"{len(items)} ideas wait, and none of them can be run as it stands", hint="see why: dreamerlab queue"
        )
    raise NotFound("the queue is empty", hint=_EMPTY_HINT)


def move(
    workspace: Workspace,
    text: str,
    warn: Callable[[str], None],
    *,
    before: str | None = None,
    after: str | None = None,
    to_end: bool = False,
    wanted: bool = True,
) -> list[Item]:
    """Give a waiting item another place (by default the first) and return the queue as it is then."""
    if sum((before is not None, after is not None, to_end)) > 1:
        raise UsageError("one place at a time", hint=f"dreamerlab queue move {text} --before ITEM")
    items = queue_items(workspace)
    moved = find_item(items, text)
    others = [item for item in items if item.id != moved.id]
    place = 0
    if to_end:
        place = len(others)
    elif before is not None or after is not None:
        anchor = find_item(items, before or after or "")
        if anchor.id == moved.id:
            raise UsageError(f"{moved.id} cannot stand beside itself", hint="name another item: dreamerlab queue")
        place = others.index(anchor) + (after is not None)
    ranks = _ranks(others, moved, place)
    for item_id, rank in ranks.items():
        append(workspace, item_id, MOVED, {"rank": rank}, report=warn)
    if ranks:
        publish(workspace, list(ranks), f"Move {moved.id} in the queue", warn, wanted=wanted)
    return queue_items(workspace)


def drop(
    workspace: Workspace,
    text: str,
    why: str | None,
    warn: Callable[[str], None],
    *,
    became: str | None = None,
    wanted: bool = True,
) -> Item:
    """Take an item off the queue for a reason, or because an idea became a hypothesis; return it."""
    item = find_item(queue_items(workspace), text)
    if item.runnable:
        if became is not None:
            raise UsageError(f"{item.id} is a hypothesis already", hint=f'dreamerlab queue drop {item.id} --why "..."')
        withdraw(workspace, item.id, why, warn, wanted=wanted)
        return item
    if became is None and not (why or "").strip():
        raise UsageError(
            f"dropping {item.id} needs a reason, or the hypothesis it became",
            hint=f'dreamerlab queue drop {item.id} --why "...", or --became H7',
        )
    data = {"why": why} if became is None else {"hypothesis": registry_of(workspace).find(became)}
    event, done = (DROPPED, "Drop") if became is None else (FILED, "File")
    append(workspace, item.id, event, data, provided=_still_waiting, report=warn)
    publish(workspace, [item.id], f"{done} idea {item.id}", warn, wanted=wanted)
    return item


def find_item(items: Sequence[Item], text: str) -> Item:
    """Return the waiting item meant by its place (`2`), id, unique prefix or name."""
    if text.isdigit():
        if 1 <= int(text) <= len(items):
            return items[int(text) - 1]
        raise NotFound(f"the queue has {len(items)} items, no number {text}", hint="dreamerlab queue")
    known = {item.name: item for item in items if item.name is not None} | {item.id: item for item in items}
    if text in known:
        return known[text]
    found = [item for item in items if letter_of(text) and _fits(item.id, text)]
    if len(found) == 1:
        return found[0]
    if found:
        raise Conflict(f"'{text}' could be {' or '.join(item.id for item in found)}", hint="give the whole id")
    raise NotFound(
        f"nothing called '{text[:80]}' waits in the queue{did_you_mean(text, known)}", hint="dreamerlab queue"
    )


def _fits(item_id: str, text: str) -> bool:
    parsed = parse_id(item_id, item_id[0])
    return parsed is not None and bool(matching([parsed], text))


def _still_queued(record: Record) -> None:
    state = fold(record)
    if state.phase != QUEUED:
        raise Conflict(f"{state.id} is {state.phase}: it left the queue", hint="dreamerlab queue")


def _still_waiting(record: Record) -> None:
    entry = entry_of(record)
    if not _is_waiting(entry):
        raise GateRefused(f"{entry.id} left the queue already", hint="dreamerlab queue")


def _is_waiting(entry: Entry) -> bool:
    return entry.kind == IDEA and entry.dropped is None and entry.filed is None


def _hypothesis_item(state: Hypothesis) -> Item:
    proposal = state.proposal
    rank = _rank(state.rank, proposal.extra, state.proposed_at, state.id)
    return Item(state.id, True, proposal.sentence, proposal.name, None, _text(proposal.extra.get("source")), rank)


def _idea_item(entry: Entry) -> Item:
    rank = _rank(entry.rank, entry.data, entry.time, entry.id)
    text = entry.text or entry.fields.get("change", "")
    name = _text(entry.data.get("name"))
    return Item(entry.id, False, text, name, entry.fields.get("needs"), entry.fields.get("source"), rank)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _rank(moved_to: float | None, data: Mapping[str, Any], time: str, record_id: str) -> float:
    """Return the place in the queue: where it was moved to, else where its file had it, else last when it came."""
    if moved_to is not None:
        return moved_to
    given = data.get("rank")
    return float(given) if isinstance(given, int | float) else _first_rank(time, record_id)


def _first_rank(time: str, record_id: str) -> float:
    """Return the second in which an item was written, and a fraction by its number."""
    try:
        seconds = datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        seconds = 0.0
    number = record_id[1:].partition("-")[0]
    return seconds + min(int(number), 999_999) / 1e6 if number.isdigit() else seconds


def _ranks(others: Sequence[Item], moved: Item, place: int) -> dict[str, float]:
    """Return the new ranks that bring `moved` to `place` among the others: its own, or where two touch, all of them."""
    if not others:
        return {}
    low = others[place - 1].rank if place else others[0].rank - 2.0
    high = others[place].rank if place < len(others) else others[-1].rank + 2.0
    middle = (low + high) / 2
    if low < middle < high:
        return {moved.id: middle}
    ordered = [*others[:place], moved, *others[place:]]
    return {item.id: float(number) for number, item in enumerate(ordered, start=1)}
