"""Controllers: what holds actor and critic back, slows them or stops learning while a trial goes on (SYSTEMS 7).

All are off in the reference. They read what the trainer measures anyway; how each decides is `train/controllers.py`.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from dreamerlab.config.schedule import refuse_unless_schedule
from dreamerlab.config.section import MANY, Section
from dreamerlab.config.zones import Condition, Zone, leaf

_ALL_LEARN: tuple[Condition, ...] = (("train.learn", "==", "all"),)
_FREEZES: Condition = ("control.freeze", "!=", "off")


def _setting(default: Any, *, when: tuple[Condition, ...] = (), **bounds: Any) -> Any:
    return leaf(default, Zone.DYNAMICS, absent_means=default, active_when=when, only_when=_ALL_LEARN, **bounds)


class Control(Section):
    """Controllers, each acting where its first leaf says so and `train.learn` is `all`; `control/*` metrics say how
    often each of them acted (M-SUR-09).
    """

    surprise_beta: float = _setting(
        0.99,
        when=(
            ("control.surprise_gain", ">", 0),
            ("control.focus_threshold", "!=", None),
            ("control.camp_threshold", "!=", None),
        ),
        unit="per update",
        ge=0,
        lt=1,
    )
    """Decay of the running averages that surprise compares losses with: surprise = ln(loss / average) (M-SUR-01)."""
    surprise_gain: float = _setting(0.0, ge=0, le=1e6)
    """Slow actor and critic by surprise s: their rates are multiplied by 1 / (1 + gain s), s the larger of the present
    surprise and surprise_decay times the last s; 0 is off, the origin had 10 (M-SUR-07)."""
    surprise_decay: float = _setting(0.9, when=(("control.surprise_gain", ">", 0),), unit="per update", ge=0, lt=1)
    """How long a surprise slows the actor."""
    focus_threshold: float | None = _setting(None, unit="nats", ge=0, le=100)
    """World-model focus: a surprise above it holds the actor back for focus_duration updates; the sources tried 0.02,
    0.05 and 0.10; null is off (M-SUR-08)."""
    focus_duration: int = _setting(20, when=(("control.focus_threshold", "!=", None),), unit="updates", ge=1, le=MANY)
    """Updates of one stretch of focus."""
    focus_cooldown: int = _setting(50, when=(("control.focus_threshold", "!=", None),), unit="updates", ge=0, le=MANY)
    """Updates after a stretch in which no other begins."""
    focus_actor_every: int | None = _setting(
        4, when=(("control.focus_threshold", "!=", None),), unit="updates", ge=1, le=MANY
    )
    """During focus actor and critic learn in every n-th update; null: not at all."""
    camp_threshold: float | None = _setting(None, unit="nats", ge=0, le=100)
    """Training camp: surprise above it for camp_patience updates pauses the actor until it is no longer; the source has
    ln 1.2 = 0.182; null is off (M-SUR-06)."""
    camp_patience: int = _setting(5, when=(("control.camp_threshold", "!=", None),), unit="updates", ge=1, le=MANY)
    """Surprising updates in a row that open the camp."""
    kl_pause_factor: float | None = _setting(None, gt=1, le=1e6)
    """Pause the actor when the raw KL is above this many times its running average (decay 0.99); null is off
    (M-CP-38, M-Q-03)."""
    kl_pause_updates: int = _setting(
        100, when=(("control.kl_pause_factor", "!=", None),), unit="updates", ge=1, le=MANY
    )
    """Updates that a KL spike pauses the actor for."""
    adaptive_ratio: tuple[int, int] | None = _setting(None, unit="updates")
    """Actor and critic learn in every n-th update, n between [low, high], in place of train.actor_every: high while the
    world model's loss falls by a tenth or more between its slow and its fast running average, low once it is steady;
    null is off (M-SUR-12, M-Q-04)."""
    actor_every_schedule: str = _setting("constant", when=(("train.actor_every", ">", 1),), max_length=100)
    """How train.actor_every moves with updates, rounded, at least 1: `linear to 0.25x over 5000 updates` (M-SUR-12)."""
    freeze: Literal["off", "actor", "world", "all"] = _setting("off")
    """What stops learning once the task is solved and has been held; `all` makes no further update, so the rest of the
    budget costs next to nothing and evaluations go on (M-CP-37, M-CP-38)."""
    freeze_return: float | None = _setting(None, when=(_FREEZES,), unit="return", ge=-1e12, le=1e12)
    """The eval/return that counts as solved; null takes reference.solved."""
    freeze_hold: int = _setting(0, when=(_FREEZES,), unit="env steps", ge=0, le=MANY)
    """Env steps between the first solved evaluation of an unbroken row and the one that freezes."""
    restore_below: float | None = _setting(None, unit="return", ge=-1e12, le=1e12)
    """Go back to the best checkpoint's agent, optimiser included, when an evaluation falls below this after having been
    above it; needs checkpoint.keep_best; null is off. Evaluations that choose what goes on are no unbiased score."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.adaptive_ratio is not None and not 1 <= self.adaptive_ratio[0] < self.adaptive_ratio[1] <= MANY:
            raise ValueError(
                f"control.adaptive_ratio={list(self.adaptive_ratio)} must be [low, high] with 1 <= low < high"
            )
        refuse_unless_schedule("control.actor_every_schedule", self.actor_every_schedule)
        return self
