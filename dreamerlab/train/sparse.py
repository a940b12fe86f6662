"""What a trial of hockey does about goals being rare: shaping, symmetries, and the count of goals before it learns.

Put together here from a config, used by `session.py` and by collectors in processes of their own. Of any other
environment there is nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dreamerlab.config.heads import parse_heads
from dreamerlab.config.schema import Config
from dreamerlab.envs.hockey.shaping import Shaping
from dreamerlab.envs.hockey.symmetry import tell_other_side
from dreamerlab.experience.augment import Mirror, OtherSide
from dreamerlab.experience.collector import Store
from dreamerlab.experience.drawing import Sample
from dreamerlab.spaces import EnvSpec
from dreamerlab.train.generators import Env
from dreamerlab.train.opponents import plays

ENOUGH_GOALS = 40
"""Goals before the first update, at the least (M-ADD-08: 40 to 60, out of 100 games of random actions)."""


def shaping_of(config: Config) -> Shaping | None:
    """Return what is added to the rewards that are trained on, None for nothing."""
    return Shaping.of(config.hockey) if plays(config) else None


def mirror_of(config: Config, spec: EnvSpec) -> Mirror | None:
    """Return what mirrors windows, None where they stay as they are."""
    wanted = plays(config) and "mirror" in config.train.augment
    return Mirror(spec.action, parse_heads(config.heads.auxiliary)) if wanted else None


def swaps(config: Config) -> bool:
    """Tell whether games are kept from the other side too."""
    return plays(config) and "swap" in config.train.augment


def streams_of(config: Config) -> int:
    """Return how many streams of rows there are: one for each environment, and one for its other side."""
    return config.collect.envs * (2 if swaps(config) else 1)


def other_side_of(config: Config, envs: Sequence[Env], store: Store, carried: tuple[int, int]) -> OtherSide | None:
    """Return what keeps the games of `envs` from the other side, in the streams after theirs; None for nothing.

    `carried` are the sizes of the latent state in a row, which is empty here.
    """
    if not swaps(config):
        return None
    for env in envs:
        tell_other_side(env)
    deter, stoch = carried
    return OtherSide(store.add, len(envs), deter=deter, stoch=stoch, wants_info=store.wants_info)


def augment_metrics(config: Config, sample: Sample, like: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the shares of windows that are mirrored, and that are the other side's, as numbers beside `like`."""
    shares: dict[str, float] = {}
    if plays(config) and "mirror" in config.train.augment:
        shares["replay/mirrored_frac"] = float(sample.mirrored.mean())
    if swaps(config):
        shares["replay/swapped_frac"] = float((sample.streams >= config.collect.envs).mean())
    return {name: like.new_tensor(share) for name, share in shares.items()}


def too_few_goals(config: Config, goals: int) -> str | None:
    """Return a warning, to be given when learning begins, where few games ended in a goal so far (M-ADD-08)."""
    if not plays(config) or goals >= ENOUGH_GOALS or config.init.checkpoint is not None:
        return None
    return (
        f"learning begins after {goals} goals, below {ENOUGH_GOALS}: what a goal is worth may be learnt late; "
        "a larger train.learning_starts or collect.random_steps collects more before"
    )
