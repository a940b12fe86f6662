"""Metrics of probes: what the agent expects beside what is in replay, measured at evaluations (`log.probes`)."""

from __future__ import annotations

from dreamerlab.measured.row import Row


def _open_loop(ahead: int) -> tuple[Row, Row]:
    return (
        (
            f"probe/open_loop_error_{ahead}",
            "squared symlog",
            "lower",
            f"mean squared error of the observation foreseen {ahead} rows ahead with the recorded actions, after "
            "seeing 5; of pictures, where no numbers are observed, of brightness 0 to 1; absent where no episode held "
            "is long enough",
        ),
        (
            f"probe/open_loop_baseline_{ahead}",
            "squared symlog",
            "none",
            f"the same error of always saying the mean observation, {ahead} rows ahead: an error near it foresees "
            "nothing",
        ),
    )


ROWS: tuple[Row, ...] = (
    *_open_loop(5),
    *_open_loop(15),
    *_open_loop(50),
    (
        "probe/value_mean",
        "return",
        "none",
        "mean value of states of finished training episodes, less what it holds to lie beyond a time limit",
    ),
    (
        "probe/return_mean",
        "return",
        "none",
        "mean discounted reward that really followed the same states up to the end of their episodes, as trained on",
    ),
    (
        "probe/value_bias",
        "return",
        "none",
        "probe/value_mean minus probe/return_mean: positive overestimates, if the policy is not much "
        "better by now than the one that played",
    ),
    (
        "probe/value_explained_variance",
        "share",
        "higher",
        "1 - Var(value - return) / Var(return) on the same states; blind to a constant bias; absent where all returns "
        "are the same",
    ),
    (
        "probe/imagined_return_gap",
        "return",
        "none",
        "lambda-return imagined from the same states, less the same beyond a time limit, minus the real return: "
        "positive is what exploiting the model looks like",
    ),
    (
        "probe/tail_frac",
        "share",
        "none",
        "share of these states whose episode a time limit ended: what lies beyond it is taken off, not bootstrapped",
    ),
    (
        "probe/reward_mae",
        "reward",
        "lower",
        "mean size of the error of predicted rewards on the newest rows, first rows of episodes left out",
    ),
    ("probe/reward_std", "reward", "none", "spread of the real rewards on the same rows: 0 is nothing to learn from"),
    (
        "probe/reward_correlation",
        "correlation",
        "higher",
        "of predicted with real rewards on the same rows; absent where either is constant",
    ),
    (
        "probe/reward_slope",
        "ratio",
        "none",
        "slope of real on predicted rewards: 1 is calibrated, below 1 exaggerates; absent where either is constant",
    ),
    (
        "probe/termination_precision",
        "share",
        "higher",
        "share of predicted ends (bare probability of going on below 0.5) that were terminal; absent where none was "
        "predicted",
    ),
    (
        "probe/termination_recall",
        "share",
        "higher",
        "share of terminal rows whose end was predicted; absent where there are none",
    ),
    ("probe/termination_count", "rows", "none", "terminal rows that were looked at, 40 at most"),
    (
        "probe/continue_accuracy",
        "share",
        "higher",
        "share of replayed rows where ends and going on are told apart",
    ),
)
