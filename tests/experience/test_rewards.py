"""Smoothing of rewards: the numbers of FACTS B1 and M-HK-14, and the laws of FACTS F21."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from dreamerlab.config.schema_experience import Smooth
from dreamerlab.config.validation import from_flat
from dreamerlab.errors import ConfigError
from dreamerlab.experience.rewards import Smoother

KERNELS = [("ema", 0.33), ("ema", 0.9), ("gaussian", 3.0), ("uniform", 9.0), ("uniform", 4.0), ("backward_sum", 0.5)]
EDGES = ["renormalise", "nearest", "zero"]
REWARDS = st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=40)


def smoother(kernel: str, width: float, edge: str = "renormalise") -> Smoother:
    return Smoother(Smooth.model_validate({"kernel": kernel, "width": width, "edge": edge}))


def goal(at: int, steps: int) -> np.ndarray:
    rewards = np.zeros(steps)
    rewards[at] = 10.0
    return rewards


@pytest.mark.parametrize(
    ("kernel", "width", "total", "last"),
    [("ema", 0.33, 6.7, 6.7), ("ema", 0.5, 5.0, 5.0), ("gaussian", 3.0, 17.52, 5.66), ("uniform", 9.0, 16.67, 5.56)],
)
def test_what_the_authors_make_of_a_goal_in_the_last_step(kernel: str, width: float, total: float, last: float) -> None:
    """FACTS B1: repeating the edge nearly doubles it, and a causal average loses what would come later."""
    smoothed = smoother(kernel, width, "nearest").smooth(goal(at=99, steps=100))
    assert smoothed.sum() == pytest.approx(total, abs=0.005)
    assert smoothed[-1] == pytest.approx(last, abs=0.005)


@pytest.mark.parametrize(
    ("kernel", "width", "last"),
    [
        ("ema", 0.33, 10.0),
        ("ema", 0.5, 10.0),
        ("gaussian", 3.0, 2.3475),
        ("uniform", 9.0, 2.0),
        ("backward_sum", 0.5, 5),
    ],
)
def test_a_goal_in_the_last_step_keeps_its_mass_inside(kernel: str, width: float, last: float) -> None:
    """FACTS B1's trap avoided: 10 stays 10 in all, of which the last step has what the kernel's inner half gives it."""
    smoothed = smoother(kernel, width).smooth(goal(at=99, steps=100))
    assert smoothed.sum() == pytest.approx(10.0)
    assert smoothed[-1] == pytest.approx(last, abs=0.005)


@pytest.mark.parametrize(("alpha", "share"), [(0.33, 0.9985), (0.5, 0.9970)])
def test_what_a_causal_average_leaves_of_the_discounted_mass_of_an_endless_stream(alpha: float, share: float) -> None:
    """FACTS B1: (1 - alpha) / (1 - alpha gamma), at gamma 0.997."""
    discounts = 0.997 ** np.arange(400)
    smoothed = smoother("ema", alpha, "zero").smooth(goal(at=0, steps=400))
    assert smoothed @ discounts / 10.0 == pytest.approx(share, abs=5e-5)


@pytest.mark.parametrize(
    ("kernel", "width", "peak"), [("ema", 0.33, 6.7), ("gaussian", 3.0, 1.33), ("uniform", 9.0, 1.11)]
)
@pytest.mark.parametrize("edge", EDGES)
def test_a_goal_in_the_middle_keeps_its_mass(kernel: str, width: float, peak: float, edge: str) -> None:
    smoothed = smoother(kernel, width, edge).smooth(goal(at=50, steps=100))
    assert smoothed.sum() == pytest.approx(10.0)
    assert smoothed.max() == pytest.approx(peak, abs=0.005)


def test_the_formula_of_the_sources_doubles_a_goal() -> None:
    """M-HK-14's example, and its variant that keeps the sum."""
    smoothed = smoother("backward_sum", 0.5, "zero").smooth(goal(at=8, steps=10))
    assert smoothed == pytest.approx([0.0390625, 0.078125, 0.15625, 0.3125, 0.625, 1.25, 2.5, 5, 10, 0])
    assert smoothed.sum() == pytest.approx(19.96, abs=0.005)
    assert smoother("backward_sum", 0.5).smooth(goal(at=8, steps=10)).sum() == pytest.approx(10.0)


@pytest.mark.parametrize(("kernel", "width"), KERNELS)
@settings(max_examples=30)
@given(rewards=REWARDS)
def test_renormalising_keeps_the_mass_of_every_reward_inside_the_episode(
    kernel: str, width: float, rewards: list[float]
) -> None:
    one = smoother(kernel, width)
    assert one.smooth(np.array(rewards)).sum() == pytest.approx(sum(rewards), abs=1e-6)
    for at in (0, len(rewards) // 2, len(rewards) - 1):
        alone = one.smooth(goal(at, len(rewards)))
        assert alone.sum() == pytest.approx(10.0)
        assert alone.min() >= 0


@pytest.mark.parametrize(("kernel", "width"), KERNELS)
@settings(max_examples=30)
@given(rewards=REWARDS)
def test_nothing_is_gained_where_there_is_nothing_outside(kernel: str, width: float, rewards: list[float]) -> None:
    if kernel != "backward_sum":
        smoothed = smoother(kernel, width, "zero").smooth(np.abs(rewards))
        assert smoothed.sum() <= np.abs(rewards).sum() + 1e-9


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize(("kernel", "width"), [("ema", 1e-9), ("gaussian", 1e-3), ("backward_sum", 1e-9)])
@settings(max_examples=30)
@given(rewards=REWARDS)
def test_a_vanishing_width_changes_nothing(kernel: str, width: float, edge: str, rewards: list[float]) -> None:
    assert smoother(kernel, width, edge).smooth(np.array(rewards)) == pytest.approx(rewards, abs=1e-6)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize(("kernel", "width"), KERNELS)
@settings(max_examples=30)
@given(rewards=REWARDS)
def test_steps_smoothed_one_by_one_are_those_smoothed_at_the_end(
    kernel: str, width: float, edge: str, rewards: list[float]
) -> None:
    """With `lookahead` rewards seen after it, a step has the value it will always have."""
    one, given_rewards = smoother(kernel, width, edge), np.array(rewards)
    if one.lookahead is None:
        return
    whole, previous = one.smooth(given_rewards), None
    for step in range(len(rewards) - one.lookahead - 1):
        seen = given_rewards[: step + one.lookahead + 1]
        (value,) = one.values(seen, step, step + 1, ended=False, previous=previous)
        assert value == pytest.approx(whole[step], abs=1e-9)
        previous = float(value)


def test_constant_rewards_stay_what_they_are_under_nearest() -> None:
    for kernel, width in KERNELS[:-1]:
        assert smoother(kernel, width, "nearest").smooth(np.full(30, 2.5)) == pytest.approx(np.full(30, 2.5))


@pytest.mark.parametrize("width", [0.33, 1.0, 2.5])
def test_a_uniform_kernel_needs_a_number_of_steps(width: float) -> None:
    with pytest.raises(ConfigError, match=r"is a number of steps under smooth\.kernel=uniform"):
        from_flat({"smooth.kernel": "uniform", "smooth.width": width})


def test_a_kernel_alone_is_a_whole_change_with_the_width_of_its_sources() -> None:
    """FACTS B1 and M-HK-14: one declared change, since the width follows the kernel."""
    widths = {k: from_flat({"smooth.kernel": k}).smooth.used_width for k in ("ema", "gaussian", "uniform")}
    assert widths == {"ema": 0.33, "gaussian": 3.0, "uniform": 9.0}
    assert from_flat({"smooth.kernel": "backward_sum"}).smooth.used_width == 0.5
    assert from_flat({"smooth.kernel": "uniform", "smooth.width": 5.0}).smooth.used_width == 5.0
