"""What differs between two configs, leaf by leaf, with zone and origin: the question behind every gate and comparison.

Works on flat dicts, resolved today or recorded by any version: a leaf missing on one side counts as its `absent_means`
when it has one, so a record from before the leaf existed differs only where behaviour differs (DESIGN section 2).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from dreamerlab.config.catalogue import LeafInfo, leaves
from dreamerlab.config.record import spell
from dreamerlab.config.zones import Zone
from dreamerlab.tables import Table


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Final = _Absent()
"""Stands for a leaf that a record does not have and for which no value means absent."""


@dataclass(frozen=True)
class Difference:
    """One leaf that has different values in config a and config b; `zone` is None for a leaf unknown today."""

    key: str
    zone: Zone | None
    a: object
    b: object
    origin_a: str = ""
    origin_b: str = ""


def diff(
    a: Mapping[str, object],
    b: Mapping[str, object],
    origins_a: Mapping[str, str] | None = None,
    origins_b: Mapping[str, str] | None = None,
    *,
    known: Mapping[str, LeafInfo] | None = None,
) -> list[Difference]:
    """Return the leaves in which two flat configs differ, grouped by zone, in the order of the schema within a zone."""
    known = leaves() if known is None else known
    origins_a, origins_b = origins_a or {}, origins_b or {}
    keys = [key for key in known if key in a or key in b] + sorted({*a, *b} - set(known))
    found: list[Difference] = []
    for key in keys:
        value_a, value_b = _value(key, a, known), _value(key, b, known)
        if canonical(value_a) != canonical(value_b):
            zone = known[key].zone if key in known else None
            found.append(Difference(key, zone, value_a, value_b, origins_a.get(key, ""), origins_b.get(key, "")))
    order = {zone: index for index, zone in enumerate(Zone)}
    return sorted(found, key=lambda d: order[d.zone] if d.zone is not None else len(order))


def diff_table(differences: Sequence[Difference], name_a: str = "a", name_b: str = "b") -> Table:
    """Return the differences as a table: zone, key, both values and where each came from."""
    table = Table(("zone", "key", name_a, name_b, f"origin of {name_a}", f"origin of {name_b}"))
    for d in differences:
        zone = "unknown here" if d.zone is None else d.zone.value
        table.add(zone, d.key, show(d.a), show(d.b), d.origin_a or None, d.origin_b or None)
    return table


def show(value: object) -> str:
    """Return a value as the YAML of a config spells it; `(absent)` where there is none."""
    return repr(value) if value is ABSENT else spell(value)


def canonical(value: object) -> str:
    """Return a text that is equal for equal values: lists and tuples, 1 and 1.0, 0.0 and -0.0 do not differ.

    A truth value is no number: true and 1 do differ.
    """
    if isinstance(value, tuple | list):
        return "[" + ",".join(canonical(item) for item in cast("Sequence[object]", value)) + "]"
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return str(int(value))
    return repr(value) if value is ABSENT else json.dumps(value, sort_keys=True)


def _value(key: str, flat: Mapping[str, object], known: Mapping[str, LeafInfo]) -> object:
    if key in flat:
        return flat[key]
    return known[key].absent_means if key in known and not known[key].founding else ABSENT
