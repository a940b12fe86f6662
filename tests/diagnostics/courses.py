"""Courses made by hand, for tests of conditions and of how findings are put in order; recorded ones are elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dreamerlab.diagnostics.series import Course, Series, make_series

Shape = float | Sequence[float] | Callable[[float], float]
"""A constant, the values themselves, or a function of how far the run is, 0 to 1."""


def series(shape: Shape, points: int = 100, until: int = 10_000) -> Series:
    """Return `points` values evenly spread up to `until` env steps."""
    if isinstance(shape, int | float):
        values: Sequence[float] = [shape] * points
    elif callable(shape):
        values = [shape(i / (points - 1)) for i in range(points)]
    else:
        values = shape
    count = len(values)
    return make_series((round((i + 1) * until / count), value) for i, value in enumerate(values))


def course(shapes: Mapping[str, Shape], *, spent: float = 1.0, config: Mapping[str, object] | None = None) -> Course:
    """Return a course of the given shapes, metric by metric."""
    return Course({name: series(shape) for name, shape in shapes.items()}, spent, None, config or {})


def rising(start: float, end: float) -> Callable[[float], float]:
    """Return a straight line."""
    return lambda at: start + at * (end - start)


def peaked(start: float, height: float, end: float, at: float = 0.5) -> Callable[[float], float]:
    """Return a rise to `height` until `at`, and then `end`."""
    return lambda x: start + (height - start) * min(1.0, x / (0.5 * at)) if x <= at else end


LEARNS: Mapping[str, Shape] = {
    "eval/return_mode": rising(20, 480),
    "eval/return_sample": rising(20, 470),
    "train/return": rising(20, 470),
    "train/length": rising(20, 470),
    "behavior/entropy_frac": lambda x: max(0.35, 1 - 2 * x),
    "behavior/entropy_nats": rising(0.69, 0.24),
    "behavior/entropy_lower_nats": 0.0,
    "behavior/entropy_upper_nats": 0.6931,
    "behavior/advantage_abs_mean": 0.05,
    "behavior/advantage_contribution": 0.02,
    "behavior/entropy_contribution": 7e-5,
    "behavior/log_prob_abs_mean": rising(0.69, 0.24),
    "behavior/policy_gradient_term": 0.005,
    "behavior/return_scale": rising(1, 60),
    "behavior/return_scale_raw": rising(0.1, 60),
    "behavior/return_scale_at_limit": 0.0,
    "behavior/return_p95": rising(10, 290),
    "behavior/imagined_reward": 1.0,
    "behavior/imagined_reward_std": 0.01,
    "behavior/imagined_survival": 0.97,
    "behavior/imagined_continue": 0.99,
    "behavior/imagined_return": rising(5, 250),
    "behavior/value": rising(5, 250),
    "behavior/value_std": 20.0,
    "behavior/value_ceiling_frac": 1e-6,
    "behavior/value_excess": 0.1,
    "optim/grad_norm_actor": 0.02,
    "optim/grad_norm_critic": 0.4,
    "optim/grad_norm_world": 0.8,
    "optim/lr_actor": 3e-4,
    "optim/lr_critic": 1e-3,
    "optim/lr_world": 1e-3,
    "wm/loss": rising(3, 0.9),
    "wm/recon_loss": rising(0.5, 0.01),
    "wm/reward_excess": rising(0.05, 1e-5),
    "wm/continue_accuracy": 0.99,
    "wm/kl_nats": rising(1, 0.15),
    "wm/kl_dyn_nats": rising(1, 0.18),
    "wm/free_bits_frac": 0.5,
    "wm/prior_entropy_nats": rising(16, 7),
    "wm/posterior_entropy_nats": rising(15.5, 6.8),
    "wm/latent_agreement_frac": 0.85,
    "wm/feature_std": 0.3,
    "replay/train_ratio_effective": 250.0,
    "replay/train_ratio_configured": 256.0,
    "replay/updates_per_env_step": 1.0,
    "control/camp_active_frac": 0.2,
    "control/updates_withheld_frac": 0.1,
    "probe/open_loop_error_5": 0.01,
    "probe/open_loop_baseline_5": 0.5,
    "probe/open_loop_error_15": 0.05,
    "probe/open_loop_baseline_15": 0.5,
    "probe/open_loop_error_50": 0.2,
    "probe/open_loop_baseline_50": 0.5,
    "probe/value_mean": 200.0,
    "probe/return_mean": 180.0,
    "probe/value_explained_variance": 0.8,
    "probe/reward_correlation": 0.95,
    "probe/reward_slope": 1.0,
    "probe/termination_recall": 0.8,
    "probe/termination_precision": 0.8,
    "probe/termination_count": 40.0,
}
"""A run that learns, with every metric that rules need."""
