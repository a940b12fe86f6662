"""The task and how it is measured: environment, reference levels, budget, evaluation."""

from __future__ import annotations

from typing import Literal

from dreamerlab.config.schema_hockey import HOCKEY_ID, TWO_PLAYERS_ID
from dreamerlab.config.section import MANY, Section
from dreamerlab.config.zones import Zone, leaf

ENVIRONMENT = Zone.ENVIRONMENT
EVALUATION = Zone.EVALUATION
BUDGET = Zone.BUDGET


class Env(Section):
    """The task."""

    id: str = leaf("CartPole-v1", ENVIRONMENT, min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.:/-]+$")
    """Gymnasium id of the environment."""
    time_limit: int | None = leaf(None, ENVIRONMENT, unit="env steps", ge=1, le=MANY)
    """Longest episode; null keeps the environment's own limit. It counts steps of the environment, whatever
    env.action_repeat is. A limit is a truncation, never a death (FACTS A1)."""
    observe: Literal["state", "pixels", "both"] = leaf("state", ENVIRONMENT, absent_means="state")
    """What the agent sees: the environment's own observation, its rendered picture, or both (M-CP-02, M-CP-04)."""
    image_size: int = leaf(64, ENVIRONMENT, unit="pixels", ge=16, le=256, multiple_of=16, absent_means=64)
    """Pictures, rendered or observed, are resized to this height and width right after env.step (M-CP-15)."""
    action_repeat: int = leaf(1, ENVIRONMENT, unit="steps of the environment", ge=1, le=100, absent_means=1)
    """Each action is given to the environment so many times in a row, rewards summed, until the episode ends; all of it
    is one env step, and counts as one everywhere but in env.time_limit."""
    backend: Literal["builtin", "upstream", "auto"] = leaf(
        "builtin",
        Zone.EXECUTION,
        absent_means="builtin",
        active_when=(("env.id", "==", HOCKEY_ID), ("env.id", "==", TWO_PLAYERS_ID)),
    )
    """Who plays the game of hockey: our own, exact to the bit, or the upstream package `hockey` where it is installed;
    `auto` takes upstream if it is there."""


class Reference(Section):
    """What returns mean in this task, so that figures can be read as a share of the span."""

    random: float | None = leaf(None, EVALUATION, unit="return")
    """Mean return of uniformly random actions."""
    solved: float | None = leaf(None, EVALUATION, unit="return")
    """Return at which the task counts as solved."""
    fail: float | None = leaf(None, EVALUATION, unit="return")
    """Score given to a trial that diverged."""


class Budget(Section):
    """How long a trial trains."""

    unit: Literal["env_steps", "updates", "actor_updates", "wall_clock"] = leaf("env_steps", BUDGET)
    """What the amount counts; wall_clock is in seconds over all attempts, evaluation and checkpoints included."""
    amount: int = leaf(1_000_000, BUDGET, unit="budget.unit", ge=1, le=MANY)
    """The trial ends when this much is spent."""


class Eval(Section):
    """How the agent is measured: own environments, own generators, raw reward (FACTS F24)."""

    every: int = leaf(10_000, EVALUATION, unit="env steps", ge=1, le=MANY)
    """Env steps between evaluations; one more is made at the end of the budget."""
    episodes: int = leaf(10, EVALUATION, unit="episodes", ge=1, le=10_000)
    """Episodes per evaluation and policy, always from the same start seeds."""
