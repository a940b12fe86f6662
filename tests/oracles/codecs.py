"""Observations to tokens and back, one observation at a time, for any mix of kinds (FACTS A2, A4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dreamerlab.config.schema_model import Model
from dreamerlab.spaces import EnvSpec
from tests.oracles import images
from tests.oracles.formulas import cross_entropy, one_hot, symlog
from tests.oracles.model import Array, Parameters, linear, mlp

ENCODER, DECODER = "world.encoder", "world.decoder"


class Codecs:
    """Encoder and decoder for one kind of task."""

    def __init__(self, spec: EnvSpec, model: Model) -> None:
        self.vectors, self.choices, self.images = (spec.of_kind(kind) for kind in ("vector", "discrete", "image"))
        self.model = model

    def token(self, p: Parameters, obs: Mapping[str, Array]) -> Array:
        """Give the features of the pictures, then those of symlog numbers and one-hot choices."""
        parts: list[Array] = []
        if self.images:
            stack = np.concatenate([obs[key] for key in self.images], -1)
            strided = self.model.cnn_downsample == "stride"
            parts.append(images.encode(p, f"{ENCODER}.images", stack, strided=strided))
        inputs = [symlog(obs[key]) for key in self.vectors]
        for key, spec in self.choices.items():
            inputs += [one_hot(int(choice), count) for choice, count in zip(obs[key], spec.classes, strict=True)]
        if inputs:
            parts.append(mlp(p, f"{ENCODER}.mlp", np.concatenate(inputs)))
        return np.concatenate(parts)

    def loss(self, p: Parameters, deter: Array, latent: Array, obs: Mapping[str, Array]) -> float:
        """Give what the whole observation costs, summed over all numbers, choices, pixels and channels."""
        total = 0.0
        if self.vectors or self.choices:
            inner = mlp(p, f"{DECODER}.mlp", np.concatenate([deter, latent]))
            for place, key in enumerate(self.vectors):
                error = linear(p, f"{DECODER}.outputs.{place}", inner) - symlog(obs[key])
                total += sum(float(e * e) for e in error)
            for place, (key, spec) in enumerate(self.choices.items()):
                logits = linear(p, f"{DECODER}.choice_outputs.{place}", inner)
                parts = np.split(logits, np.cumsum(spec.classes)[:-1])
                for part, choice, count in zip(parts, obs[key], spec.classes, strict=True):
                    total += cross_entropy(part, one_hot(int(choice), count))
        if self.images:
            stack = np.concatenate([obs[key] for key in self.images], -1)
            predicted = images.decode(p, f"{DECODER}.images", deter, latent, stack.shape)
            total += float(((predicted - stack / 255.0) ** 2).sum())
        return total
