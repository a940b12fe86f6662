"""Figures of probes by hand, and which of them are left out where the data do not define them."""

from __future__ import annotations

import numpy as np
import pytest

from dreamerlab.train.probe_figures import of_ends, of_rewards, of_values


def test_reward_figures_by_hand_M_QC_04() -> None:
    """M-QC-04: predictions of (0, 1, 2) for (0, 2, 4): perfectly correlated, half as large as they should be."""
    figures = of_rewards(np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 4.0]))
    assert figures == {
        "reward_mae": pytest.approx(1.0),
        "reward_std": pytest.approx(np.sqrt(8.0 / 3.0)),
        "reward_correlation": pytest.approx(1.0),
        "reward_slope": pytest.approx(2.0),
    }
    assert of_rewards(np.array([1.0, 0.0]), np.array([0.0, 1.0]))["reward_correlation"] == pytest.approx(-1.0)


@pytest.mark.parametrize(("predicted", "real"), [([1.0, 1.1], [1.0, 1.0]), ([0.0, 0.0], [0.0, 1.0])])
def test_a_constant_has_no_correlation(predicted: list[float], real: list[float]) -> None:
    assert of_rewards(np.array(predicted), np.array(real)).keys() == {"reward_mae", "reward_std"}


def test_explained_variance_by_hand_M_QC_07_M_DIAG_28() -> None:
    """M-QC-07: returns (0, 2), values (1, 2): errors (1, 0) vary by 1/4, returns by 1. A bias is not explained."""
    figures = of_values(np.array([1.0, 2.0]), np.array([0.0, 2.0]))
    assert figures == {
        "value_mean": 1.5,
        "return_mean": 1.0,
        "value_bias": 0.5,
        "value_explained_variance": pytest.approx(0.75),
    }
    low = of_values(np.array([14.0, 15.0]), np.array([38.0, 39.0]))
    assert (low["value_bias"], low["value_explained_variance"]) == (-24.0, 1.0)
    assert "value_explained_variance" not in of_values(np.array([1.0, 2.0]), np.array([3.0, 3.0]))


def test_always_going_on_is_seen_through_M_QC_05() -> None:
    """M-QC-05: 99 % accurate and of no use, which recall says and accuracy does not."""
    figures = of_ends(np.zeros(8, bool), np.zeros(100, bool), share=0.01)
    assert figures == {
        "termination_count": 8.0,
        "continue_accuracy": pytest.approx(0.99),
        "termination_recall": 0.0,
    }


def test_ends_drawn_apart_are_put_together_by_their_share_M_QC_05() -> None:
    """Of 1000 rows 10 are terminal: three of four found is 7.5, one in 99 others falsely is 10."""
    found = np.array([True, True, True, False])
    alarms = np.zeros(99, bool)
    alarms[0] = True
    figures = of_ends(found, alarms, share=0.01)
    assert figures["termination_recall"] == 0.75
    assert figures["termination_precision"] == pytest.approx(7.5 / 17.5)
    assert figures["continue_accuracy"] == pytest.approx(1.0 - 0.0125)


def test_without_rows_there_are_no_figures() -> None:
    nothing = np.zeros(0)
    assert of_rewards(nothing, nothing) == of_values(nothing, nothing) == of_ends(nothing, nothing, 0.0) == {}
    assert of_ends(nothing, np.zeros(3, bool), 0.0) == {"termination_count": 0.0, "continue_accuracy": 1.0}
