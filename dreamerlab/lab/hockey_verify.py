"""Ask whether an installation of the game of hockey plays what is on record, in a process of its own.

The light wing imports neither the engine nor gymnasium; `dreamerlab.envs.hockey.verify` does.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from dreamerlab.errors import LabError, NotFound, ToolFailed, UsageError
from dreamerlab.lab.programs import ask, last_line, printed_error
from dreamerlab.launch.trainer import installed_code

_TIMEOUT_S = 1800
_ERRORS: dict[int, type[LabError]] = {2: UsageError, 4: NotFound, 5: ToolFailed}


@dataclass(frozen=True)
class Verified:
    """What a replay has found; `deviation` is None when everything is equal."""

    backend: str
    golden: str
    games: int
    steps: int
    goals: int
    deviation: str | None
    recorded: str | None = None
    """Whose games were recorded just now."""


def verify(
    *, golden: Path | None, record: Path | None, backend: str, games: int | None = None, seed: int | None = None
) -> Verified:
    """Return what comes of a replay, or of a fresh recording; raise LabError as the process that does it."""
    command = [sys.executable, "-P", "-m", "dreamerlab.envs.hockey.verify", "--backend", backend]
    for flag, value in (("--golden", golden), ("--record", record)):
        command += [flag, str(value.absolute())] if value is not None else []
    for flag, number in (("--games", games), ("--seed", seed)):
        command += [flag, str(number)] if number is not None else []
    done = ask(command, installed_code(), _TIMEOUT_S, "the replay did not end")
    if done.returncode not in (0, 6):
        raise _relayed(done)
    facts: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return Verified(**facts)


def _relayed(done: CompletedProcess[str]) -> LabError:
    """Return the error that was printed, as it was, or the last line of a breakdown."""
    said, kind = printed_error(done.stderr), _ERRORS.get(done.returncode)
    if said is not None and kind is not None:
        return kind(said[0], hint=said[1])
    last = last_line(done.stderr)
    hint = "pip install 'dreamerlab[train,env]'" if "ModuleNotFoundError" in last or "ImportError" in last else None
    return ToolFailed(f"the game cannot be replayed: {last}", hint=hint)
