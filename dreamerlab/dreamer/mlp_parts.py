"""The six interfaces of the modular learner, with shapes, and the parts it has unless others are given (M-ML-25).

    encoder          observation -> features (N, E)           codecs.Encoder
    representation   features    -> state (N, D)              Representation
    transition       state, action -> Normal over states      Transition
    reward           state -> Normal over rewards             gaussian.GaussianHead
    continue         state -> logit of a Bernoulli            Scalar
    policy, value    state -> action distribution, scalar     policies, Scalar

A part is any module that keeps to its interface: an autoencoder's bottleneck, a contrastive or variational encoding, a
recurrent summary. `MlpWorldModel` takes other ones in its constructor; nothing else has to know.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.gaussian import Normal
from dreamerlab.dreamer.networks import MLP

EPS = 1e-6


@runtime_checkable
class Representation(Protocol):
    """Features (N, E) to states (N, D)."""

    size: int
    """D."""

    def __call__(self, features: Float[Tensor, "N E"]) -> Float[Tensor, "N D"]:
        """Return one state per row, which knows nothing of any other row."""
        ...


@runtime_checkable
class Transition(Protocol):
    """States (N, D) and encoded actions (N, A) to a distribution over the states that follow."""

    def __call__(self, state: Float[Tensor, "N D"], action: Float[Tensor, "N A"]) -> Normal:
        """Return the next states, (N, D); `std` is None where they are taken to be certain."""
        ...


def normalise(x: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
    """Return each row at a root mean square of 1.

    Without a fixed scale states could make their own prediction easy by shrinking, and rollouts could run away.
    """
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)


class MlpRepresentation(nn.Module):
    """The bottleneck of an autoencoder: hidden layers, then D numbers of a fixed scale (M-ML-04)."""

    def __init__(self, features: int, config: Config) -> None:
        super().__init__()
        self.size = config.mlp.state
        self.network = MLP(features, config.model.units, config.mlp.representation_layers, self.size)

    def forward(self, features: Float[Tensor, "N E"]) -> Float[Tensor, "N D"]:
        """Return one state per row."""
        return normalise(self.network(features))


class MlpTransition(nn.Module):
    """Hidden layers from state and action to the change of the state (M-ML-01).

    The prediction is put back on the scale that states have. A deviation is there only for `gaussian`.
    """

    def __init__(self, state: int, action: int, config: Config) -> None:
        super().__init__()
        mlp = config.mlp
        self.min_std = mlp.min_std if mlp.dynamics_loss == "gaussian" else None
        outputs = state if self.min_std is None else 2 * state
        self.network = MLP(state + action, config.model.units, mlp.dynamics_layers, outputs)

    def forward(self, state: Float[Tensor, "N D"], action: Float[Tensor, "N A"]) -> Normal:
        """Return the next states."""
        out = self.network(torch.cat([state, action], -1))
        if self.min_std is None:
            return Normal(normalise(state + out))
        change, raw = out.chunk(2, -1)
        return Normal(normalise(state + change), functional.softplus(raw) + self.min_std)


class Scalar(nn.Module):
    """State to one number: a value, or the logit of going on."""

    def __init__(self, inputs: int, units: int, layers: int, *, output_scale: float = 1.0) -> None:
        super().__init__()
        self.network = MLP(inputs, units, layers, 1, output_scale=output_scale)

    def forward(self, state: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
        """Return one number per row."""
        return self.network(state).squeeze(-1)
