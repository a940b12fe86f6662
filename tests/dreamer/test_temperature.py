"""The adaptive weight of the entropy: it meets a target that can be met, and stays finite where none can (M-OPT-08)."""

from __future__ import annotations

import math

import pytest
import torch

from dreamerlab.dreamer.temperature import LEAST, MOST, Temperature


def test_it_moves_by_rate_times_what_is_missing_M_ADD_13() -> None:
    temperature = Temperature(3e-4, target=-4.0, rate=0.01)
    assert temperature.scale().item() == pytest.approx(3e-4, rel=1e-6)
    temperature.follow(torch.tensor(-6.0))
    assert temperature.scale().item() == pytest.approx(3e-4 * math.exp(0.02), rel=1e-5)
    temperature.follow(torch.tensor(0.0))
    assert temperature.scale().item() == pytest.approx(3e-4 * math.exp(0.02 - 0.04), rel=1e-5)


def test_it_finds_the_weight_at_which_a_policy_has_the_entropy_asked_for_M_OPT_08() -> None:
    """A Normal that maximises -sigma^2 / 2 + eta ln sigma has sigma^2 = eta: entropy ln(2 pi e eta) / 2."""
    temperature = Temperature(3e-4, target=-1.0, rate=0.05)
    for _ in range(2000):
        eta = temperature.scale()
        temperature.follow(0.5 * torch.log(2 * math.pi * math.e * eta))
    assert temperature.scale().item() == pytest.approx(math.exp(-2.0) / (2 * math.pi * math.e), rel=1e-3)


@pytest.mark.parametrize(("entropy", "end"), [(-1e9, MOST), (1e9, LEAST)])
def test_a_target_out_of_reach_ends_in_no_infinity(entropy: float, end: float) -> None:
    temperature = Temperature(3e-4, target=0.0, rate=1.0)
    for _ in range(3):
        temperature.follow(torch.tensor(entropy))
    assert temperature.scale().item() == pytest.approx(end, rel=1e-4)
