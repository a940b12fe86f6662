"""Rules over several leaves: each has a config that breaks it and a neighbour that does not."""

from __future__ import annotations

import pytest

from dreamerlab.config.conformance import (
    RULES,
    audit,
    env_steps_in_budget,
    first_update_at,
    largest_discounted_return,
    updates_in_budget,
)
from dreamerlab.config.schema import Config
from dreamerlab.config.validation import from_flat

CARTPOLE_997 = {"env.time_limit": 500, "reference.solved": 500, "behavior.discount_horizon": 1 / 0.003}

FROM = {"init.checkpoint": "R0012-9qd"}
HOCKEY: dict[str, object] = {"env.id": "dreamerlab/HockeyOne-v0"}
TANH = {"policy.dist": "tanh_normal", "policy.entropy": "base"}


def rules_of(flat: dict[str, object]) -> dict[str, str]:
    return {finding.rule: finding.severity for finding in audit(from_flat(flat))}


def test_the_defaults_are_without_findings() -> None:
    assert audit(Config()) == []


def test_the_largest_return_is_discounted_over_the_episode() -> None:
    """The two ceilings of M-CFG-12."""
    assert largest_discounted_return(from_flat(CARTPOLE_997)) == pytest.approx(259.1, abs=0.05)
    shorter = CARTPOLE_997 | {"behavior.discount_horizon": 100}
    assert largest_discounted_return(from_flat(shorter)) == pytest.approx(99.3, abs=0.05)
    assert largest_discounted_return(Config()) is None


def test_the_largest_return_equals_the_sum_it_stands_for() -> None:
    flat = {"env.time_limit": 37, "reference.random": -90.0, "reference.solved": 10.0, "behavior.discount_horizon": 20}
    assert largest_discounted_return(from_flat(flat)) == pytest.approx(sum(90 / 37 * 0.95**t for t in range(37)))


@pytest.mark.parametrize(
    ("flat", "rule", "severity"),
    [
        (CARTPOLE_997 | {"twohot.support": (-5, 5)}, "support-too-small", "error"),
        ({"reference.solved": 475, "twohot.support": (-5, 5)}, "support-too-small", "error"),
        ({"reference.random": -1200, "env.time_limit": 200, "twohot.support": (-6, 6)}, "support-too-small", "error"),
        (CARTPOLE_997 | {"twohot.support": (-6, 6)}, "support-unproven", "warning"),
        ({"replay.capacity": 100, "train.batch_length": 100}, "window-does-not-fit", "error"),
        ({"replay.capacity": 1000}, "learning-never-starts", "error"),
        ({"train.learning_starts": 2000, "replay.capacity": 1999}, "learning-never-starts", "error"),
        ({"train.learning_starts": 2000, "replay.capacity": 2000, "collect.envs": 3}, "learning-never-starts", "error"),
        ({"budget.amount": 1000, "eval.every": 100}, "learning-never-starts", "error"),
        ({"train.learning_starts": 5001, "budget.amount": 5000, "eval.every": 10}, "learning-never-starts", "error"),
        ({"optimizer.warmup_updates": 40_000}, "warmup-outlasts-budget", "warning"),
        (
            {"optimizer.warmup_updates": 500, "budget.unit": "updates", "budget.amount": 499},
            "warmup-outlasts-budget",
            "warning",
        ),
        ({"budget.amount": 9_999}, "one-evaluation-only", "warning"),
        ({"train.train_ratio": 15.9}, "low-train-ratio", "warning"),
        ({"optimizer.lr_actor": 1e-3, "optimizer.lr_critic": 5e-4}, "actor-faster-than-critic", "note"),
        ({"behavior.lam": 0.9}, "protected-key", "note"),
        (
            {"replay.capacity": 150, "train.learning_starts": 80, "train.batch_size": 88},
            "learning-never-starts",
            "error",
        ),
        ({"train.learn": "behavior"}, "frozen-world-is-random", "error"),
        (FROM | {"train.learn": "behavior", "init.parts": ("behavior",)}, "frozen-world-is-random", "error"),
        ({"train.train_ratio": 8193}, "absurd-train-ratio", "warning"),
        ({"smooth.kernel": "backward_sum", "smooth.width": 0.5}, "smoothing-multiplies-reward", "warning"),
        (TANH | {"policy.std": (0.1, 7.39)}, "tanh-saturates", "warning"),
        ({"behavior.entropy_floor": 0.0}, "entropy-floor", "warning"),
        ({"train.learn": "world", "budget.unit": "actor_updates"}, "budget-never-spent", "error"),
        ({"train.learn": "world"}, "policy-never-learns", "note"),
        ({"train.augment": ["mirror"]}, "augment-needs-hockey", "error"),
        (HOCKEY | {"train.augment": ["mirror"], "env.observe": "both"}, "augment-needs-hockey", "error"),
        (HOCKEY | {"train.augment": ["swap"], "env.action_repeat": 2}, "augment-needs-hockey", "error"),
        (HOCKEY | {"hockey.shaping": ["closeness:0.5"]}, "closeness-twice", "note"),
        ({"free_bits.mode": "straight_through"}, "straight-through-is-none", "note"),
        ({"return_norm.limit": 0.01}, "return-limit-amplifies", "warning"),
        ({"behavior.entropy_scale": 0.3}, "entropy-bonus-dominates", "warning"),
        ({"control.focus_threshold": 0.02}, "focus-always-on", "note"),
    ],
)
def test_a_config_that_breaks_a_rule(flat: dict[str, object], rule: str, severity: str) -> None:
    assert rules_of(flat).get(rule) == severity


@pytest.mark.parametrize(
    ("flat", "rule"),
    [
        (CARTPOLE_997 | {"twohot.support": (-6, 6)}, "support-too-small"),
        (CARTPOLE_997 | {"twohot.support": (-5, 5), "behavior.discount_horizon": 100}, "support-too-small"),
        (CARTPOLE_997 | {"twohot.support": (-7, 7)}, "support-unproven"),
        ({"replay.capacity": 101, "train.batch_length": 100}, "window-does-not-fit"),
        ({"replay.capacity": 1088}, "learning-never-starts"),
        ({"replay.capacity": 1088, "collect.envs": 4}, "learning-never-starts"),
        ({"budget.unit": "updates", "budget.amount": 10}, "learning-never-starts"),
        ({"optimizer.warmup_updates": 31_000}, "warmup-outlasts-budget"),
        ({"optimizer.warmup_updates": 500, "budget.unit": "wall_clock", "budget.amount": 10}, "warmup-outlasts-budget"),
        ({"budget.amount": 10_000}, "one-evaluation-only"),
        ({"train.train_ratio": 16}, "low-train-ratio"),
        ({"optimizer.lr_actor": 5e-4, "optimizer.lr_critic": 5e-4}, "actor-faster-than-critic"),
        ({"loss_scales.rep": 0.5}, "protected-key"),
        ({"replay.capacity": 150, "train.learning_starts": 80, "train.batch_size": 87}, "learning-never-starts"),
        (FROM | {"train.learn": "behavior"}, "frozen-world-is-random"),
        ({"train.train_ratio": 8192}, "absurd-train-ratio"),
        ({"smooth.kernel": "ema", "smooth.width": 0.5}, "smoothing-multiplies-reward"),
        (TANH | {"policy.std": (0.1, 7.39), "policy.entropy": "squashed"}, "tanh-saturates"),
        (TANH | {"policy.std": (0.1, 1.65)}, "tanh-saturates"),
        ({"train.learn": "world", "budget.unit": "updates"}, "budget-never-spent"),
        (FROM, "policy-never-learns"),
        (HOCKEY | {"train.augment": ["mirror", "swap"]}, "augment-needs-hockey"),
        (HOCKEY | {"train.augment": ["mirror"], "env.action_repeat": 2}, "augment-needs-hockey"),
        (HOCKEY | {"hockey.shaping": ["closeness:0.5"], "hockey.reward": "sparse"}, "closeness-twice"),
    ],
)
def test_a_neighbour_that_keeps_the_rule(flat: dict[str, object], rule: str) -> None:
    assert rule not in rules_of(flat)


def test_the_support_message_shows_the_figures() -> None:
    (finding,) = [f for f in audit(from_flat(CARTPOLE_997 | {"twohot.support": (-5, 5)})) if f.severity == "error"]
    for figure in ("259.1", "147.4", "500 in 500 steps", "0.9970", "[-5.0, 5.0]"):
        assert figure in finding.message
    assert "M-CFG-12" in finding.sources


def test_a_claim_the_reference_does_not_share_is_reported_as_one() -> None:
    (finding,) = [f for f in audit(from_flat({"optimizer.lr_actor": 1e-3})) if f.rule == "actor-faster-than-critic"]
    assert "one source forbids that, the reference has one rate for all" in finding.message
    assert finding.sources == ("M-CFG-09", "FACTS A13.13")


def test_findings_come_with_errors_first() -> None:
    flat = {"behavior.lam": 0.9, "train.train_ratio": 1, "replay.capacity": 100, "train.batch_length": 128}
    severities = [finding.severity for finding in audit(from_flat(flat))]
    assert severities == sorted(severities, key=("error", "warning", "note").index)
    assert set(severities) == {"error", "warning", "note"}


def test_rules_have_unlike_names() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_what_a_budget_pays_for() -> None:
    config = from_flat({"budget.amount": 100_000})
    assert first_update_at(config) == 16 * 64 + 64
    assert updates_in_budget(config) == (100_000 - 1088) * 32 / 1024
    by_updates = from_flat({"budget.unit": "updates", "budget.amount": 100})
    assert (updates_in_budget(by_updates), env_steps_in_budget(by_updates)) == (100, 1088 + 100 * 32)
    by_clock = from_flat({"budget.unit": "wall_clock", "budget.amount": 100})
    assert (updates_in_budget(by_clock), env_steps_in_budget(by_clock)) == (None, None)
    assert first_update_at(from_flat({"train.learning_starts": 50})) == 16 + 64 - 1
