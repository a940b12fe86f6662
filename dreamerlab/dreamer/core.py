"""The recurrent core's weights as its loops want them, and its gates: a block-diagonal GRU's (FACTS A3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Hoisted(NamedTuple):
    """Weights of the core as its loops want them, derived once per pass."""

    actions: Tensor
    """What an action adds to the first core layer, bias included: for one choice a table (C + 1, D) whose last row is
    no action, otherwise the weight (hidden, D) that the action branch is multiplied with."""
    inputs_scale: Tensor
    """(2, hidden): norm scales of the deter and stoch branches."""
    from_inputs: Tensor
    """(2 * hidden, D): first core layer as seen from the two branches, which every group reads in full."""
    from_deter: Tensor
    """(G, D/G, D/G): first core layer as seen from each group's own slice of the deterministic state."""
    gates: Tensor
    """(G, D/G, 3D/G): weight of the gates. A single group loses its axis here and above (see `add_blocks`)."""
    gates_bias: Tensor
    """(3D,): bias of the gates with the -1 of the update gate folded in."""


def gates(hoisted: Hoisted, x: Float[Tensor, "N D"]) -> tuple[Tensor, ...]:
    """Return reset gate, candidate and update gate before their activations, each (N, D)."""
    if hoisted.gates.ndim == 2:
        return torch.addmm(hoisted.gates_bias, x, hoisted.gates).unflatten(1, (3, -1)).unbind(1)
    groups, width, _ = hoisted.gates.shape
    blocks = torch.bmm(x.view(-1, groups, width).transpose(0, 1), hoisted.gates)
    # Each gate gathered from all groups: what follows runs over whole rows, not over short slices of them.
    gathered = blocks.unflatten(-1, (3, width)).permute(2, 1, 0, 3)
    bias = hoisted.gates_bias.view(groups, 3, width).transpose(0, 1).unsqueeze(1)
    out = None if torch.is_grad_enabled() else x.new_empty(gathered.shape)
    return torch.add(gathered, bias, out=out).reshape(3, len(x), groups * width).unbind(0)
