"""Surprise: the log ratio of every loss to its running average, exactly as the sources define it (M-SUR-01 to 03)."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dreamerlab.metrics import CATALOGUE, get_metric
from dreamerlab.train.surprise import COMPONENTS, Surprise


def metrics(total: float, reward: float = 1.0) -> dict[str, torch.Tensor]:
    return {"wm/loss": torch.tensor(total), "wm/reward_loss": torch.tensor(reward), "wm/kl_dyn_nats": torch.tensor(1.0)}


def test_it_is_the_log_ratio_to_an_average_that_the_first_update_sets_M_SUR_01() -> None:
    surprise = Surprise(0.99)
    first = surprise.after(metrics(2.0))
    assert first["surprise/ready"] == 0.0
    assert first["surprise/total_log_ratio"] == 0.0
    second = surprise.after(metrics(4.0, reward=3.0))
    assert second["surprise/ready"] == 1.0
    assert second["surprise/total_log_ratio"].item() == pytest.approx(math.log(2.0))
    third = surprise.after(metrics(2.0, reward=1.0))
    # The average has moved by a hundredth: from 2 towards 4, and from 1 towards 3.
    assert third["surprise/total_log_ratio"].item() == pytest.approx(math.log(2.0 / 2.02), rel=1e-5)
    assert third["surprise/reward_log_ratio"].item() == pytest.approx(math.log(1.0 / 1.02), rel=1e-5)


def test_its_names_are_the_catalogues_and_only_losses_that_are_there_have_one_M_SUR_02() -> None:
    surprise = Surprise(0.99)
    surprise.after(metrics(1.0))
    told = surprise.after(metrics(1.0, reward=math.e))
    assert set(told) <= set(CATALOGUE)
    assert {name.removeprefix("surprise/").removesuffix("_log_ratio") for name in told} == {
        *("ready", "total", "max_component", "reward", "kl_dyn")
    }
    assert told["surprise/max_component_log_ratio"].item() == pytest.approx(1.0)
    for part in (*COMPONENTS, "total", "max_component"):
        assert get_metric(f"surprise/{part}_log_ratio").unit == "nats"


@given(scale=st.floats(1e-3, 1e3), series=st.lists(st.floats(0.1, 10.0), min_size=2, max_size=20))
def test_it_shows_change_and_not_scale_M_SUR_03(scale: float, series: list[float]) -> None:
    plain, scaled = Surprise(0.9), Surprise(0.9)
    for loss in series:
        one = plain.after(metrics(loss))["surprise/total_log_ratio"].item()
        other = scaled.after(metrics(loss * scale))["surprise/total_log_ratio"].item()
        assert one == pytest.approx(other, abs=1e-4)


def test_losses_that_have_no_logarithm_surprise_nobody() -> None:
    surprise = Surprise(0.99)
    for value in (-3.0, -5.0, 0.0):
        told = surprise.after(metrics(value))
        assert told["surprise/total_log_ratio"].item() == 0.0


def test_an_update_of_the_behavior_alone_has_none_and_leaves_the_averages() -> None:
    surprise = Surprise(0.99)
    surprise.after(metrics(2.0))
    assert surprise.after({"behavior/value_loss": torch.tensor(1.0)}) == {}
    assert surprise.after(metrics(2.0))["surprise/total_log_ratio"] == 0.0


def test_it_goes_on_from_its_state_exactly() -> None:
    whole, first = Surprise(0.97), Surprise(0.97)
    series = [3.0, 2.5, 2.9, 1.7, 2.2]
    for loss in series[:3]:
        whole.after(metrics(loss))
        first.after(metrics(loss))
    second = Surprise(0.97)
    second.load_state_dict(first.state_dict())
    for loss in series[3:]:
        expected, told = whole.after(metrics(loss)), second.after(metrics(loss))
        assert all(torch.equal(told[name], value) for name, value in expected.items())
