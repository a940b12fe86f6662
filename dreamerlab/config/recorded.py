"""Reading the config that a run recorded, of ANY version, as a flat dict, without the schema.

Keys renamed since are brought to today's name; everything else is kept as found and never validated, so that an old
run stays readable for ever (DESIGN section 2). Apart from `record.py`, which writes configs and reads them back whole,
because the schema is costly to import and a page that shows a run does without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dreamerlab.config.strict_yaml import Entry, YamlFault, read_entries
from dreamerlab.errors import ConfigError, NotFound

SCHEMA = 1
"""Version of the set of keys; raised by one whenever a leaf is renamed."""


@dataclass(frozen=True)
class Rename:
    """A leaf that records before schema version `schema` call `old` is called `new` from then on."""

    schema: int
    old: str
    new: str


RENAMES: tuple[Rename, ...] = ()


def load_recorded(path: Path, renames: Sequence[Rename] = RENAMES) -> dict[str, object]:
    """Return the leaves recorded at `path` by dotted key (lists as tuples), renamed to today's keys, not validated."""
    return {entry.key: entry.value for entry in read_record(path, renames)[1]}


def read_record(path: Path, renames: Sequence[Rename]) -> tuple[int, list[Entry]]:
    """Return the record's schema version and its entries under today's names; NotFound or ConfigError."""
    if not path.exists():
        raise NotFound(f"there is no recorded config at {path}")
    try:
        entries = read_entries(path)
    except YamlFault as fault:
        raise ConfigError(f"{path}:{fault.line}: {fault.reason}") from None
    schema = next((entry.value for entry in entries if entry.key == "schema"), 1)
    if type(schema) is not int:
        raise ConfigError(f"{path}: the schema version must be a whole number, got {schema!r}")
    return schema, [Entry(_today(e.key, schema, renames), e.value, e.line) for e in entries if e.key != "schema"]


def _today(key: str, schema: int, renames: Sequence[Rename]) -> str:
    for rename in sorted(renames, key=lambda rename: rename.schema):
        if rename.schema > schema and key == rename.old:
            key = rename.new
    return key
