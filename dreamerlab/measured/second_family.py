"""Metrics of updates that only the modular learner has (`world_model.family` mlp)."""

from __future__ import annotations

from dreamerlab.measured.row import Row

ROWS: tuple[Row, ...] = (
    (
        "wm/dynamics_mse",
        "state squared",
        "lower",
        "squared error of the predicted next state, mean over its numbers, whose mean square is 1; above 0.1 is bad",
    ),
    ("wm/dynamics_nll_nats", "nats", "lower", "-ln p of the next state under the predicted Normals, mean over numbers"),
    ("wm/dynamics_std", "state", "none", "mean predicted standard deviation of the next state"),
    (
        "wm/multi_step_mse",
        "state squared",
        "lower",
        "squared error of states predicted from predictions, up to mlp.multi_step of them, mean over numbers",
    ),
    ("wm/reward_nll_nats", "nats", "lower", "-ln p of the reward under the predicted Normal; may be negative"),
    ("wm/reward_std", "reward", "none", "mean predicted standard deviation of the reward"),
    ("behavior/value_mse", "return squared", "lower", "squared error of the value towards imagined returns"),
    ("behavior/td_error", "return", "none", "mean of value minus imagined return; tracked, not minimised"),
)

SOMETIMES: dict[str, str] = {
    **{name: "world_model.family is mlp" for name, *_ in ROWS},
    "wm/dynamics_nll_nats": "mlp.dynamics_loss is gaussian",
    "wm/dynamics_std": "mlp.dynamics_loss is gaussian",
    "wm/multi_step_mse": "mlp.multi_step is above 0",
}
"""Which trials have them."""
