"""What is minimised and how: losses, imagination, return scale, optimiser."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from dreamerlab.config.schedule import refuse_unless_schedule
from dreamerlab.config.schema_family import MODULAR, RSSM
from dreamerlab.config.section import MANY, Section
from dreamerlab.config.zones import Zone, leaf

ARCHITECTURE = Zone.ARCHITECTURE
DYNAMICS = Zone.DYNAMICS


class LossScales(Section):
    """Weights of the losses (FACTS A4, A6, A7)."""

    recon: float = leaf(1.0, DYNAMICS, ge=0, le=1e6)
    """Reconstruction of the observation."""
    reward: float = leaf(1.0, DYNAMICS, ge=0, le=1e6)
    """Reward prediction."""
    cont: float = leaf(1.0, DYNAMICS, ge=0, le=1e6)
    """Continue (discount) prediction."""
    dyn: float = leaf(1.0, DYNAMICS, ge=0, le=1e6, only_when=RSSM)
    """KL that trains the prior."""
    rep: float = leaf(0.1, DYNAMICS, ge=0, le=1e6, only_when=RSSM)
    """KL that regularises the posterior."""
    policy: float = leaf(1.0, DYNAMICS, ge=0, le=1e6)
    """Policy loss."""
    value: float = leaf(1.0, DYNAMICS, ge=0, le=1e6)
    """Critic loss on imagined states."""
    auxiliary: float = leaf(
        1.0,
        DYNAMICS,
        ge=0,
        le=1e6,
        absent_means=1.0,
        active_when=(("heads.auxiliary", "!=", ()), ("explore.bonus", "!=", "none")),
    )
    """Every auxiliary head (M-HK-15), and the ensemble of `explore.bonus`."""
    replay_value: float = leaf(0.3, DYNAMICS, ge=0, le=1e6, only_when=RSSM)
    """Critic loss on replayed states, whose gradient also enters the world model (FACTS A7); 0 switches it off."""
    dynamics: float = leaf(1.0, DYNAMICS, ge=0, le=1e6, absent_means=1.0, only_when=MODULAR)
    """Prediction of the next state (M-ML-01)."""
    multi_step: float = leaf(
        1.0, DYNAMICS, ge=0, le=1e6, absent_means=1.0, active_when=(("mlp.multi_step", ">", 0),), only_when=MODULAR
    )
    """Prediction from predictions (M-ML-05)."""


class FreeBits(Section):
    """How small a KL is left alone (FACTS A4)."""

    nats: float = leaf(1.0, DYNAMICS, unit="nats", ge=0, le=1e6, only_when=RSSM)
    """KL below this has no gradient, per (batch, time) element, after summing over latents."""
    mode: Literal["clip", "straight_through", "mean_then_clip"] = leaf(
        "clip", DYNAMICS, absent_means="clip", only_when=RSSM
    )
    """Clip each element (reference); clip the value only and keep the whole gradient, which equals nats=0 with another
    logged value (M-CP-52); or clip after the mean over batch and time (FACTS A13.10)."""


class Behavior(Section):
    """Imagination, returns, actor and critic (FACTS A6)."""

    horizon: int = leaf(15, DYNAMICS, unit="imagined steps", ge=1, le=1000)
    """Length H of imagined rollouts."""
    discount_horizon: float = leaf(333.0, DYNAMICS, unit="env steps", gt=1, le=1e6)
    """The discount is 1 - 1/discount_horizon."""
    lam: float = leaf(0.95, DYNAMICS, ge=0, le=1)
    """Lambda of the lambda-return; 0 is one-step, 1 is Monte Carlo with a final bootstrap."""
    entropy_scale: float = leaf(3e-4, DYNAMICS, unit="per nat", ge=0, le=1e6)
    """Weight eta of the policy's entropy (M-ENT-08)."""
    policy_unimix: float = leaf(0.0, ARCHITECTURE, unit="share", ge=0, lt=1)
    """Share of uniform mixed into a discrete policy: the paper has 0.01, the reference code applies none (FACTS A8)."""
    bootstrap: Literal["fast", "slow"] = leaf("fast", DYNAMICS, only_when=RSSM)
    """Which critic supplies the values of lambda-returns: the trained one (reference) or its slow average."""
    slow_rate: float = leaf(
        0.02,
        DYNAMICS,
        unit="per update",
        gt=0,
        le=1,
        active_when=(("behavior.slow_regularizer", ">", 0), ("behavior.bootstrap", "==", "slow")),
        only_when=RSSM,
    )
    """Rate at which the slow critic follows the critic, after every update."""
    slow_regularizer: float = leaf(1.0, DYNAMICS, ge=0, le=1e6, only_when=RSSM)
    """Weight of the critic's cross-entropy towards the slow critic's value."""
    actor_gradient: Literal["reinforce", "dynamics", "mix"] = leaf(
        "reinforce", DYNAMICS, absent_means="reinforce", only_when=RSSM
    )
    """Where the policy's gradient comes from: REINFORCE (reference), back through the imagined dynamics, or a mix of
    both (FACTS A13.14, DIS-15)."""
    gradient_mix: float = leaf(
        0.1,
        DYNAMICS,
        unit="share",
        ge=0,
        le=1,
        absent_means=0.1,
        active_when=(("behavior.actor_gradient", "==", "mix"),),
        only_when=RSSM,
    )
    """Share of REINFORCE in `mix`; the rest is the gradient through the dynamics."""
    advantage_norm: bool = leaf(False, DYNAMICS, absent_means=False, only_when=RSSM)
    """Standardise the scaled advantages over the batch as well (DIS-26); the reference has it off."""
    entropy_floor: float | None = leaf(None, DYNAMICS, unit="nats", ge=-1e6, le=1e6, absent_means=None)
    """Reward entropy only above this value: below it the bonus has NO gradient, which removes exploration exactly where
    the policy is narrow. An ablation (FACTS A13.1, M-OPT-02)."""
    entropy_target: float | None = leaf(None, DYNAMICS, unit="nats", ge=-1e6, le=1e6, absent_means=None, only_when=RSSM)
    """Adapt the weight of the entropy, from entropy_scale on, until the policy's mean entropy on imagined states is
    this (SAC's way, whose usual target is minus the number of action dimensions; M-OPT-08, M-ADD-13); null keeps it."""
    entropy_target_rate: float = leaf(
        1e-3,
        DYNAMICS,
        unit="per update",
        gt=0,
        le=1,
        absent_means=1e-3,
        active_when=(("behavior.entropy_target", "!=", None),),
        only_when=RSSM,
    )
    """What ln of the weight gains in an update for every nat that is missing."""
    entropy_schedule: str = leaf(
        "constant",
        DYNAMICS,
        max_length=100,
        absent_means="constant",
        active_when=(("behavior.entropy_target", "==", None),),
    )
    """How entropy_scale moves with updates: `constant`, or `cosine to 0.01x over 5000 updates`, also `linear` and
    `exponential` (M-CP-59)."""
    replay_value_grad: bool = leaf(
        True, DYNAMICS, absent_means=True, active_when=(("loss_scales.replay_value", ">", 0),), only_when=RSSM
    )
    """Let the replay value loss shape the latent states (FACTS A7)."""

    @model_validator(mode="after")
    def _schedule(self) -> Self:
        refuse_unless_schedule("behavior.entropy_schedule", self.entropy_schedule)
        return self


class ReturnNorm(Section):
    """The scale that advantages are divided by (FACTS A6; M-CP-54)."""

    rate: float = leaf(0.01, DYNAMICS, unit="per update", gt=0, le=1, only_when=RSSM)
    """Rate of the exponential average of the percentiles; it starts at 0 and is not debiased."""
    limit: float = leaf(1.0, DYNAMICS, unit="return", gt=0, le=1e12, only_when=RSSM)
    """Lower limit of the scale (DIS-03: some sources use 0.01)."""
    low: float = leaf(5.0, DYNAMICS, unit="percentile", ge=0, le=100, only_when=RSSM)
    """Lower percentile."""
    high: float = leaf(95.0, DYNAMICS, unit="percentile", ge=0, le=100, only_when=RSSM)
    """Upper percentile."""
    debias: bool = leaf(False, DYNAMICS, absent_means=False, only_when=RSSM)
    """Divide the running percentiles by 1 - (1 - rate)^updates, so that they are unbiased from the first update on."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"return_norm.low={self.low} must be below return_norm.high={self.high}")
        return self


class Optimizer(Section):
    """How gradients become steps; one learning rate for each group of parameters (FACTS A9)."""

    lr_world: float = leaf(4e-5, DYNAMICS, unit="per update", gt=0, le=1)
    """Learning rate of the world model."""
    lr_actor: float = leaf(4e-5, DYNAMICS, unit="per update", gt=0, le=1)
    """Learning rate of the actor."""
    lr_critic: float = leaf(4e-5, DYNAMICS, unit="per update", gt=0, le=1)
    """Learning rate of the critic."""
    warmup_updates: int = leaf(1000, DYNAMICS, unit="updates", ge=0, le=MANY)
    """Updates over which the rates grow linearly from 0; meant for long runs (FACTS A9)."""
    agc: float = leaf(0.3, DYNAMICS, ge=0, le=1e6, active_when=(("optimizer.name", "==", "laprop_agc"),))
    """Adaptive gradient clipping: largest ratio of gradient norm to parameter norm, per tensor; 0 switches it off."""
    agc_min_norm: float = leaf(1e-3, DYNAMICS, gt=0, le=1, active_when=(("optimizer.agc", ">", 0),))
    """Floor of the parameter norm in clipping, so that zero-initialised tensors can move."""
    beta1: float = leaf(0.9, DYNAMICS, ge=0, lt=1)
    """Decay of the momentum of normalised gradients."""
    beta2: float = leaf(0.999, DYNAMICS, ge=0, lt=1)
    """Decay of the squared-gradient average."""
    eps: float = leaf(1e-20, DYNAMICS, ge=1e-30, le=1)
    """Added outside the root of the squared-gradient average."""
    name: Literal["laprop_agc", "adam_clip"] = leaf("laprop_agc", DYNAMICS, absent_means="laprop_agc")
    """LaProp after adaptive clipping of each tensor (reference), or Adam after clipping each group's gradient norm
    (FACTS A13.13, M-ML-22)."""
    max_norm: float = leaf(
        100.0, DYNAMICS, gt=0, le=1e12, absent_means=100.0, active_when=(("optimizer.name", "==", "adam_clip"),)
    )
    """Largest gradient norm of each group under `adam_clip`; sources use 1, 100 and 1000."""
    lr_schedule: str = leaf("constant", DYNAMICS, max_length=100, absent_means="constant")
    """How all learning rates move with updates, beside the warm-up: `constant`, or `linear to 0.1x over 10000 updates`,
    also `cosine` and `exponential`."""

    @model_validator(mode="after")
    def _schedule(self) -> Self:
        refuse_unless_schedule("optimizer.lr_schedule", self.lr_schedule)
        return self
