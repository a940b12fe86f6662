"""One step of LaProp after adaptive clipping, and of the slow critic, in float64 numpy (FACTS A6, A9)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dreamerlab.config.schema_learning import Optimizer


@dataclass
class Moments:
    """What the optimiser remembers of one tensor."""

    square: np.ndarray
    momentum: np.ndarray
    updates: int = 0


def step(weight: np.ndarray, grad: np.ndarray, moments: Moments, rate: float, config: Optimizer) -> np.ndarray:
    """Return the new weight: clip the tensor, divide by the root mean square, momentum, rate with warm-up."""
    moments.updates += 1
    k = moments.updates
    size = math.sqrt(float((grad * grad).sum()))
    if config.agc > 0.0 and size > 0.0:
        norm = math.sqrt(float((weight * weight).sum()))
        grad = grad * min(1.0, config.agc * max(config.agc_min_norm, norm) / size)
    moments.square = config.beta2 * moments.square + (1.0 - config.beta2) * grad * grad
    normalised = grad / (np.sqrt(moments.square / (1.0 - config.beta2**k)) + config.eps)
    moments.momentum = config.beta1 * moments.momentum + (1.0 - config.beta1) * normalised
    warm = min(1.0, k / config.warmup_updates) if config.warmup_updates else 1.0
    return weight - rate * warm * moments.momentum / (1.0 - config.beta1**k)


def follow(slow: np.ndarray, fast: np.ndarray, rate: float) -> np.ndarray:
    """Return (1 - rate) slow + rate fast, taken after the step."""
    return (1.0 - rate) * slow + rate * fast
