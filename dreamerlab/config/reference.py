"""Where the reference algorithm stands, leaf by leaf, and how far any config departs from it (M-CFG-10, M-CFG-11).

The values are written down here a second time, beside the source each was read in: a test holds the schema's
defaults to them. A departure is a choice and never an error; what cannot work is found by `conformance.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dreamerlab.config.catalogue import leaves
from dreamerlab.config.diff import canonical, show
from dreamerlab.tables import Table

REFERENCE: dict[str, tuple[object, str]] = {
    "world_model.family": ("rssm", "FACTS A13.15"),
    "model.deter": (512, "FACTS A11"),
    "model.hidden": (64, "FACTS A11"),
    "model.stoch": (32, "FACTS A11"),
    "model.classes": (4, "FACTS A11"),
    "model.blocks": (8, "FACTS A11"),
    "model.units": (64, "FACTS A11"),
    "model.dyn_layers": (1, "FACTS A3"),
    "model.prior_layers": (2, "FACTS A3"),
    "model.posterior_layers": (1, "FACTS A3"),
    "model.encoder_layers": (3, "FACTS A2"),
    "model.reward_layers": (1, "FACTS A8"),
    "model.continue_layers": (1, "FACTS A8"),
    "model.policy_layers": (3, "FACTS A8"),
    "model.value_layers": (3, "FACTS A8"),
    "model.unimix": (0.01, "FACTS A3"),
    "twohot.bins": (255, "FACTS A5"),
    "twohot.support": ((-20.0, 20.0), "FACTS A5"),
    "model.absolute_posterior": (False, "FACTS A3"),
    "model.cnn_depth": (4, "FACTS A11"),
    "model.cnn_downsample": ("maxpool", "FACTS A2"),
    "twohot.spacing": ("symexp", "FACTS A5"),
    "heads.reward_grad": (True, "FACTS A4"),
    "heads.continue_discounted": (True, "FACTS A4"),
    "heads.auxiliary": ((), "FACTS A4"),
    "policy.dist": ("bounded_normal", "FACTS A8"),
    "policy.std": ((0.1, 1.0), "FACTS A8"),
    "loss_scales.recon": (1.0, "FACTS A4"),
    "loss_scales.reward": (1.0, "FACTS A4"),
    "loss_scales.cont": (1.0, "FACTS A4"),
    "loss_scales.dyn": (1.0, "FACTS A4"),
    "loss_scales.rep": (0.1, "FACTS A4"),
    "loss_scales.policy": (1.0, "FACTS A6"),
    "loss_scales.value": (1.0, "FACTS A6"),
    "loss_scales.replay_value": (0.3, "FACTS A7"),
    "free_bits.nats": (1.0, "FACTS A4"),
    "free_bits.mode": ("clip", "FACTS A4"),
    "behavior.actor_gradient": ("reinforce", "FACTS A6"),
    "behavior.advantage_norm": (False, "FACTS A6"),
    "behavior.entropy_floor": (None, "FACTS A13.1"),
    "behavior.entropy_target": (None, "FACTS A6"),
    "behavior.entropy_schedule": ("constant", "FACTS A6"),
    "behavior.replay_value_grad": (True, "FACTS A7"),
    "explore.bonus": ("none", "FACTS B3"),
    "return_norm.debias": (False, "FACTS A6"),
    "behavior.horizon": (15, "FACTS A6"),
    "behavior.discount_horizon": (333.0, "FACTS A6"),
    "behavior.lam": (0.95, "FACTS A6"),
    "behavior.entropy_scale": (3e-4, "FACTS A6"),
    "behavior.policy_unimix": (0.0, "FACTS A8"),
    "behavior.bootstrap": ("fast", "FACTS A6"),
    "behavior.slow_rate": (0.02, "FACTS A6"),
    "behavior.slow_regularizer": (1.0, "FACTS A6"),
    "return_norm.rate": (0.01, "FACTS A6"),
    "return_norm.limit": (1.0, "FACTS A6"),
    "return_norm.low": (5.0, "FACTS A6"),
    "return_norm.high": (95.0, "FACTS A6"),
    "optimizer.name": ("laprop_agc", "FACTS A9"),
    "optimizer.lr_schedule": ("constant", "FACTS A9"),
    "optimizer.lr_world": (4e-5, "FACTS A9"),
    "optimizer.lr_actor": (4e-5, "FACTS A9"),
    "optimizer.lr_critic": (4e-5, "FACTS A9"),
    "optimizer.warmup_updates": (1000, "FACTS A9"),
    "optimizer.agc": (0.3, "FACTS A9"),
    "optimizer.agc_min_norm": (1e-3, "FACTS A9"),
    "optimizer.beta1": (0.9, "FACTS A9"),
    "optimizer.beta2": (0.999, "FACTS A9"),
    "optimizer.eps": (1e-20, "FACTS A9"),
    "replay.capacity": (5_000_000, "FACTS A10"),
    "replay.online": (True, "FACTS A10"),
    "replay.latent_context": (True, "FACTS A10"),
    "replay.mixture": ((1.0, 0.0, 0.0), "FACTS A10"),
    "replay.event_share": (0.0, "FACTS A10"),
    "smooth.kernel": ("none", "FACTS B1"),
    "collect.random_steps": (0, "FACTS A10"),
    "train.actor_every": (1, "FACTS A13.18"),
    "train.model_only_updates": (0, "FACTS A13.16"),
    "train.learn": ("all", "FACTS A13.16"),
    "control.surprise_gain": (0.0, "FACTS A13.18"),
    "control.focus_threshold": (None, "FACTS A13.18"),
    "control.camp_threshold": (None, "FACTS A13.18"),
    "control.kl_pause_factor": (None, "FACTS A13.18"),
    "control.adaptive_ratio": (None, "FACTS A13.18"),
    "control.freeze": ("off", "FACTS A13.18"),
    "control.restore_below": (None, "FACTS A13.18"),
    "train.batch_size": (16, "FACTS A10"),
    "train.batch_length": (64, "FACTS A10"),
    "train.train_ratio": (32.0, "FACTS A10"),
    "train.imagination_starts": ("all", "FACTS A6"),
    "train.learning_starts": (None, "FACTS A10"),
    "execution.dtype": ("float32", "FACTS A9, with bfloat16 on accelerators"),
}
"""What the reference has, and where that was read; sizes are those of its preset for vector observations."""

SIZES = frozenset({"model.deter", "model.cnn_depth", "model.hidden", "model.classes", "model.units"})
"""The reference comes in many sizes (FACTS A11): another size is not a departure from the algorithm."""

PROTECTED = (
    "behavior.entropy_scale",
    "behavior.discount_horizon",
    "behavior.lam",
    "train.train_ratio",
    "optimizer.lr_actor",
    "optimizer.lr_critic",
)
"""Keys whose good defaults are worth a reason to leave (M-CFG-08, M-DIAG-30)."""


@dataclass(frozen=True)
class Position:
    """One leaf beside its reference value; `ratio` is own / reference, None where that has no meaning."""

    key: str
    own: object
    reference: object
    ratio: float | None
    severity: str
    """`same`, `size`, `small` (under a factor of 2), `large`, or `critical` (a factor of 5 or more)."""
    source: str


def compare_with_reference(flat: Mapping[str, object]) -> list[Position]:
    """Return every leaf of a flat config that has a reference value, in the order of the schema (M-CFG-10)."""
    return [_position(key, flat[key]) for key in leaves() if key in REFERENCE and key in flat]


def reference_table(positions: list[Position], *, everything: bool = False) -> Table:
    """Return the positions as a table; without `everything` only those that differ."""
    table = Table(("key", "own", "reference", "ratio", "severity", "source"), right=frozenset({"ratio"}))
    for p in positions:
        if everything or p.severity != "same":
            ratio = None if p.ratio is None else f"{p.ratio:.3g}"
            table.add(p.key, show(p.own), show(p.reference), ratio, p.severity, p.source)
    return table


def _position(key: str, own: object) -> Position:
    reference, source = REFERENCE[key]
    if canonical(own) == canonical(reference):
        return Position(key, own, reference, 1.0 if _is_number(own) else None, "same", source)
    ratio = None
    if _is_number(own) and _is_number(reference) and reference:
        ratio = float(own) / float(reference)  # type: ignore[arg-type]
    factor = math.inf if not ratio else max(ratio, 1 / ratio)
    severity = "size" if key in SIZES else "small" if factor < 2 else "critical" if 5 <= factor < math.inf else "large"
    return Position(key, own, reference, ratio, severity, source)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
