"""What is checked before a run is opened, so that nothing half-useless is left behind.

The training parts are installed, the environment can be made and is one we support, and the machine is free enough
for timings to mean something (M-PROT-21). Problems are errors; a busy machine is only a warning.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamerlab.errors import ToolFailed, UsageError
from dreamerlab.lab.programs import ask, last_line, printed_error
from dreamerlab.launch.local import physical_cores
from dreamerlab.launch.trainer import installed_code
from dreamerlab.runs.processes import trainers
from dreamerlab.runs.store import Workspace

if TYPE_CHECKING:
    from dreamerlab.config.schema_task import Env

_TRAINING_MODULES = ("torch", "gymnasium", "numpy")
_CHECK_TIMEOUT_S = 300


def require_training_parts(workspace: Workspace) -> None:
    """Raise ToolFailed when what trainers need is not installed, or its code cannot be found; imports none of it."""
    if os.pathsep in str(workspace.path):
        # Python would look elsewhere without a word, and a run would not execute the code it recorded.
        raise ToolFailed(
            f"Python cannot import from a folder with '{os.pathsep}' in its path: {workspace.path}",
            hint="move the workspace to another folder",
        )
    missing = [name for name in _TRAINING_MODULES if not is_installed(name)]
    if missing:
        raise ToolFailed(
            f"training needs {' and '.join(missing)}, not installed for {sys.executable}",
            hint="pip install 'dreamerlab[train]'",
        )


def is_installed(name: str) -> bool:
    """Tell whether a package can be imported, without importing it."""
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def check_environment(user_code: Sequence[Path], env: Env) -> dict[str, Any]:
    """Return what the environment looks like; raise UsageError when it cannot be used, or not observed as it should.

    Asked in a process of its own, which finds modules in the folders `user_code` as the trainers will.
    """
    command = [sys.executable, "-P", "-m", "dreamerlab.envs.check", env.id]
    command += ["--observe", env.observe, "--image-size", str(env.image_size)]
    command += ["--time-limit", str(env.time_limit)] if env.time_limit is not None else []
    done = ask(command, [*installed_code(), *user_code], _CHECK_TIMEOUT_S, f"environment {env.id} did not start")
    if done.returncode != 0:
        raise _relayed(env.id, done.stderr)
    facts: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return facts


def machine_warnings(jobs: int, threads: int) -> list[str]:
    """Return what about this machine will make timings, or the training itself, worse than they need be."""
    found: list[str] = []
    others = trainers()
    if others:
        count = f"{len(others)} other trainers are" if len(others) > 1 else "another trainer is"
        shown = ", ".join(str(other.pid) for other in others[:5])
        orphans = sum(not other.supervised for other in others)
        more = f", {orphans} of them without anyone to stop them (dreamerlab doctor)" if orphans else ""
        found.append(f"{count} alive (pid {shown}){more}: timings will suffer")
    cores = physical_cores()
    if jobs * threads > cores:
        found.append(f"{jobs} trials of {threads} threads on {cores} cores: they will slow each other down")
    load = os.getloadavg()[0]
    if not others and load > cores:
        found.append(f"the machine is busy (load {load:.1f} on {cores} cores): timings will suffer")
    return found


def _relayed(env_id: str, stderr: str) -> UsageError:
    """Return the error the check printed, as it was, or the last line when it broke down itself."""
    said = printed_error(stderr)
    if said is not None:
        return UsageError(said[0], hint=said[1])
    return UsageError(f"environment {env_id} cannot be used: {last_line(stderr)}")
