"""The contract of a family of world models: what an agent asks of its two halves, whichever family they are of.

    World       makes states of what is observed, explains them, and says what they are worth being in
    Behavior    acts, imagines inside a world, and learns from what it imagined

The recurrent core inside a world has a contract of its own, in `dynamics`. Who builds which family is `factory`; nobody
else asks. `rssm` keeps to all of it as DreamerV3 does, `mlp_model` and `mlp_behavior` as a modular learner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.codecs import Decoder, Encoder
from dreamerlab.dreamer.dynamics import Dynamics, Losses, Observed
from dreamerlab.dreamer.heads import AuxiliaryHeads
from dreamerlab.dreamer.one_hots import OneHots
from dreamerlab.dreamer.policies import PolicyHead


@runtime_checkable
class Imaginable(Protocol):
    """What there has to be to imagine in."""

    @property
    def dynamics(self) -> Dynamics:
        """What states are made with, and imagined."""
        ...

    def predict_reward(self, features: Float[Tensor, "N F"], one_hots: OneHots | None = None) -> Float[Tensor, " N"]:
        """Return the expected reward received on arriving at each state."""
        ...

    def predict_continue(self, features: Float[Tensor, "N F"], one_hots: OneHots | None = None) -> Float[Tensor, " N"]:
        """Return the predicted discount of each state: gamma where it goes on, 0 after a death."""
        ...

    def bonus(
        self, features: Float[Tensor, "states N F"], action: Shaped[Tensor, "steps N A"]
    ) -> Float[Tensor, "steps N"] | None:
        """Return what imagined steps are worth beside their reward, unscaled; None where nothing is."""
        ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Return what it learns with, as of any module."""
        ...


@runtime_checkable
class World(Imaginable, Protocol):
    """Learns to predict what is observed, what is rewarded, and whether it goes on."""

    terms: tuple[str, ...]
    """Names of the losses it may have, each the name of its scale."""
    encoder: Encoder
    decoder: Decoder
    auxiliary: AuxiliaryHeads

    def observe(self, batch: Batch, generator: torch.Generator) -> Observed:
        """Return the states of a batch of windows."""
        ...

    def losses(self, batch: Batch, observed: Observed) -> Losses:
        """Return its losses, each (B, T), and their metrics."""
        ...


@runtime_checkable
class Behavior(Protocol):
    """Policy and critic."""

    head: PolicyHead

    @property
    def policy(self) -> nn.Module:
        """State to the raw outputs that `head` makes a distribution of."""
        ...

    @property
    def critic(self) -> nn.Module:
        """State to whatever its values are read from."""
        ...

    def act(self, features: Float[Tensor, "N F"], *, mode: bool, generator: torch.Generator) -> Shaped[Tensor, "N A"]:
        """Return the most likely action (`mode`) or a drawn one; gradients must be disabled."""
        ...

    def imagine(self, world: Imaginable, start: Float[Tensor, "N F"], generator: torch.Generator) -> Any:
        """Return rollouts of the policy from `start`, with everything the world says about their states.

        Whatever they are made of, their `slow_value` (H, N) is what `replay_loss` is given of state 0.
        """
        ...

    def losses(self, imagined: Any, made: Int[Tensor, ""] | None = None) -> tuple[Losses, Float[Tensor, " N"]]:
        """Return the policy and value losses, (H, N) each, and the return of the starts."""
        ...

    def replay_loss(
        self,
        features: Float[Tensor, "B K F"],
        batch: Batch,
        boot: Float[Tensor, "B K"],
        slow_value: Float[Tensor, "B K"],
    ) -> Losses:
        """Return what the critic learns from the last K replayed states; nothing where it learns in imagination alone.

        `boot` and `slow_value` are the imagined return and the slow value of the same states.
        """
        ...

    def predict_value(self, features: Float[Tensor, "N F"]) -> Float[Tensor, " N"]:
        """Return the critic's value of each state."""
        ...

    def follow(self) -> None:
        """Do what has to be done after every update of actor and critic."""
        ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Return what it learns with, as of any module."""
        ...


class Parts(NamedTuple):
    """What a factory makes of one config."""

    world: World
    behavior: Behavior
    isolated: bool
    """Whether each group of parameters has a backward pass of its own, which asks for the gradient of its own losses
    only; else all losses are added up, and what reaches whom is decided where the losses are computed."""
    repeats: Mapping[str, int]
    """How many optimiser steps each group makes on a batch."""
