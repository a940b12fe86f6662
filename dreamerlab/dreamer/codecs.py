"""Between observations and the latent space: encoder and decoder of any mix of kinds (FACTS A2, A4).

Keys are taken in sorted order. Numbers, squashed by symlog, and choices, one-hot, go side by side through one MLP,
pictures on top of each other through one convolutional net; the token is what both give. The decoder predicts each
from the features. The nets for pictures are in `images`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from dreamerlab.config.schema_model import Model
from dreamerlab.dreamer.dynamics import Losses
from dreamerlab.dreamer.images import SHRINK, ImageDecoder, ImageEncoder
from dreamerlab.dreamer.maths import symlog
from dreamerlab.dreamer.networks import MLP, Linear
from dreamerlab.dreamer.one_hots import OneHots
from dreamerlab.errors import UsageError
from dreamerlab.spaces import EnvSpec, ObsSpec


def squash(obs: Mapping[str, Tensor], keys: Sequence[str]) -> Float[Tensor, "*rows all"]:
    """Return the symlog of all observed numbers, in the order of `keys`: encoder input, decoder target (FACTS A2)."""
    return symlog(torch.cat([obs[key] for key in keys], -1) if len(keys) > 1 else obs[keys[0]])


class Choices(nn.Module):
    """The discrete keys: one-hots for the encoder, cross-entropies for the decoder."""

    offsets: Tensor

    def __init__(self, specs: Mapping[str, ObsSpec]) -> None:
        super().__init__()
        self.keys = list(specs)
        self.classes = [count for key in self.keys for count in specs[key].classes]
        self.size = sum(self.classes)
        """Length of all one-hots side by side."""
        starts = torch.tensor([0, *self.classes[:-1]]).cumsum(0) if self.classes else torch.zeros(0, dtype=torch.int64)
        self.register_buffer("offsets", starts, persistent=False)

    def joined(self, obs: Mapping[str, Tensor]) -> Int[Tensor, "*rows components"]:
        """Return all choices side by side, keys in sorted order."""
        return torch.cat([obs[key] for key in self.keys], -1)

    def encode(self, obs: Mapping[str, Tensor], dtype: torch.dtype) -> Float[Tensor, "*rows size"]:
        """Return one-hots side by side."""
        index = self.joined(obs) + self.offsets
        return torch.zeros((*index.shape[:-1], self.size), dtype=dtype, device=index.device).scatter_(-1, index, 1.0)

    def loss(self, logits: Float[Tensor, "*rows size"], obs: Mapping[str, Tensor]) -> Float[Tensor, "*rows"]:
        """Return the cross-entropy of what was observed, summed over components (FACTS A4)."""
        log_probs = [part.log_softmax(-1) for part in logits.split(self.classes, -1)]
        return -torch.cat(log_probs, -1).gather(-1, self.joined(obs) + self.offsets).sum(-1)


class Pictures:
    """The image keys, which must have one size: their channels are stacked."""

    def __init__(self, specs: Mapping[str, ObsSpec]) -> None:
        self.keys = list(specs)
        shapes = [spec.shape for spec in specs.values()]
        if len({shape[:2] for shape in shapes}) > 1:
            sizes = ", ".join(f"{key} {shape[0]}x{shape[1]}" for key, shape in zip(self.keys, shapes, strict=True))
            raise UsageError(
                f"images of different sizes are observed: {sizes}",
                hint="give all image keys one height and width, for instance by wrapping the environment",
            )
        height, width = shapes[0][:2] if shapes else (SHRINK, SHRINK)
        if height % SHRINK or width % SHRINK:
            raise UsageError(
                f"image {self.keys[0]} is {height}x{width}: height and width must be divisible by {SHRINK}",
                hint=f"wrap the environment to resize it, for instance to {4 * SHRINK}x{4 * SHRINK}",
            )
        self.channels = [shape[2] for shape in shapes]
        self.shape = (height, width, sum(self.channels))

    def stacked(self, obs: Mapping[str, Tensor]) -> Shaped[Tensor, "N H W C"]:
        """Return all pictures on top of each other, one row each, keys in sorted order."""
        stack = torch.cat([obs[key] for key in self.keys], -1) if len(self.keys) > 1 else obs[self.keys[0]]
        return stack.reshape(-1, *self.shape)


class Encoder(nn.Module):
    """Observations {key: (*, shape)} to tokens (*, E)."""

    def __init__(self, spec: EnvSpec, model: Model) -> None:
        super().__init__()
        self.vectors = list(spec.of_kind("vector"))
        self.choices = Choices(spec.of_kind("discrete"))
        self.pictures = Pictures(spec.of_kind("image"))
        size = self.choices.size + sum(obs.shape[0] for obs in spec.of_kind("vector").values())
        self.token_size = 0
        if self.pictures.keys:
            self.images = ImageEncoder(self.pictures.shape, model.cnn_depth, model.cnn_downsample)
            self.token_size += self.images.size
        if size:
            self.mlp = MLP(size, model.units, model.encoder_layers)
            self.token_size += model.units

    def forward(self, obs: Mapping[str, Tensor]) -> Float[Tensor, "*rows E"]:
        """Return one token per observation: the features of its pictures, then those of its numbers and choices."""
        tokens: list[Tensor] = []
        if self.pictures.keys:
            rows = obs[self.pictures.keys[0]].shape[:-3]
            tokens.append(self.images(self.pictures.stacked(obs)).unflatten(0, rows))
        inputs: list[Tensor] = [squash(obs, self.vectors)] if self.vectors else []
        if self.choices.keys:
            inputs.append(self.choices.encode(obs, self.mlp.first.linear.weight.dtype))
        if inputs:
            tokens.append(self.mlp(torch.cat(inputs, -1) if len(inputs) > 1 else inputs[0]))
        return torch.cat(tokens, -1) if len(tokens) > 1 else tokens[0]


class Decoder(nn.Module):
    """Features (*, F), the deterministic state first, to predicted observations."""

    def __init__(self, deter: int, feature_size: int, spec: EnvSpec, model: Model) -> None:
        super().__init__()
        vectors, choices = spec.of_kind("vector"), spec.of_kind("discrete")
        self.vectors = list(vectors)
        self.choices = Choices(choices)
        self.pictures = Pictures(spec.of_kind("image"))
        # One Linear per key, as the reference has it: clipping acts per tensor.
        if vectors or choices:
            self.mlp = MLP(feature_size, model.units, model.decoder_layers)
        self.outputs = nn.ModuleList(Linear(model.units, obs.shape[0]) for obs in vectors.values())
        self.choice_outputs = nn.ModuleList(Linear(model.units, sum(obs.classes)) for obs in choices.values())
        if self.pictures.keys:
            latents = feature_size - deter
            self.images = ImageDecoder(deter, latents, self.pictures.shape, model.cnn_depth, model.units)

    def forward(self, features: Float[Tensor, "*rows F"]) -> Float[Tensor, "*rows all"]:
        """Return the predicted symlog of all numbers, keys in sorted order."""
        return _joined(self.outputs, self.mlp(features))

    def pictures_of(self, features: Float[Tensor, "*rows F"]) -> dict[str, Float[Tensor, "*rows H W _"]]:
        """Return the predicted pictures by key, numbers in 0 .. 1."""
        stack = self.images(features.flatten(0, -2)).unflatten(0, features.shape[:-1])
        return dict(zip(self.pictures.keys, stack.split(self.pictures.channels, -1), strict=True))

    def losses(
        self, features: Float[Tensor, "*rows F"], obs: Mapping[str, Tensor], one_hots: OneHots | None = None
    ) -> Losses:
        """Return `recon`, one value per row: what the kinds of observation cost, added up (FACTS A4).

        Numbers cost their squared error after symlog, without a factor one half, choices their cross-entropy,
        pictures the squared error of values in 0 .. 1; each summed over all there are. `one_hots` as in `networks.MLP`.
        """
        costs: dict[str, Tensor] = {}
        if self.vectors or self.choices.keys:
            hidden = self.mlp(features, one_hots)
            if self.vectors:
                error = _joined(self.outputs, hidden) - squash(obs, self.vectors)
                costs["wm/recon_loss"] = error.square().sum(-1)
            if self.choices.keys:
                costs["wm/discrete_loss"] = self.choices.loss(_joined(self.choice_outputs, hidden), obs)
        if self.pictures.keys:
            error = self.images.losses(features.flatten(0, -2), self.pictures.stacked(obs))
            costs["wm/image_loss"] = error.unflatten(0, features.shape[:-1])
        recon = sum(costs.values(), start=features.new_zeros(())) if len(costs) > 1 else next(iter(costs.values()))
        return Losses({"recon": recon}, {name: cost.detach() for name, cost in costs.items()})


def _joined(outputs: nn.ModuleList, hidden: Tensor) -> Tensor:
    return torch.cat([output(hidden) for output in outputs], -1)
