"""Exploration bonuses: what imagination pays for beside the reward (FACTS B2, B3; M-OPT-07). Off in the reference."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from dreamerlab.config.schedule import refuse_unless_schedule
from dreamerlab.config.schema_family import RSSM
from dreamerlab.config.section import Section
from dreamerlab.config.zones import Condition, Zone, leaf

_ON: tuple[Condition, ...] = (("explore.bonus", "!=", "none"),)


class Explore(Section):
    """Disagreement of an ensemble, added to the reward of imagined steps; never to what is logged or evaluated."""

    bonus: Literal["none", "reward_ensemble", "latent_ensemble"] = leaf(
        "none", Zone.ARCHITECTURE, absent_means="none", only_when=RSSM
    )
    """Whose disagreement: of further reward heads on the state that is reached (DreamerV3-XP: their variance), or of
    heads that predict the next latents from state and action (Plan2Explore: their deviation, mean over latents)."""
    members: int = leaf(
        5, Zone.ARCHITECTURE, unit="heads", ge=2, le=64, absent_means=5, active_when=_ON, only_when=RSSM
    )
    """Heads of the ensemble, each of the size of the reward head and with another start."""
    scale: float = leaf(1.0, Zone.DYNAMICS, ge=0, le=1e6, absent_means=1.0, active_when=_ON, only_when=RSSM)
    """What the disagreement is multiplied by before it is added to the imagined reward."""
    schedule: str = leaf(
        "constant", Zone.DYNAMICS, max_length=100, absent_means="constant", active_when=_ON, only_when=RSSM
    )
    """How the scale moves with updates: `constant`, or `exponential to 0.01x over 20000 updates`, also `linear` and
    `cosine`."""

    @model_validator(mode="after")
    def _schedule_is_one(self) -> Self:
        refuse_unless_schedule("explore.schedule", self.schedule)
        return self
