"""`python -m dreamerlab.envs.hockey.verify`: does an installation of the game play what is on record?

One JSON line on stdout, or `error: ...` with a hint on stderr; exit code 0 when all is equal, 6 when something differs.
The light wing asks this in a process of its own (`dreamerlab hockey verify`). Imports no torch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from dreamerlab.envs.hockey.backend import BACKENDS, game_class, upstream
from dreamerlab.envs.hockey.recording import Arrays, first_deviation, recorded, replayed
from dreamerlab.envs.hockey.recording_files import load, save
from dreamerlab.errors import FindingsReported, LabError, UsageError

GOLDEN = Path(__file__).parents[3] / "tests" / "envs" / "hockey" / "data" / "golden.npz"
"""The recording of upstream that comes with the source."""


def verify(backend: str, golden: Path) -> dict[str, Any]:
    """Replay a recording; return `backend`, `golden`, `games`, `steps`, `goals` and the first `deviation` or None."""
    arrays = load(golden)
    return {"backend": backend, "golden": str(golden), **_compared(arrays, _maker(backend))}


def record(backend: str, path: Path, games: int, seed: int) -> dict[str, Any]:
    """Record fresh games of a backend in `path`, replay them on our own game, and return as `verify` does."""
    arrays = recorded(_maker(backend), games, seed)
    versions = {name: _version(name) for name in ("box2d", "numpy", "gymnasium", "hockey")}
    save(path, arrays, {"backend": backend, "python": platform.python_version(), **versions, "seed": str(seed)})
    return {"backend": "builtin", "recorded": backend, "golden": str(path), **_compared(arrays, _maker("builtin"))}


def _compared(arrays: Arrays, make: Callable[..., Any]) -> dict[str, Any]:
    found = first_deviation(arrays, replayed(arrays, make))
    last = arrays["ep_start"] + arrays["ep_length"] - 1
    goals = int(np.count_nonzero(arrays["step_winner"][last[arrays["ep_length"] > 0]]))
    counts = {"games": len(arrays["ep_seed"]), "steps": len(arrays["step_action"]), "goals": goals}
    return {**counts, "deviation": None if found is None else str(found)}


def _maker(backend: str) -> Callable[..., Any]:
    """Return upstream's own class where it is meant, so that what is compared is not the adapter."""
    made = game_class(backend)
    if made is game_class("builtin"):
        return made
    module = upstream()
    return lambda keep_mode, mode: module.HockeyEnv(keep_mode=keep_mode, mode=module.Mode(mode))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint="python -m dreamerlab.envs.hockey.verify --help")


def main(argv: Sequence[str]) -> int:
    """Run as a command; return the exit code."""
    parser = _Parser(prog="python -m dreamerlab.envs.hockey.verify", description="Play recorded games again.")
    parser.add_argument("--golden", type=Path, default=GOLDEN, metavar="FILE", help="the recording to replay")
    parser.add_argument("--record", type=Path, metavar="FILE", help="make a fresh recording instead")
    parser.add_argument("--backend", choices=BACKENDS, default="builtin", help="whose game it is")
    parser.add_argument("--games", type=int, default=235, metavar="N", help="games in a fresh recording")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="what a fresh recording is drawn from")
    try:
        asked = parser.parse_args(argv)
        if asked.games < 1 or asked.seed < 0:
            raise UsageError(f"--games is {asked.games} and --seed {asked.seed}", hint="at least 1 game, seeds from 0")
        with contextlib.redirect_stdout(sys.stderr):
            if asked.record is not None:
                found = record(asked.backend, asked.record, asked.games, asked.seed)
            else:
                found = verify(asked.backend, asked.golden)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(found))
    return FindingsReported.exit_code if found["deviation"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
