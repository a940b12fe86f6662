"""Ids of records: a letter for the kind, a number for people, three random characters for identity (DESIGN section 2).

    R0012-9qd   a run          H0007-k3f   a hypothesis          E0003-x7q   an entry of the log

Ids are never renumbered; any unique prefix stands for the whole. Which records exist is known by their owners,
`runs.store` and `protocol.registry`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from dreamerlab.errors import UsageError

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID = re.compile(r"([A-Z])([0-9]{4,12})-([a-z0-9]{3})")
_PREFIX = re.compile(r"([A-Za-z])([0-9]{1,12})(?:-([a-z0-9]{0,3}))?")


class RecordId(NamedTuple):
    """A letter, a number and three random characters; orders by number."""

    letter: str
    number: int
    tail: str

    def __str__(self) -> str:
        return f"{self.letter}{self.number:04d}-{self.tail}"


def parse_id(text: str, letter: str) -> RecordId | None:
    """Return the parts of a full id of the kind `letter`, or None when `text` is something else."""
    match = _ID.fullmatch(text)
    return RecordId(letter, int(match[2]), match[3]) if match and match[1] == letter else None


def letter_of(text: str) -> str | None:
    """Return the capital letter when `text` looks like an id or a prefix of one (`h7`, `R12-9`), else None."""
    match = _PREFIX.fullmatch(text)
    return match[1].upper() if match else None


def matching(ids: Iterable[RecordId], text: str) -> list[RecordId]:
    """Return the ids that `text` may stand for: `R12` is number 12 exactly, `R12-9` narrows it down."""
    match = _PREFIX.fullmatch(text)
    if match is None:
        return []
    letter, number, tail = match[1].upper(), int(match[2]), match[3] or ""
    return [one for one in ids if one.letter == letter and one.number == number and one.tail.startswith(tail)]


def new_id(letter: str, number: int) -> RecordId:
    """Return an id with this number and a random tail."""
    import secrets  # only what creates records needs it

    return RecordId(letter, number, "".join(secrets.choice(ALPHABET) for _ in range(3)))


def refuse_path(text: str, what: str = "a run id", example: str = "R12 or R0012-9qd") -> None:
    """Refuse an id that could reach outside its folder, before the disk is touched."""
    if not text or len(text) > 80 or text.startswith(".") or any(character in text for character in "/\\\0"):
        raise UsageError(f"{text[:80]!r} is not {what}", hint=f"give the id alone, for example {example}")
