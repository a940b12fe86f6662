"""Workspaces and commands as tests need them: the real command line in a process of its own, tiny real runs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from dreamerlab.cli.main import main
from dreamerlab.config.layers import shipped_env_configs
from dreamerlab.runs.store import Workspace

ROOT = Path(__file__).parent.parent.parent
# Networks so small that an update takes a millisecond; three evaluations, so that a score can be given.
TINY = [
    *(f"model.{name}=8" for name in ("deter", "hidden", "units")),
    *(f"model.{name}_layers=1" for name in ("prior", "encoder", "decoder", "policy", "value")),
    *("model.stoch=3", "model.classes=4", "model.blocks=2", "behavior.horizon=3"),
    *("train.batch_size=4", "train.batch_length=5", "train.train_ratio=2", "train.imagination_starts=2"),
    *("train.learning_starts=12", "eval.every=20", "eval.episodes=2", "log.every=10", "checkpoint.every=20"),
    "budget.amount=60",
]


def dreamerlab(folder: Path, *words: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `dreamerlab WORDS` in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "dreamerlab", *words],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def inside(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `dreamerlab WORDS` in `folder` within this process: for commands that only read, and quick ones."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def data(done: subprocess.CompletedProcess[str]) -> Any:
    """Return what a command printed with --json, after checking that it succeeded."""
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stderr}"
    return json.loads(done.stdout)


def light_workspace(path: Path) -> Workspace:
    """Make a workspace without git, DVC and MLflow: all that a run needs."""
    workspace = Workspace(path)
    workspace.marker.parent.mkdir(parents=True)
    workspace.marker.write_text("autocommit: true\ncode:\n  paths: []\n")
    shutil.copytree(shipped_env_configs(), workspace.env_configs)
    return workspace


def the_run(workspace: Workspace) -> Path:
    """Return the folder of the only run."""
    (run,) = workspace.runs.glob("R*")
    return run


def git(folder: Path, *words: str) -> str:
    """Return what git prints."""
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def remove_git_locks(folder: Path) -> None:
    """Do what the warning asks for after a git was killed."""
    for lock in (folder / ".git").rglob("*.lock"):
        lock.unlink(missing_ok=True)


def without(folder: Path, *packages: str) -> dict[str, str]:
    """Return environment variables under which Python finds none of `packages`; uses `folder` for a file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(f"import sys\nfor name in {packages!r}:\n    sys.modules[name] = None\n")
    return {"PYTHONPATH": str(folder)}
