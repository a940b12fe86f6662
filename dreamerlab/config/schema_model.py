"""What the networks are: sizes, bins, heads and the policy's distribution."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from dreamerlab.config.heads import parse_heads
from dreamerlab.config.schema_family import RSSM
from dreamerlab.config.section import Section
from dreamerlab.config.zones import Zone, leaf

ARCHITECTURE = Zone.ARCHITECTURE
DYNAMICS = Zone.DYNAMICS


class Model(Section):
    """Sizes of the networks (FACTS A11; defaults: the reference's size1m)."""

    deter: int = leaf(512, ARCHITECTURE, unit="units", ge=1, le=32768, only_when=RSSM)
    """Width D of the deterministic state; divisible by `blocks`."""
    hidden: int = leaf(64, ARCHITECTURE, unit="units", ge=1, le=32768, only_when=RSSM)
    """Width of the hidden layers inside the recurrent model."""
    stoch: int = leaf(32, ARCHITECTURE, unit="latents", ge=1, le=1024, only_when=RSSM)
    """Number S of categorical latents."""
    classes: int = leaf(4, ARCHITECTURE, unit="classes", ge=2, le=1024, only_when=RSSM)
    """Number K of classes of each latent."""
    blocks: int = leaf(8, ARCHITECTURE, unit="groups", ge=1, le=1024, only_when=RSSM)
    """Number of groups of the block-diagonal recurrent core; 1 is a dense core."""
    dyn_layers: int = leaf(1, ARCHITECTURE, unit="layers", ge=1, le=16, only_when=RSSM)
    """Block-diagonal hidden layers of the recurrent core."""
    prior_layers: int = leaf(2, ARCHITECTURE, unit="layers", ge=1, le=16, only_when=RSSM)
    """Hidden layers from the deterministic state to the prior."""
    posterior_layers: int = leaf(1, ARCHITECTURE, unit="layers", ge=1, le=16, only_when=RSSM)
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
    unimix: float = leaf(0.01, ARCHITECTURE, unit="share", ge=0, lt=1, only_when=RSSM)
    """Share of a uniform distribution mixed into every latent categorical, prior and posterior (FACTS A3)."""
    absolute_posterior: bool = leaf(False, ARCHITECTURE, absent_means=False, only_when=RSSM)
    """Infer the latents from the token alone, without the deterministic state (FACTS A3 `absolute`)."""
    cnn_depth: int = leaf(4, ARCHITECTURE, unit="channels", ge=1, le=1024, absent_means=4)
    """Base width of the image networks: their stages have 2, 3, 4 and 4 times as many channels (FACTS A2)."""
    cnn_downsample: Literal["maxpool", "stride"] = leaf("maxpool", ARCHITECTURE, absent_means="maxpool")
    """How the image encoder halves a picture: 2x2 max-pooling (reference) or convolutions of stride 2 (FACTS A2)."""

    @model_validator(mode="after")
    def _blocks_divide_deter(self) -> Self:
        if self.deter % self.blocks:
            raise ValueError(f"model.deter={self.deter} is not divisible by model.blocks={self.blocks}")
        return self


class TwoHot(Section):
    """Bins of the reward and value heads (FACTS A5)."""

    bins: int = leaf(255, ARCHITECTURE, unit="bins", ge=3, le=4095, only_when=RSSM)
    """Number of bins; odd, so that the middle bin is exactly 0."""
    support: tuple[float, float] = leaf((-20.0, 20.0), ARCHITECTURE, unit="symlog", only_when=RSSM)
    """First and last bin before symexp; symmetric around 0. Must cover the largest discounted return (M-CFG-12)."""
    spacing: Literal["symexp", "symlog"] = leaf("symexp", ARCHITECTURE, absent_means="symexp", only_when=RSSM)
    """Bins symexp-spaced and averaged in raw space (reference), or evenly spaced in symlog space and averaged there
    before symexp, which is biased for mixtures (FACTS A13.8)."""

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


class Heads(Section):
    """What the world model predicts beside the observation (FACTS A4, A13.7; M-HK-15)."""

    reward_grad: bool = leaf(True, DYNAMICS, absent_means=True)
    """Let the reward loss shape the latent states (FACTS A4)."""
    continue_discounted: bool = leaf(True, DYNAMICS, absent_means=True)
    """Predict the discount (reference: gamma where the episode goes on) rather than the probability of going on, which
    then is multiplied by gamma where it is used (FACTS A13.7)."""
    auxiliary: tuple[str, ...] = leaf((), ARCHITECTURE, absent_means=())
    """Further heads on the latent states, each `KIND:SOURCE`. KIND is `binary` or `regression`; SOURCE is
    `reward_within_K` (a reward other than 0 within the next K env steps), `terminal_within_K` (the task is over within
    them: in hockey a goal), `obs/KEY/INDEX` or `info/KEY` (M-HK-15)."""

    @model_validator(mode="after")
    def _heads_are_understood(self) -> Self:
        try:
            parse_heads(self.auxiliary)
        except ValueError as error:
            raise ValueError(f"heads.auxiliary: {error}") from None
        return self


class Policy(Section):
    """The distribution of continuous actions (FACTS A8, A13.3); discrete actions are categorical always."""

    dist: Literal["bounded_normal", "tanh_normal", "categorical"] = leaf(
        "bounded_normal", ARCHITECTURE, absent_means="bounded_normal"
    )
    """Normal with bounded mean and deviation (reference), Normal squashed by tanh, or bins of each dimension
    (M-OPT-01 to 03)."""
    std: tuple[float, float] = leaf((0.1, 1.0), ARCHITECTURE, unit="action", absent_means=(0.1, 1.0))
    """Least and largest standard deviation; of the Normal before tanh for `tanh_normal` (M-OPT-05)."""
    bins: int = leaf(
        16,
        ARCHITECTURE,
        unit="bins",
        ge=2,
        le=1024,
        absent_means=16,
        active_when=(("policy.dist", "==", "categorical"),),
    )
    """Values each dimension can take, evenly spaced over [-1, 1], under `categorical` (M-OPT-03)."""
    entropy: Literal["squashed", "base"] = leaf(
        "squashed", DYNAMICS, absent_means="squashed", active_when=(("policy.dist", "==", "tanh_normal"),)
    )
    """Which entropy is rewarded under `tanh_normal`: of the action (sampled), or of the Normal before tanh, which
    grows without end towards bang-bang play (FACTS A13.3, M-ENT-05)."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.std
        if not 0 < low < high <= 1e3:
            raise ValueError(f"policy.std={list(self.std)} must be [low, high] with 0 < low < high <= 1000")
        return self
