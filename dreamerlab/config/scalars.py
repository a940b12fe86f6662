"""What an unquoted word in a configuration means, after YAML 1.2: `1e-3` is a number, and `no` is the text "no".

Apart from the parser, so that what only reads our own records needs no YAML library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)")
_FLOAT = re.compile(r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)")
_NOT_FINITE = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}


@dataclass(frozen=True)
class Entry:
    """One value: its dotted key, the value (lists as tuples) and the line it stands on, from 1."""

    key: str
    value: object
    line: int


def scalar(text: str) -> object:
    """Return what an unquoted scalar means: None, a bool, an int, a float, or the text itself."""
    if text in ("", "~") or text.lower() == "null":
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if (special := _NOT_FINITE.get(text.lower())) is not None:
        return float(special)
    return text
