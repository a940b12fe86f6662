"""The contract of a world-model core: what the rest of the agent may ask of any recurrent model.

A core turns tokens and actions into features (`observe`) and runs ahead of the data (`imagine`). The cores here are
`rssm.RSSM` and, without memory, `mlp_dynamics.MlpDynamics`; how each learns is between it and its world model. What a
whole family of world models owes the agent is `family`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from dreamerlab.dreamer.one_hots import OneHots

ImaginedPolicy = Callable[[Tensor, int], tuple[Tensor, Tensor | None]]
"""Given features (N, F) and the number of the imagined step, returns one action (N, A) per rollout and its encoding
(N, E) if that carries gradient; None lets the core encode the action itself."""


ApartPolicy = Callable[[Tensor, OneHots | None, int], tuple[Tensor, Tensor | None]]
"""The same, given what is known of one-hots as well: then the features end before them."""


class Observed(NamedTuple):
    """What a core made of a window."""

    features: Float[Tensor, "B T F"]
    """What every head reads; carries gradient."""
    deter: Float[Tensor, "B T D"]
    stoch: Int[Tensor, "B T S"]
    """Class of each latent. `deter` and `stoch` of a row are all that is needed to go on from it."""
    posterior_logits: Float[Tensor, "B T S K"]


class Advanced(NamedTuple):
    """What a core made of one row, without gradient."""

    features: Float[Tensor, "B F"]
    deter: Float[Tensor, "B D"]
    stoch: Int[Tensor, "B S"]


class Apart(NamedTuple):
    """A rollout whose one-hots are told of instead of made."""

    features: Float[Tensor, "H+1 N D"]
    """Without the columns that `one_hots` tells of."""
    action: Shaped[Tensor, "H N A"]
    one_hots: OneHots | None
    """Of all states, one after the other; None: features are whole."""


class Losses(NamedTuple):
    """Named losses, one value per element, and metrics without gradient."""

    terms: dict[str, Tensor]
    metrics: dict[str, Tensor]
    """One number each; of a part of the world model also one per element, for `maths.averaged`."""
    rank: Tensor | None = None
    """Of every row of a window, where replay ranks rows by something else than the world model's loss."""
    model: Tensor | None = None
    """Of a whole agent: the weighted sum of the world model's losses, (B, T), without gradient."""


@runtime_checkable
class Dynamics(Protocol):
    """A model of the environment in latent space."""

    feature_size: int
    deter: int
    """Numbers D that are carried from step to step; 0 where a state needs none before it."""
    stoch: int
    """Latents S that are carried from step to step."""

    def observe(
        self,
        tokens: Float[Tensor, "B T E"],
        prev_action: Shaped[Tensor, "B T A"],
        is_first: Bool[Tensor, "B T"],
        deter: Float[Tensor, "B D"],
        stoch: Int[Tensor, "B S"],
        generator: torch.Generator,
    ) -> Observed:
        """Return the states of a window, given the state before it and the action before each row.

        `ActionSpec.none` in `prev_action` is no action, -1 in `stoch` the zero vector. Where `is_first`, state and
        previous action are zeroed before the core runs, so nothing crosses the start of an episode (FACTS A1).
        """
        ...

    def advance(
        self,
        tokens: Float[Tensor, "B E"],
        prev_action: Shaped[Tensor, "B A"],
        is_first: Bool[Tensor, " B"],
        deter: Float[Tensor, "B D"],
        stoch: Int[Tensor, "B S"],
        generator: torch.Generator,
    ) -> Advanced:
        """Return what `observe` returns for a window of one row, for acting; gradients must be disabled."""
        ...

    def imagine(
        self, start: Float[Tensor, "N F"], policy: ImaginedPolicy, horizon: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "{horizon}+1 N F"], Shaped[Tensor, "{horizon} N A"]]:
        """Return features of the start and of `horizon` steps after it, and the actions between.

        Where gradients are enabled the rollout carries them, through latents (straight-through) and encoded actions.
        """
        ...

    def imagine_apart(
        self, start: Float[Tensor, "N F"], policy: ApartPolicy, horizon: int, generator: torch.Generator
    ) -> Apart | None:
        """Return what `imagine` does without gradient, one-hots apart; None where that would not help."""
        ...
