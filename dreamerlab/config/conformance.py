"""Do the leaves of a config make sense together? Rules over several leaves at once (M-CFG-12, M-DIAG-30).

An error is a config that cannot work, a warning one that is probably not what was meant, a note something to know.
Ranges of single leaves are in `schema.py`, the reference's values in `reference.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dreamerlab.config import mode_rules
from dreamerlab.config.catalogue import inactive_leaves
from dreamerlab.config.diff import show
from dreamerlab.config.reference import PROTECTED, compare_with_reference
from dreamerlab.config.schema import Config
from dreamerlab.config.validation import flatten

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """What one rule has to say about a config."""

    rule: str
    severity: Severity
    message: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """A condition over several leaves; `check` returns the message of a finding, or None."""

    id: str
    severity: Severity
    sources: tuple[str, ...]
    check: Callable[[Config], str | None]


def audit(config: Config) -> list[Finding]:
    """Return what the rules find in `config`, errors first; empty when everything makes sense together."""
    findings = [
        Finding(rule.id, rule.severity, message, rule.sources)
        for rule in RULES
        if (message := rule.check(config)) is not None
    ]
    return sorted(findings, key=lambda finding: ("error", "warning", "note").index(finding.severity))


def largest_discounted_return(config: Config) -> float | None:
    """Return the largest return a value has to represent, as far as the config knows; None where it does not.

    The return R of a solved (or random) episode, spread evenly over N steps, is at its start worth
    R/N · (1 - γ^N) / (1 - γ): 259.1 for CartPole's 500 in 500 steps at γ = 0.997, 99.3 at 0.99 (M-CFG-12).
    """
    level = _largest_return(config)
    if level is None:
        return None
    steps, horizon = _steps_of_episode(config, level), config.behavior.discount_horizon
    return level / steps * -math.expm1(steps * math.log1p(-1 / horizon)) * horizon


def updates_in_budget(config: Config) -> float | None:
    """Return about how many updates the budget pays for; None for a budget of wall-clock time."""
    if (env_steps := env_steps_in_budget(config)) is None:
        return None
    if config.budget.unit != "env_steps":
        return config.budget.amount
    return max(0, env_steps - first_update_at(config)) * config.train.train_ratio / _steps_in_batch(config)


def env_steps_in_budget(config: Config) -> float | None:
    """Return about how many env steps the budget pays for; None for a budget of wall-clock time."""
    amount = config.budget.amount
    if config.budget.unit == "wall_clock":
        return None
    if config.budget.unit == "env_steps":
        return amount
    return first_update_at(config) + amount * _steps_in_batch(config) / config.train.train_ratio


def first_update_at(config: Config) -> int:
    """Return how many steps must be in replay before the first update."""
    train = config.train
    if train.learning_starts is None:
        return _steps_in_batch(config) + train.batch_length  # as many windows as there are steps in a batch
    return max(train.learning_starts, train.batch_size + train.batch_length - 1)  # a batch has no window twice


def _steps_in_batch(config: Config) -> int:
    return config.train.batch_size * config.train.batch_length


def _largest_return(config: Config) -> float | None:
    known = [abs(r) for r in (config.reference.solved, config.reference.random) if r is not None]
    return max(known) if known else None


def _steps_of_episode(config: Config, level: float) -> float:
    """Return N; where the environment keeps its own limit, a reward of one per step is assumed."""
    return max(1.0, (config.env.time_limit or level) / config.env.action_repeat)


def _ceiling(config: Config) -> float:
    """Return the largest value that can be represented; without end where there are no bins."""
    if "twohot.support" in inactive_leaves(flatten(config)):
        return math.inf
    return math.expm1(config.twohot.support[1])  # symexp of a positive number


def _support_too_small(config: Config) -> str | None:
    level, largest = _largest_return(config), largest_discounted_return(config)
    if level is None or largest is None or largest < _ceiling(config):
        return None
    assumed = "" if config.env.time_limit else ", assuming a reward of 1 per step as env.time_limit is null"
    return (
        f"returns reach about {largest:.1f} ({level:g} in {_steps_of_episode(config, level):g} steps at a discount of "
        f"{1 - 1 / config.behavior.discount_horizon:.4f}{assumed}), but twohot.support={list(config.twohot.support)} "
        f"ends at {_ceiling(config):.1f}: values will saturate there"
    )


def _support_unproven(config: Config) -> str | None:
    level = _largest_return(config)
    if level is None or level < _ceiling(config) or _support_too_small(config) is not None:
        return None
    return (
        f"returns of {level:g} fit only if reward comes evenly: twohot.support={list(config.twohot.support)} ends at "
        f"{_ceiling(config):.1f}, and a reward that comes at once is not shrunk by discounting"
    )


def _actor_faster_than_critic(config: Config) -> str | None:
    actor, critic = config.optimizer.lr_actor, config.optimizer.lr_critic
    if actor <= critic:
        return None
    return (
        f"optimizer.lr_actor={actor:g} is above optimizer.lr_critic={critic:g}; one source forbids that, "
        "the reference has one rate for all and no evidence for such a rule is known"
    )


def _low_train_ratio(config: Config) -> str | None:
    if config.train.train_ratio >= 16:
        return None
    return (
        f"train.train_ratio={config.train.train_ratio:g} replayed steps per env step is below 16 (the reference: 32 "
        "to 1024); a low ratio was reported to slow learning 3-5 times"
    )


def _protected_departures(config: Config) -> str | None:
    flat = flatten(config)
    moved = [p for p in compare_with_reference(flat) if p.key in PROTECTED and p.severity != "same"]
    if not moved:
        return None
    return "departs from the reference in protected keys, which deserves a reason: " + ", ".join(
        f"{p.key}={show(p.own)} (reference {show(p.reference)})" for p in moved
    )


def _warmup_outlasts_budget(config: Config) -> str | None:
    updates = updates_in_budget(config)
    if updates is None or config.optimizer.warmup_updates <= updates:
        return None
    return (
        f"optimizer.warmup_updates={config.optimizer.warmup_updates} is more than the {updates:,.0f} updates in the "
        "budget: the learning rates never reach their values"
    )


def _learning_never_starts(config: Config) -> str | None:
    start, steps = first_update_at(config), env_steps_in_budget(config)
    if _window_does_not_fit(config) is not None:
        return None
    envs = config.collect.envs * (2 if "swap" in config.train.augment else 1)
    ring = config.replay.capacity // envs  # of each environment; no window has rows of two
    if start > envs * ring:
        return f"the first update waits for {start:,} steps, but replay.capacity={config.replay.capacity}: never"
    windows = envs * max(0, ring - config.train.batch_length + 1)
    if windows < config.train.batch_size:
        return (
            f"train.batch_size={config.train.batch_size} windows of {config.train.batch_length} steps are drawn, but "
            f"replay.capacity={config.replay.capacity} holds only {windows} different ones: never"
        )
    if config.budget.unit == "env_steps" and steps is not None and start > steps:
        return f"the first update waits for {start:,} steps, but budget.amount={config.budget.amount}: never"
    return None


def _window_does_not_fit(config: Config) -> str | None:
    if config.replay.capacity > config.train.batch_length:
        return None
    return (
        f"replay.capacity={config.replay.capacity} cannot hold one window of train.batch_length="
        f"{config.train.batch_length} steps and the step before it"
    )


def _one_evaluation_only(config: Config) -> str | None:
    steps = env_steps_in_budget(config)
    if steps is None or steps >= config.eval.every:
        return None
    return (
        f"the budget of about {steps:,.0f} env steps ends before the first evaluation at eval.every="
        f"{config.eval.every}: only the one at the end is made"
    )


RULES: tuple[Rule, ...] = (
    Rule("support-too-small", "error", ("M-CFG-12", "FACTS A13.8"), _support_too_small),
    Rule("window-does-not-fit", "error", ("FACTS A10",), _window_does_not_fit),
    Rule("learning-never-starts", "error", ("FACTS A10",), _learning_never_starts),
    Rule("frozen-world-is-random", "error", ("M-CP-31", "DIS-11"), mode_rules.frozen_world_is_random),
    Rule("budget-never-spent", "error", ("M-CP-30",), mode_rules.budget_never_spent),
    Rule("augment-needs-hockey", "error", (), mode_rules.augment_needs_hockey),
    Rule("support-unproven", "warning", ("M-CFG-12",), _support_unproven),
    Rule("warmup-outlasts-budget", "warning", ("FACTS A9",), _warmup_outlasts_budget),
    Rule("one-evaluation-only", "warning", (), _one_evaluation_only),
    Rule("low-train-ratio", "warning", ("M-CFG-08", "DIS-05", "FACTS A13.12"), _low_train_ratio),
    Rule("absurd-train-ratio", "warning", ("DIS-05",), mode_rules.absurd_train_ratio),
    Rule("smoothing-multiplies-reward", "warning", ("FACTS A13.19", "DIS-27"), mode_rules.smoothing_multiplies_reward),
    Rule("tanh-saturates", "warning", ("M-ENT-05", "FACTS A13.3"), mode_rules.tanh_saturates),
    Rule("entropy-floor", "warning", ("FACTS A13.1", "M-OPT-02"), mode_rules.entropy_floor_cuts_gradient),
    Rule("return-limit-amplifies", "warning", ("DIS-03", "FACTS A13.4"), mode_rules.return_limit_amplifies),
    Rule("entropy-bonus-dominates", "warning", ("DIS-16", "M-DIAG-02"), mode_rules.entropy_bonus_dominates),
    Rule("focus-always-on", "note", ("M-SUR-09",), mode_rules.focus_always_on),
    Rule("closeness-twice", "note", ("M-HK-01",), mode_rules.closeness_twice),
    Rule("policy-never-learns", "note", ("M-CP-30",), mode_rules.policy_never_learns),
    Rule("straight-through-is-none", "note", ("FACTS A13.10", "DIS-25"), mode_rules.straight_through_is_none),
    Rule("actor-faster-than-critic", "note", ("M-CFG-09", "FACTS A13.13"), _actor_faster_than_critic),
    Rule("protected-key", "note", ("M-CFG-08", "M-DIAG-30"), _protected_departures),
)
