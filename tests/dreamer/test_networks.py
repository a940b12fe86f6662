"""Initialisation, normalisation and block-diagonal layers (FACTS A2, A3, F8)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peers.worker import UNCOUNTED
from dreamerlab.dreamer.networks import MLP, BlockLinear, Hidden, Linear, add_blocks, add_blocks_, init_weight
from dreamerlab.dreamer.norms import rms_silu


def test_initial_weights_have_deviation_one_over_root_fan_in_and_are_cut_at_two_sigma_A3() -> None:
    torch.manual_seed(0)
    weight = init_weight((400, 500), 400).detach()
    assert weight.std().item() == pytest.approx(1 / math.sqrt(400), rel=0.01)
    assert weight.mean().item() == pytest.approx(0.0, abs=1e-3)
    assert weight.abs().max().item() <= 2 * 1.1368 / math.sqrt(400)
    assert weight.abs().max().item() >= 1.95 * 1.1368 / math.sqrt(400)


def test_block_weights_use_the_full_input_width_as_fan_in_A3() -> None:
    torch.manual_seed(0)
    layer = BlockLinear(8, 64, 200)
    assert layer.weight.std().item() == pytest.approx(1 / math.sqrt(8 * 64), rel=0.01)


def test_output_scale_multiplies_the_last_kernel_and_zero_means_zero_A3() -> None:
    torch.manual_seed(0)
    assert (Linear(300, 300, scale=0.0).weight == 0).all()
    small = MLP(5, 300, 2, 300, output_scale=0.01).rest[-1]
    assert isinstance(small, Linear)
    assert small.weight.std().item() == pytest.approx(0.01 / math.sqrt(300), rel=0.02)


def test_all_biases_start_at_zero_and_all_norm_scales_at_one_A3() -> None:
    for name, parameter in MLP(5, 7, 3, 4).named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all()
        if name.endswith("scale"):
            assert (parameter == 1).all()


def test_hidden_layer_is_linear_then_rms_norm_then_silu_A2() -> None:
    torch.manual_seed(0)
    layer = Hidden(6, 9)
    with torch.no_grad():
        layer.linear.bias.normal_()
        layer.norm.scale.normal_()
    x = torch.randn(4, 6)
    y = x @ layer.linear.weight + layer.linear.bias
    y = y / torch.sqrt((y * y).mean(-1, keepdim=True) + 1e-4) * layer.norm.scale
    assert torch.allclose(layer(x), y / (1 + torch.exp(-y)), atol=1e-6)


def test_the_norm_divides_by_the_root_of_mean_square_plus_1e_4_and_subtracts_nothing_A2() -> None:
    x = torch.full((1, 8), 0.01)
    normed = 0.01 / math.sqrt(0.01**2 + 1e-4)
    assert rms_silu(x, torch.ones(8))[0, 0].item() == pytest.approx(normed / (1 + math.exp(-normed)), rel=1e-5)
    assert rms_silu(torch.zeros(1, 8), torch.ones(8)).abs().max().item() == 0.0


@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 4)])
def test_rms_silu_gradients_agree_with_finite_differences(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    scale = torch.randn(shape[1:], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rms_silu, (x, scale))
    shared = torch.randn(shape[-1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rms_silu, (x, shared))


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_mlp_has_that_many_hidden_layers(layers: int) -> None:
    mlp = MLP(5, 7, layers, 3)
    assert sum(isinstance(m, Hidden) for m in mlp.modules()) == layers
    assert mlp(torch.randn(2, 6, 5)).shape == (2, 6, 3)
    assert MLP(5, 7, layers)(torch.randn(6, 5)).shape == (6, 7)


def test_leading_axes_are_rows() -> None:
    layer = Linear(4, 3)
    x = torch.randn(2, 5, 4)
    assert torch.allclose(layer(x)[1, 2], layer(x[1, 2][None])[0], atol=1e-6)


@pytest.mark.parametrize("groups", [1, 4])
def test_block_linear_is_a_dense_linear_with_a_block_diagonal_weight_F8(groups: int) -> None:
    torch.manual_seed(0)
    inputs, outputs, rows = 3, 5, 7
    layer = BlockLinear(groups, inputs, outputs)
    nn.init.normal_(layer.bias)
    x = torch.randn(rows, groups * inputs)
    dense = torch.block_diag(*layer.weight.detach())
    assert torch.allclose(layer(x), x @ dense + layer.bias, atol=1e-5)


def test_a_group_depends_on_its_own_weights_only_F8() -> None:
    torch.manual_seed(0)
    layer = BlockLinear(3, 2, 2)
    x = torch.randn(4, 3 * 2)
    before = layer(x)
    with torch.no_grad():
        layer.weight[1] += 1.0
    changed = (layer(x) != before).view(4, 3, 2).any(-1).any(0)
    assert changed.tolist() == [False, True, False]


@pytest.mark.parametrize("groups", [1, 4])
def test_blocks_are_added_in_place_with_as_many_multiplications_as_the_benchmark_counts(groups: int) -> None:
    """A product that its counter does not know would lower the floor."""
    torch.manual_seed(0)
    weight, x, total = torch.randn(groups, 6, 5), torch.randn(7, groups * 6), torch.randn(7, groups * 5)
    weight = weight[0] if groups == 1 else weight
    expected = add_blocks(total, x, weight)
    with FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter:
        found = add_blocks_(total, x, weight)
    assert found is total
    assert torch.allclose(total, expected, atol=1e-5)
    assert counter.get_total_flops() == 2 * 7 * groups * 6 * 5
