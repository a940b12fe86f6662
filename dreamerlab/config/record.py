"""The config as it is written into a run and read back by today's trainer.

`to_yaml` and `load_config` round-trip exactly. Reading the record of any version as a flat dict is `recorded.py`,
offered here as well. Layers and overrides are `layers.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from dreamerlab.config.catalogue import leaves
from dreamerlab.config.recorded import RENAMES, SCHEMA, Rename, load_recorded, read_record
from dreamerlab.config.scalars import scalar
from dreamerlab.config.schema import Config
from dreamerlab.config.validation import flatten, from_flat
from dreamerlab.errors import ConfigError

__all__ = ["RENAMES", "SCHEMA", "Rename", "config_of_record", "load_config", "load_recorded", "original_name"]
__all__ += ["spell", "to_yaml"]


def to_yaml(config: Config) -> str:
    """Return `config` as YAML, one line per leaf under its section; `load_config` gives back an equal Config."""
    lines = [f"schema: {SCHEMA}"]
    section = ""
    for key, value in flatten(config).items():
        info = leaves()[key]
        if info.section != section:
            section = info.section
            lines.append(f"{section}:")
        lines.append(f"  {info.name}: {spell(value)}")
    return "\n".join(lines) + "\n"


def load_config(path: Path, renames: Sequence[Rename] = RENAMES) -> Config:
    """Return the validated Config recorded at `path` (`config_of_record`), each problem with its line."""
    schema, entries = read_record(path, renames)
    if schema > SCHEMA:
        raise ConfigError(
            f"{path} was recorded by a later version (schema {schema}, this one knows {SCHEMA})",
            hint="run it with the version of dreamerlab that recorded it",
        )
    flat = {entry.key: entry.value for entry in entries}
    return config_of_record(flat, {entry.key: f"{path}:{entry.line}" for entry in entries})


def config_of_record(recorded: Mapping[str, object], origins: Mapping[str, str]) -> Config:
    """Return the validated Config of a recorded flat dict; a leaf younger than the record gets its `absent_means`."""
    absent = {key: info.absent_means for key, info in leaves().items() if not info.founding}
    return from_flat({**absent, **recorded}, origins)


def original_name(key: str, renames: Sequence[Rename] = RENAMES) -> str:
    """Return what the first schema that had this leaf called it; families hash this name, so a rename keeps them."""
    for rename in sorted(renames, key=lambda rename: rename.schema, reverse=True):
        if key == rename.new:
            key = rename.old
    return key


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_YAML_1_1_WORDS = {"y", "n", "yes", "no", "on", "off"}


def spell(value: object) -> str:
    """Spell one value so that YAML 1.1 and 1.2 readers agree on it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return "[" + ", ".join(spell(item) for item in cast("tuple[object, ...]", value)) + "]"
    if isinstance(value, float):
        shown = repr(value)
        return shown if "." in shown or "e" not in shown else shown.replace("e", ".0e")
    if isinstance(value, int):
        return str(value)
    assert isinstance(value, str), value
    if _PLAIN.fullmatch(value) and scalar(value) == value and value.lower() not in _YAML_1_1_WORDS:
        return value
    return '"' + "".join(_escape(char) for char in value) + '"'


def _escape(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"
