"""Where words go: data to stdout, talk to stderr, colour only where it is wanted.

Owns streams, not wording. Talk never raises: a training run must survive the terminal it was started from.
Data does raise BrokenPipeError, which `main` turns into a quiet end (`dreamerlab list | head`).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TextIO, cast

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}
_RED, _YELLOW, _CYAN = "31", "33", "36"


def prepare_streams() -> None:
    """Make every text printable: what an encoding lacks is written as an escape instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def emit(text: str) -> None:
    """Print data to stdout."""
    sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()


def emit_json(data: object) -> None:
    """Print data to stdout as indented JSON; numbers that JSON lacks (nan, inf) become their names."""
    sys.stdout.write(json_text(data) + "\n")
    sys.stdout.flush()


def json_text(data: object) -> str:
    """Return data as indented JSON; numbers that JSON lacks (nan, inf) become their names."""
    return json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False)


def say(text: str) -> None:
    """Print talk to stderr."""
    _talk(printable(text))


def warn(text: str) -> None:
    """Print a warning to stderr."""
    _talk(f"{_painted('warning:', _YELLOW)} {printable(text)}")


def say_error(message: str, hint: str | None) -> None:
    """Print an error to stderr, and below it what mends it."""
    _talk(f"{_painted('error:', _RED)} {printable(message)}")
    if hint is not None:
        _talk(f"\n{_painted('hint:', _CYAN)} {printable(hint)}")


def ask(question: str) -> bool | None:
    """Ask on stderr and return whether the answer was yes; None where no terminal can answer."""
    try:
        if not sys.stdin.isatty():
            return None
    except (AttributeError, ValueError):  # there is no stdin, or it is closed
        return None
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{printable(question)} [y/N] ")
        sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def is_live_terminal(stream: TextIO) -> bool:
    """Tell whether a table may be redrawn in place on `stream`."""
    try:
        return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    except ValueError:  # the stream is closed
        return False


def screen_width() -> int | None:
    """Return how many columns stdout shows; None where it is no terminal, and as wide as need be."""
    try:
        if not sys.stdout.isatty():
            return None
    except ValueError:  # the stream is closed
        return None
    return shutil.get_terminal_size().columns


def has_unicode(stream: TextIO) -> bool:
    """Tell whether `stream` can carry block characters, and the user has not asked for plain output."""
    encoding = (stream.encoding or "ascii").lower().replace("-", "")
    return encoding.startswith("utf") and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def printable(text: str) -> str:
    """Return `text` with control characters escaped, so that no file name or value can drive the terminal."""
    return text.translate(_CONTROL)


def _talk(text: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _painted(word: str, colour: str) -> str:
    wanted = "NO_COLOR" not in os.environ and is_live_terminal(sys.stderr)
    return f"\x1b[{colour}m{word}\x1b[0m" if wanted else word


def _finite(data: object) -> object:
    if isinstance(data, float):
        return data if data - data == 0 else str(data)
    if isinstance(data, Mapping):
        return {str(key): _finite(value) for key, value in cast("Mapping[object, object]", data).items()}
    if isinstance(data, Sequence) and not isinstance(data, str):
        return [_finite(value) for value in cast("Sequence[object]", data)]
    return data
