"""The equations of FACTS A in float64 numpy, one number, one distribution or one rollout at a time.

Written from the equations, not from `dreamerlab.dreamer`, which they are compared with: slow, plain, and free of its
tricks (no fused operations, no paired bins, no cumulative comparisons of a hoisted threshold).
"""

from __future__ import annotations

import math

import numpy as np

Array = np.ndarray


def symlog(x: Array | float) -> Array:
    """sign(x) ln(1 + |x|) (FACTS A5)."""
    return np.sign(x) * np.log(1.0 + np.abs(x))


def symexp(x: Array | float) -> Array:
    """sign(x) (e^|x| - 1) (FACTS A5)."""
    return np.sign(x) * (np.exp(np.abs(x)) - 1.0)


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def softplus(x: Array | float) -> Array | float:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def softmax(logits: Array) -> Array:
    e = np.exp(logits - logits.max())
    return e / e.sum()


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def rms_norm(x: Array, scale: Array) -> Array:
    """Return x / sqrt(mean x^2 + 1e-4), times a learned scale; no shift (FACTS A2)."""
    return scale * x / math.sqrt(sum(v * v for v in x) / len(x) + 1e-4)


# -- categorical


def mixed(logits: Array, unimix: float) -> Array:
    """(1 - unimix) softmax + unimix / K of one categorical (FACTS A3)."""
    return (1.0 - unimix) * softmax(logits) + unimix / len(logits)


def draw(probs: Array, uniform: float) -> int:
    """The first class whose cumulative probability exceeds the uniform number."""
    total = 0.0
    for k, p in enumerate(probs):
        total += p
        if total > uniform:
            return k
    return len(probs) - 1


def one_hot(index: int, classes: int) -> Array:
    """All zeros for index -1, which stands for nothing."""
    row = np.zeros(classes)
    if index >= 0:
        row[index] = 1.0
    return row


def entropy(probs: Array) -> float:
    return -sum(p * math.log(p) for p in probs)


def kl(p: Array, q: Array) -> float:
    """Sum over latents and classes of p ln(p / q); p and q are (S, K) (FACTS A4)."""
    return sum(p[s, k] * (math.log(p[s, k]) - math.log(q[s, k])) for s in range(p.shape[0]) for k in range(p.shape[1]))


# -- two-hot


def symexp_bins(count: int, high: float) -> Array:
    """Return symexp of `count` evenly spaced numbers (FACTS A5)."""
    return symexp(np.linspace(-high, high, count))


def two_hot(x: float, bins: Array) -> Array:
    """Weights linear in raw space between the two neighbours; beyond the range all mass on the edge (FACTS A5)."""
    weights = np.zeros(len(bins))
    if x <= bins[0]:
        weights[0] = 1.0
    elif x >= bins[-1]:
        weights[-1] = 1.0
    else:
        low = max(i for i in range(len(bins)) if bins[i] <= x)
        share = (x - bins[low]) / (bins[low + 1] - bins[low])
        weights[low], weights[low + 1] = 1.0 - share, share
    return weights


def read_out(logits: Array, bins: Array) -> float:
    """Sum of p_i b_i in raw space (FACTS A5)."""
    return float(softmax(logits) @ bins)


def cross_entropy(logits: Array, target: Array) -> float:
    log_probs = logits - logits.max() - math.log(np.exp(logits - logits.max()).sum())
    return -float(target @ log_probs)


def continue_cross_entropy(logit: float, target: float) -> float:
    """-target ln p - (1 - target) ln(1 - p), p = sigmoid(logit) (FACTS A4)."""
    return float(target * softplus(-logit) + (1.0 - target) * softplus(logit))


# -- returns, over one rollout or one window


def lambda_return(reward: Array, cont: Array, value: Array, lam: float) -> Array:
    """R_t = r_{t+1} + c_{t+1} [(1 - lam) v_{t+1} + lam R_{t+1}], R_H = v_H; arguments indexed 0 .. H (FACTS A6)."""
    horizon = len(value) - 1
    out = np.zeros(horizon + 1)
    out[horizon] = value[horizon]
    for t in range(horizon - 1, -1, -1):
        out[t] = reward[t + 1] + cont[t + 1] * ((1.0 - lam) * value[t + 1] + lam * out[t + 1])
    return out[:horizon]


def replay_return(reward: Array, is_last: Array, is_terminal: Array, boot: Array, discount: float, lam: float) -> Array:
    """R_0 .. R_{T-2} of one window (FACTS A7)."""
    length = len(boot)
    out = np.zeros(length)
    out[-1] = boot[-1]
    for t in range(length - 2, -1, -1):
        going = lam * (1.0 - is_last[t + 1])
        ahead = (1.0 - going) * boot[t + 1] + going * out[t + 1]
        out[t] = reward[t + 1] + discount * (1.0 - is_terminal[t + 1]) * ahead
    return out[:-1]


def percentile(values: Array, share: float) -> float:
    """Linear interpolation between the two neighbouring order statistics (FACTS A6)."""
    ordered = sorted(float(v) for v in values.flatten())
    position = share / 100.0 * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])
