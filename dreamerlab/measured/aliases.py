"""What other projects call our metrics: their names can be asked for, in slashes or dots (M-LOG-06).

A name may be a fixed second name of ours, or come from the notes that this project grew out of. Where theirs is not
quite the same quantity, NOTES says how it differs. Ours may be written with dots too.
"""

from __future__ import annotations

_POLICY: dict[str, str] = {
    # M-LOG-01
    "behavior/entropy_mean": "behavior/entropy_nats",
    "behavior/entropy_std": "behavior/entropy_std_nats",
    "behavior/entropy_min": "behavior/entropy_min_nats",
    "behavior/entropy_max": "behavior/entropy_max_nats",
    "behavior/advantages_mean": "behavior/advantage_mean",
    "behavior/advantages_std": "behavior/advantage_std",
    "behavior/advantages_abs_mean": "behavior/advantage_abs_mean",
    "diagnostics/advantage_contribution": "behavior/advantage_contribution",
    "diagnostics/entropy_contribution": "behavior/entropy_contribution",
    "diagnostics/entropy_advantage_ratio": "behavior/entropy_advantage_ratio",
    # M-LOG-02
    "actor/min_std": "behavior/action_std_min",
    "actor/max_std": "behavior/action_std_max",
    "actor/entropy_mean": "behavior/entropy_nats",
    "actor/entropy_std": "behavior/entropy_std_nats",
    "returns/percentile_5": "behavior/return_p5",
    "returns/percentile_95": "behavior/return_p95",
    "returns/percentile_range": "behavior/return_scale_raw",
    "returns/scale_S": "behavior/return_scale",
    "returns/scale_at_floor": "behavior/return_scale_at_limit",
    "advantages/mean": "behavior/advantage_mean",
    "advantages/std": "behavior/advantage_std",
    "advantages/max_abs": "behavior/advantage_abs_max",
    "advantages/mean_abs": "behavior/advantage_abs_mean",
    "actor_loss/policy_gradient_term": "behavior/policy_gradient_term",
    "actor_loss/entropy_term": "behavior/entropy_term",
    "actor_loss/total": "behavior/policy_loss",
    "policy/action_mean": "behavior/action_mean",
    "policy/action_std": "behavior/action_std",
    "policy/diverging": "behavior/log_prob_abs_mean",
    # M-LOG-03
    "diagnostics/return_range_S": "behavior/return_scale",
    "diagnostics/return_range_at_floor": "behavior/return_scale_at_limit",
    "world/recon_loss": "wm/recon_loss",
    "world/reward_loss": "wm/reward_loss",
    "world/kl_loss": "wm/kl_dyn_nats",
}

_CARTPOLE: dict[str, str] = {
    # M-LOG-04
    "env/episode_length": "train/length",
    "loss/wm/total": "wm/loss",
    "loss/actor/total": "behavior/policy_loss",
    "loss/critic/total": "behavior/value_loss",
    "wm/decoder/state_loss": "wm/recon_loss",
    "wm/decoder/pixel_loss": "wm/image_loss",
    "wm/reward_head/loss": "wm/reward_loss",
    "wm/continue_head/loss": "wm/continue_loss",
    "wm/rssm/kl_dynamics": "wm/kl_dyn_nats",
    "wm/rssm/kl_representation": "wm/kl_rep_nats",
    "wm/rssm/kl_dynamics_raw": "wm/kl_nats",
    "wm/rssm/kl_representation_raw": "wm/kl_nats",
    "dream/wm_reward/mean": "behavior/imagined_reward",
    "dream/wm_reward/std": "behavior/imagined_reward_std",
    "dream/critic_value/mean": "behavior/value",
    "dream/critic_value/std": "behavior/value_std",
    "actor/entropy/mean": "behavior/entropy_nats",
    "actor/entropy/std": "behavior/entropy_std_nats",
    "train/throughput": "pace/updates_per_s",
    "train/updates_per_env_step": "replay/updates_per_env_step",
    # M-SUR-02
    **{
        f"wm/surprise/{what}": f"surprise/{what}"
        for what in (
            "ready",
            *(
                f"{part}_log_ratio"
                for part in ("total", "max_component", "reward", "continue", "pixel", "state", "kl_dyn", "kl_rep")
            ),
        )
    },
}

_MODULAR: dict[str, str] = {
    # M-LOG-05
    "decoder_reconstruction_loss": "wm/recon_loss",
    "dynamics_loss": "wm/dynamics_mse",
    "dynamics_mse": "wm/dynamics_mse",
    "reward_loss": "wm/reward_loss",
    "reward_nll": "wm/reward_nll_nats",
    "reward_mae": "wm/reward_mae",
    "continue_accuracy": "wm/continue_accuracy",
    "continue_precision": "probe/termination_precision",
    "continue_recall": "probe/termination_recall",
    "mean_imagined_return": "behavior/imagined_return",
    "entropy": "behavior/entropy_nats",
    "actor_grad_norm": "optim/grad_norm_actor",
    "world_model_grad_norm": "optim/grad_norm_world",
    "critic_loss": "behavior/value_mse",
    "critic_td_error_mean": "behavior/td_error",
    "critic_value_std": "behavior/value_std",
    "representation_std": "wm/feature_std",
}

ALIASES: dict[str, str] = {
    **{f"eval/{what}": f"eval/{what}_mode" for what in ("return", "length", "win_rate", "draw_rate", "loss_rate")},
    **_POLICY,
    **_CARTPOLE,
    **_MODULAR,
}
"""Their name, in slashes: ours."""

NOTES: dict[str, str] = {
    "actor/min_std": "theirs may be the configured bound: see `behavior/entropy_lower_nats`",
    "actor/max_std": "theirs may be the configured bound: see `behavior/entropy_upper_nats`",
    "returns/scale_at_floor": "theirs counts a scale up to 1.01, ours one at `return_norm.limit`",
    "diagnostics/return_range_at_floor": "theirs counts a scale up to 1.01, ours one at `return_norm.limit`",
    "policy/action_mean": "of dimension 2: `policy/action_mean/2`",
    "policy/action_std": "of dimension 2: `policy/action_std/2`",
    "policy/diverging": "theirs is a flag, ours the quantity: it diverges above 10",
    "world/recon_loss": "theirs may be a mean over numbers, ours is their sum after symlog",
    "world/kl_loss": "theirs adds both clipped terms with their scales, ours is the dynamics term; raw: `wm/kl_nats`",
    "loss/wm/total": "theirs is divided by the steps of a window once more; ours is a mean already",
    "wm/rssm/kl_representation_raw": "both raw terms are the same number",
    "decoder_reconstruction_loss": "theirs is a mean over numbers, ours their sum after symlog",
    "dynamics_loss": "in the recurrent family: `wm/kl_dyn_nats`",
    "dynamics_mse": "in the recurrent family, of the observation: `probe/open_loop_error_5`",
    "reward_nll": "in the recurrent family a cross-entropy: `wm/reward_loss`",
    "continue_precision": "of the termination class, measured by probes",
    "continue_recall": "of the termination class, measured by probes",
    "critic_loss": "in the recurrent family a cross-entropy: `behavior/value_loss`",
    "critic_td_error_mean": "in the recurrent family, its sign turned and scaled: `behavior/advantage_mean`",
}
"""How a quantity of theirs differs from ours."""
