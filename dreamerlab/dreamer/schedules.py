"""What moves with the number of updates: factors on rates and bonuses, and who learns at all.

Factors are tensors computed from a counter that is a tensor, so nothing waits for the device and a captured update
follows its schedule when replayed. What a schedule may say is `config/schedule.py`.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dreamerlab.config.schedule import Schedule
from dreamerlab.config.schema_experience import Train

Learn = Literal["all", "world", "behavior"]
"""What an update teaches: everything, the world model alone, or actor and critic alone."""


def factor(schedule: Schedule, made: Int[Tensor, " *any"], dtype: torch.dtype) -> Float[Tensor, " *any"] | float:
    """Return the factor in force after `made` updates: 1 at the first, `target` from `updates` on; a float if constant.

    With p = min(1, made / updates) it is 1 + (target - 1) p, or target + (1 - target) (1 + cos(pi p)) / 2, or
    target^p (M-CP-59).
    """
    if schedule.shape == "constant":
        return 1.0
    progress = (made.to(dtype) / schedule.updates).clamp(max=1.0)
    if schedule.shape == "exponential":
        return torch.exp(progress * math.log(schedule.target))
    if schedule.shape == "cosine":
        progress = (1.0 - torch.cos(math.pi * progress)) / 2.0
    return 1.0 + (schedule.target - 1.0) * progress


def what_learns(update: int, train: Train) -> Learn:
    """Return what update number `update` (from 1) of a trial teaches.

    `learn` decides alone unless it is `all`; then the first `model_only_updates` teach the world model, and after them
    actor and critic join in every update whose number is a multiple of `actor_every` (M-CP-30 to 32, M-SUR-11).
    """
    assert update >= 1, update
    if train.learn != "all":
        return train.learn
    waits = update <= train.model_only_updates or update % train.actor_every
    return "world" if waits else "all"
