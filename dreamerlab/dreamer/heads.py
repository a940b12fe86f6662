"""Auxiliary heads: what the latent states should also know, without touching the reward (M-HK-15).

Owns networks and losses. What can be asked of a head is read in `config.heads`; where its targets come from is
`experience.targets`. A target that is nan is unknown and costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dreamerlab.config.heads import parse_heads
from dreamerlab.config.schema import Config
from dreamerlab.dreamer.dynamics import Losses
from dreamerlab.dreamer.maths import symexp, symlog
from dreamerlab.dreamer.networks import MLP


class AuxiliaryHeads(nn.Module):
    """One network for each head of `heads.auxiliary`, of the size of the reward head; none by default."""

    def __init__(self, feature_size: int, config: Config) -> None:
        super().__init__()
        self.specs = parse_heads(config.heads.auxiliary)
        model = config.model
        self.networks = nn.ModuleList(MLP(feature_size, model.units, model.reward_layers, 1) for _ in self.specs)

    def forward(self, features: Float[Tensor, "N F"]) -> dict[str, Float[Tensor, " N"]]:
        """Return what each head predicts: the probability of `binary`, the value itself of `regression`."""
        squashed = {"binary": torch.sigmoid, "regression": symexp}
        return {
            spec.name: squashed[spec.kind](network(features).squeeze(-1))
            for spec, network in zip(self.specs, self.networks, strict=True)
        }

    def losses(self, features: Float[Tensor, "N F"], targets: Mapping[str, Float[Tensor, "B T"]]) -> Losses:
        """Return `auxiliary`, (B, T): the sum of all heads' losses where their targets are known.

        Binary: cross-entropy of the target being other than 0. Regression: squared error after symlog. No heads, no
        loss.
        """
        if not self.specs:
            return Losses({}, {})
        costs: list[Tensor] = []
        shares: list[Tensor] = []
        for spec, network in zip(self.specs, self.networks, strict=True):
            target = targets[spec.name].to(features.dtype)
            known = ~target.isnan()
            # Replaced before the loss, not after: nan times a gradient of 0 is nan.
            target = target.nan_to_num(nan=0.0)
            out = network(features).view(target.shape)
            if spec.kind == "binary":
                wanted = (target != 0.0).to(out.dtype)
                cost = functional.binary_cross_entropy_with_logits(out, wanted, reduction="none")
            else:
                cost = (out - symlog(target)).square()
            costs.append(cost * known)
            shares.append(known.to(cost.dtype).mean())
        total = torch.stack(costs).sum(0)
        known_share = torch.stack(shares).mean()
        metrics = {"wm/auxiliary_loss": total.detach().mean(), "wm/auxiliary_known_frac": known_share}
        return Losses({"auxiliary": total}, metrics)
