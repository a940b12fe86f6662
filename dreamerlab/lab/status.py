"""`status`, and the progress shown by `run`: where trials stand now, from their status files alone.

A trial is shown in its effective state: a dead process is never running. Cheap enough to be asked every second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dreamerlab.runs.directory import RunDirectory
from dreamerlab.runs.status import ONGOING, Status, actor_updates
from dreamerlab.runs.store import RunRow, TrialRow, Workspace, run_row, touched_runs
from dreamerlab.tracking.mirror_state import trouble

RECENT_S = 24 * 3600.0


@dataclass(frozen=True)
class TrialView:
    """One trial as it is shown; amounts in the unit of its budget, times in seconds."""

    seed: int
    state: str
    attempt: int
    spent: float
    budget_amount: int | None
    budget_unit: str | None
    env_steps: int
    updates: int
    episodes: int
    wall_s: float
    left_s: float | None
    """Expected time to the end of the budget, at the latest pace; None unless running."""
    eval_return: float | None
    train_return: float | None
    updates_per_s: float | None
    reason: str | None
    message: str | None
    wm_loss: float | None = None
    """Mean loss of the world model since the metric line before the last."""
    actor_updates: int = 0
    """Updates in which actor and critic learnt."""
    findings: tuple[str, ...] = ()
    """What the rules of diagnosis found at the last evaluation."""

    @property
    def share(self) -> float:
        """How much of the budget is spent, 0 to 1."""
        return min(1.0, self.spent / self.budget_amount) if self.budget_amount else 0.0


@dataclass(frozen=True)
class RunView:
    """One run as it is shown."""

    run: str
    name: str | None
    kind: str
    env: str
    trials: Sequence[TrialView]
    last_sign_at: float
    """When any of its trials was last heard of, in unix seconds."""
    mlflow: str | None = None
    """Why the mirror of it fails, in one line."""

    @property
    def active(self) -> bool:
        """Whether something may still happen by itself."""
        return any(trial.state in ONGOING for trial in self.trials)


def time_left(views: Sequence[RunView]) -> float | None:
    """Return the seconds until all trials of these runs are through, None while nothing tells.

    As many run at once as do now, and one that waits is expected to take as long as the others do on average.
    """
    trials = [trial for view in views for trial in view.trials]
    running = [trial for trial in trials if trial.state == "running"]
    left = [trial.left_s for trial in running if trial.left_s is not None]
    if not running or len(left) < len(running):
        return None
    queued = sum(trial.state == "queued" for trial in trials)
    whole = [trial.wall_s + (trial.left_s or 0.0) for trial in trials if trial.state in ("running", "finished")]
    each = sum(whole) / len(whole)
    return max(max(left), (sum(left) + queued * each) / len(running))


def view_run(run: RunDirectory) -> RunView:
    """Return one run as it stands now."""
    return _view(Workspace(run.path.parent.parent), run_row(run))


def view_recent(workspace: Workspace, now: float | None = None) -> list[RunView]:
    """Return the active runs and those heard of within a day, oldest first."""
    clock = time.time() if now is None else now
    rows = [row for row in touched_runs(workspace, clock - RECENT_S) if row.manifest is not None]
    views = [_view(workspace, row) for row in rows]
    return [view for view in views if view.active or clock - view.last_sign_at < RECENT_S]


def to_data(views: Sequence[RunView]) -> list[dict[str, Any]]:
    """Return the views as JSON-ready values."""
    return [asdict(view) for view in views]


def _view(workspace: Workspace, row: RunRow) -> RunView:
    made, failing = row.manifest, trouble(workspace, row.id)
    signs = [trial.status.heartbeat_at or trial.status.started_at or 0.0 for trial in row.trials]
    return RunView(
        row.id,
        made.name if made else None,
        made.kind if made else "unreadable",
        made.env if made else "-",
        [_view_trial(trial) for trial in row.trials],
        max(signs, default=0.0),
        None if failing is None else failing.line,
    )


def _view_trial(trial: TrialRow) -> TrialView:
    status = trial.status
    return TrialView(
        seed=status.seed,
        state=trial.state,
        attempt=status.attempt,
        spent=status.spent,
        budget_amount=status.budget_amount,
        budget_unit=status.budget_unit,
        env_steps=status.env_steps,
        updates=status.updates,
        episodes=status.episodes,
        wall_s=status.wall_s,
        left_s=_time_left(status) if trial.state == "running" else None,
        eval_return=status.latest.get("eval/return_mode"),
        train_return=status.latest.get("train/return"),
        updates_per_s=status.latest.get("pace/updates_per_s"),
        reason=status.reason,
        message=status.message,
        wm_loss=status.latest.get("wm/loss"),
        actor_updates=actor_updates(status),
        findings=status.findings,
    )


def _time_left(status: Status) -> float | None:
    if not status.budget_amount:
        return None
    left = max(0.0, status.budget_amount - status.spent)
    if status.budget_unit == "wall_clock":
        return left
    name = "pace/env_steps_per_s" if status.budget_unit == "env_steps" else "pace/updates_per_s"
    pace = status.latest.get(name, 0.0)
    if status.budget_unit == "actor_updates" and status.actor_updates is not None and status.updates:
        pace *= status.actor_updates / status.updates  # of those so far, so many were updates of the actor
    return left / pace if pace > 0 else None
