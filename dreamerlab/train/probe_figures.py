"""The figures of probes: predictions held against what really came, as plain numbers (M-QC-04, M-QC-05, M-QC-07).

Pure functions on arrays. A figure that the data do not define is left out, never a nan: a correlation where nothing
varies, a precision where no end was predicted.
"""

from __future__ import annotations

import numpy as np

LEAST_VARIANCE = 1e-12
"""What varies less is taken as constant."""


def of_rewards(predicted: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """Return the mean size of the error, the spread of the real rewards, correlation, and slope of real on predicted.

    A slope of 1 is calibrated, below 1 exaggerates: real rewards differ less than predicted ones.
    """
    if not len(real):
        return {}
    figures = {"reward_mae": float(np.abs(predicted - real).mean()), "reward_std": float(real.std())}
    shared = float(np.mean((predicted - predicted.mean()) * (real - real.mean())))
    varies = {name: x.var() > LEAST_VARIANCE for name, x in (("predicted", predicted), ("real", real))}
    if all(varies.values()):
        figures["reward_correlation"] = shared / float(predicted.std() * real.std())
        figures["reward_slope"] = shared / float(predicted.var())
    return figures


def of_values(value: np.ndarray, returns: np.ndarray) -> dict[str, float]:
    """Return means, bias (value - return) and explained variance 1 - Var(value - return) / Var(return)."""
    if not len(returns):
        return {}
    error = value - returns
    figures = {
        "value_mean": float(value.mean()),
        "return_mean": float(returns.mean()),
        "value_bias": float(error.mean()),
    }
    if returns.var() > LEAST_VARIANCE:
        figures["value_explained_variance"] = 1.0 - float(error.var() / returns.var())
    return figures


def of_ends(found: np.ndarray, false_alarms: np.ndarray, share: float) -> dict[str, float]:
    """Return precision, recall and accuracy of predicted ends among rows of which a `share` is terminal.

    `found` says of terminal rows whether their end was predicted, `false_alarms` of other rows whether one was. The two
    are drawn apart, for ends are too rare to come by otherwise, and put together by the share they have in replay.
    """
    if not len(false_alarms):
        return {}
    wrong = float(false_alarms.mean()) * (1.0 - share)
    figures = {"termination_count": float(len(found)), "continue_accuracy": 1.0 - share - wrong}
    if len(found):
        right = float(found.mean()) * share
        figures["termination_recall"] = float(found.mean())
        figures["continue_accuracy"] += right
        if right + wrong > 0.0:
            figures["termination_precision"] = right / (right + wrong)
    return figures
