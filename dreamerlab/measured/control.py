"""Metrics of surprise, and of the controllers that act on it."""

from __future__ import annotations

from dreamerlab.measured.row import Row

ROWS: tuple[Row, ...] = (
    # -- surprise of the world model (M-SUR-01, M-SUR-02)
    ("surprise/ready", "share", "none", "share of updates in which running averages of the losses existed"),
    (
        "surprise/total_log_ratio",
        "nats",
        "none",
        "ln(world-model loss / its running average); positive: the newest batch is worse than those lately",
    ),
    ("surprise/max_component_log_ratio", "nats", "none", "the largest log ratio of a single loss"),
    ("surprise/reward_log_ratio", "nats", "none", "the same of the reward loss"),
    ("surprise/continue_log_ratio", "nats", "none", "the same of the continue loss"),
    ("surprise/pixel_log_ratio", "nats", "none", "the same of the picture loss"),
    ("surprise/state_log_ratio", "nats", "none", "the same of the reconstruction of observed numbers and choices"),
    ("surprise/kl_dyn_log_ratio", "nats", "none", "the same of the dynamics loss; 0 while it stands at the free bits"),
    ("surprise/kl_rep_log_ratio", "nats", "none", "the same of the representation loss"),
    # -- controllers (control.*): each is there only where it is on
    (
        "control/surprise_rate_active_frac",
        "share",
        "none",
        "share of updates in which surprise took a twentieth or more off the actor's rate",
    ),
    ("control/focus_active_frac", "share", "none", "share of updates in world-model focus"),
    ("control/camp_active_frac", "share", "none", "share of updates in training camp"),
    ("control/kl_pause_active_frac", "share", "none", "share of updates in which a KL spike paused the actor"),
    (
        "control/adaptive_ratio_active_frac",
        "share",
        "none",
        "share of updates in which the adaptive ratio was above its low end",
    ),
    ("control/schedule_active_frac", "share", "none", "share of updates in which the scheduled ratio was above 1"),
    ("control/freeze_active_frac", "share", "none", "share of updates after the task was solved and held"),
    ("control/actor_lr_scale", "factor", "none", "what controllers multiplied the rates of actor and critic by"),
    ("control/updates_withheld_frac", "share", "none", "share of updates that controllers kept from actor and critic"),
    ("control/restores", "restores", "none", "times the best checkpoint was gone back to, in all"),
)
