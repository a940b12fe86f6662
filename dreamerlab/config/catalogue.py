"""The catalogue of config leaves: what `schema.py` declares, as plain data for everyone who does not validate.

`config explain`, the reference page, diffs, families and error messages all read leaves from here, in the words a
person would use ("integer 1..64, or null") rather than the validator's. Values are `layers.py`'s business.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dreamerlab.config.zones import MISSING, Condition, Leaf, Zone, holds

FAMILY_ZONES = frozenset({Zone.ARCHITECTURE, Zone.ENVIRONMENT})


@dataclass(frozen=True)
class LeafInfo:
    """One config leaf, described for people and for generic code."""

    key: str
    zone: Zone
    unit: str
    type_text: str
    """What may be written, without the range: `integer`, `true or false`, `one of a, b`, `[number, number]`."""
    range_text: str
    """The accepted range, `1..64` or `> 0 and <= 1`; empty when any value of the type will do."""
    default: object
    docstring: str
    choices: tuple[str, ...] = ()
    """The closed vocabulary of a text leaf, empty when it is open."""
    active_when: tuple[Condition, ...] = ()
    only_when: tuple[Condition, ...] = ()
    absent_means: Any = MISSING

    @property
    def section(self) -> str:
        """The group the leaf belongs to, `optimizer` of `optimizer.lr_actor`."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The last part of the key, `lr_actor` of `optimizer.lr_actor`."""
        return self.key.rpartition(".")[2]

    @property
    def accepts(self) -> str:
        """Type and range in one phrase, as error messages and the reference page show it."""
        kind, _, null = self.type_text.partition(" or null")
        ranged = f"{kind} {self.range_text}".rstrip()
        return f"{ranged}, or null{null}" if " or null" in self.type_text else ranged

    @property
    def founding(self) -> bool:
        """Tell whether the leaf exists since the first schema: it then has no value that means absent."""
        return self.absent_means is MISSING

    @property
    def active_text(self) -> str:
        """When the leaf acts, such as `behavior.bootstrap == slow`; empty when always."""
        needed, either = (
            [f"{key} {operator} {wanted}" for key, operator, wanted in conditions]
            for conditions in (self.only_when, self.active_when)
        )
        if needed and len(either) > 1:
            either = [f"({' or '.join(either)})"]
        return " and ".join([*needed, *([" or ".join(either)] if either else [])])


@cache
def leaves() -> Mapping[str, LeafInfo]:
    """Return every leaf of the configuration by its dotted key, in the order of the schema."""
    from dreamerlab.config.schema import Config

    return types.MappingProxyType(leaves_of(Config))


def leaves_of(model: type[BaseModel], prefix: str = "") -> dict[str, LeafInfo]:
    """Return the leaves of any schema made of sections and `zones.leaf` fields."""
    found: dict[str, LeafInfo] = {}
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found.update(leaves_of(field.annotation, f"{key}."))
        else:
            found[key] = _describe(key, field)
    return found


def sections() -> tuple[str, ...]:
    """Return the names of the groups of leaves, in the order of the schema."""
    return tuple(dict.fromkeys(info.section for info in leaves().values()))


def section_docstring(section: str) -> str:
    """Return what a group of leaves is about."""
    from dreamerlab.config.schema import Config

    annotation = Config.model_fields[section].annotation
    assert annotation is not None, section
    return (annotation.__doc__ or "").strip()


def inactive_leaves(flat: Mapping[str, object]) -> dict[str, str]:
    """Return the leaves that do nothing under the resolved config `flat`, each with what would make it act.

    A change of such a leaf cannot have an effect, so proposing one is refused (DESIGN section 2). What an old record
    does not have is at the value that means absent; where there is no such value, a condition on it is taken as met:
    better to let a change through than to refuse it wrongly.
    """
    known = {key: info.absent_means for key, info in leaves().items() if not info.founding} | dict(flat)

    def met(condition: Condition) -> bool:
        return condition[0] not in known or holds(condition, known)

    inert: dict[str, str] = {}
    for key, info in leaves().items():
        either = info.active_when
        if not all(map(met, info.only_when)) or (either and not any(map(met, either))):
            inert[key] = info.active_text
    return inert


def find_leaves(tail: str, vocabulary: Iterable[str] | None = None) -> list[str]:
    """Return the keys that `tail` may mean: the key itself, or every key that ends in `.tail`."""
    keys = list(leaves() if vocabulary is None else vocabulary)
    if tail in keys:
        return [tail]
    return [key for key in keys if key.endswith(f".{tail}")]


def _describe(key: str, field: FieldInfo) -> LeafInfo:
    extra = cast("dict[str, object] | None", field.json_schema_extra)
    declared = (extra or {}).get("leaf")
    assert isinstance(declared, Leaf), f"{key} is not declared with leaf(...)"
    assert field.description, f"{key} has no docstring"
    return LeafInfo(
        key=key,
        zone=declared.zone,
        unit=declared.unit,
        type_text=_type_text(field.annotation),
        range_text=_range_text(field.metadata),
        default=field.default,
        docstring=" ".join(field.description.split()),
        choices=_choices(field.annotation),
        active_when=declared.active_when,
        only_when=declared.only_when,
        absent_means=declared.absent_means,
    )


def _type_text(annotation: Any) -> str:
    plain = {int: "integer", float: "number", bool: "true or false", str: "text", type(None): "null"}
    if annotation in plain:
        return plain[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        words = ", ".join(str(word) for word in arguments)
        return f"one of {words}" if len(arguments) > 1 else f"'{words}'"
    if origin in (Union, types.UnionType):
        return " or ".join(_type_text(part) for part in arguments)
    assert origin is tuple, annotation
    if arguments[1:] == (...,):
        return f"[{_type_text(arguments[0])}, ...]"
    return "[" + ", ".join(_type_text(part) for part in arguments) + "]"


def _choices(annotation: Any) -> tuple[str, ...]:
    return tuple(get_args(annotation)) if get_origin(annotation) is Literal else ()


def _range_text(metadata: Iterable[Any]) -> str:
    names = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern")
    found = ((name, getattr(mark, name, None)) for mark in metadata for name in names)
    bounds: dict[str, Any] = {name: value for name, value in found if value is not None}
    low, high = bounds.get("ge"), bounds.get("le")
    if low is not None and high is not None and "gt" not in bounds and "lt" not in bounds:
        step = f" in steps of {_bound(bounds['multiple_of'])}" if "multiple_of" in bounds else ""
        return f"{_bound(low)}..{_bound(high)}{step}"
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    parts = [f"{sign} {_bound(bounds[name])}" for name, sign in signs.items() if name in bounds]
    if "max_length" in bounds:
        allowed = bounds.get("pattern", "").removeprefix("^[").removesuffix("]+$")
        drawn = f" out of {allowed}" if allowed else ""
        parts.append(f"of {bounds.get('min_length', 0)}..{bounds['max_length']} characters{drawn}")
    return " and ".join(parts)


def _bound(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)
