"""Zones: what kind of decision a config leaf is, and therefore what a difference in it means.

A leaf is declared with `leaf(...)`, which attaches its zone, unit, range and the conditions of DESIGN section 2
(`active_when`, `only_when`, `absent_means`) to the pydantic field. Nothing here knows any particular leaf.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field


class Zone(StrEnum):
    """Every leaf lies in exactly one zone (M-GATE-01)."""

    ARCHITECTURE = "ARCHITECTURE"
    """What the networks are; part of the family."""
    ENVIRONMENT = "ENVIRONMENT"
    """What the task is; part of the family."""
    DYNAMICS = "DYNAMICS"
    """How training proceeds; the zone of ordinary hypotheses."""
    EVALUATION = "EVALUATION"
    """How a run is scored; must be equal between compared runs."""
    BUDGET = "BUDGET"
    """How long training lasts; must be equal between compared runs."""
    EXECUTION = "EXECUTION"
    """Where and how the same computation runs; a difference is a caveat."""
    BOOKKEEPING = "BOOKKEEPING"
    """What is written down, and how often; never changes a result."""


Operator = Literal["==", "!=", ">"]
Condition = tuple[str, Operator, object]
MISSING: Any = object()
"""Stands for "this leaf existed from the start": it has no value that means absent."""


@dataclass(frozen=True)
class Leaf:
    """What is declared of one config leaf beside its type, default and docstring."""

    zone: Zone
    unit: str = ""
    active_when: tuple[Condition, ...] = ()
    """The leaf acts when ANY of these holds on the resolved config; empty means always."""
    only_when: tuple[Condition, ...] = ()
    """And only where ALL of these hold: what a whole group of leaves needs, such as their family of models."""
    absent_means: Any = MISSING
    """The value that reproduces behaviour from before the leaf existed; MISSING for a founding leaf."""


def leaf(
    default: Any,
    zone: Zone,
    *,
    unit: str = "",
    active_when: tuple[Condition, ...] = (),
    only_when: tuple[Condition, ...] = (),
    absent_means: Any = MISSING,
    **bounds: Any,
) -> Any:
    """Declare a config leaf; `bounds` are pydantic's (`ge`, `gt`, `le`, `lt`, `min_length`, ...)."""
    declared = Leaf(zone, unit, active_when, only_when, absent_means)
    return Field(default=default, json_schema_extra={"leaf": declared}, **bounds)  # type: ignore[arg-type]


def holds(condition: Condition, flat: dict[str, object]) -> bool:
    """Tell whether `condition` is true of a flat resolved config."""
    key, operator, wanted = condition
    seen = flat[key]
    if operator == "==":
        return seen == wanted
    if operator == "!=":
        return seen != wanted
    assert isinstance(seen, int | float), (key, seen)
    assert isinstance(wanted, int | float), (key, wanted)
    return seen > wanted
