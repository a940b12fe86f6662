"""The gates of the recurrent core (FACTS A3)."""

from __future__ import annotations

import pytest
import torch

from dreamerlab.dreamer.core import Hoisted, gates


def hoisted(groups: int, width: int) -> Hoisted:
    """Random weights of the gates; a single group comes without its axis. The rest is not asked for."""
    weight = torch.randn(groups, width, 3 * width)
    unused = torch.empty(0)
    return Hoisted(
        unused, unused, unused, unused, weight[0] if groups == 1 else weight, torch.randn(3 * groups * width)
    )


@pytest.mark.parametrize("rows", [1, 7])
@pytest.mark.parametrize("groups", [1, 4])
def test_every_group_has_gates_of_its_own_slice_A3(groups: int, rows: int) -> None:
    torch.manual_seed(groups)
    width = 6
    weights, x = hoisted(groups, width), torch.randn(rows, groups * width)
    expected = torch.empty(3, rows, groups * width)
    for group in range(groups):
        own, bias = slice(group * width, (group + 1) * width), weights.gates_bias.view(groups, 3 * width)[group]
        product = x[:, own] @ weights.gates.view(groups, width, 3 * width)[group] + bias
        expected[:, :, own] = product.view(rows, 3, width).transpose(0, 1)
    for learns in True, False:
        with torch.set_grad_enabled(learns):
            assert torch.allclose(torch.stack(gates(weights, x)), expected, atol=1e-5)
