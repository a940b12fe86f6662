"""Metrics of episodes, of replay and of pace: what was played, and how fast."""

from __future__ import annotations

from dreamerlab.measured.row import Row

ROWS: tuple[Row, ...] = (
    # -- evaluation: own environments, own generators, raw reward
    ("eval/return_mode", "return", "higher", "mean return of evaluation episodes, most likely action each step"),
    ("eval/return_sample", "return", "higher", "mean return of evaluation episodes, actions sampled from the policy"),
    ("eval/length_mode", "env steps", "none", "mean length of evaluation episodes under the mode policy"),
    ("eval/length_sample", "env steps", "none", "mean length of evaluation episodes under the sampled policy"),
    (
        "eval/win_rate_mode",
        "share",
        "higher",
        "share of evaluation games won against all opponents, most likely action",
    ),
    ("eval/win_rate_sample", "share", "higher", "share of evaluation games won against all opponents, sampled actions"),
    ("eval/draw_rate_mode", "share", "none", "share of evaluation games without a goal, most likely action"),
    ("eval/draw_rate_sample", "share", "none", "share of evaluation games without a goal, sampled actions"),
    (
        "eval/loss_rate_mode",
        "share",
        "lower",
        "share of evaluation games lost against all opponents, most likely action",
    ),
    (
        "eval/loss_rate_sample",
        "share",
        "lower",
        "share of evaluation games lost against all opponents, sampled actions",
    ),
    # -- training episodes
    ("train/return", "return", "higher", "mean return of training episodes finished since the last line"),
    ("train/length", "env steps", "none", "mean length of training episodes finished since the last line"),
    ("train/win_rate", "share", "higher", "share of training games won, of those finished since the last line"),
    ("train/draw_rate", "share", "none", "share of training games without a goal, of those since the last line"),
    ("train/loss_rate", "share", "lower", "share of training games lost, of those finished since the last line"),
    (
        "train/shaping_closeness",
        "reward",
        "none",
        "mean sum over a training game of the closeness term that is trained on beside the reward, weighted",
    ),
    ("train/shaping_touch", "reward", "none", "the same of the touch term: its weight times the catches of the puck"),
    ("train/shaping_direction", "reward", "none", "the same of the direction term"),
    ("train/possession_frac", "share", "none", "share of a training game in which the agent has the puck"),
    ("train/other_possession_frac", "share", "none", "share of a training game in which the opponent has the puck"),
    (
        "train/action_saturated_frac",
        "share",
        "none",
        "share of the action numbers played in training games that are beyond 0.95 in size",
    ),
    # -- replay and pace
    ("replay/steps", "rows", "none", "rows held in replay: env steps and resets"),
    ("replay/updates_per_env_step", "ratio", "none", "updates made so far over env steps so far: the effective ratio"),
    ("replay/train_ratio_effective", "ratio", "none", "replayed steps so far over env steps so far"),
    ("replay/train_ratio_configured", "ratio", "none", "train.train_ratio, what the effective one comes to from below"),
    (
        "replay/event_frac",
        "share",
        "none",
        "share of windows drawn since the last line in which the task was over: the effective replay.event_share",
    ),
    (
        "replay/event_missed_frac",
        "share",
        "none",
        "share of the windows with an event asked for that were drawn as the others, no event being held",
    ),
    ("replay/mirrored_frac", "share", "none", "share of windows trained on upside down (train.augment)"),
    ("replay/swapped_frac", "share", "none", "share of windows trained on that the opponent saw (train.augment)"),
    (
        "replay/goals_before_learning",
        "games",
        "none",
        "training games that ended in a goal before the first update; 40 to 60 are asked for (M-ADD-08)",
    ),
    (
        "replay/weights_behind",
        "updates",
        "none",
        "how old the weights were that env steps from other processes were played with",
    ),
    (
        "replay/episodes_abandoned",
        "episodes",
        "none",
        "episodes of collectors in processes of their own that a resume, or the death of a collector, left unfinished, "
        "in all; absent when none were",
    ),
    (
        "replay/collector_restarts",
        "restarts",
        "none",
        "collectors in processes of their own that were killed and started again, in all; absent when none were",
    ),
    (
        "pace/env_steps_per_s",
        "1/s",
        "higher",
        "env steps per second of wall time since the last line, evaluation and checkpoints included",
    ),
    (
        "pace/updates_per_s",
        "1/s",
        "higher",
        "updates per second of wall time since the last line, evaluation and checkpoints included",
    ),
    ("pace/update_ms", "ms", "lower", "mean wall time of one update since the last line"),
    ("pace/acting_share", "share", "none", "share of wall time spent in acting, environment and replay insert"),
)
