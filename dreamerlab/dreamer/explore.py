"""Exploration bonuses from the disagreement of an ensemble (FACTS B2, B3; M-OPT-07).

Members learn from replayed states, without gradient into them, and differ by where they started. Where replay has been
they come to agree; imagined steps to where they do not are worth going for.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.actions import ActionCodec
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.distributions import TwoHot
from dreamerlab.dreamer.networks import MLP
from dreamerlab.spaces import ActionSpec


@runtime_checkable
class Explorer(Protocol):
    """What is paid for beside the reward."""

    def loss(self, features: Float[Tensor, "B T F"], batch: Batch) -> Float[Tensor, "B T"]:
        """Return what the members have to learn on a window, their mean; `features` get no gradient."""
        ...

    def bonus(
        self, features: Float[Tensor, "states N F"], action: Shaped[Tensor, "steps N A"]
    ) -> Float[Tensor, "steps N"]:
        """Return the disagreement about every imagined step, unscaled."""
        ...


class RewardEnsemble(nn.Module):
    """Further reward heads; the variance of what they expect of the state that is reached (DreamerV3-XP)."""

    def __init__(self, feature_size: int, config: Config, twohot: TwoHot) -> None:
        super().__init__()
        model, bins = config.model, config.twohot.bins
        self._twohot = twohot
        # Not zero at first, as the reward head is: members that start alike never disagree.
        self.members = nn.ModuleList(
            MLP(feature_size, model.units, model.reward_layers, bins) for _ in range(config.explore.members)
        )

    def loss(self, features: Float[Tensor, "B T F"], batch: Batch) -> Float[Tensor, "B T"]:
        """Return the mean cross-entropy of the members."""
        flat = features.detach().flatten(0, 1)
        target = self._twohot.encode(batch.reward.flatten().to(self._twohot.bins.dtype))
        costs: list[Tensor] = []
        for member in self.members:
            logits = member(flat)
            costs.append(self._twohot.cross_entropy(logits, logits.detach().softmax(-1), target))
        return torch.stack(costs).mean(0).view(batch.reward.shape)

    def bonus(
        self, features: Float[Tensor, "states N F"], action: Shaped[Tensor, "steps N A"]
    ) -> Float[Tensor, "steps N"]:
        """Return the variance of the expected rewards."""
        reached = features[1:]
        expected = torch.stack(
            [self._twohot.mean(member(reached.flatten(0, 1)).softmax(-1)) for member in self.members]
        )
        return expected.var(0, correction=0).view(reached.shape[:2])


class LatentEnsemble(nn.Module):
    """One-step heads from state and action to the next latents; the deviation of their predictions (Plan2Explore)."""

    def __init__(self, feature_size: int, deter: int, action: ActionSpec, config: Config) -> None:
        super().__init__()
        model = config.model
        self._deter = deter
        self.actions = ActionCodec(action)
        self.members = nn.ModuleList(
            MLP(feature_size + self.actions.size, model.units, model.reward_layers, feature_size - deter)
            for _ in range(config.explore.members)
        )

    def loss(self, features: Float[Tensor, "B T F"], batch: Batch) -> Float[Tensor, "B T"]:
        """Return the mean squared error of the members; 0 where the next row begins an episode, and on the last one."""
        states = features.detach()
        target = states[:, 1:, self._deter :]
        given = self._given(states[:, :-1], batch.action[:, :-1])
        costs = torch.stack([(member(given) - target).square().mean(-1) for member in self.members]).mean(0)
        costs = costs * (~batch.is_first[:, 1:]).to(costs.dtype)
        return torch.cat([costs, torch.zeros_like(costs[:, :1])], 1)

    def bonus(
        self, features: Float[Tensor, "states N F"], action: Shaped[Tensor, "steps N A"]
    ) -> Float[Tensor, "steps N"]:
        """Return the standard deviation over the members, mean over the latents' classes."""
        given = self._given(features[:-1], action)
        guesses = torch.stack([member(given) for member in self.members])
        return guesses.std(0, correction=0).mean(-1)

    def _given(self, features: Float[Tensor, "X Y F"], action: Shaped[Tensor, "X Y A"]) -> Float[Tensor, "X Y I"]:
        return torch.cat([features, self.actions.encode(action).to(features.dtype)], -1)


def make_explorer(feature_size: int, action: ActionSpec, config: Config, twohot: TwoHot) -> Explorer | None:
    """Return the explorer that `explore.bonus` names; None without one."""
    if config.explore.bonus == "none":
        return None
    if config.explore.bonus == "reward_ensemble":
        return RewardEnsemble(feature_size, config, twohot)
    return LatentEnsemble(feature_size, config.model.deter, action, config)
