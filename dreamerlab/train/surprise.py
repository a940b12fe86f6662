"""How much worse the world model is on the newest batch than it has been lately (M-SUR-01, M-SUR-02, M-SUR-03).

Of every loss the logarithm of its ratio to its own running average, so it shows change and not scale. Tensors all the
way: nothing waits for the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

COMPONENTS = {
    "reward": "wm/reward_loss",
    "continue": "wm/continue_loss",
    "pixel": "wm/image_loss",
    "state": "wm/recon_loss",
    "kl_dyn": "wm/kl_dyn_nats",
    "kl_rep": "wm/kl_rep_nats",
}
"""Losses of the world model by the name their log ratio has; those that a trial has."""
TOTAL = "wm/loss"
LEAST = 1e-8
"""A likelihood of numbers can be negative, and has no logarithm: it counts as this much, and its surprise as 0."""


class Surprise:
    """Running averages of an agent's losses, decaying by `beta` an update; the first update sets them."""

    def __init__(self, beta: float) -> None:
        self._beta = beta
        self._averages: Float[Tensor, " L"] | None = None
        self._is_ready: Float[Tensor, ""] | None = None

    def after(self, metrics: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the log ratios of an update's losses, as 0-dim tensors, and take the losses into the averages.

        0 and not ready at the first update. An update without the world model's losses has no surprise: {}.
        """
        if TOTAL not in metrics:
            return {}
        parts = {name: metrics[loss] for name, loss in COMPONENTS.items() if loss in metrics}
        losses = torch.stack([metrics[TOTAL], *parts.values()]).clamp(min=LEAST)
        if self._averages is None:
            self._averages, ready = losses.clone(), losses.new_zeros(())
        else:
            ready = self._is_ready = losses.new_ones(()) if self._is_ready is None else self._is_ready
        averages = self._averages = self._averages.to(losses.device)
        ratios = (losses / averages).log()
        averages.lerp_(losses, 1.0 - self._beta)
        total, *each = ratios.unbind()
        return {
            "surprise/ready": ready,
            "surprise/total_log_ratio": total,
            "surprise/max_component_log_ratio": ratios[1:].max() if each else total,
            **{f"surprise/{name}_log_ratio": ratio for name, ratio in zip(parts, each, strict=True)},
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the averages."""
        return {"averages": self._averages}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore exactly."""
        self._averages = state["averages"]
