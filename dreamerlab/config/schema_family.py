"""Which family of world models learns, and what the modular one is made of (FACTS A13.15, M-ML-01 to M-ML-26).

The two families share encoder, decoder, policy, replay and schedule; whatever belongs to one alone is declared with
`only_when=RSSM` or `only_when=MODULAR`, here and in the `schema_*` modules beside, so that under the other nobody can
propose to change it.
"""

from __future__ import annotations

from typing import Literal

from dreamerlab.config.section import Section
from dreamerlab.config.zones import Condition, Zone, leaf

ARCHITECTURE = Zone.ARCHITECTURE
DYNAMICS = Zone.DYNAMICS
RSSM: tuple[Condition, ...] = (("world_model.family", "==", "rssm"),)
"""What acts under the recurrent family only."""
MODULAR: tuple[Condition, ...] = (("world_model.family", "==", "mlp"),)
"""What acts under the modular family only."""


class WorldModel(Section):
    """Which family of world models learns."""

    family: Literal["rssm", "mlp"] = leaf("rssm", ARCHITECTURE, absent_means="rssm")
    """The recurrent state-space model of DreamerV3 (reference), or a modular learner: states without memory, an MLP
    that predicts the next one, Gaussian rewards, a critic of squared errors, and a policy that learns through the model
    (FACTS A13.15, M-ML-25)."""


class Mlp(Section):
    """The modular learner (FACTS A13.15, M-ML-01 to M-ML-26); layer counts and widths it shares are in `model`."""

    state: int = leaf(64, ARCHITECTURE, unit="units", ge=2, le=32768, absent_means=64, only_when=MODULAR)
    """Width D of the state that the representation makes of a features row: the bottleneck (M-ML-04, M-QC-02)."""
    representation_layers: int = leaf(1, ARCHITECTURE, unit="layers", ge=1, le=16, absent_means=1, only_when=MODULAR)
    """Hidden layers from the encoder's features to the state (M-ML-25)."""
    dynamics_layers: int = leaf(2, ARCHITECTURE, unit="layers", ge=1, le=16, absent_means=2, only_when=MODULAR)
    """Hidden layers from state and action to the next state."""
    dynamics_loss: Literal["mse", "gaussian"] = leaf("mse", ARCHITECTURE, absent_means="mse", only_when=MODULAR)
    """Predict the next state itself, by its squared error, or a Normal for each of its numbers, by its likelihood
    (DIS-07, M-ML-01)."""
    multi_step: int = leaf(0, DYNAMICS, unit="steps", ge=0, le=65536, absent_means=0, only_when=MODULAR)
    """Also learn from rollouts of the model's own predictions along the recorded actions, which start from the true
    state every so many steps and where an episode begins (M-ML-05); 0 is off."""
    min_std: float = leaf(0.1, DYNAMICS, ge=1e-3, le=10, absent_means=0.1, only_when=MODULAR)
    """Least standard deviation that a predicted Normal can have: of rewards, and of states under `gaussian`. A reward
    that never varies would draw it to 0, and the gradient grows with its inverse square."""
    world_updates: int = leaf(1, DYNAMICS, unit="per update", ge=1, le=100, absent_means=1, only_when=MODULAR)
    """Optimiser steps of the world model on each batch (M-ML-23)."""
    actor_updates: int = leaf(1, DYNAMICS, unit="per update", ge=1, le=100, absent_means=1, only_when=MODULAR)
    """Optimiser steps of the actor on each batch, each after imagining anew (M-ML-23)."""
    critic_updates: int = leaf(1, DYNAMICS, unit="per update", ge=1, le=100, absent_means=1, only_when=MODULAR)
    """Optimiser steps of the critic on each batch, each after imagining anew (M-ML-23)."""
