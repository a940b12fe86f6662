"""One step of the optimisers, and of the slow critic, in float64 numpy (FACTS A6, A9)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dreamerlab.config.schema_learning import Optimizer

Array = np.ndarray


@dataclass
class Moments:
    """What the optimiser remembers of one tensor."""

    square: Array
    momentum: Array
    updates: int = 0


def step(weight: Array, grad: Array, moments: Moments, rate: float, group_norm: float, config: Optimizer) -> Array:
    """Return the new weight of one tensor of a group whose whole gradient has the norm `group_norm`.

    LaProp (FACTS A9): clip the tensor, divide by the root mean square, then momentum. Adam: clip the group, then
    momentum of the gradients over the root mean square (FACTS A13.13). Rates warm up and follow their schedule.
    """
    moments.updates += 1
    k, laprop = moments.updates, config.name == "laprop_agc"
    size = math.sqrt(float((grad * grad).sum()))
    if not laprop:
        grad = grad * min(1.0, config.max_norm / group_norm)
    elif config.agc > 0.0 and size > 0.0:
        norm = math.sqrt(float((weight * weight).sum()))
        grad = grad * min(1.0, config.agc * max(config.agc_min_norm, norm) / size)
    moments.square = config.beta2 * moments.square + (1.0 - config.beta2) * grad * grad
    root = np.sqrt(moments.square / (1.0 - config.beta2**k)) + config.eps
    moments.momentum = config.beta1 * moments.momentum + (1.0 - config.beta1) * (grad / root if laprop else grad)
    change = moments.momentum / (1.0 - config.beta1**k)
    warm = min(1.0, k / config.warmup_updates) if config.warmup_updates else 1.0
    return weight - rate * warm * scheduled(config.lr_schedule, k - 1) * (change if laprop else change / root)


def scheduled(text: str, made: int) -> float:
    """Return the factor after `made` updates, of which a schedule speaks in words: `linear to 0.1x over 50 updates`."""
    if text == "constant":
        return 1.0
    shape, _, target, _, over, _ = text.split()
    last, share = float(target.rstrip("x")), min(1.0, made / int(over))
    if shape == "linear":
        return 1.0 + (last - 1.0) * share
    if shape == "exponential":
        return last**share
    return last + (1.0 - last) * (1.0 + math.cos(math.pi * share)) / 2.0


def follow(slow: Array, fast: Array, rate: float) -> Array:
    """Return (1 - rate) slow + rate fast, taken after the step."""
    return (1.0 - rate) * slow + rate * fast
