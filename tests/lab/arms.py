"""Runs to compare, made in milliseconds through the real writers: their evaluations are given, nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dreamerlab.config.layers import resolve
from dreamerlab.config.record import to_yaml
from dreamerlab.protocol.families import family
from dreamerlab.runs.attempts import close_attempt, open_attempt
from dreamerlab.runs.creation import create_run
from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.manifest import Budget, Code, Manifest
from dreamerlab.runs.series import append_line
from dreamerlab.runs.status import Status, write_status
from dreamerlab.runs.store import Workspace
from dreamerlab.runs.summary import write_summary

MACHINE = {
    "python": "3.11.7",
    "platform": "Linux-6.1-x86_64",
    "host": "alpha",
    "packages": {"torch": "2.11.0", "numpy": "2.4.0", "gymnasium": "1.2.0", "box2d": None},
    "cpu": "EPYC",
    "cores_usable": 8,
    "gpus": [],
    "other_trainers": 0,
}
CODE = Code("ab" * 32, "cd" * 20, "main", False)


def make_arm(
    workspace: Workspace,
    name: str,
    curves: Sequence[Sequence[float]],
    *overrides: str,
    env: str = "cartpole",
    unfinished: Mapping[int, str] | None = None,
    threads: int = 1,
    attempt: Mapping[str, Any] | None = None,
    **changes: Any,
) -> RunDirectory:
    """Make a run whose seed i was evaluated every 100 env steps with the returns `curves[i]`.

    `unfinished` names the state of the seeds that are not finished, `attempt` is what else every attempt recorded.
    """
    resolved = resolve(workspace.path, env, "nano", ["budget.amount=1000", "eval.every=100", *overrides])
    budget = resolved.config.budget
    values: dict[str, Any] = {
        "id": "",
        "name": name,
        "kind": "baseline",
        "env": env,
        "family": family(env, resolved.flat),
        "created_at": "2026-01-02T03:04:05+00:00",
        "seeds": tuple(range(len(curves))),
        "budget": Budget(budget.unit, budget.amount),
        "code": CODE,
        "environment": MACHINE,
    }
    made = Manifest(**{**values, **changes})
    run = create_run(workspace, made, config_yaml=to_yaml(resolved.config), origins=resolved.origins)
    for seed, curve in enumerate(curves):
        trial, state = run.trial(seed), (unfinished or {}).get(seed, "finished")
        known = {"torch": made.environment["packages"]["torch"], "device": "cpu", "cpu_capability": "AVX2"}
        open_attempt(trial, 1, start_env_steps=0, threads=threads, **known, **(attempt or {}))
        steps = 100 * len(curve)
        for index, value in enumerate(curve, start=1):
            at = 100 * index
            clocks = {"time": 1e9 + at, "env_steps": at, "updates": at // 2, "episodes": at // 50, "wall_s": at / 10}
            append_line(trial.evals_path, {**clocks, "attempt": 1, "values": {"eval/return_mode": value}})
        counts = {"env_steps": steps, "updates": steps // 2, "episodes": steps // 50, "wall_s": steps / 10}
        spent = {"budget_unit": budget.unit, "budget_amount": budget.amount, "spent": float(steps)}
        write_status(trial, Status(state, seed, 1, latest={"behavior/policy_loss": 0.25}, **counts, **spent))
        if state == "finished":
            close_attempt(trial, 1, "finished", None)
            write_summary(trial)
    return run


def flat(*levels: float, length: int = 10) -> list[list[float]]:
    """Return one level curve per seed: its score is its level."""
    return [[level] * length for level in levels]
