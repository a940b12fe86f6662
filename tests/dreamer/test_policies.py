"""Policy heads: figures by hand, sampling, scoring, draws that carry gradient (FACTS A8, A13, F13, F14)."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.actions import ActionCodec
from dreamerlab.dreamer.policies import Bins, BoundedNormal, Choices, PolicyHead, TanhNormal, make_policy_head
from dreamerlab.spaces import ActionSpec

CPU = torch.device("cpu")
HEADS: dict[str, tuple[ActionSpec, dict[str, Any]]] = {
    "one choice": (ActionSpec.discrete(4), {}),
    "several choices": (ActionSpec.discrete(3, 2, 5), {"behavior": {"policy_unimix": 0.1}}),
    "bounded normal": (ActionSpec.continuous(2), {}),
    "tanh normal": (ActionSpec.continuous(2), {"policy": {"dist": "tanh_normal", "std": (0.1, 2.0)}}),
    "tanh normal, base": (ActionSpec.continuous(2), {"policy": {"dist": "tanh_normal", "entropy": "base"}}),
    "bins": (ActionSpec.continuous(2), {"policy": {"dist": "categorical", "bins": 5}}),
}


def make(name: str) -> tuple[ActionSpec, PolicyHead]:
    spec, sections = HEADS[name]
    return spec, make_policy_head(spec, Config.model_validate(sections))


def draw(head: PolicyHead, raw: Tensor, seed: int = 0) -> Tensor:
    return head.noise((len(raw),), torch.Generator().manual_seed(seed), CPU)


def tanh_head(std: tuple[float, float], *, squashed: bool = True) -> TanhNormal:
    return TanhNormal(1, std, squashed_entropy=squashed)


def of_deviation(head: TanhNormal, std: float, rows: int = 1) -> Tensor:
    """Raw outputs that mean a Normal(0, std) before tanh."""
    share = (math.log(std) - head.log_low) / (head.log_high - head.log_low)
    return torch.tensor([[0.0, math.atanh(2.0 * share - 1.0)]]).repeat(rows, 1)


# -- every head


def test_the_config_picks_the_head_A8_A13_3() -> None:
    kinds = {name: type(make(name)[1]) for name in HEADS}
    assert set(kinds.values()) == {Choices, BoundedNormal, TanhNormal, Bins}
    assert all(isinstance(make(name)[1], PolicyHead) for name in HEADS)


@pytest.mark.parametrize("name", HEADS)
def test_draws_fit_the_space_and_repeat_with_their_noise(name: str) -> None:
    spec, head = make(name)
    raw = torch.randn(50, head.outputs, requires_grad=True)
    noise = draw(head, raw)
    action = head.sample_encoded(raw, noise)[0]
    assert torch.equal(action, head.sample(raw, noise))
    assert not action.requires_grad
    assert action.shape == head.mode(raw).shape == (50, spec.components)
    assert action.dtype == head.mode(raw).dtype == (torch.int64 if spec.is_discrete else torch.float32)
    if spec.is_discrete:
        assert (action >= 0).all()
        assert (action < torch.tensor(spec.classes)).all()


@pytest.mark.parametrize("name", HEADS)
def test_the_encoding_of_a_draw_is_the_codecs_and_carries_gradient_F13(name: str) -> None:
    spec, head = make(name)
    raw = torch.randn(50, head.outputs, requires_grad=True)
    action, encoded = head.sample_encoded(raw, draw(head, raw))
    assert torch.allclose(encoded, ActionCodec(spec).encode(action), atol=1e-6)
    (grad,) = torch.autograd.grad(encoded.square().sum() + encoded[:, 0].sum(), raw)
    assert torch.isfinite(grad).all()
    assert (grad != 0).any(0).all(), "every output moves the encoding of some draw"


@pytest.mark.parametrize("name", HEADS)
def test_the_mean_gradient_of_log_prob_is_zero(name: str) -> None:
    """E grad log p = 0 for every density: wrong densities rarely do that, and REINFORCE rests on it."""
    _, head = make(name)
    raw = torch.randn(1, head.outputs).expand(100_000, -1).clone().requires_grad_()
    noise = draw(head, raw)
    log_prob, _ = head.log_prob_and_entropy(raw, head.sample(raw, noise), noise)
    (grad,) = torch.autograd.grad(log_prob.sum(), raw)
    assert torch.isfinite(grad).all()
    error = grad.std(0) / math.sqrt(len(grad))
    assert (grad.mean(0).abs() < 5.0 * error + 1e-6).all()


@pytest.mark.parametrize("name", HEADS)
def test_entropy_is_the_mean_of_minus_log_prob_F14(name: str) -> None:
    _, head = make(name)
    raw = torch.randn(1, head.outputs, generator=torch.Generator().manual_seed(1)).expand(200_000, -1)
    noise = draw(head, raw)
    log_prob, entropy = head.log_prob_and_entropy(raw, head.sample(raw, noise), noise)
    if name == "tanh normal, base":
        # What is rewarded there is not the entropy of the action, but that of the Normal before tanh (A13.3).
        assert entropy[0].item() > -log_prob.mean().item() + 0.1
    else:
        assert entropy.mean().item() == pytest.approx(-log_prob.mean().item(), abs=0.02)


@pytest.mark.parametrize("name", HEADS)
def test_wild_outputs_and_actions_stay_finite_F14(name: str) -> None:
    spec, head = make(name)
    raw = 30.0 * torch.randn(500, head.outputs)
    raw.requires_grad_()
    noise = draw(head, raw)
    action = head.sample(raw, noise)
    for given in (noise, None):
        log_prob, entropy = head.log_prob_and_entropy(raw, action, given)
        (grad,) = torch.autograd.grad(log_prob.sum() + entropy.sum(), raw)
        for tensor in (log_prob, entropy, grad):
            assert torch.isfinite(tensor).all()
    if not spec.is_discrete:
        assert torch.isfinite(head.log_prob_and_entropy(raw, torch.full_like(action, 1.7))[0]).all()


@pytest.mark.parametrize("name", HEADS)
def test_entropy_lies_in_the_range_of_the_head(name: str) -> None:
    _, head = make(name)
    least, largest = head.entropy_range
    raw = 10.0 * torch.randn(2000, head.outputs)
    metrics = head.metrics(raw, head.sample(raw, draw(head, raw)))
    _, entropy = head.log_prob_and_entropy(raw, head.mode(raw))
    if "behavior/entropy_base_nats" in metrics:
        entropy = metrics["behavior/entropy_base_nats"]
    assert least - 1e-4 <= entropy.min().item() <= entropy.max().item() <= largest + 1e-4
    assert all(value.shape == () for value in metrics.values())


# -- choices


def test_choices_by_hand_A8() -> None:
    head = Choices((2, 3), unimix=0.0)
    raw = torch.tensor([[math.log(3.0), 0.0, 0.0, math.log(2.0), 0.0]])  # (3/4, 1/4) and (1/4, 1/2, 1/4)
    log_prob, entropy = head.log_prob_and_entropy(raw, torch.tensor([[0, 1]]))
    assert log_prob.item() == pytest.approx(math.log(0.75) + math.log(0.5))
    first = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert entropy.item() == pytest.approx(first + 1.5 * math.log(2.0))
    assert head.mode(raw).tolist() == [[0, 1]]
    assert head.entropy_range == (0.0, pytest.approx(math.log(6.0)))
    mixed = Choices((2,), unimix=0.2)
    assert mixed.log_prob_and_entropy(raw[:, :2], torch.tensor([[1]]))[0].item() == pytest.approx(math.log(0.3))


def test_two_actions_have_at_most_ln_2_nats_M_ENT_07() -> None:
    """M-ENT-07."""
    _, entropy = Choices((2,), 0.0).log_prob_and_entropy(torch.zeros(1, 2), torch.tensor([[0]]))
    assert entropy.item() == pytest.approx(0.6931, abs=1e-4)


def test_each_component_is_drawn_from_its_own_probabilities() -> None:
    head = Choices((2, 3), unimix=0.1)
    raw = torch.tensor([[1.0, 0.0, 0.5, -1.0, 2.0]]).expand(40_000, -1)
    action = head.sample(raw, draw(head, raw))
    for part, logits in enumerate(raw[0].split([2, 3])):
        probs = 0.9 * logits.softmax(-1) + 0.1 / len(logits)
        assert torch.allclose(torch.bincount(action[:, part]) / 40_000, probs, atol=0.01)


def test_straight_through_has_the_jacobian_of_the_mixed_probabilities_F13() -> None:
    head = Choices((3,), unimix=0.1)
    raw = torch.tensor([[0.3, -0.2, 1.0]], requires_grad=True)
    _, encoded = head.sample_encoded(raw, draw(head, raw))
    assert encoded.detach().sort().values.tolist() == [[0.0, 0.0, 1.0]]
    weights = torch.tensor([[1.0, -2.0, 0.5]])
    (grad,) = torch.autograd.grad((encoded * weights).sum(), raw)
    (expected,) = torch.autograd.grad((0.9 * raw.softmax(-1) * weights).sum(), raw)
    assert torch.allclose(grad, expected, atol=1e-6)


# -- the Normal


@pytest.mark.parametrize(
    ("sigma", "per_dim", "four"),
    [
        (math.exp(-5.0), -3.581, -14.32),
        (0.1, -0.8836, -3.53),
        (math.exp(-2.0), -0.5811, -2.324),
        (0.24197, 0.0, 0.0),
        (math.exp(-1.0), 0.4189, 1.676),
        (math.exp(-0.5), 0.9189, 3.676),
        (1.0, 1.4189, 5.676),
        (math.exp(2.0), 3.4189, 13.676),
    ],
)
def test_entropy_of_a_normal_is_the_right_one_of_those_quoted_M_ENT_02(
    sigma: float, per_dim: float, four: float
) -> None:
    """Where the sources have other figures, these are the correct ones (FACTS A13.2)."""
    for dims, expected in ((1, per_dim), (4, four)):
        head = TanhNormal(dims, (sigma / 2.0, sigma * 2.0), squashed_entropy=False)  # raw 0 is the geometric mean
        _, entropy = head.log_prob_and_entropy(torch.zeros(1, 2 * dims), torch.zeros(1, dims))
        assert entropy.item() == pytest.approx(expected, abs=6e-4 if dims == 1 else 6e-3)


def test_bounded_normal_by_hand_F14() -> None:
    head = BoundedNormal(1, (0.1, 1.0))
    mean, std = head.parameters_of(torch.tensor([[0.0, 0.0], [0.5, -50.0], [0.0, 50.0]]))
    assert mean.flatten().tolist() == pytest.approx([0.0, 0.46212, 0.0], abs=1e-5)
    assert std.flatten().tolist() == pytest.approx([0.8927, 0.1, 1.0], abs=1e-4)
    log_prob, entropy = head.log_prob_and_entropy(torch.zeros(1, 2), torch.tensor([[0.5]]))
    assert entropy.item() == pytest.approx(1.3055, abs=1e-4)
    assert log_prob.item() == pytest.approx(-0.5 * (0.5 / 0.8927) ** 2 - math.log(0.8927) - 0.91894, abs=1e-4)
    four = BoundedNormal(4, (0.1, 1.0))
    assert four.entropy_range == (pytest.approx(-3.53, abs=0.01), pytest.approx(5.68, abs=0.01))
    beyond, _ = head.log_prob_and_entropy(torch.zeros(1, 2), torch.tensor([[3.0]]))
    assert beyond.item() == pytest.approx(-0.5 * (3.0 / 0.8927) ** 2 - math.log(0.8927) - 0.91894, abs=1e-3)


def test_a_fresh_bounded_normal_leaves_the_range_in_a_quarter_of_its_draws_A8() -> None:
    head = BoundedNormal(1, (0.1, 1.0))
    action = head.sample(torch.zeros(100_000, 2), draw(head, torch.zeros(100_000, 2)))
    assert (action.abs() > 1.0).float().mean().item() == pytest.approx(0.26, abs=0.01)
    metrics = head.metrics(torch.zeros(100_000, 2), action)
    assert metrics["behavior/action_saturated_frac"].item() == pytest.approx(0.268, abs=0.01)
    assert metrics["behavior/action_std"].item() == pytest.approx(0.8927, abs=1e-4)


def test_the_entropy_bonus_pulls_a_narrow_normal_as_hard_below_zero_A13_1() -> None:
    """The slope of H over ln sigma is 1 whatever the sign of H: negative entropy changes nothing."""
    head = TanhNormal(1, (1e-3, 10.0), squashed_entropy=False)
    raw = torch.cat([of_deviation(head, sigma) for sigma in (0.05, 0.24197, 2.0)]).requires_grad_()
    _, entropy = head.log_prob_and_entropy(raw, torch.zeros(3, 1))
    assert entropy[0] < 0.0 < entropy[2]
    by_log_std = 0.5 * (head.log_high - head.log_low) * (1.0 - torch.tanh(raw[:, 1].detach()) ** 2)
    (grad,) = torch.autograd.grad(entropy.sum(), raw)
    assert (grad[:, 1] / by_log_std).tolist() == pytest.approx([1.0, 1.0, 1.0], rel=1e-4)


def test_reparameterised_draws_move_with_mean_and_deviation() -> None:
    raw = torch.tensor([[0.3, 0.1]], requires_grad=True)
    head, noise = BoundedNormal(1, (0.1, 1.0)), torch.tensor([[-0.5]])
    (grad,) = torch.autograd.grad(head.sample_encoded(raw, noise)[1].sum(), raw)
    sigmoid = 1.0 / (1.0 + math.exp(-2.1))
    assert grad[0].tolist() == pytest.approx([1.0 - math.tanh(0.3) ** 2, -0.5 * 0.9 * sigmoid * (1.0 - sigmoid)])
    outside = torch.tensor([[4.0]])  # |a| > 1: divided by |a|, which has no gradient of its own (FACTS A3)
    action, encoded = head.sample_encoded(raw, outside)
    assert encoded.item() == 1.0
    (grad,) = torch.autograd.grad(encoded.sum(), raw)
    assert grad[0, 0].item() == pytest.approx((1.0 - math.tanh(0.3) ** 2) / action.item())


# -- the Normal under tanh


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.6), (0.7, 0.3), (-1.0, 1.5)])
def test_the_density_under_tanh_integrates_to_one_F14(mean: float, std: float) -> None:
    head = TanhNormal(1, (std / 2.0, std * 2.0), squashed_entropy=True)
    edges = torch.linspace(-1.0, 1.0, 200_001, dtype=torch.float64)
    middles = (0.5 * (edges[1:] + edges[:-1])).unsqueeze(-1)
    raw = torch.tensor([[mean, 0.0]], dtype=torch.float64).expand(len(middles), -1)
    log_prob, _ = head.log_prob_and_entropy(raw, middles)
    assert (log_prob.exp().sum() * (edges[1] - edges[0])).item() == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize(
    ("std", "expected"), [(0.6065, 0.599), (0.8927, 0.683), (1.0, 0.670), (1.65, 0.32), (2.718, -0.78), (7.389, -7.07)]
)
def test_entropy_of_the_squashed_action_A13_3(std: float, expected: float) -> None:
    """The entropy of tanh(N(0, std)) has a maximum near std 0.87, where a bonus on the Normal's own has none."""
    head = tanh_head((0.1, 10.0))
    raw = of_deviation(head, std, 400_000)
    noise = draw(head, raw)
    _, entropy = head.log_prob_and_entropy(raw, head.sample(raw, noise), noise)
    assert entropy.mean().item() == pytest.approx(expected, abs=0.03)


def test_base_entropy_widens_without_end_and_squashed_entropy_does_not_M_ENT_05() -> None:
    slopes = {}
    for squashed in (False, True):
        head = tanh_head((0.1, 10.0), squashed=squashed)
        raw = of_deviation(head, 3.0, 20_000).requires_grad_()
        noise = draw(head, raw.detach())
        _, entropy = head.log_prob_and_entropy(raw, head.sample(raw, noise), noise)
        slopes[squashed] = torch.autograd.grad(entropy.mean(), raw)[0][:, 1].sum().item()
    assert slopes[True] < 0.0 < slopes[False]


def test_a_wide_normal_under_tanh_plays_bang_bang_A13_3() -> None:
    head = tanh_head((0.1, 10.0))
    raw = of_deviation(head, 7.389, 100_000)
    metrics = head.metrics(raw, head.sample(raw, draw(head, raw)))
    assert metrics["behavior/action_saturated_frac"].item() == pytest.approx(0.72, abs=0.01)
    assert metrics["behavior/entropy_base_nats"].item() == pytest.approx(3.4189, abs=1e-3)


def test_saturated_actions_are_scored_by_what_they_were_drawn_with() -> None:
    """In float32 tanh(12) is 1: the number before it cannot be had back from the action."""
    head = tanh_head((0.5, 8.0))  # raw deviation 0 means 2
    raw, noise = torch.zeros(1, 2, requires_grad=True), torch.tensor([[6.0]])
    action = head.sample(raw, noise)
    assert action.item() == 1.0
    log_prob, _ = head.log_prob_and_entropy(raw, action, noise)
    normal = -0.5 * 36.0 - math.log(2.0) - 0.91894
    assert log_prob.item() == pytest.approx(normal - 2.0 * (math.log(2.0) - 12.0), rel=1e-5)
    (grad,) = torch.autograd.grad(log_prob.sum(), raw)
    assert grad[0, 0].item() == pytest.approx(6.0 / 2.0)  # noise / std
    assert torch.isfinite(head.log_prob_and_entropy(raw, action)[0]).all()


def test_log_std_is_squashed_between_its_ends_DIS_02() -> None:
    """[-2, 2] and [-0.5, 2] of the sources are `policy.std` of [0.135, 7.39] and [0.607, 7.39]."""
    head = tanh_head((math.exp(-0.5), math.exp(2.0)))
    _, log_std = head.parameters_of(torch.tensor([[0.0, -50.0], [0.0, 0.0], [0.0, 50.0]]))
    assert log_std.flatten().tolist() == pytest.approx([-0.5, 0.75, 2.0])


# -- bins


def test_bins_by_hand_M_OPT_03() -> None:
    head = Bins(1, 5, unimix=0.0)
    logits = torch.tensor([[0.0, 0.0, math.log(4.0), 0.0, 0.0]])  # (1, 1, 4, 1, 1) / 8
    assert head.mode(logits).item() == 0.0
    for number, nearest in ((0.0, 0.5), (0.24, 0.5), (0.26, 0.125), (-0.6, 0.125), (1.0, 0.125), (7.0, 0.125)):
        log_prob, entropy = head.log_prob_and_entropy(logits, torch.tensor([[number]]))
        assert log_prob.exp().item() == pytest.approx(nearest), number
        assert entropy.item() == pytest.approx(2.0 * math.log(2.0))
    drawn = head.sample(logits.expand(1000, -1), draw(head, logits.expand(1000, -1)))
    assert set(drawn.flatten().tolist()) == {-1.0, -0.5, 0.0, 0.5, 1.0}


def test_sixteen_bins_in_four_dimensions_have_at_most_eleven_nats_M_OPT_03() -> None:
    head = Bins(4, 16, unimix=0.0)
    _, entropy = head.log_prob_and_entropy(torch.zeros(1, 64), torch.zeros(1, 4))
    assert entropy.item() == pytest.approx(11.09, abs=0.01)
    assert head.entropy_range[1] == pytest.approx(11.09, abs=0.01)


@pytest.mark.parametrize("bins", [2, 3, 16, 1024])
def test_every_bins_number_is_scored_as_that_bin(bins: int) -> None:
    head = Bins(1, bins, unimix=0.0)
    logits = torch.randn(1, bins).expand(bins, -1)
    numbers = head._number(torch.arange(bins), torch.float32).unsqueeze(-1)
    log_prob, _ = head.log_prob_and_entropy(logits, numbers)
    assert torch.allclose(log_prob, logits[0].log_softmax(-1), atol=1e-5)


def test_bins_pass_the_gradient_of_their_mean_number() -> None:
    head = Bins(1, 3, unimix=0.0)
    raw = torch.tensor([[0.2, 0.1, -0.4]], requires_grad=True)
    _, encoded = head.sample_encoded(raw, draw(head, raw))
    (grad,) = torch.autograd.grad(encoded.sum(), raw)
    (expected,) = torch.autograd.grad((raw.softmax(-1) @ torch.tensor([-1.0, 0.0, 1.0])).sum(), raw)
    assert torch.allclose(grad, expected, atol=1e-6)
