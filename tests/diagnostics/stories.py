"""What each rule is about, as a course made by hand: how it departs from a run that learns.

For the table itself, and for the order of findings. They prove that a rule says what its words say, not that real runs
look so: which rules have a recorded run is in protocol/reference/rules.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dreamerlab.diagnostics.series import Course
from tests.diagnostics.courses import LEARNS, Shape, course, peaked, rising, series

FLAT: Mapping[str, Shape] = {
    "eval/return_mode": 21.0,
    "eval/return_sample": 21.0,
    "train/return": 20.0,
    "train/length": 20.0,
}
"""The return never leaves its beginning."""
RANDOM: Mapping[str, Shape] = {**FLAT, "behavior/entropy_frac": 0.999, "behavior/entropy_nats": 0.693}
NIL: Mapping[str, Shape] = {
    "behavior/advantage_abs_mean": 1e-4,
    "behavior/advantage_contribution": 7e-5,
    "behavior/return_scale": 1.0,
    "behavior/return_scale_raw": 0.01,
    "behavior/return_scale_at_limit": 1.0,
}
FELL: Mapping[str, Shape] = {
    "eval/return_mode": peaked(20, 500, 120),
    "eval/return_sample": peaked(20, 490, 110),
    "train/return": peaked(20, 480, 110),
    "train/length": peaked(20, 480, 110),
}
"""The return rose, fell, and stayed down."""
SATURATED: Mapping[str, Shape] = {
    **FLAT,
    "behavior/entropy_frac": 0.999,
    "behavior/entropy_nats": 13.67,
    "behavior/entropy_lower_nats": -3.53,
    "behavior/entropy_upper_nats": 13.676,
    "behavior/log_prob_abs_mean": 13.67,
    "behavior/action_std": 7.38,
    "behavior/action_saturated_frac": 0.72,
    "behavior/advantage_abs_mean": 0.06,
    "behavior/advantage_contribution": 0.6,
    "behavior/entropy_contribution": 0.041,
}
"""S0's run: entropy 13.67, advantages of 0.06, ten to twenty percent won (M-HK-23)."""


@dataclass(frozen=True)
class Story:
    """How a run departs from one that learns."""

    shapes: Mapping[str, Shape]
    config: Mapping[str, object] = field(default_factory=dict)
    first: str | None = None
    """The rule that must be named first, where it is another one."""

    def course(self) -> Course:
        return course({**LEARNS, **self.shapes}, config=self.config)


def one(name: str, shape: Shape, **more: Shape) -> Story:
    return Story({name: shape, **more})


STORIES: Mapping[str, Story] = {
    # -- the model
    "gradient-vanished": one("optim/grad_norm_world", 1e-8),
    "gradient-explodes": one("optim/grad_norm_actor", 1e3),
    "loss-spikes": one("wm/loss", [20.0 if i % 20 == 9 else 1.0 for i in range(100)]),
    "free-bits-no-gradient": Story({"wm/free_bits_frac": 1.0, "wm/kl_dyn_nats": 1.0, "wm/kl_nats": 0.84}),
    "latents-empty": Story({**FLAT, "wm/kl_nats": 1e-4, "probe/open_loop_error_15": 0.3}),
    "prior-not-learning": Story({**FLAT, "wm/prior_entropy_nats": 16.6, "wm/posterior_entropy_nats": 16.0}),
    "prior-behind": Story(
        {"wm/prior_entropy_nats": rising(16, 12), "wm/posterior_entropy_nats": 1.0, "wm/latent_agreement_frac": 0.5}
    ),
    "features-collapsed": one("wm/feature_std", 1e-6),
    "ends-imagined-everywhere": one("behavior/imagined_continue", 0.3),
    "ends-unforeseen": Story({**FLAT, "probe/termination_recall": 0.1, "probe/open_loop_error_15": 0.3}),
    "continue-wrong": one("wm/continue_accuracy", 0.6),
    "model-no-better-than-mean": Story({**FLAT, "probe/open_loop_error_15": 0.7, "probe/open_loop_error_5": 0.6}),
    "model-drifts": Story({**FLAT, "probe/open_loop_error_50": 0.7}, first="policy-flat"),
    "reward-misjudged": Story({**FLAT, "probe/reward_correlation": 0.1}, first="states-not-about-reward"),
    "states-not-about-reward": Story({**FLAT, "probe/reward_correlation": 0.1}),
    "reward-miscalibrated": one("probe/reward_slope", 3.0),
    "rewards-forgotten": Story(
        {
            **{name: peaked(20, 500, 120, at=0.75) for name in FELL},
            "wm/reward_excess": lambda x: 0.01 if x < 0.7 else 0.1,
            "behavior/imagined_survival": rising(1, 0.5),
        }
    ),
    "model-not-learning": Story({**FLAT, "wm/loss": 3.0}),
    # -- the policy
    "reward-says-nothing": Story(
        {**RANDOM, **NIL, "behavior/imagined_reward_std": 0.0, "behavior/imagined_survival": 1.0}
    ),
    "no-learning-signal": Story({**RANDOM, **NIL}),
    "entropy-scale-too-high": Story({**RANDOM, "behavior/entropy_contribution": 0.21}),
    "pinned-at-ceiling": Story(SATURATED),
    "actor-rate-too-high": Story({**FLAT, "behavior/entropy_frac": 0.045, "optim/lr_actor": 0.03}),
    "collapsed-early": Story({**FLAT, "behavior/entropy_frac": 0.045}),
    "scale-amplifies-noise": Story({"behavior/return_scale": 0.02}),
    "scale-at-floor": Story({**FLAT, **NIL}, first="scale-at-floor"),
    "scale-abnormal": one("behavior/return_scale_raw", 5000.0),
    "advantages-out-of-scale": one("behavior/advantage_abs_mean", 40.0),
    "policy-loss-rises": one("behavior/policy_gradient_term", rising(-0.3, 0.4)),
    "action-std-collapsing": one("behavior/action_std", lambda x: 0.6 if x < 0.7 else 0.02),
    "policy-diverges": Story({**FLAT, "behavior/log_prob_abs_mean": 60.0}),
    "actions-saturated": Story({**FLAT, "behavior/action_saturated_frac": 0.97}),
    "entropy-outside-interval": one("behavior/entropy_nats", 0.8),
    "entropy-below-interval": one("behavior/entropy_nats", -3.0),
    "behavior-reset": Story(
        {
            "behavior/value": [0.0 if 50 <= i < 54 else 2.0 * i for i in range(100)],
            "behavior/entropy_frac": [1.0 if 50 <= i < 54 else 0.9 - 0.005 * i for i in range(100)],
        }
    ),
    "behavior-fresh": Story({"wm/loss": 0.9}),
    # -- the critic, and what comes after a peak
    "value-at-ceiling": Story({**FELL, "behavior/value_ceiling_frac": 0.99, "behavior/value": 147.0}),
    "value-at-ceiling-of-config": Story({**FELL, "behavior/return_p95": 147.0}, {"twohot.support": (-5.0, 5.0)}),
    "imagination-blind": Story(FELL),
    "exploits-model": Story(
        {**FELL, "behavior/value": rising(50, 200), "wm/loss": 1.0, "behavior/imagined_survival": rising(1, 0.5)}
    ),
    "model-lags": Story(
        {
            **FELL,
            "behavior/value": rising(50, 200),
            "wm/reward_excess": lambda x: 0.005 if x < 0.6 else 0.05,
            "behavior/imagined_survival": rising(1, 0.5),
            "train/length": 400.0,
        }
    ),
    "peak-then-drop": Story(
        {**FELL, "behavior/value": peaked(5, 250, 60), "behavior/imagined_survival": rising(1, 0.5)}
    ),
    "lost-again": Story(
        {name: lambda x: 20.0 if x < 0.1 else 120.0 if int(x * 24) % 3 == 1 else 480.0 for name in FELL}
    ),
    "value-too-low": Story({"probe/value_mean": 14.0, "probe/return_mean": 38.0}),
    "value-too-high": Story({"probe/value_mean": 140.0, "probe/return_mean": 38.0}),
    "critic-off": Story({**FLAT, "probe/value_explained_variance": -0.5}),
    "critic-collapsed": one("behavior/value_std", 0.0),
    "dreams-drift-from-play": Story(
        {
            "behavior/imagined_return": lambda x: 30.0 if x < 0.55 else 200.0,
            "train/length": lambda x: 20.0 if x < 0.1 else 300.0 if x < 0.55 else 100.0,
            "train/return": lambda x: 20.0 if x < 0.1 else 300.0 if x < 0.55 else 100.0,
            "eval/return_mode": 300.0,
        },
    ),
    "actor-idle": Story({**FLAT, "optim/grad_norm_actor": 0.0}),
    "actor-withheld": Story({**FLAT, "optim/grad_norm_actor": 0.0, "control/updates_withheld_frac": 1.0}),
    # -- the run
    "controller-always-on": Story(
        {**FLAT, "optim/grad_norm_actor": 0.0, "control/updates_withheld_frac": 1.0, "control/focus_active_frac": 1.0}
    ),
    "controller-inert": one("control/focus_active_frac", 0.0),
    "ratio-missed": one("replay/train_ratio_effective", 128.0),
    "few-goals": Story({**FLAT, "replay/goals_before_learning": 8.0, "train/win_rate": 0.05}),
    "policy-flat": Story(FLAT),
    "training-apart-from-evaluation": Story({"train/return": rising(20, 100)}),
    "not-learning": Story({**FLAT, "probe/open_loop_error_15": 0.3}),
    # -- against the config
    "below-random": Story(
        {**LEARNS, "eval/return_mode": rising(9, 18), "train/return": 8.0},
        {"reference.random": 22.5, "reference.solved": 475.0},
    ),
    "deterministic-and-bad": Story(
        {"behavior/entropy_frac": 0.05, "eval/return_mode": rising(20, 90), "train/return": 20.0},
        {"reference.random": 22.5, "reference.solved": 475.0},
    ),
    "focus-never-rests": Story(
        {"control/focus_active_frac": 0.2857},
        {"control.focus_threshold": 0.001, "control.focus_duration": 20, "control.focus_cooldown": 50},
    ),
    "entropy-above-config": Story(
        {
            **{f"behavior/action_std/{i}": 1.0 for i in range(4)},
            "behavior/entropy_nats": 13.67,
            "behavior/entropy_upper_nats": 13.68,
            "behavior/log_prob_abs_mean": 13.67,
        },
        {"policy.std": (0.1, 1.0), "policy.dist": "bounded_normal"},
    ),
    "entropy-below-config": Story(
        {
            **{f"behavior/action_std/{i}": 0.1 for i in range(4)},
            "behavior/entropy_nats": -3.0,
            "behavior/entropy_lower_nats": -14.3,
            "behavior/log_prob_abs_mean": 3.0,
        },
        {"policy.std": (0.1353, 7.39), "policy.dist": "tanh_normal"},
    ),
    "world-rate-not-as-configured": Story({"optim/lr_world": 2e-3}, {"optimizer.lr_world": 1e-3}),
    "actor-rate-not-as-configured": Story({"optim/lr_actor": 2e-3}, {"optimizer.lr_actor": 1e-3}),
    "critic-rate-not-as-configured": Story({"optim/lr_critic": 2e-3}, {"optimizer.lr_critic": 1e-3}),
    "entropy-scale-not-as-configured": Story({"behavior/entropy_scale": 3e-3}, {"behavior.entropy_scale": 3e-4}),
    "ratio-not-as-configured": Story({}, {"train.train_ratio": 32.0}),
}
"""Every rule that is no sign of health, but those that need a length or an end of their own (`test_table.py`)."""


def long_course() -> Course:
    """Return a run of 400,000 env steps that stays random: a rule of its own asks for that length."""
    return Course({name: series(shape, until=400_000) for name, shape in {**LEARNS, **RANDOM}.items()})
