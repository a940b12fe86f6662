"""Programs of the training wing run in a process of their own: what they print is read, their errors keep their kind.

A program prints one line of JSON; on stderr lines that begin with `progress: ` or `warning: ` are said as they are, and
`error: ` with its hint is raised again. A process that is left by Ctrl-C or SIGTERM leaves none behind.
"""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

from dreamerlab.errors import (
    Conflict,
    GateRefused,
    LabError,
    NotFound,
    ToolFailed,
    TrialFailed,
    UsageError,
)
from dreamerlab.launch.trainer import code_environment

if TYPE_CHECKING:
    from dreamerlab.lab.execute import Voice

_RELAYED = (UsageError, GateRefused, NotFound, Conflict, ToolFailed)


@contextmanager
def asked_to_end() -> Generator[None]:
    """Take SIGTERM for Ctrl-C inside a block, so that what is to be tidied up is."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_json(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], voice: Voice, *, whose: str, broken: str
) -> Any:
    """Run a command in `folder` and return the JSON it printed last; its progress is said.

    An error it names keeps its kind; TrialFailed for anything else it ends with: `whose` opens the message of an error
    of no known kind, `broken` that of an end without a word.
    """
    lines: list[str] = []
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches this process, which then ends that one
        )
        with asked_to_end():
            try:
                assert process.stderr is not None
                for line in process.stderr:
                    if line.startswith("progress: "):
                        voice.say(f"  {line.removeprefix('progress: ').strip()}")
                    else:
                        lines.append(line.rstrip())
                code = process.wait()
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                if process.stderr is not None:
                    process.stderr.close()
        out.seek(0)
        said = out.read()
    if code != 0:
        raise _failure(code, lines, whose, broken)
    for line in lines:
        if line.startswith("warning: "):
            voice.warn(line.removeprefix("warning: "))
    try:
        return json.loads(said.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise _failure(code, lines, whose, broken) from None


def ask(command: Sequence[str], folders: Sequence[Path], timeout_s: float, late: str) -> CompletedProcess[str]:
    """Run a short program that finds modules in `folders`, and return what it printed; ToolFailed `late` by time."""
    try:
        return subprocess.run(
            command,
            env=code_environment(folders),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"{late} within {timeout_s} s") from None


def printed_error(text: str) -> tuple[str, str | None] | None:
    """Return the message and the hint of the last `error: ` that was printed; None where there is none."""
    start = text.rfind("error: ")
    if start < 0:
        return None
    message, _, hint = text[start + len("error: ") :].strip().partition("\n\nhint: ")
    return message, hint or None


def last_line(text: str, otherwise: str = "it printed nothing") -> str:
    """Return the last line that says anything."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), otherwise)


def _failure(code: int, lines: list[str], whose: str, broken: str) -> LabError:
    text = "\n".join(lines)
    start, said = text.rfind("error: "), printed_error(text)
    if said is not None and (start == 0 or text[start - 1] == "\n"):
        message, hint = said
        kind = next((kind for kind in _RELAYED if kind.exit_code == code), None)
        return TrialFailed(f"{whose}: {message}", hint=hint) if kind is None else kind(message, hint=hint)
    return TrialFailed(f"{broken}: {last_line(text, f'exit code {code}, and nothing was said')[:300]}")
