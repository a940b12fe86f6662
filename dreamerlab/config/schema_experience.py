"""Where experience comes from and how it is used: collection, replay, smoothing, schedule of updates."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from dreamerlab.config.schema_family import RSSM
from dreamerlab.config.schema_hockey import HOCKEY_ID
from dreamerlab.config.section import MANY, Section
from dreamerlab.config.zones import Zone, leaf

DYNAMICS = Zone.DYNAMICS
EXECUTION = Zone.EXECUTION


class Collect(Section):
    """Who plays the environment (M-CP-07 to 11)."""

    envs: int = leaf(1, DYNAMICS, unit="environments", ge=1, le=1024, absent_means=1)
    """Copies of the environment played side by side, each a stream of its own (the reference has 16)."""
    mode: Literal["inline", "process"] = leaf("inline", DYNAMICS, absent_means="inline")
    """In the trainer, in turn with the updates: exact to repeat and to resume; or in processes of their own, faster on
    several cores and repeatable only in distribution."""
    slack: float = leaf(
        0.1, DYNAMICS, unit="share", gt=0, le=10, absent_means=0.1, active_when=(("collect.mode", "==", "process"),)
    )
    """How far the effective train ratio may stray from the configured one before collectors or the trainer wait."""
    random_steps: int = leaf(0, DYNAMICS, unit="env steps", ge=0, le=MANY, absent_means=0)
    """Env steps at the start played with uniformly random actions (FACTS A13.16; the reference has none)."""


class Replay(Section):
    """What is remembered and how it is drawn (FACTS A10)."""

    capacity: int = leaf(5_000_000, DYNAMICS, unit="steps", ge=100, le=1_000_000_000)
    """Steps held, resets included; the oldest are overwritten."""
    online: bool = leaf(True, DYNAMICS)
    """Train on each fresh window once, in order, before uniform draws."""
    latent_context: bool = leaf(True, DYNAMICS, only_when=RSSM)
    """Start training windows from stored latent states, refreshed by every update, instead of from zeros."""
    max_bytes: int | None = leaf(None, DYNAMICS, unit="bytes", ge=1_000_000, le=10**15, absent_means=None)
    """Upper limit of the stored bytes, beside the capacity; whichever is reached first evicts the oldest steps."""
    memory_bytes: int = leaf(4 * 2**30, EXECUTION, unit="bytes", ge=1_000_000, le=10**15, absent_means=4 * 2**30)
    """Beyond this much, replay lives in memory-mapped files of the trial instead of memory; draws are the same."""
    mixture: tuple[float, float, float] = leaf((1.0, 0.0, 0.0), DYNAMICS, unit="share", absent_means=(1.0, 0.0, 0.0))
    """Shares of uniform, prioritised and recent windows among those that are not fresh (FACTS A10)."""
    priority_exponent: float = leaf(
        0.8, DYNAMICS, ge=0, le=10, absent_means=0.8, active_when=(("replay.mixture", "!=", (1.0, 0.0, 0.0)),)
    )
    """Prioritised windows are drawn in proportion to the rank of their first step to this power; steps not yet trained
    on come first (FACTS A10)."""

    priority: Literal["model_loss", "xp"] = leaf(
        "model_loss", DYNAMICS, absent_means="model_loss", active_when=(("replay.mixture", "!=", (1.0, 0.0, 0.0)),)
    )
    """What ranks a row: the world model's loss on it (reference), or as DreamerV3-XP does, half its reconstruction
    loss, plus its imagined return (not below 0) times 0.1 and 0.4 of the critic's loss there (FACTS B2)."""
    event_share: float = leaf(0.0, DYNAMICS, unit="share", ge=0, le=1, absent_means=0.0)
    """Share of the windows that are not fresh drawn from those in which a task was over (the terminal row of a goal,
    say): where that is rare, events are seen more often than they happen. Every event held is as likely as any other;
    while there is none, those windows are drawn as the rest."""

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if min(self.mixture) < 0 or abs(sum(self.mixture) - 1.0) > 1e-6:
            raise ValueError(f"replay.mixture={list(self.mixture)} must be three shares >= 0 that sum to 1")
        return self


_USUAL_WIDTHS = {"none": 0.0, "ema": 0.33, "backward_sum": 0.5, "gaussian": 3.0, "uniform": 9.0}


class Smooth(Section):
    """Smoothing of the rewards the agent trains on; logs and evaluation keep the raw ones (FACTS B1, M-HK-14)."""

    kernel: Literal["none", "ema", "gaussian", "uniform", "backward_sum"] = leaf("none", DYNAMICS, absent_means="none")
    """DreamSmooth's kernels, or `backward_sum`: s_t = r_t + width * s_{t+1}, which is not part of DreamSmooth and
    normalised only where the edge is `renormalise` (FACTS A13.19)."""
    width: float | None = leaf(
        None, DYNAMICS, gt=0, le=1000, absent_means=None, active_when=(("smooth.kernel", "!=", "none"),)
    )
    """Of `ema` and `backward_sum` the weight alpha of the past or the future, of `gaussian` sigma in steps, of
    `uniform` the number of steps. Null takes what the kernel's sources use: 0.33, 0.5, 3 and 9."""
    edge: Literal["renormalise", "nearest", "zero"] = leaf(
        "renormalise", DYNAMICS, absent_means="renormalise", active_when=(("smooth.kernel", "!=", "none"),)
    )
    """At the ends of an episode: keep the mass of every reward inside, repeat the edge value (the authors', which
    nearly doubles a terminal goal), or lose what falls outside (FACTS B1)."""

    @model_validator(mode="after")
    def _alpha(self) -> Self:
        if self.width is None:
            return self
        if self.kernel in ("ema", "backward_sum") and self.width >= 1:
            raise ValueError(
                f"smooth.width={self.width:g} is alpha under smooth.kernel={self.kernel}: it must be below 1"
            )
        if self.kernel == "uniform" and (self.width < 2 or self.width != round(self.width)):
            raise ValueError(
                f"smooth.width={self.width:g} is a number of steps under smooth.kernel=uniform: it must be 2, 3, 4, ..."
            )
        return self

    @property
    def used_width(self) -> float:
        """The width that acts, the kernel's usual one where none is given."""
        return _USUAL_WIDTHS[self.kernel] if self.width is None else self.width


class Train(Section):
    """How much is learnt from each step of experience."""

    batch_size: int = leaf(16, DYNAMICS, unit="windows", ge=1, le=65536)
    """Windows B in a batch."""
    batch_length: int = leaf(64, DYNAMICS, unit="steps", ge=2, le=65536)
    """Steps T in a window; windows cross episode borders freely (FACTS A1)."""
    train_ratio: float = leaf(32.0, DYNAMICS, unit="replayed steps per env step", gt=0, le=1e6)
    """Updates per env step times B times T; the remainder is carried (FACTS A10, DIS-05)."""
    imagination_starts: Literal["all"] | int = leaf("all", DYNAMICS, unit="states per window")
    """Start imagination from every replayed state, or only from the last N of each window (faster, fewer starts)."""
    learning_starts: int | None = leaf(None, DYNAMICS, unit="steps", ge=1, le=MANY)
    """Steps in replay before the first update; null waits for B times T windows, as the reference does."""
    actor_every: int = leaf(1, DYNAMICS, unit="updates", ge=1, le=MANY, absent_means=1)
    """Actor and critic learn in every n-th update only (M-SUR-11, wm_ac_ratio)."""
    augment: tuple[Literal["mirror", "swap"], ...] = leaf(
        (), DYNAMICS, absent_means=(), active_when=(("env.id", "==", HOCKEY_ID),)
    )
    """Symmetries of hockey, true up to rounding: `mirror` turns every second window upside down, `swap` also keeps each
    game as the other player saw it, with that player's reward, in streams that share replay.capacity and count for
    train.learning_starts (env.action_repeat has to be 1)."""
    model_only_updates: int = leaf(0, DYNAMICS, unit="updates", ge=0, le=MANY, absent_means=0)
    """Updates at the start in which only the world model learns (M-CP-30, M-CP-32, M-ML-24)."""
    learn: Literal["all", "world", "behavior"] = leaf("all", DYNAMICS, absent_means="all")
    """What learns: everything, the world model alone (a bootstrap, M-CP-30), or actor and critic inside a frozen world
    model (M-CP-31, DIS-11)."""

    @model_validator(mode="after")
    def _starts_fit(self) -> Self:
        starts = self.imagination_starts
        if isinstance(starts, int) and not 2 <= starts <= self.batch_length:
            raise ValueError(
                f"train.imagination_starts={starts} must be 'all' or 2..{self.batch_length}, the batch length"
            )
        return self


class Init(Section):
    """What a trial starts from instead of fresh networks; recorded, never silent (M-CP-31, M-CP-33, M-PROT-13)."""

    checkpoint: str | None = leaf(
        None,
        DYNAMICS,
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9_-]+(@(latest|best|[0-9]+))?$",
        absent_means=None,
    )
    """Run whose checkpoint of the same seed to start from, `R0012-9qd`, `R0012-9qd@best` or `R0012-9qd@10000`."""
    parts: tuple[str, ...] = leaf(
        ("world", "behavior", "optimizer"),
        DYNAMICS,
        absent_means=("world", "behavior", "optimizer"),
        active_when=(("init.checkpoint", "!=", None),),
    )
    """What is taken over, out of world, behavior, optimizer and replay (its newest steps, as many as fit); the rest
    starts afresh."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = [part for part in self.parts if part not in ("world", "behavior", "optimizer", "replay")]
        if unknown or not self.parts or len(set(self.parts)) < len(self.parts):
            raise ValueError(
                f"init.parts={list(self.parts)} must be one or more of world, behavior, optimizer, replay, each once"
            )
        return self
