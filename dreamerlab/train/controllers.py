"""Controllers: each reads what an update or an evaluation showed and says what the next update may do (SYSTEMS 7).

A controller sees numbers and answers with a `Wish`; what several of them wish for is brought together in `control.py`.
What one decides depends on nothing but what it saw, in order, so a resumed trial goes on exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import torch

from dreamerlab.config.schedule import Schedule
from dreamerlab.config.schema_control import Control
from dreamerlab.dreamer.schedules import factor

SLOWED = 0.95
"""A rate below this share of its own counts as slowed down."""
FAST, SLOW, STEADY = 0.99, 0.999, 0.1
"""Decays of the two averages of the world model's loss, and the fall between them at which it is learning for sure."""
_KL_BETA = 0.99


class Seen(NamedTuple):
    """What an update showed."""

    surprise: float | None
    """ln(world-model loss / its running average); None at the first."""
    kl: float
    """Raw, in nats."""
    loss: float
    """Of the world model."""


class Wish(NamedTuple):
    """What a controller wants of the next update."""

    active: bool = False
    withhold: bool = False
    """Leave actor and critic as they are."""
    rate: float = 1.0
    """Factor on the rates of actor and critic."""


class Controller(Protocol):
    """One way of intervening; `name` is the one in `control/<name>_active_frac`. Its attributes are its state."""

    name: str

    def decide(self, update: int) -> Wish:
        """Return the wish for update number `update` (from 1); called once for each."""
        ...

    def saw(self, seen: Seen) -> None:
        """Take in what that update showed."""
        ...


class SurpriseRate:
    """Surprise slows actor and critic (M-SUR-07)."""

    name = "surprise_rate"

    def __init__(self, settings: Control) -> None:
        self._gain, self._decay = settings.surprise_gain, settings.surprise_decay
        self.level = 0.0

    def decide(self, update: int) -> Wish:
        """Slow down by the present level."""
        rate = 1.0 / (1.0 + self._gain * self.level)
        return Wish(active=rate < SLOWED, rate=rate)

    def saw(self, seen: Seen) -> None:
        """Rise at once, fall slowly."""
        self.level = max(self._decay * self.level, seen.surprise or 0.0)


class Focus:
    """A surprise above the threshold opens a stretch for the world model, with pauses between stretches (M-SUR-08)."""

    name = "focus"

    def __init__(self, settings: Control) -> None:
        assert settings.focus_threshold is not None
        self._threshold, self._every = settings.focus_threshold, settings.focus_actor_every
        self._duration, self._cooldown = settings.focus_duration, settings.focus_cooldown
        self.left = self.cooling = 0

    def decide(self, update: int) -> Wish:
        """Hold the actor back within a stretch, but for every n-th update of it."""
        if not self.left:
            return Wish()
        turn = self._duration - self.left + 1
        return Wish(active=True, withhold=self._every is None or turn % self._every != 0)

    def saw(self, seen: Seen) -> None:
        """Count the stretch, then the pause, then watch."""
        if self.left:
            self.left -= 1
            self.cooling = self._cooldown if not self.left else 0
        elif self.cooling:
            self.cooling -= 1
        elif seen.surprise is not None and seen.surprise > self._threshold:
            self.left = self._duration


class Camp:
    """Surprise that lasts pauses the actor for as long as it lasts (M-SUR-06)."""

    name = "camp"

    def __init__(self, settings: Control) -> None:
        assert settings.camp_threshold is not None
        self._threshold, self._patience = settings.camp_threshold, settings.camp_patience
        self.row = 0

    def decide(self, update: int) -> Wish:
        """Pause after enough surprising updates in a row."""
        pausing = self.row >= self._patience
        return Wish(active=pausing, withhold=pausing)

    def saw(self, seen: Seen) -> None:
        """Count surprising updates in a row."""
        surprising = seen.surprise is not None and seen.surprise > self._threshold
        self.row = self.row + 1 if surprising else 0


class KlPause:
    """A spike of the raw KL pauses the actor for a while (M-CP-38, M-Q-03)."""

    name = "kl_pause"

    def __init__(self, settings: Control) -> None:
        assert settings.kl_pause_factor is not None
        self._factor, self._updates = settings.kl_pause_factor, settings.kl_pause_updates
        self.average, self.left = -1.0, 0

    def decide(self, update: int) -> Wish:
        """Pause while updates are left."""
        return Wish(active=self.left > 0, withhold=self.left > 0)

    def saw(self, seen: Seen) -> None:
        """Compare with the average before taking it in."""
        self.left = max(0, self.left - 1)
        if self.average < 0.0:
            self.average = seen.kl
        elif seen.kl > self._factor * self.average:
            self.left = self._updates
        self.average = _KL_BETA * self.average + (1.0 - _KL_BETA) * seen.kl


class AdaptiveRatio:
    """Few actor updates while the world model's loss still falls, more as it steadies (M-SUR-12, M-Q-04)."""

    name = "adaptive_ratio"

    def __init__(self, settings: Control) -> None:
        assert settings.adaptive_ratio is not None
        self._low, self._high = settings.adaptive_ratio
        self.fast = self.slow = -1.0
        self.since = 0

    def decide(self, update: int) -> Wish:
        """Let the actor learn once `every` updates have passed since it did."""
        every = self.every
        self.since += 1
        withhold = self.since < every
        if not withhold:
            self.since = 0
        return Wish(active=every > self._low, withhold=withhold)

    @property
    def every(self) -> int:
        """The ratio in force; the high one before anything was seen."""
        if self.slow <= 0.0:
            return self._high
        falling = min(1.0, max(0.0, (self.slow - self.fast) / (STEADY * self.slow)))
        return round(self._low + (self._high - self._low) * falling)

    def saw(self, seen: Seen) -> None:
        """Take the loss into both averages."""
        if self.slow < 0.0:
            self.fast = self.slow = max(0.0, seen.loss)
        self.fast = FAST * self.fast + (1.0 - FAST) * seen.loss
        self.slow = SLOW * self.slow + (1.0 - SLOW) * seen.loss


class ScheduledRatio:
    """`train.actor_every`, moving along a schedule (M-SUR-12)."""

    name = "schedule"

    def __init__(self, every: int, schedule: Schedule) -> None:
        self._every, self._schedule = every, schedule
        self.since = 0

    def decide(self, update: int) -> Wish:
        """Let the actor learn once so many updates have passed since it did."""
        made = torch.tensor([update - 1])
        every = max(1, round(self._every * float(factor(self._schedule, made, torch.float64))))
        self.since += 1
        withhold = self.since < every
        if not withhold:
            self.since = 0
        return Wish(active=every > 1, withhold=withhold)

    def saw(self, seen: Seen) -> None:
        """Nothing that an update shows matters."""


class Freeze:
    """A solved task that is held stops learning; decided by evaluations, once and for all (M-CP-37, M-CP-38)."""

    name = "freeze"

    def __init__(self, level: float, hold: int) -> None:
        self._level, self._hold = level, hold
        self.solved_since, self.frozen = -1, False

    def decide(self, update: int) -> Wish:
        """Say whether it is frozen; what that stops is for the board to say."""
        return Wish(active=self.frozen)

    def saw(self, seen: Seen) -> None:
        """Nothing that an update shows matters."""

    def evaluated(self, score: float, env_steps: int) -> None:
        """Count how long evaluations have been at the level without a break."""
        if score < self._level:
            self.solved_since = -1
        elif self.solved_since < 0:
            self.solved_since = env_steps
        if self.solved_since >= 0 and env_steps - self.solved_since >= self._hold:
            self.frozen = True


def state_of(controller: Controller) -> dict[str, Any]:
    """Return what a controller remembers: its public attributes."""
    return {name: value for name, value in vars(controller).items() if not name.startswith("_")}


def restore(controller: Controller, state: Mapping[str, Any]) -> None:
    """Put back what `state_of` returned."""
    for name, value in state.items():
        setattr(controller, name, value)
