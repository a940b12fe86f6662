"""The catalogue of metrics: the only place a metric gets its name, unit, direction and meaning.

Code may emit only names listed here (a test trains and compares the sets); whatever refers to a metric (tables,
plots, mirrors) looks it up here. `direction` says which way is better, where that can be said at all.
Names are `area/quantity`, with the unit in the name where it is not obvious.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dreamerlab.errors import NotFound, did_you_mean

Direction = Literal["higher", "lower", "none"]


@dataclass(frozen=True)
class Metric:
    """One quantity: what it is called, what it is measured in, which way is better, what it means."""

    name: str
    unit: str
    direction: Direction
    meaning: str


_ROWS: tuple[tuple[str, str, Direction, str], ...] = (
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
    # -- world model
    ("wm/loss", "weighted sum", "lower", "weighted sum of the world-model losses"),
    (
        "wm/recon_loss",
        "squared symlog",
        "lower",
        "vector reconstruction: squared error in symlog space, summed over dims",
    ),
    ("wm/image_loss", "squared brightness", "lower", "picture error: (prediction - x / 255)^2, summed over all bytes"),
    ("wm/discrete_loss", "nats", "lower", "cross-entropy of discrete observations, summed over components"),
    ("wm/auxiliary_loss", "sum", "lower", "sum of the auxiliary heads' losses, unknown targets left out"),
    ("wm/auxiliary_known_frac", "share", "none", "share of auxiliary targets that are known"),
    ("wm/reward_loss", "nats", "lower", "reward cross-entropy on the two-hot target; its floor is not zero"),
    ("wm/reward_excess", "nats", "lower", "reward cross-entropy minus the entropy of its two-hot target"),
    ("wm/continue_loss", "nats", "lower", "binary cross-entropy of the predicted discount; its floor is not zero"),
    ("wm/continue_excess", "nats", "lower", "continue cross-entropy minus the entropy of its target"),
    ("wm/kl_nats", "nats", "none", "KL(posterior || prior), raw, summed over latents"),
    ("wm/kl_dyn_nats", "nats", "none", "dynamics loss: KL(sg posterior || prior), clipped at the free bits"),
    ("wm/kl_rep_nats", "nats", "none", "representation loss: KL(posterior || sg prior), clipped at the free bits"),
    (
        "wm/free_bits_frac",
        "share",
        "none",
        "share of (batch, time) elements whose KL is under the free bits: no gradient",
    ),
    ("wm/prior_entropy_nats", "nats", "none", "entropy of the prior, summed over latents"),
    ("wm/posterior_entropy_nats", "nats", "none", "entropy of the posterior, summed over latents"),
    # -- behavior (actor and critic)
    ("behavior/policy_loss", "weighted sum", "none", "policy loss with entropy bonus, weighted by continuation"),
    ("behavior/policy_gradient_term", "weighted sum", "none", "the policy loss without its entropy term"),
    (
        "behavior/entropy_term",
        "weighted sum",
        "none",
        "entropy bonus in the policy loss: minus entropy_scale * entropy",
    ),
    (
        "behavior/gain_abs_mean",
        "scaled return",
        "none",
        "mean size of what the policy loss weighs: |advantage * log p(action)| under REINFORCE",
    ),
    ("behavior/log_prob_abs_mean", "nats", "none", "mean |log p(action)| of imagined actions; above 10 is divergence"),
    ("behavior/entropy_nats", "nats", "none", "policy entropy on imagined states; of numbers it may be negative"),
    ("behavior/entropy_rewarded_nats", "nats", "none", "policy entropy after behavior.entropy_floor: what is rewarded"),
    ("behavior/entropy_std_nats", "nats", "none", "spread of the policy entropy over imagined states"),
    ("behavior/entropy_min_nats", "nats", "none", "least policy entropy on an imagined state"),
    ("behavior/entropy_max_nats", "nats", "none", "largest policy entropy on an imagined state"),
    (
        "behavior/entropy_frac",
        "share",
        "none",
        "policy entropy within the range its head can have, 0 to 1; under tanh of the Normal before it",
    ),
    ("behavior/entropy_base_nats", "nats", "none", "policy entropy before tanh"),
    (
        "behavior/entropy_squashed_nats",
        "nats",
        "none",
        "policy entropy after tanh, estimated by -log p of the drawn actions; ln 2 a number at most",
    ),
    ("behavior/entropy_scale", "per nat", "none", "weight of the entropy bonus in force"),
    ("behavior/action_std", "action", "none", "mean standard deviation of the policy (before tanh, if there is one)"),
    ("behavior/action_mean", "action", "none", "mean of imagined actions over dimensions, clipped nowhere"),
    (
        "behavior/action_saturated_frac",
        "share",
        "none",
        "share of imagined action numbers at or beyond 0.99 in size",
    ),
    ("behavior/advantage_mean", "scaled return", "none", "mean of (return - value) / scale on imagined states"),
    ("behavior/advantage_std", "scaled return", "none", "spread of the scaled advantages"),
    ("behavior/advantage_abs_mean", "scaled return", "none", "mean size of the scaled advantages"),
    ("behavior/advantage_abs_max", "scaled return", "none", "largest size of a scaled advantage"),
    (
        "behavior/return_p5",
        "return",
        "none",
        "lower percentile (return_norm.low) of imagined returns, running average",
    ),
    (
        "behavior/return_p95",
        "return",
        "none",
        "upper percentile (return_norm.high) of imagined returns, running average",
    ),
    ("behavior/return_scale_raw", "return", "none", "upper minus lower percentile, before the limit"),
    ("behavior/return_scale", "return", "none", "what advantages are divided by: the range, at least the limit"),
    ("behavior/return_scale_at_limit", "share", "none", "share of updates in which the scale was at its lower limit"),
    ("behavior/imagined_return", "return", "none", "mean lambda-return over imagined states"),
    ("behavior/imagined_reward", "reward", "none", "mean predicted reward over imagined states"),
    ("behavior/imagined_continue", "probability", "none", "mean predicted discount over imagined states"),
    ("behavior/value", "return", "none", "mean value over imagined states"),
    ("behavior/value_std", "return", "none", "spread of the value over imagined states"),
    (
        "behavior/value_loss",
        "nats",
        "lower",
        "critic cross-entropy on imagined returns with slow regulariser, weighted by continuation",
    ),
    (
        "behavior/value_excess",
        "nats",
        "lower",
        "critic cross-entropy on imagined returns minus the entropy of its target",
    ),
    (
        "behavior/replay_value_loss",
        "nats",
        "lower",
        "critic cross-entropy on replayed returns, with the slow regulariser",
    ),
    # -- optimiser
    ("optim/grad_norm_world", "norm", "none", "gradient norm of the world model, before clipping"),
    ("optim/grad_norm_actor", "norm", "none", "gradient norm of the actor, before clipping"),
    ("optim/grad_norm_critic", "norm", "none", "gradient norm of the critic, before clipping"),
    (
        "optim/clipped_frac",
        "share",
        "none",
        "share of parameter tensors whose gradient was scaled down by clipping",
    ),
    ("optim/lr_world", "rate", "none", "learning rate of the world model after warm-up and schedule"),
    ("optim/lr_actor", "rate", "none", "learning rate of the actor after warm-up and schedule"),
    ("optim/lr_critic", "rate", "none", "learning rate of the critic after warm-up and schedule"),
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

SOMETIMES: dict[str, str] = {
    "wm/recon_loss": "numbers are observed",
    "wm/image_loss": "pictures are observed",
    "wm/discrete_loss": "choices are observed",
    "wm/auxiliary_loss": "heads.auxiliary names heads",
    "wm/auxiliary_known_frac": "heads.auxiliary names heads",
    "behavior/entropy_base_nats": "policy.dist is tanh_normal",
    "behavior/entropy_squashed_nats": "policy.dist is tanh_normal",
    "replay/mirrored_frac": "train.augment has mirror",
    "replay/swapped_frac": "train.augment has swap",
    "behavior/action_std": "actions are numbers drawn from a Normal",
    "behavior/action_mean": "actions are numbers",
    "behavior/action_saturated_frac": "actions are numbers",
}
"""Metrics of updates that not every trial has, and which trials have them."""

CATALOGUE: dict[str, Metric] = {row[0]: Metric(*row) for row in _ROWS}
ALIASES: dict[str, str] = {
    f"eval/{what}": f"eval/{what}_mode" for what in ("return", "win_rate", "draw_rate", "loss_rate")
}


def is_return(name: str) -> bool:
    """Tell whether a metric is a return that agents get in the task: what a task's random and solved levels speak of.

    Evaluations (`eval/return`, its policies) and training episodes (`train/return`); returns that a model imagines and
    the scale they are divided by are none.
    """
    return name.startswith("eval/return") or name == "train/return"


def get_metric(name: str) -> Metric:
    """Return the metric called `name` (aliases allowed); an unknown name is answered with the nearest ones."""
    known = CATALOGUE.get(ALIASES.get(name, name))
    if known is None:
        near = did_you_mean(name, [*CATALOGUE, *ALIASES])
        raise NotFound(f"no metric is called '{name}'{near}", hint="see protocol/reference/metrics.md for all names")
    return known
