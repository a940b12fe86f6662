"""LaProp with adaptive clipping against a slow oracle, and its traps (FACTS A9, F15)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dreamerlab.config.schema_learning import Optimizer as OptimizerConfig
from dreamerlab.dreamer.optim import AdamClip, LaProp, Optimizer, make_optimizer


def parameter(values: Any) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float32))


def single(values: Any, rate: float = 1.0, **leaves: Any) -> tuple[nn.Parameter, LaProp]:
    weight = parameter(values)
    leaves = {"warmup_updates": 0, **leaves}
    return weight, LaProp({"world": ([weight], rate)}, OptimizerConfig(**leaves))


class Oracle:
    """FACTS A9 in float64, one tensor: clip, root mean square, momentum, rate."""

    def __init__(self, weight: np.ndarray, rate: float, config: OptimizerConfig) -> None:
        self.weight, self.rate, self.c = weight.astype(np.float64), rate, config
        self.square, self.momentum, self.updates = np.zeros_like(self.weight), np.zeros_like(self.weight), 0

    def step(self, grad: np.ndarray) -> None:
        c = self.c
        self.updates += 1
        grad = grad.astype(np.float64)
        if c.agc:
            limit = c.agc * max(c.agc_min_norm, np.linalg.norm(self.weight))
            grad = grad * min(1.0, limit / max(np.linalg.norm(grad), 1e-300))
        self.square = c.beta2 * self.square + (1 - c.beta2) * grad**2
        normalised = grad / (np.sqrt(self.square / (1 - c.beta2**self.updates)) + c.eps)
        self.momentum = c.beta1 * self.momentum + (1 - c.beta1) * normalised
        warm = min(1.0, self.updates / c.warmup_updates) if c.warmup_updates else 1.0
        self.weight = self.weight - self.rate * warm * self.momentum / (1 - c.beta1**self.updates)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 9999),
    size=st.sampled_from([1e-6, 1.0, 1e3]),
    agc=st.sampled_from([0.0, 0.3]),
    beta1=st.sampled_from([0.0, 0.9]),
    beta2=st.sampled_from([0.0, 0.999]),
    eps=st.sampled_from([1e-20, 1e-8, 0.1]),
    warmup=st.sampled_from([0, 3, 100]),
)
def test_steps_are_the_oracles_F15(
    seed: int, size: float, agc: float, beta1: float, beta2: float, eps: float, warmup: int
) -> None:
    config = OptimizerConfig(agc=agc, beta1=beta1, beta2=beta2, eps=eps, warmup_updates=warmup)
    g = torch.Generator().manual_seed(seed)
    shapes = [(3, 4), (5,), (2, 2, 2)]
    weights = [nn.Parameter(torch.randn(shape, generator=g)) for shape in shapes]
    weights[1].data.zero_()
    rates = {"world": 0.01, "actor": 0.003, "critic": 0.1}
    optimizer = LaProp({name: ([w], rates[name]) for name, w in zip(rates, weights, strict=True)}, config)
    oracles = [Oracle(w.detach().numpy(), rates[n], config) for n, w in zip(rates, weights, strict=True)]
    for _ in range(6):
        grads = [size * torch.randn(shape, generator=g) for shape in shapes]
        optimizer.step(grads)
        for oracle, grad in zip(oracles, grads, strict=True):
            oracle.step(grad.numpy())
    for weight, oracle in zip(weights, oracles, strict=True):
        assert weight.detach().numpy() == pytest.approx(oracle.weight, rel=1e-4, abs=1e-5)


def test_golden_step_F15() -> None:
    # w = 1, g = 2: clipped to 0.3; the first normalised update is exactly 1.
    weight, optimizer = single([1.0], rate=0.25)
    optimizer.step([torch.tensor([2.0])])
    assert weight.item() == pytest.approx(0.75)
    raw = optimizer.square.sqrt() / (1 - 0.999) ** 0.5 / 2.0**16
    assert raw.item() == pytest.approx(0.3, rel=1e-4)


def test_momentum_comes_after_normalising_unlike_adam_F15() -> None:
    weight, optimizer = single([0.0], agc=0.0)
    optimizer.step([torch.tensor([1.0])])
    optimizer.step([torch.tensor([3.0])])
    square = (0.999 * 0.001 * 1 + 0.001 * 9) / (1 - 0.999**2)
    laprop = (0.9 * 0.1 * 1.0 + 0.1 * 3.0 / square**0.5) / (1 - 0.9**2)
    adam = (0.9 * 0.1 * 1.0 + 0.1 * 3.0) / (1 - 0.9**2) / square**0.5
    assert weight.item() == pytest.approx(-1.0 - laprop, rel=1e-4)
    assert abs(laprop - adam) > 0.05


@pytest.mark.parametrize(("update", "share"), [(1, 0.001), (500, 0.5), (1000, 1.0), (1500, 1.0)])
def test_warm_up_is_linear_then_constant_F15(update: int, share: float) -> None:
    _, optimizer = single([1.0], rate=4e-5, warmup_updates=1000)
    optimizer.updates.fill_(update - 1)
    metrics = optimizer.step([torch.tensor([1.0])])
    assert metrics["optim/lr_world"].item() == pytest.approx(4e-5 * share)


def test_zero_initialised_tensors_move_thanks_to_the_floor_F15() -> None:
    weight, optimizer = single([[0.0, 0.0]], rate=0.01)
    optimizer.step([torch.tensor([[3.0, -4.0]])])
    assert weight.detach().flatten().tolist() == pytest.approx([-0.01, 0.01])
    # The floor 1e-3 times 0.3 is what remains of the gradient norm 5.
    raw = optimizer.square.sqrt() / 0.001**0.5 / 2.0**16
    assert raw.norm().item() == pytest.approx(3e-4, rel=1e-4)


def test_metrics_show_gradients_before_clipping_per_group_A9() -> None:
    weights = [parameter([1.0, 1.0]), parameter([10.0]), parameter([0.0]), parameter([100.0])]
    groups = {"world": (weights[:2], 0.1), "actor": (weights[2:3], 0.1), "critic": (weights[3:], 0.1)}
    optimizer = LaProp(groups, OptimizerConfig())
    grads = [torch.tensor([3.0, 0.0]), torch.tensor([4.0]), torch.tensor([1.0]), torch.tensor([20.0])]
    metrics = {name: value.item() for name, value in optimizer.step(grads).items()}
    assert metrics["optim/grad_norm_world"] == pytest.approx(5.0)
    assert metrics["optim/grad_norm_actor"] == pytest.approx(1.0)
    assert metrics["optim/grad_norm_critic"] == pytest.approx(20.0)
    assert metrics["optim/clipped_frac"] == pytest.approx(0.75)  # all but the last, whose limit is 30


@pytest.mark.parametrize("name", ["laprop_agc", "adam_clip"])
def test_a_step_leaves_the_gradients_it_was_given_as_they_are(name: Literal["laprop_agc", "adam_clip"]) -> None:
    weights = [parameter([1.0, -2.0]), parameter([[3.0]])]
    optimizer = make_optimizer({"world": (weights[:1], 1.0), "actor": (weights[1:], 1.0)}, OptimizerConfig(name=name))
    grads = [torch.tensor([50.0, -1.0]), torch.tensor([[70.0]])]
    kept = [grad.clone() for grad in grads]
    optimizer.step(grads)
    assert all(torch.equal(grad, before) for grad, before in zip(grads, kept, strict=True))
    assert weights[0][0].item() != 1.0


def test_clipping_can_be_switched_off() -> None:
    _, optimizer = single([1.0], agc=0.0)
    metrics = optimizer.step([torch.tensor([1e6])])
    assert metrics["optim/clipped_frac"].item() == 0.0
    assert optimizer.square.sqrt().item() == pytest.approx(1e6 * 0.001**0.5 * 2.0**16, rel=1e-4)


@pytest.fixture(params=[False, True], ids=["subnormals kept", "subnormals flushed"])
def flushing(request: pytest.FixtureRequest) -> Iterator[bool]:
    if request.param and not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush subnormal numbers")
    yield request.param
    torch.set_flush_denormal(False)


@pytest.mark.parametrize("agc", [0.0, 0.3])
@pytest.mark.parametrize("exponent", range(-38, -8, 3))
def test_tiny_gradients_never_make_gigantic_steps_A9(flushing: bool, agc: float, exponent: int) -> None:
    weight, optimizer = single([1.0, 1.0], rate=1.0, agc=agc)
    grad = torch.tensor([10.0**exponent, 3 * 10.0**exponent])
    for _ in range(3):
        before = weight.detach().clone()
        optimizer.step([grad])
        # eps only ever shrinks a step, and a constant gradient never gets more than one learning rate.
        assert (weight.detach() - before).abs().max().item() <= 1.0 + 1e-4
    assert torch.isfinite(weight).all()


def test_a_gradient_well_above_eps_still_gets_a_full_step_A9(flushing: bool) -> None:
    weight, optimizer = single([1.0], rate=0.5)
    optimizer.step([torch.tensor([1e-17])])
    assert weight.item() == pytest.approx(0.5, abs=2e-3)


def test_zero_gradients_move_nothing() -> None:
    weight, optimizer = single([1.0, 0.0], rate=1.0)
    for _ in range(3):
        metrics = optimizer.step([torch.zeros(2)])
    assert weight.tolist() == [1.0, 0.0]
    assert metrics["optim/clipped_frac"].item() == 0.0


def test_scaled_rates_move_their_groups_less_and_come_back_to_the_last_bit_M_SUR_07() -> None:
    config = OptimizerConfig(warmup_updates=0, agc=0.0)
    plain, scaled = (nn.Parameter(torch.ones(3)) for _ in range(2))
    other = [nn.Parameter(torch.ones(2)) for _ in range(2)]
    pair = [
        LaProp({"world": ([w], 0.01), "actor": ([a], 0.003)}, config)
        for w, a in zip(other, (plain, scaled), strict=True)
    ]
    pair[1].scale_rates(("actor",), 0.25)
    grads = [torch.full((2,), 2.0), torch.full((3,), 3.0)]
    for optimizer in pair:
        metrics = optimizer.step(grads)
    assert metrics["optim/lr_actor"].item() == pytest.approx(0.003 * 0.25)
    assert torch.allclose(1.0 - scaled, 0.25 * (1.0 - plain))
    assert torch.equal(other[0], other[1]), "the world model's rate is its own"
    pair[1].scale_rates(("actor",), 1.0)
    assert torch.equal(pair[0].rates, pair[1].rates)


def test_moments_and_count_are_saved_and_rates_are_not() -> None:
    weight, optimizer = single([1.0, -2.0], rate=0.1, warmup_updates=10)
    grads: list[Tensor] = list(torch.randn(5, 2, generator=torch.Generator().manual_seed(3)))
    for grad in grads[:4]:
        optimizer.step([grad])
    assert set(optimizer.state_dict()) == {"updates", "square", "momentum"}
    other_weight, other = single(weight.tolist(), rate=0.2, warmup_updates=10)
    other.load_state_dict(optimizer.state_dict())
    before = weight.detach().clone()
    optimizer.step([grads[4]])
    other.step([grads[4]])
    # Differences of float32 near 2 are known to some 1e-7, however small the step.
    assert torch.allclose(other_weight - before, 2 * (weight - before), rtol=1e-4, atol=1e-6)


# -- groups of parameters

LEARNERS = [("world",), ("actor", "critic"), ("world", "actor", "critic")]


def three(name: str = "laprop_agc", **leaves: Any) -> tuple[list[nn.Parameter], Optimizer]:
    weights = [parameter([[1.0, -2.0], [0.5, 3.0]]), parameter([0.3, 0.0]), parameter([-1.0, 2.0, 4.0])]
    rates = {"world": 0.01, "actor": 0.02, "critic": 0.05}
    groups = {group: ([weight], rates[group]) for group, weight in zip(rates, weights, strict=True)}
    return weights, make_optimizer(groups, OptimizerConfig(name=name, **{"warmup_updates": 3, **leaves}))  # type: ignore[arg-type]


def random_grads(weights: list[Tensor], g: torch.Generator) -> list[Tensor]:
    return [torch.randn(weight.shape, generator=g) for weight in weights]


@pytest.mark.parametrize("learners", LEARNERS, ids="+".join)
@pytest.mark.parametrize("name", ["laprop_agc", "adam_clip"])
def test_a_group_left_out_stays_bit_for_bit_and_the_rest_moves(name: str, learners: tuple[str, ...]) -> None:
    weights, optimizer = three(name)
    g = torch.Generator().manual_seed(0)
    for _ in range(2):
        optimizer.step(random_grads(weights, g))
    before = {k: v.clone() for k, v in optimizer.state_dict().items()}
    kept = [weight.detach().clone() for weight in weights]
    metrics = optimizer.step(random_grads(optimizer.parameters_of(learners), g), groups=learners)
    for k, group in enumerate(("world", "actor", "critic")):
        moves = group in learners
        part = optimizer.elements[group]
        assert torch.equal(weights[k], kept[k]) is not moves
        assert torch.equal(optimizer.square[part], before["square"][part]) is not moves
        assert torch.equal(optimizer.momentum[part], before["momentum"][part]) is not moves
        assert optimizer.made(group).item() == 2 + moves
        assert (f"optim/grad_norm_{group}" in metrics) is moves
        assert (f"optim/lr_{group}" in metrics) is moves


@pytest.mark.parametrize("name", ["laprop_agc", "adam_clip"])
def test_each_group_is_as_it_would_be_alone_whenever_it_learns_M_SUR_11(name: str) -> None:
    """Warm-up, schedule and bias correction follow a group's own count, so waiting costs it nothing."""
    leaves = {"lr_schedule": "linear to 0.5x over 4 updates", "max_norm": 0.7}
    weights, together = three(name, **leaves)
    alone = {}
    for k, (group, rate) in enumerate((("world", 0.01), ("actor", 0.02), ("critic", 0.05))):
        copy = nn.Parameter(weights[k].detach().clone())
        config = OptimizerConfig(name=name, warmup_updates=3, **leaves)  # type: ignore[arg-type]
        alone[group] = (copy, make_optimizer({group: ([copy], rate)}, config))
    g = torch.Generator().manual_seed(1)
    for learners in (LEARNERS[k] for k in (0, 0, 2, 1, 0, 1, 2, 2)):
        grads = random_grads(together.parameters_of(learners), g)
        together.step(grads, groups=learners)
        for group, grad in zip(learners, grads, strict=True):
            alone[group][1].step([grad])
    assert together.updates.tolist() == [6, 5, 5]
    for weight, (copy, _) in zip(weights, alone.values(), strict=True):
        assert torch.allclose(weight, copy, atol=1e-7)


@pytest.mark.parametrize(("update", "share"), [(1, 1.0), (3, 0.82), (6, 0.55), (11, 0.1), (99, 0.1)])
def test_rates_follow_their_schedule_and_the_warm_up_A9(update: int, share: float) -> None:
    for warmup in (0, 4):
        _, optimizer = single([1.0], rate=0.2, warmup_updates=warmup, lr_schedule="linear to 0.1x over 10 updates")
        optimizer.updates.fill_(update - 1)
        warm = min(1.0, update / warmup) if warmup else 1.0
        got = optimizer.step([torch.tensor([1.0])])["optim/lr_world"].item()
        assert got == pytest.approx(0.2 * share * warm, rel=1e-5)


def test_a_state_with_one_count_for_all_groups_still_loads() -> None:
    weights, optimizer = three()
    optimizer.step(random_grads(weights, torch.Generator().manual_seed(0)))
    state = optimizer.state_dict()
    state["updates"] = torch.tensor(7)
    optimizer.load_state_dict(state)
    assert optimizer.updates.tolist() == [7, 7, 7]


def test_a_look_at_the_norms_may_stop_the_step_before_anything_moves() -> None:
    weights, optimizer = three()

    def refuse(norms: Tensor) -> None:
        assert norms.tolist() == pytest.approx([5.0, 0.0])
        raise RuntimeError

    before = {k: v.clone() for k, v in optimizer.state_dict().items()}
    with pytest.raises(RuntimeError):
        optimizer.step([torch.tensor([3.0, 4.0]), torch.zeros(3)], refuse, groups=("actor", "critic"))
    assert all(torch.equal(value, before[key]) for key, value in optimizer.state_dict().items())
    assert weights[1].tolist() == pytest.approx([0.3, 0.0])


# -- Adam


@pytest.mark.parametrize("max_norm", [1e9, 1.0])
def test_adam_is_the_textbooks_after_clipping_each_group_A13_13(max_norm: float) -> None:
    weights, optimizer = three("adam_clip", warmup_updates=0, max_norm=max_norm, eps=1e-8)
    assert isinstance(optimizer, AdamClip)
    expected = [weight.detach().double().numpy() for weight in weights]
    first, second = ([np.zeros_like(weight) for weight in expected] for _ in range(2))
    g = torch.Generator().manual_seed(2)
    for update in range(1, 6):
        grads = random_grads(weights, g)
        optimizer.step(grads)
        for k, rate in enumerate((0.01, 0.02, 0.05)):
            grad = grads[k].double().numpy()
            grad = grad * min(1.0, max_norm / np.linalg.norm(grad))
            first[k] = 0.9 * first[k] + 0.1 * grad
            second[k] = 0.999 * second[k] + 0.001 * grad**2
            root = np.sqrt(second[k] / (1 - 0.999**update)) + 1e-8
            expected[k] = expected[k] - rate * first[k] / (1 - 0.9**update) / root
    for weight, wanted in zip(weights, expected, strict=True):
        assert weight.detach().numpy() == pytest.approx(wanted, abs=2e-6)


def test_adam_clips_a_group_as_a_whole_M_ML_22() -> None:
    weights = [parameter([1.0]), parameter([1.0])]
    config = OptimizerConfig(name="adam_clip", max_norm=1.0, warmup_updates=0)
    optimizer = make_optimizer({"world": (weights, 0.1)}, config)
    metrics = optimizer.step([torch.tensor([3.0]), torch.tensor([4.0])])
    assert metrics["optim/grad_norm_world"].item() == pytest.approx(5.0)  # as it came
    assert metrics["optim/clipped_frac"].item() == 1.0
    assert (optimizer.momentum / 0.1 / 2.0**16).tolist() == pytest.approx([0.6, 0.8])


def test_adam_divides_momentum_where_laprop_gathers_what_is_divided_F15() -> None:
    weight = parameter([0.0])
    optimizer = make_optimizer({"world": ([weight], 1.0)}, OptimizerConfig(name="adam_clip", warmup_updates=0))
    optimizer.step([torch.tensor([1.0])])
    optimizer.step([torch.tensor([3.0])])
    square = (0.999 * 0.001 * 1 + 0.001 * 9) / (1 - 0.999**2)
    assert weight.item() == pytest.approx(-1.0 - (0.9 * 0.1 + 0.1 * 3.0) / (1 - 0.9**2) / square**0.5, rel=1e-4)


@pytest.mark.parametrize("exponent", range(-38, -8, 6))
def test_tiny_gradients_never_make_gigantic_steps_of_adam_either_A9(flushing: bool, exponent: int) -> None:
    weight = parameter([1.0, 1.0])
    optimizer = make_optimizer({"world": ([weight], 1.0)}, OptimizerConfig(name="adam_clip", warmup_updates=0))
    for _ in range(3):
        before = weight.detach().clone()
        optimizer.step([torch.tensor([10.0**exponent, 3 * 10.0**exponent])])
        assert (weight.detach() - before).abs().max().item() <= 1.0 + 1e-4
