"""The configuration: every leaf with its type, default, zone, unit and meaning.

Defaults are the reference algorithm (FACTS A) at the reference's own size for vector observations (`size1m`,
FACTS A11). The docstring under a leaf is its documentation: `config explain KEY` and
`protocol/reference/config.md` print it. How values from several places become one config is `layers.py`.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from dreamerlab.config.zones import Zone, leaf

ARCHITECTURE, ENVIRONMENT, DYNAMICS = Zone.ARCHITECTURE, Zone.ENVIRONMENT, Zone.DYNAMICS
EVALUATION, BUDGET, EXECUTION, BOOKKEEPING = Zone.EVALUATION, Zone.BUDGET, Zone.EXECUTION, Zone.BOOKKEEPING
MANY = 10_000_000_000
"""No count of steps is larger: every number leaf has both ends, so that a slip of the finger is caught here."""


class Section(BaseModel):
    """A frozen group of leaves; unknown keys and silent type changes are refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Env(Section):
    """The task."""

    id: str = leaf("CartPole-v1", ENVIRONMENT, min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.:/-]+$")
    """Gymnasium id of the environment."""
    time_limit: int | None = leaf(None, ENVIRONMENT, unit="env steps", ge=1, le=MANY)
    """Longest episode; null keeps the environment's own limit. A limit is a truncation, never a death (FACTS A1)."""


class Reference(Section):
    """What returns mean in this task, so that figures can be read as a share of the span."""

    random: float | None = leaf(None, EVALUATION, unit="return")
    """Mean return of uniformly random actions."""
    solved: float | None = leaf(None, EVALUATION, unit="return")
    """Return at which the task counts as solved."""
    fail: float | None = leaf(None, EVALUATION, unit="return")
    """Score given to a trial that diverged."""


class Budget(Section):
    """How long a trial trains."""

    unit: Literal["env_steps", "updates", "actor_updates", "wall_clock"] = leaf("env_steps", BUDGET)
    """What the amount counts; wall_clock is in seconds over all attempts, evaluation and checkpoints included."""
    amount: int = leaf(1_000_000, BUDGET, unit="budget.unit", ge=1, le=MANY)
    """The trial ends when this much is spent."""


class Model(Section):
    """Sizes of the networks (FACTS A11; defaults: the reference's size1m)."""

    deter: int = leaf(512, ARCHITECTURE, unit="units", ge=1, le=32768)
    """Width D of the deterministic state; divisible by `blocks`."""
    hidden: int = leaf(64, ARCHITECTURE, unit="units", ge=1, le=32768)
    """Width of the hidden layers inside the recurrent model."""
    stoch: int = leaf(32, ARCHITECTURE, unit="latents", ge=1, le=1024)
    """Number S of categorical latents."""
    classes: int = leaf(4, ARCHITECTURE, unit="classes", ge=2, le=1024)
    """Number K of classes of each latent."""
    blocks: int = leaf(8, ARCHITECTURE, unit="groups", ge=1, le=1024)
    """Number of groups of the block-diagonal recurrent core; 1 is a dense core."""
    dyn_layers: int = leaf(1, ARCHITECTURE, unit="layers", ge=1, le=16)
    """Block-diagonal hidden layers of the recurrent core."""
    prior_layers: int = leaf(2, ARCHITECTURE, unit="layers", ge=1, le=16)
    """Hidden layers from the deterministic state to the prior."""
    posterior_layers: int = leaf(1, ARCHITECTURE, unit="layers", ge=1, le=16)
    """Hidden layers from the deterministic state and the token to the posterior."""
    units: int = leaf(64, ARCHITECTURE, unit="units", ge=1, le=32768)
    """Width of encoder, decoder, reward, continue, policy and value networks."""
    encoder_layers: int = leaf(3, ARCHITECTURE, unit="layers", ge=1, le=16)
    """Hidden layers of the vector encoder."""
    decoder_layers: int = leaf(3, ARCHITECTURE, unit="layers", ge=1, le=16)
    """Hidden layers of the vector decoder."""
    reward_layers: int = leaf(1, ARCHITECTURE, unit="layers", ge=1, le=16)
    """Hidden layers of the reward head."""
    continue_layers: int = leaf(1, ARCHITECTURE, unit="layers", ge=1, le=16)
    """Hidden layers of the continue head."""
    policy_layers: int = leaf(3, ARCHITECTURE, unit="layers", ge=1, le=16)
    """Hidden layers of the policy."""
    value_layers: int = leaf(3, ARCHITECTURE, unit="layers", ge=1, le=16)
    """Hidden layers of the critic."""
    unimix: float = leaf(0.01, ARCHITECTURE, unit="share", ge=0, lt=1)
    """Share of a uniform distribution mixed into every latent categorical, prior and posterior (FACTS A3)."""

    @model_validator(mode="after")
    def _blocks_divide_deter(self) -> Self:
        if self.deter % self.blocks:
            raise ValueError(f"model.deter={self.deter} is not divisible by model.blocks={self.blocks}")
        return self


class TwoHot(Section):
    """Bins of the reward and value heads (FACTS A5)."""

    bins: int = leaf(255, ARCHITECTURE, unit="bins", ge=3, le=4095)
    """Number of bins; odd, so that the middle bin is exactly 0."""
    support: tuple[float, float] = leaf((-20.0, 20.0), ARCHITECTURE, unit="symlog")
    """First and last bin before symexp; symmetric around 0. Must cover the largest discounted return (M-CFG-12)."""

    @model_validator(mode="after")
    def _symmetric(self) -> Self:
        low, high = self.support
        faults: list[str] = []
        if not 0 < high <= 80 or low != -high:  # symexp(88) is the largest number float32 can hold
            faults.append(f"twohot.support={list(self.support)} must be [-x, x] with 0 < x <= 80")
        if self.bins % 2 == 0:
            faults.append(f"twohot.bins={self.bins} must be odd, so that one bin is exactly 0")
        if faults:
            raise ValueError("; ".join(faults))
        return self


class LossScales(Section):
    """Weights of the losses (FACTS A4, A6, A7)."""

    recon: float = leaf(1.0, DYNAMICS, ge=0, le=1e6)
    """Reconstruction of the observation."""
    reward: float = leaf(1.0, DYNAMICS, ge=0, le=1e6)
    """Reward prediction."""
    cont: float = leaf(1.0, DYNAMICS, ge=0, le=1e6)
    """Continue (discount) prediction."""
    dyn: float = leaf(1.0, DYNAMICS, ge=0, le=1e6)
    """KL that trains the prior."""
    rep: float = leaf(0.1, DYNAMICS, ge=0, le=1e6)
    """KL that regularises the posterior."""
    policy: float = leaf(1.0, DYNAMICS, ge=0, le=1e6)
    """Policy loss."""
    value: float = leaf(1.0, DYNAMICS, ge=0, le=1e6)
    """Critic loss on imagined states."""
    replay_value: float = leaf(0.3, DYNAMICS, ge=0, le=1e6)
    """Critic loss on replayed states, whose gradient also enters the world model (FACTS A7); 0 switches it off."""


class FreeBits(Section):
    """How small a KL is left alone (FACTS A4)."""

    nats: float = leaf(1.0, DYNAMICS, unit="nats", ge=0, le=1e6)
    """KL below this has no gradient, per (batch, time) element, after summing over latents."""


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
    bootstrap: Literal["fast", "slow"] = leaf("fast", DYNAMICS)
    """Which critic supplies the values of lambda-returns: the trained one (reference) or its slow average."""
    slow_rate: float = leaf(
        0.02,
        DYNAMICS,
        unit="per update",
        gt=0,
        le=1,
        active_when=(("behavior.slow_regularizer", ">", 0), ("behavior.bootstrap", "==", "slow")),
    )
    """Rate at which the slow critic follows the critic, after every update."""
    slow_regularizer: float = leaf(1.0, DYNAMICS, ge=0, le=1e6)
    """Weight of the critic's cross-entropy towards the slow critic's value."""


class ReturnNorm(Section):
    """The scale that advantages are divided by (FACTS A6; M-CP-54)."""

    rate: float = leaf(0.01, DYNAMICS, unit="per update", gt=0, le=1)
    """Rate of the exponential average of the percentiles; it starts at 0 and is not debiased."""
    limit: float = leaf(1.0, DYNAMICS, unit="return", gt=0, le=1e12)
    """Lower limit of the scale (DIS-03: some sources use 0.01)."""
    low: float = leaf(5.0, DYNAMICS, unit="percentile", ge=0, le=100)
    """Lower percentile."""
    high: float = leaf(95.0, DYNAMICS, unit="percentile", ge=0, le=100)
    """Upper percentile."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"return_norm.low={self.low} must be below return_norm.high={self.high}")
        return self


class Optimizer(Section):
    """One LaProp optimiser with adaptive gradient clipping for all parameters (FACTS A9)."""

    lr_world: float = leaf(4e-5, DYNAMICS, unit="per update", gt=0, le=1)
    """Learning rate of the world model."""
    lr_actor: float = leaf(4e-5, DYNAMICS, unit="per update", gt=0, le=1)
    """Learning rate of the actor."""
    lr_critic: float = leaf(4e-5, DYNAMICS, unit="per update", gt=0, le=1)
    """Learning rate of the critic."""
    warmup_updates: int = leaf(1000, DYNAMICS, unit="updates", ge=0, le=MANY)
    """Updates over which the rates grow linearly from 0; meant for long runs (FACTS A9)."""
    agc: float = leaf(0.3, DYNAMICS, ge=0, le=1e6)
    """Adaptive gradient clipping: largest ratio of gradient norm to parameter norm, per tensor; 0 switches it off."""
    agc_min_norm: float = leaf(1e-3, DYNAMICS, gt=0, le=1, active_when=(("optimizer.agc", ">", 0),))
    """Floor of the parameter norm in clipping, so that zero-initialised tensors can move."""
    beta1: float = leaf(0.9, DYNAMICS, ge=0, lt=1)
    """Decay of the momentum of normalised gradients."""
    beta2: float = leaf(0.999, DYNAMICS, ge=0, lt=1)
    """Decay of the squared-gradient average."""
    eps: float = leaf(1e-20, DYNAMICS, ge=1e-30, le=1)
    """Added outside the root of the squared-gradient average."""


class Replay(Section):
    """What is remembered and how it is drawn (FACTS A10)."""

    capacity: int = leaf(5_000_000, DYNAMICS, unit="steps", ge=100, le=1_000_000_000)
    """Steps held, resets included; the oldest are overwritten."""
    online: bool = leaf(True, DYNAMICS)
    """Train on each fresh window once, in order, before uniform draws."""
    latent_context: bool = leaf(True, DYNAMICS)
    """Start training windows from stored latent states, refreshed by every update, instead of from zeros."""


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

    @model_validator(mode="after")
    def _starts_fit(self) -> Self:
        starts = self.imagination_starts
        if isinstance(starts, int) and not 2 <= starts <= self.batch_length:
            raise ValueError(
                f"train.imagination_starts={starts} must be 'all' or 2..{self.batch_length}, the batch length"
            )
        return self


class Eval(Section):
    """How the agent is measured: own environments, own generators, raw reward (FACTS F24)."""

    every: int = leaf(10_000, EVALUATION, unit="env steps", ge=1, le=MANY)
    """Env steps between evaluations; one more is made at the end of the budget."""
    episodes: int = leaf(10, EVALUATION, unit="episodes", ge=1, le=10_000)
    """Episodes per evaluation and policy, always from the same start seeds."""


class Execution(Section):
    """Where the computation runs."""

    device: Literal["cpu", "cuda"] = leaf("cpu", EXECUTION)
    """Where tensors live."""
    threads: int = leaf(1, EXECUTION, unit="threads", ge=1, le=1024)
    """Torch threads of one trial; small networks are fastest with one thread and several trials at once."""


class Log(Section):
    """What is written down, and how often."""

    every: int = leaf(100, BOOKKEEPING, unit="env steps", ge=1, le=MANY)
    """Env steps between lines of metrics."""


class Checkpoint(Section):
    """How much can be lost."""

    every: int = leaf(5_000, BOOKKEEPING, unit="env steps", ge=1, le=MANY)
    """Env steps between checkpoints; one more is written at every stop."""
    keep: int = leaf(2, BOOKKEEPING, unit="checkpoints", ge=2, le=100)
    """Newest checkpoints kept; at least two, so that a torn one has a predecessor."""
    keep_replay: bool = leaf(False, BOOKKEEPING)
    """Keep the replay buffer in the last checkpoint of a finished trial (large)."""


class Config(Section):
    """One resolved configuration: everything that determines a trial but its seed and its code."""

    env: Env = Env()
    reference: Reference = Reference()
    budget: Budget = Budget()
    model: Model = Model()
    twohot: TwoHot = TwoHot()
    loss_scales: LossScales = LossScales()
    free_bits: FreeBits = FreeBits()
    behavior: Behavior = Behavior()
    return_norm: ReturnNorm = ReturnNorm()
    optimizer: Optimizer = Optimizer()
    replay: Replay = Replay()
    train: Train = Train()
    eval: Eval = Eval()
    execution: Execution = Execution()
    log: Log = Log()
    checkpoint: Checkpoint = Checkpoint()
