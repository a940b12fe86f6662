"""Between observations and the latent space: vector encoder and decoder (FACTS A2, A4).

Keys are taken in sorted order. Encoder: symlog of every number, concatenated, MLP. Decoder: MLP, then one Linear per
key, predicting the symlog of the observation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dreamerlab.config.schema_model import Model
from dreamerlab.dreamer.dynamics import Losses
from dreamerlab.dreamer.maths import symlog
from dreamerlab.dreamer.networks import MLP, Linear
from dreamerlab.spaces import EnvSpec


def squash(obs: Mapping[str, Float[Tensor, "*rows _"]], keys: Sequence[str]) -> Float[Tensor, "*rows all"]:
    """Return the symlog of all observed numbers, in the order of `keys`: encoder input, decoder target (FACTS A2)."""
    return symlog(torch.cat([obs[key] for key in keys], -1) if len(keys) > 1 else obs[keys[0]])


class Encoder(nn.Module):
    """Observations {key: (*, shape)} to tokens (*, E)."""

    def __init__(self, spec: EnvSpec, model: Model) -> None:
        super().__init__()
        self.token_size = model.units
        self.vectors = spec.of_kind("vector")
        size = sum(obs.shape[0] for obs in self.vectors.values())
        self.mlp = MLP(size, model.units, model.encoder_layers)

    def forward(self, obs: Mapping[str, Tensor]) -> Float[Tensor, "*rows E"]:
        """Return one token per observation."""
        return self.mlp(squash(obs, list(self.vectors)))


class Decoder(nn.Module):
    """Features (*, F) to predicted observations."""

    def __init__(self, feature_size: int, spec: EnvSpec, model: Model) -> None:
        super().__init__()
        self.vectors = spec.of_kind("vector")
        self.mlp = MLP(feature_size, model.units, model.decoder_layers)
        # One Linear per key, as the reference has it: clipping acts per tensor.
        self.outputs = nn.ModuleList(Linear(model.units, obs.shape[0]) for obs in self.vectors.values())

    def forward(self, features: Float[Tensor, "*rows F"]) -> Float[Tensor, "*rows all"]:
        """Return the predicted symlog of all numbers, keys in sorted order."""
        hidden = self.mlp(features)
        return torch.cat([output(hidden) for output in self.outputs], -1)

    def losses(self, features: Float[Tensor, "*rows F"], obs: Mapping[str, Tensor]) -> Losses:
        """Return `recon`: the squared error summed over all numbers, without a factor one half (FACTS A4)."""
        recon = (self(features) - squash(obs, list(self.vectors))).square().sum(-1)
        return Losses({"recon": recon}, {"wm/recon_loss": recon.detach().mean()})
