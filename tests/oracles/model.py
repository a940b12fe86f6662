"""Networks and recurrent core of FACTS A2 and A3 in float64 numpy, one row at a time, on the agent's own parameters.

Parameters are looked up by the names of `Agent.state_dict()`: weights are (inputs, outputs), block weights
(groups, inputs, outputs), a group's gates lie side by side as reset, candidate, update, and a group of the first
core layer reads (its slice of h, branch of h, branch of z, branch of a).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dreamerlab.config.schema_model import Model
from tests.oracles.formulas import mixed, rms_norm, sigmoid, silu

Array = np.ndarray
Parameters = Mapping[str, Array]


def linear(p: Parameters, name: str, x: Array) -> Array:
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def hidden(p: Parameters, name: str, norm: str, x: Array) -> Array:
    """Linear, RMSNorm, SiLU (FACTS A2)."""
    return silu(rms_norm(linear(p, name, x), p[f"{norm}.scale"]))


def mlp(p: Parameters, name: str, x: Array) -> Array:
    """Hidden layers, and an output layer if there is one."""
    x = hidden(p, f"{name}.first.linear", f"{name}.first.norm", x)
    layer = 0
    while f"{name}.rest.{layer}.linear.weight" in p:
        x = hidden(p, f"{name}.rest.{layer}.linear", f"{name}.rest.{layer}.norm", x)
        layer += 1
    return linear(p, f"{name}.rest.{layer}", x) if f"{name}.rest.{layer}.weight" in p else x


def block_linear(p: Parameters, name: str, groups: list[Array]) -> list[Array]:
    """Group g of the output sees group g of the input alone."""
    weight, bias = p[f"{name}.weight"], np.split(p[f"{name}.bias"], len(groups))
    return [x @ weight[g] + bias[g] for g, x in enumerate(groups)]


class Core:
    """The recurrent core with its prior and posterior (FACTS A3)."""

    def __init__(self, p: Parameters, model: Model, prefix: str = "world.dynamics") -> None:
        self.p, self.model, self.prefix = p, model, prefix

    def step(self, h: Array, z: Array, a: Array) -> Array:
        """Return h' from the state before and the encoded action taken there; a is within [-1, 1] already."""
        p, at, groups = self.p, self.prefix, self.model.blocks
        branches = [
            hidden(p, f"{at}.{name}_input", f"{at}.{name}_norm", x)
            for name, x in (("deter", h), ("stoch", z), ("action", a))
        ]
        own = np.split(h, groups)
        inputs = [np.concatenate([own[g], *branches]) for g in range(groups)]
        x = np.concatenate(block_linear(p, f"{at}.core", inputs))
        x = silu(rms_norm(x, p[f"{at}.core_norm.scale"]))  # the norm is over the whole width
        for layer in range(self.model.dyn_layers - 1):
            x = np.concatenate(block_linear(p, f"{at}.core_rest.{layer}.0", np.split(x, groups)))
            x = silu(rms_norm(x, p[f"{at}.core_rest.{layer}.1.scale"]))
        new = []
        for g, gates in enumerate(block_linear(p, f"{at}.gates", np.split(x, groups))):
            reset, candidate, update = np.split(gates, 3)
            c = np.tanh(sigmoid(reset) * candidate)
            u = sigmoid(update - 1.0)
            new.append(u * c + (1.0 - u) * own[g])
        return np.concatenate(new)

    def prior(self, h: Array) -> Array:
        """Mixed probabilities (S, K) of the latents given h alone."""
        return self._mixed(mlp(self.p, f"{self.prefix}.prior", h))

    def posterior(self, h: Array, token: Array) -> Array:
        """Mixed probabilities (S, K) of the latents given h and the observation's token (or the token alone)."""
        inputs = token if self.model.absolute_posterior else np.concatenate([h, token])
        return self._mixed(mlp(self.p, f"{self.prefix}.posterior", inputs))

    def _mixed(self, logits: Array) -> Array:
        rows = logits.reshape(self.model.stoch, self.model.classes)
        return np.stack([mixed(row, self.model.unimix) for row in rows])
