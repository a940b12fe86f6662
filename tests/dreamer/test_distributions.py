"""Categoricals, straight-through samples, two-hot and continue (FACTS F2, F3, F11, F13, F14, A5)."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamerlab.dreamer.distributions import (
    TwoHot,
    categorical,
    continue_excess,
    continue_loss,
    draw_with_probs,
    entropy,
    kl_both_ways,
    kl_divergence,
    leave_free,
    sample,
    sample_straight_through,
    thresholds,
)

UNIMIX = [0.0, 0.01, 0.3]


# -- categorical


@pytest.mark.parametrize("unimix", UNIMIX)
def test_probabilities_are_the_mixture_of_softmax_and_uniform_F11(unimix: float) -> None:
    logits = 30.0 * torch.randn(50, 3, 4)
    dist = categorical(logits, unimix)
    expected = (1 - unimix) * logits.softmax(-1) + unimix / 4
    assert torch.allclose(dist.probs, expected, atol=1e-6)
    assert torch.allclose(dist.probs.sum(-1), torch.ones(50, 3), atol=1e-6)
    assert torch.isfinite(dist.log_probs).all()
    assert torch.allclose(dist.log_probs.exp(), dist.probs, atol=1e-6)
    if unimix:
        assert dist.probs.min().item() >= unimix / 4 * (1 - 1e-6)


def test_enormous_logits_stay_finite_D19() -> None:
    logits = torch.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    for unimix in UNIMIX:
        dist = categorical(logits, unimix)
        (grad,) = torch.autograd.grad(entropy(dist).sum(), logits)
        assert torch.isfinite(dist.log_probs).all()
        assert torch.isfinite(grad).all()


def test_entropy_closed_forms_F14() -> None:
    uniform = categorical(torch.zeros(1, 5), 0.0)
    assert entropy(uniform).item() == pytest.approx(math.log(5), abs=1e-6)
    certain = categorical(torch.tensor([[100.0, 0.0]]), 0.0)
    assert entropy(certain).item() == pytest.approx(0.0, abs=1e-6)
    p = 0.99 * 1.0 + 0.005
    mixed = categorical(torch.tensor([[100.0, 0.0]]), 0.01)
    assert entropy(mixed).item() == pytest.approx(-p * math.log(p) - 0.005 * math.log(0.005), rel=1e-5)


def test_log_probabilities_of_actions_F14() -> None:
    dist = categorical(torch.log(torch.tensor([[0.7, 0.2, 0.1]])), 0.01)
    expected = np.log(0.99 * np.array([0.7, 0.2, 0.1]) + 0.01 / 3)
    assert dist.log_probs[0].numpy() == pytest.approx(expected, rel=1e-5)


def test_kl_hand_values_and_zero_at_equality_F11() -> None:
    # Two latents of two classes: the KL sums over both.
    p = categorical(torch.log(torch.tensor([[[0.5, 0.5], [0.9, 0.1]]])), 0.0)
    q = categorical(torch.log(torch.tensor([[[0.25, 0.75], [0.5, 0.5]]])), 0.0)
    by_hand = 0.5 * math.log(2) + 0.5 * math.log(2 / 3) + 0.9 * math.log(1.8) + 0.1 * math.log(0.2)
    assert kl_divergence(p, q).item() == pytest.approx(by_hand, rel=1e-5)
    assert kl_divergence(p, p).item() == 0.0


@pytest.mark.parametrize("unimix", UNIMIX)
def test_categorical_gradients_agree_with_finite_differences(unimix: float) -> None:
    logits = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    other = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)

    def kl(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return kl_divergence(categorical(a, unimix), categorical(b, unimix))

    assert torch.autograd.gradcheck(kl, (logits, other))
    assert torch.autograd.gradcheck(lambda a: entropy(categorical(a, unimix)), (logits,))


# -- sampling


@pytest.mark.parametrize("unimix", UNIMIX)
def test_samples_follow_the_mixed_probabilities_exactly_on_a_grid(unimix: float) -> None:
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0, -4.0])
    uniform = (torch.arange(100_000) + 0.5) / 100_000
    drawn = sample(logits.expand(100_000, 5), thresholds(uniform, 5, unimix))
    frequencies = torch.bincount(drawn, minlength=5) / 100_000
    assert torch.allclose(frequencies, categorical(logits, unimix).probs, atol=2e-5)


@settings(deadline=None)
@given(st.floats(0.0, 1.0, exclude_max=True, width=32), st.sampled_from(UNIMIX), st.integers(2, 9), st.integers(0, 99))
def test_a_sample_is_always_a_class_of_positive_probability(u: float, unimix: float, classes: int, seed: int) -> None:
    logits = 60.0 * torch.randn(classes, generator=torch.Generator().manual_seed(seed))
    drawn = int(sample(logits, thresholds(torch.tensor(u), classes, unimix)))
    assert 0 <= drawn < classes
    assert categorical(logits, unimix).probs[drawn] > 0


def test_the_largest_uniform_number_draws_the_last_possible_class() -> None:
    largest = torch.tensor(1.0 - 2.0**-24)
    assert sample(torch.zeros(4), thresholds(largest, 4, 0.01)).item() == 3
    assert sample(torch.tensor([0.0, 0.0, -1e9]), thresholds(largest, 3, 0.0)).item() == 1


@pytest.mark.parametrize("unimix", UNIMIX)
def test_straight_through_is_one_hot_forward_and_mixed_jacobian_backward_F13(unimix: float) -> None:
    logits = torch.randn(6, 3, 4, dtype=torch.float64, requires_grad=True)
    uniform = torch.rand(6, 3, dtype=torch.float64)
    rows = torch.eye(4, dtype=torch.float64)
    one_hot, drawn = sample_straight_through(logits, thresholds(uniform, 4, unimix), rows, unimix)
    assert torch.equal(one_hot.detach(), torch.nn.functional.one_hot(drawn, 4).double())
    assert torch.equal(drawn, sample(logits.detach(), thresholds(uniform, 4, unimix)))
    upstream = torch.randn_like(one_hot)
    (got,) = torch.autograd.grad(one_hot, logits, upstream)
    (expected,) = torch.autograd.grad((1 - unimix) * logits.softmax(-1) + unimix / 4, logits, upstream)
    assert torch.allclose(got, expected, atol=1e-12)


# -- two-hot


@pytest.fixture
def twohot() -> TwoHot:
    return TwoHot(255, 20.0)


def dense(twohot: TwoHot, x: float) -> torch.Tensor:
    target = twohot.encode(torch.tensor([x]))
    return torch.zeros(255).scatter_(0, target.bins[0], target.weights[0])


def columns(twohot: TwoHot, by_bin: torch.Tensor) -> torch.Tensor:
    """Rearrange values per bin, upwards, into the order of the logits."""
    return torch.empty_like(by_bin).scatter_(-1, twohot.column.expand_as(by_bin), by_bin)


@settings(deadline=None)
@given(st.floats(-4.8e8, 4.8e8, width=32))
def test_two_hot_properties_F2(x: float) -> None:
    twohot = TwoHot(255, 20.0)
    target = twohot.encode(torch.tensor([x]))
    low, high = target.bins[0].tolist()
    assert high == low + 1
    assert (target.weights >= 0).all()
    assert target.weights.sum().item() == pytest.approx(1.0, abs=1e-6)
    mean = (target.weights.double() * twohot.bins[target.bins].double()).sum().item()
    spacing = float(twohot.bins[high] - twohot.bins[low])
    assert mean == pytest.approx(x, rel=1e-5, abs=1e-6 * max(1.0, spacing))


@pytest.mark.parametrize("x", [1.0, -1.0, 10.0, -10.0, 137.5, -0.03])
def test_two_hot_mean_is_the_scalar_F2(twohot: TwoHot, x: float) -> None:
    assert (dense(twohot, x).double() @ twohot.bins.double()).item() == pytest.approx(x, rel=1e-6)


@pytest.mark.parametrize("index", [0, 1, 57, 126, 127, 128, 200, 253, 254])
def test_a_bin_is_encoded_as_its_one_hot_F2(twohot: TwoHot, index: int) -> None:
    assert torch.equal(dense(twohot, float(twohot.bins[index])), torch.eye(255)[index])


def test_beyond_the_range_all_mass_is_on_the_edge_F2(twohot: TwoHot) -> None:
    assert torch.equal(dense(twohot, 1e30), torch.eye(255)[254])
    assert torch.equal(dense(twohot, -1e30), torch.eye(255)[0])


@pytest.mark.parametrize(
    ("x", "low", "low_value", "high_value", "weight"),
    [(10.0, 142, 9.6143, 11.4247, 0.2130), (1.0, 131, 0.8775, 1.1977, 0.3827)],
)
def test_two_hot_golden_values_A5(
    twohot: TwoHot, x: float, low: int, low_value: float, high_value: float, weight: float
) -> None:
    target = twohot.encode(torch.tensor([x]))
    assert target.bins.tolist() == [[low, low + 1]]
    assert twohot.bins[low].item() == pytest.approx(low_value, abs=1e-4)
    assert twohot.bins[low + 1].item() == pytest.approx(high_value, abs=1e-4)
    assert target.weights[0, 1].item() == pytest.approx(weight, abs=1e-4)
    assert twohot.encode(torch.tensor([-x])).bins.tolist() == [[254 - low - 1, 254 - low]]


def test_uniform_logits_decode_to_exactly_zero_F2(twohot: TwoHot) -> None:
    for constant in (0.0, 3.7, -12.1):
        assert (twohot.mean(torch.full((5, 255), constant).softmax(-1)) == 0.0).all()


@pytest.mark.parametrize("behind", [0, 1, 7])
@pytest.mark.parametrize("spacing", ["symexp", "symlog"])
def test_what_logits_lead_one_to_expect_is_the_mean_of_their_softmax(
    spacing: Literal["symexp", "symlog"], behind: int
) -> None:
    """With and without gradient, and with columns of -inf behind those of the bins."""
    twohot = TwoHot(41, 5.0, spacing)
    logits = 30.0 * torch.randn(6, 41, generator=torch.Generator().manual_seed(1))
    probs = logits.softmax(-1)[:, twohot.column]
    if spacing == "symexp":
        assert torch.allclose(twohot.mean(logits.softmax(-1)), probs @ twohot.bins, atol=1e-4)
    even = torch.nn.functional.pad(logits, (0, behind), value=-torch.inf)
    wanted = twohot.mean(logits.softmax(-1))
    assert torch.allclose(twohot.mean(even.softmax(-1)), wanted, atol=1e-4)
    assert torch.allclose(twohot.expected(even), wanted, atol=1e-4)
    with torch.no_grad():
        assert torch.allclose(twohot.expected(even), wanted, atol=1e-4)
        assert (twohot.expected(torch.full((3, 41), 7.5)) == 0.0).all()


def test_the_mean_of_a_mixture_is_unbiased_in_raw_space_A13_8(twohot: TwoHot) -> None:
    probs = 0.9 * dense(twohot, 0.0) + 0.1 * dense(twohot, 10.0)
    assert twohot.mean(columns(twohot, probs)).item() == pytest.approx(1.0, rel=1e-5)


def test_every_bin_reads_out_as_itself_F2(twohot: TwoHot) -> None:
    assert torch.equal(twohot.mean(columns(twohot, torch.eye(255))), twohot.bins)


def test_cross_entropy_gradient_is_softmax_minus_target_F3(twohot: TwoHot) -> None:
    logits = torch.randn(3, 255, requires_grad=True)
    x = torch.tensor([1.0, -7.3, 0.0])
    loss = twohot.cross_entropy(logits, logits.softmax(-1), twohot.encode(x))
    target = columns(twohot, torch.stack([dense(twohot, v) for v in x.tolist()]))
    assert torch.allclose(loss, -(target * logits.log_softmax(-1)).sum(-1), atol=1e-5)
    upstream = torch.tensor([1.0, -2.0, 0.5])
    (grad,) = torch.autograd.grad(loss, logits, upstream)
    assert torch.allclose(grad, upstream[:, None] * (logits.detach().softmax(-1) - target), atol=1e-6)


def test_several_targets_share_the_logits(twohot: TwoHot) -> None:
    logits = torch.randn(4, 255, requires_grad=True)
    x = torch.randn(4, 2) * 5
    upstream = torch.randn(4, 2)
    both = twohot.cross_entropy(logits, logits.softmax(-1), twohot.encode(x))
    (grad,) = torch.autograd.grad(both, logits, upstream)
    expected = torch.zeros_like(grad)
    for column in range(2):
        single = twohot.cross_entropy(logits, logits.softmax(-1), twohot.encode(x[:, column]))
        assert torch.allclose(both[:, column], single)
        expected += torch.autograd.grad(single, logits, upstream[:, column])[0]
    assert torch.allclose(grad, expected, atol=1e-6)


def test_a_hopeless_prediction_has_a_finite_loss_and_the_full_gradient_F3(twohot: TwoHot) -> None:
    logits = (1e4 * torch.eye(255)[:1]).requires_grad_()
    loss = twohot.cross_entropy(logits, logits.softmax(-1), twohot.encode(torch.tensor([0.0])))
    (grad,) = torch.autograd.grad(loss.sum(), logits)
    assert 80 < loss.item() < 100
    assert grad[0, 0].item() == 1.0
    assert grad[0, 127].item() == -1.0


@pytest.mark.parametrize(("x", "floor"), [(0.0, 0.0), (1.0, 0.6654), (10.0, 0.5179)])
def test_floor_is_the_entropy_of_the_target_A5(twohot: TwoHot, x: float, floor: float) -> None:
    target = twohot.encode(torch.tensor([x]))
    assert twohot.floor(target).item() == pytest.approx(floor, abs=1e-4)
    perfect = columns(twohot, dense(twohot, x))[None]
    best = twohot.cross_entropy(perfect.clamp(min=1e-30).log(), perfect, target)
    assert best.item() == pytest.approx(floor, abs=1e-4)


def test_zero_logits_cost_ln_255_F2(twohot: TwoHot) -> None:
    loss = twohot.cross_entropy(torch.zeros(1, 255), torch.full((1, 255), 1 / 255), twohot.encode(torch.tensor([3.3])))
    assert loss.item() == pytest.approx(math.log(255), abs=1e-5)


def test_support_and_number_of_bins_are_honoured() -> None:
    small = TwoHot(11, 5.0)
    assert small.bins.shape == (11,)
    assert small.bins[-1].item() == pytest.approx(147.4, abs=0.02)  # symexp(5): what such a critic saturates at


# -- continue


def test_continue_loss_and_its_floor_A4() -> None:
    """The entropy of 1 - 1/333 is 0.0204 nats; an end is certain and has none."""
    going_on = 1 - 1 / 333
    target = torch.tensor([going_on, 0.0])
    best = continue_loss(torch.tensor([math.log(332.0), -30.0]), target)
    assert best.tolist() == pytest.approx([0.0204, 0.0], abs=1e-4)
    assert continue_excess(best, target, going_on).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    unsure = continue_loss(torch.zeros(2), target)
    assert unsure.tolist() == pytest.approx([math.log(2)] * 2)
    assert continue_excess(unsure, target, going_on).tolist() == pytest.approx(
        [math.log(2) - best[0].item(), math.log(2)]
    )
    assert torch.equal(continue_excess(unsure, target, 1.0), unsure)  # the bare probability is certain both ways


# -- the other position of two disputes


def test_bins_even_in_symlog_space_read_mixtures_too_small_A13_8() -> None:
    """Nine tenths at 0 and one tenth at 10: 1.0 on average, and what symlog bins make of it."""
    got = {}
    for spacing in ("symexp", "symlog"):
        twohot = TwoHot(255, 20.0, spacing)
        target = twohot.encode(torch.tensor([0.0, 10.0]))
        dense = torch.zeros(2, 255).scatter_(1, twohot.column[target.bins], target.weights)
        mixture = 0.9 * dense[0] + 0.1 * dense[1]
        got[spacing] = twohot.mean(mixture.unsqueeze(0)).item()
        assert twohot.mean(dense).tolist() == pytest.approx([0.0, 10.0], abs=1e-4)
    assert got == pytest.approx({"symexp": 1.0, "symlog": 0.271}, abs=1e-3)


def test_symlog_bins_by_hand_A13_8() -> None:
    twohot = TwoHot(11, 5.0, "symlog")
    assert twohot.bins.tolist() == [-5.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    target = twohot.encode(torch.tensor([math.e - 1.0, -1.0, 1e6]))  # symlog 1, -0.6931, beyond
    assert target.bins.tolist() == [[6, 7], [4, 5], [9, 10]]
    assert target.weights.flatten().tolist() == pytest.approx([1.0, 0.0, math.log(2.0), 1 - math.log(2.0), 0.0, 1.0])
    edge = torch.zeros(1, 11)
    edge[0, twohot.column[10]] = 1.0
    assert twohot.mean(edge).item() == pytest.approx(147.4, abs=0.1)  # where S4's critic stood still
    assert twohot.mean(torch.full((1, 11), 1 / 11)).item() == 0.0


@pytest.mark.parametrize(
    ("mode", "values", "slopes"),
    [
        ("clip", [1.0, 1.0, 3.0], [0.0, 0.0, 1.0]),
        ("straight_through", [1.0, 1.0, 3.0], [1.0, 1.0, 1.0]),
        ("mean_then_clip", [1.3, 1.3, 1.3], [1.0, 1.0, 1.0]),
    ],
)
def test_three_ways_to_leave_one_nat_free_F11_A13_10(mode: Any, values: list[float], slopes: list[float]) -> None:
    kl = torch.tensor([[0.2, 0.7, 3.0]], requires_grad=True)
    free = leave_free(kl, 1.0, mode)
    assert free[0].tolist() == pytest.approx(values)
    (grad,) = torch.autograd.grad(free.sum(), kl)
    assert grad[0].tolist() == pytest.approx(slopes)
    small = torch.tensor([[0.2, 0.7, 1.0]], requires_grad=True)  # mean 0.63: under the nat as a whole
    (grad,) = torch.autograd.grad(leave_free(small, 1.0, "mean_then_clip").sum(), small)
    assert (grad == 0.0).all()
    assert leave_free(kl, 0.0, mode) is kl  # straight_through has the gradient of this


@pytest.mark.parametrize("spread", [1.0, 300.0])
@pytest.mark.parametrize("unimix", [0.0, 0.01])
def test_the_written_out_kl_has_value_and_gradients_of_the_composite(unimix: float, spread: float) -> None:
    """FACTS A4: dyn has gradient to the prior only, rep to the posterior only; also where probabilities underflow."""
    g = torch.Generator().manual_seed(int(spread))
    p_logits, q_logits = (spread * torch.randn(5, 3, 4, generator=g).double() for _ in range(2))
    both = [p_logits.requires_grad_(), q_logits.requires_grad_()]
    p, q = categorical(p_logits, unimix), categorical(q_logits, unimix)
    dyn, rep = kl_both_ways(p_logits, q_logits, p, q, unimix)
    plain_dyn, plain_rep = kl_divergence(p.detach(), q), kl_divergence(p, q.detach())
    weights = torch.randn(2, 5, generator=g).double()
    got = torch.autograd.grad((weights[0] * dyn + weights[1] * rep).sum(), both)
    wanted = torch.autograd.grad((weights[0] * plain_dyn + weights[1] * plain_rep).sum(), both)
    assert torch.equal(dyn, plain_dyn)
    assert torch.equal(rep, plain_rep)
    for a, b in zip(got, wanted, strict=True):
        assert torch.isfinite(b).all()
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("classes", [5, 16, 20])
def test_a_draw_alone_is_the_draw_that_comes_with_its_probabilities(classes: int) -> None:
    """Rows of sixteen and more, and shorter ones, are added up in different ways."""
    g = torch.Generator().manual_seed(classes)
    logits, uniform = 3.0 * torch.randn(400, 3, classes, generator=g), torch.rand(400, 3, generator=g)
    cuts = thresholds(uniform, classes, 0.01)
    drawn, probs = draw_with_probs(logits, cuts)
    assert torch.equal(sample(logits, cuts), drawn.long())
    assert torch.allclose(probs, logits.softmax(-1), atol=1e-6)
    mixed = 0.99 * probs.double() + 0.01 / classes
    below = mixed.cumsum(-1) <= uniform.double().unsqueeze(-1)
    assert (below.sum(-1).clamp(max=classes - 1) == drawn.long()).double().mean().item() > 0.999


@pytest.mark.parametrize("classes", [5, 16, 32])
def test_a_class_without_probability_is_never_drawn(classes: int) -> None:
    """Not at the ends of what a uniform number can be either, where rounded sums need not reach 1."""
    logits = 3.0 * torch.randn(4000, classes, generator=torch.Generator().manual_seed(classes))
    logits[:, [0, -3, -2, -1]] = -torch.inf
    for uniform in (0.0, 1.0 - 2.0**-24):
        cuts = thresholds(torch.full((4000,), uniform), classes, 0.0)
        for drawn in sample(logits, cuts), draw_with_probs(logits, cuts)[0].long():
            assert logits.gather(-1, drawn.unsqueeze(-1)).isfinite().all()
