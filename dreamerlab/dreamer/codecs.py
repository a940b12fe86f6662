"""Between observations and the latent space: vector encoder and decoder (FACTS A2, A4).

Keys are taken in sorted order. Encoder: symlog of every number, concatenated, MLP. Decoder: MLP, then one Linear per
key, predicting the symlog of the observation.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dreamerlab.config.schema_model import Model
from dreamerlab.dreamer.maths import symlog
from dreamerlab.dreamer.networks import MLP, Linear
from dreamerlab.spaces import EnvSpec


def squash(obs: Mapping[str, Float[Tensor, "*rows _"]]) -> Float[Tensor, "*rows all"]:
    """Return the symlog of all observed numbers, keys in sorted order: the encoder's input, the decoder's target."""
    return symlog(torch.cat([obs[key] for key in sorted(obs)], -1) if len(obs) > 1 else next(iter(obs.values())))


class Encoder(nn.Module):
    """Squashed observations (*, all) to tokens (*, E)."""

    def __init__(self, spec: EnvSpec, model: Model) -> None:
        super().__init__()
        self.token_size = model.units
        self.mlp = MLP(spec.obs_size, model.units, model.encoder_layers)

    def forward(self, squashed: Float[Tensor, "*rows all"]) -> Float[Tensor, "*rows E"]:
        """Return one token per observation."""
        return self.mlp(squashed)


class Decoder(nn.Module):
    """Features (*, F) to predicted squashed observations (*, all)."""

    def __init__(self, feature_size: int, spec: EnvSpec, model: Model) -> None:
        super().__init__()
        self.mlp = MLP(feature_size, model.units, model.decoder_layers)
        sizes = [spec.observations[key].size for key in sorted(spec.observations)]
        # One Linear per key, as the reference has it: clipping acts per tensor.
        self.outputs = nn.ModuleList(Linear(model.units, size) for size in sizes)

    def forward(self, features: Float[Tensor, "*rows F"]) -> Float[Tensor, "*rows all"]:
        """Return the prediction for all keys, in sorted order."""
        hidden = self.mlp(features)
        return torch.cat([output(hidden) for output in self.outputs], -1)

    def loss(self, features: Float[Tensor, "*rows F"], squashed: Float[Tensor, "*rows all"]) -> Float[Tensor, "*rows"]:
        """Return the squared error summed over all numbers, without a factor one half (FACTS A4)."""
        return (self(features) - squashed).square().sum(-1)
