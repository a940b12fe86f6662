"""Runs and lines as tests need them, made through the real writers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dreamerlab.runs.creation import create_run
from dreamerlab.runs.directory import RunDirectory, TrialDirectory
from dreamerlab.runs.manifest import Budget, Code, Manifest
from dreamerlab.runs.series import append_line
from dreamerlab.runs.store import MARKER, Workspace


def make_workspace(path: Path) -> Workspace:
    (path / MARKER).parent.mkdir(parents=True)
    (path / MARKER).write_text("schema: 1\n")
    return Workspace(path)


def a_manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "id": "",
        "kind": "baseline",
        "env": "cartpole",
        "family": "cartpole-state/3f2a",
        "created_at": "2026-01-02T03:04:05+00:00",
        "seeds": (1, 2, 3),
        "budget": Budget("env_steps", 1000),
        "code": Code("ab" * 32, "cd" * 20, "main", False),
        "environment": {"python": "3.11.7"},
        "command": ("dreamerlab", "run", "--baseline"),
    }
    return Manifest(**{**values, **changes})


def make_run(workspace: Workspace, **changes: Any) -> RunDirectory:
    return create_run(workspace, a_manifest(**changes), config_yaml="schema: 1\n", origins={"env.id": "default"})


def a_line(env_steps: int, attempt: int = 1, **values: Any) -> dict[str, Any]:
    return {
        "time": 1e9 + 1000 * attempt + env_steps,
        "env_steps": env_steps,
        "updates": env_steps // 2,
        "episodes": env_steps // 10,
        "wall_s": env_steps / 100,
        "attempt": attempt,
        "values": {name.replace("__", "/"): value for name, value in values.items()},
    }


def write_metrics(trial: TrialDirectory, attempt: int, lines: list[dict[str, Any]]) -> None:
    trial.attempt_dir(attempt).mkdir(parents=True, exist_ok=True)
    for line in lines:
        append_line(trial.metrics_path(attempt), line)
