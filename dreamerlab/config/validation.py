"""From a flat dict of leaves to a validated Config, or to every problem in it at once, in plain words.

`from_flat` is the only way a Config is built from outside values. A problem names the key, the value seen, where the
value came from, and what is accepted; the validator's own wording never reaches a user. Where values come from is
`layers.py`; what each key accepts is `catalogue.py`; how much memory a config may ask for is `limits.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from dreamerlab.config.catalogue import LeafInfo, find_leaves, leaves, sections
from dreamerlab.config.limits import too_large
from dreamerlab.config.schema import Config
from dreamerlab.config.strict_yaml import shorten
from dreamerlab.errors import ConfigError, did_you_mean

MAX_SHOWN = 30
"""Problems printed of one config; more than this is not a config but the wrong file."""


def from_flat(flat: Mapping[str, object], origins: Mapping[str, str] | None = None) -> Config:
    """Return the Config that the dotted keys of `flat` describe; leaves not given keep their defaults.

    Raises one ConfigError listing every problem, each with the origin of its value where `origins` has it.
    """
    config, problems = validate(flat, origins or {})
    if config is None:
        raise config_error(problems)
    return config


def flatten(config: Config) -> dict[str, object]:
    """Return the leaves of `config` by dotted key, in the order of the schema."""
    flat: dict[str, object] = {}

    def visit(section: BaseModel, prefix: str) -> None:
        for name in type(section).model_fields:
            value = getattr(section, name)
            if isinstance(value, BaseModel):
                visit(value, f"{prefix}{name}.")
            else:
                flat[f"{prefix}{name}"] = value

    visit(config, "")
    return flat


def validate(flat: Mapping[str, object], origins: Mapping[str, str]) -> tuple[Config | None, list[str]]:
    """Return the Config and no problem, or None and one line per problem."""
    known = leaves()
    problems: list[str] = []
    nested: dict[str, dict[str, object]] = {}
    for key, value in flat.items():
        if key in known:
            info = known[key]
            nested.setdefault(info.section, {})[info.name] = _as_tuple(value)
        elif not (key in sections() and value is None):  # a section with nothing under it is empty, not wrong
            problems.append(_unknown(key, origins, with_nearest=len(problems) < MAX_SHOWN))
    try:
        config = Config.model_validate(nested)
    except ValidationError as error:
        return None, [*problems, *_translate(error, flat, origins)]
    problems += too_large(config)
    return (None, problems) if problems else (config, [])


def _as_tuple(value: object) -> object:
    """Lists are tuples inside a config, whose values never change."""
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def config_error(problems: Sequence[str]) -> ConfigError:
    """Return one error that lists every problem, a line each."""
    shown = list(dict.fromkeys(problems))
    if len(shown) == 1:
        return ConfigError(shown[0], hint=_HINT)
    rest = [f"... and {len(shown) - MAX_SHOWN} more"] if len(shown) > MAX_SHOWN else []
    listing = "\n".join(f"  {line}" for line in [*shown[:MAX_SHOWN], *rest])
    return ConfigError(f"{len(shown)} problems in the configuration:\n{listing}", hint=_HINT)


_HINT = "`dreamerlab config explain KEY` shows what a key accepts; without KEY it lists all keys"


def _unknown(key: str, origins: Mapping[str, str], *, with_nearest: bool) -> str:
    where = _where(key, origins)
    parent = key.rpartition(".")[0]
    if parent in leaves():
        return f"{key}{where}: {parent} is a value, not a group of keys"
    if key in sections():
        names = ", ".join(info.name for info in leaves().values() if info.section == key)
        return f"{key}{where}: this is a group of keys, not a value; its keys are {names}"
    shown = key if re.fullmatch(r"[A-Za-z0-9_.]{1,80}", key) else shorten(key)
    return f"{shown}{where}: no such key{did_you_mean(key[:80], leaves()) if with_nearest else ''}"


def unknown_tail(tail: str, origin: str) -> str | None:
    """Return the problem with a key or key tail that names no leaf, or several; None when it names exactly one."""
    candidates = find_leaves(tail)
    if len(candidates) == 1:
        return None
    if candidates:
        return f"{tail} ({origin}): may be any of {', '.join(candidates)}; write one of them"
    return _unknown(tail, {tail: origin}, with_nearest=True)


def _translate(error: ValidationError, flat: Mapping[str, object], origins: Mapping[str, str]) -> list[str]:
    """Turn the validator's report into our words; a leaf with several complaints gives one problem."""
    problems: dict[str, str] = {}
    for item in error.errors(include_url=False):
        path = [str(part) for part in item["loc"]]
        key = next((k for n in range(len(path), 0, -1) if (k := ".".join(path[:n])) in leaves()), None)
        if key is not None:
            problems[key] = _refused(leaves()[key], flat[key], origins)
        else:  # a rule over several leaves of one section, in the words of schema.py
            text = str(item.get("ctx", {}).get("error", item["msg"]))
            named = [k for k in leaves() if re.search(rf"\b{re.escape(k)}\b", text) and k in origins]
            problems[text] = text + "".join(f" ({k}: {origins[k]})" for k in named if origins[k] != "default")
    return list(problems.values())


def _refused(info: LeafInfo, value: object, origins: Mapping[str, str]) -> str:
    advice = _advice(info, value)
    return f"{info.key}{_where(info.key, origins)}: got {_shown(value)}, accepted: {info.accepts}{advice}"


def _where(key: str, origins: Mapping[str, str]) -> str:
    return f" ({origins[key]})" if key in origins else ""


def _shown(value: object) -> str:
    return f"the text {shorten(value)}" if isinstance(value, str) else shorten(value)


def _advice(info: LeafInfo, value: Any) -> str:
    """Say what was probably meant, where that is plain; nothing is ever converted silently."""
    if isinstance(value, str) and info.choices:
        return did_you_mean(value[:80], info.choices)
    if info.type_text == "true or false" and str(value).lower() in _TRUTH:
        return f"; write {_TRUTH[str(value).lower()]}"
    if info.type_text.startswith("integer"):
        if isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) < 1e15:
            return f"; write {int(value)}"
        thousands = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]+)?)([kM])", str(value))
        if thousands:
            return f"; write {round(float(thousands[1]) * {'k': 1_000, 'M': 1_000_000}[thousands[2]])}"
    return ""


_TRUTH = {
    "yes": "true",
    "y": "true",
    "on": "true",
    "1": "true",
    "no": "false",
    "n": "false",
    "off": "false",
    "0": "false",
}
