"""Actor and critic, trained on imagined rollouts (FACTS A6), and the critic on replay as well (FACTS A7).

`imagine` rolls out without gradient; `losses` then runs each network once over all imagined states, with gradient
only into its own parameters. The rollout's first state is the replayed one, so H steps give H + 1 states: actions,
advantages and losses exist for states 0 .. H - 1, rewards for states 1 .. H.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.distributions import TwoHot
from dreamerlab.dreamer.dynamics import Losses
from dreamerlab.dreamer.maths import lambda_return, percentiles, replay_return
from dreamerlab.dreamer.networks import MLP
from dreamerlab.dreamer.policies import make_policy_head
from dreamerlab.dreamer.world_model import WorldModel
from dreamerlab.spaces import ActionSpec

PART = 2048
"""Rows that heads without gradient look at in one go."""


class Imagined(NamedTuple):
    """Rollouts of the policy inside the world model, time first, without gradient."""

    features: Float[Tensor, "H+1 N F"]
    action: Shaped[Tensor, "H N A"]
    reward: Float[Tensor, "H N"]
    """Of states 1 .. H."""
    cont: Float[Tensor, "H+1 N"]
    """Predicted discount of states 0 .. H."""
    slow_value: Float[Tensor, "H+1 N"]
    """The slow critic's value of states 0 .. H."""


class ReturnScale(nn.Module):
    """The range that advantages are divided by: running percentiles of imagined returns (FACTS A6).

    Exponential averages that start at 0 and are not debiased, so the scale is small at first; never below `limit`.
    """

    low: Tensor
    high: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        norm = config.return_norm
        self.rate, self.limit, self.shares = norm.rate, norm.limit, (norm.low, norm.high)
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    @torch.no_grad()
    def update(self, returns: Float[Tensor, "H N"]) -> Float[Tensor, ""]:
        """Move the averages towards the percentiles of `returns`, then return the scale."""
        low, high = percentiles(returns, self.shares).unbind()
        self.low.lerp_(low, self.rate)
        self.high.lerp_(high, self.rate)
        return (self.high - self.low).clamp(min=self.limit)


class Behavior(nn.Module):
    """Policy, critic, slow critic and return scale."""

    def __init__(self, feature_size: int, action: ActionSpec, config: Config) -> None:
        super().__init__()
        model, behavior = config.model, config.behavior
        self.config = behavior
        self.head = make_policy_head(action, config)
        self.discount = 1.0 - 1.0 / behavior.discount_horizon
        self.twohot = TwoHot(config.twohot.bins, config.twohot.support[1])
        self.policy = MLP(feature_size, model.units, model.policy_layers, self.head.outputs, output_scale=0.01)
        self.critic = MLP(feature_size, model.units, model.value_layers, config.twohot.bins, output_scale=0.0)
        self.slow_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.return_scale = ReturnScale(config)

    @torch.no_grad()
    def act(self, features: Float[Tensor, "N F"], *, mode: bool, generator: torch.Generator) -> Shaped[Tensor, "N A"]:
        """Return the most likely action (`mode`) or a drawn one."""
        raw = self.policy(features)
        if mode:
            return self.head.mode(raw)
        return self.head.sample(raw, self.head.noise((len(features),), generator, features.device))

    @torch.no_grad()
    def imagine(self, world: WorldModel, start: Float[Tensor, "N F"], generator: torch.Generator) -> Imagined:
        """Return rollouts of the policy from `start`, with everything the world model says about their states."""
        horizon, rows = self.config.horizon, len(start)
        noise = self.head.noise((horizon, rows), generator, start.device)
        features, action = world.dynamics.imagine(
            start, lambda now, t: (self.head.sample(self.policy(now), noise[t]), None), horizon, generator
        )
        flat = features.flatten(0, 1)
        reward = _by_parts(world.predict_reward, flat[rows:]).view(horizon, rows)
        cont = _by_parts(world.predict_continue, flat).view(horizon + 1, rows)
        slow_value = _by_parts(self._slow_value, flat).view(horizon + 1, rows)
        return Imagined(features, action, reward, cont, slow_value)

    def losses(self, imagined: Imagined) -> tuple[Losses, Float[Tensor, " N"]]:
        """Return the policy and value losses, (H, N) each, and the return of the starts (for `replay_loss`)."""
        horizon, rows = imagined.reward.shape
        flat = imagined.features[:-1].flatten(0, 1)
        value_logits = self.critic(flat)
        with torch.no_grad():
            # The last state lends its value to the returns and has no loss of its own.
            value_probs = value_logits.softmax(-1)
            last_value = self.twohot.mean(self.critic(imagined.features[-1]).softmax(-1))
            value = torch.cat([self.twohot.mean(value_probs), last_value]).view(horizon + 1, rows)
            bootstrap = value if self.config.bootstrap == "fast" else imagined.slow_value
            returns = lambda_return(imagined.reward, imagined.cont[1:], bootstrap[1:], self.config.lam)
            scale = self.return_scale.update(returns)
            advantage = (returns - bootstrap[:-1]) / scale
            # Probability of getting here, discount included; a dead start state counts for nothing.
            weight = imagined.cont[:-1].cumprod(0)

        # REINFORCE: the gradient reaches the policy only, through the log-probability of its own actions.
        both = self.head.log_prob_and_entropy(self.policy(flat), imagined.action.flatten(0, 1))
        log_prob, entropy_nats = (part.view(horizon, rows) for part in both)
        policy = -weight * (log_prob * advantage + self.config.entropy_scale * entropy_nats)

        value_loss, excess = self._critic_loss(value_logits, value_probs, returns, imagined.slow_value[:-1])
        value_loss = weight * value_loss
        metrics = {
            "behavior/policy_loss": policy.detach().mean(),
            "behavior/entropy_nats": entropy_nats.detach().mean(),
            "behavior/advantage_mean": advantage.mean(),
            "behavior/advantage_std": advantage.std(correction=0),
            "behavior/advantage_abs_mean": advantage.abs().mean(),
            "behavior/return_p5": self.return_scale.low.clone(),
            "behavior/return_p95": self.return_scale.high.clone(),
            "behavior/return_scale_raw": self.return_scale.high - self.return_scale.low,
            "behavior/return_scale": scale,
            "behavior/imagined_return": returns.mean(),
            "behavior/imagined_reward": imagined.reward.mean(),
            "behavior/imagined_continue": imagined.cont[1:].mean(),
            "behavior/value": value[:-1].mean(),
            "behavior/value_loss": value_loss.detach().mean(),
            "behavior/value_excess": excess.mean(),
        }
        return Losses({"policy": policy, "value": value_loss}, metrics), returns[0]

    def replay_loss(
        self,
        features: Float[Tensor, "B K F"],
        batch: Batch,
        boot: Float[Tensor, "B K"],
        slow_value: Float[Tensor, "B K"],
    ) -> Losses:
        """Return the critic's loss on the last K replayed states, (B, K - 1); its gradient enters `features`.

        `boot` and `slow_value` are the imagined return and the slow critic's value of the same states (FACTS A7).
        """
        kept = boot.shape[1]
        reward, last, terminal = (
            row[:, -kept:].to(boot.dtype).T for row in (batch.reward, batch.is_last, batch.is_terminal)
        )
        returns = replay_return(reward, last, terminal, boot.T, self.discount, self.config.lam).T
        logits = self.critic(features[:, :-1].flatten(0, 1))
        loss, _ = self._critic_loss(logits, logits.detach().softmax(-1), returns, slow_value[:, :-1])
        loss = (1.0 - last.T[:, :-1]) * loss
        return Losses({"replay_value": loss}, {"behavior/replay_value_loss": loss.detach().mean()})

    def _critic_loss(
        self,
        logits: Float[Tensor, "N L"],
        probs: Float[Tensor, "N L"],
        returns: Float[Tensor, "X Y"],
        slow_value: Float[Tensor, "X Y"],
    ) -> tuple[Float[Tensor, "X Y"], Float[Tensor, "X Y"]]:
        """Return the cross-entropy towards returns and slow critic, and the first one's excess over its floor."""
        target = self.twohot.encode(torch.stack([returns, slow_value], -1).flatten(0, 1))  # (N, 2 targets, 2 bins)
        both = self.twohot.cross_entropy(logits, probs, target)
        loss = torch.add(both[:, 0], both[:, 1], alpha=self.config.slow_regularizer)
        with torch.no_grad():
            excess = both[:, 0] - self.twohot.floor(target)[:, 0]
        return loss.view(returns.shape), excess.view(returns.shape)

    def _slow_value(self, features: Float[Tensor, "N F"]) -> Float[Tensor, " N"]:
        return self.twohot.mean(self.slow_critic(features).softmax(-1))

    @torch.no_grad()
    def follow(self) -> None:
        """Move the slow critic a step towards the critic; called after every optimiser step (FACTS A6)."""
        slow: list[Tensor] = list(self.slow_critic.parameters())
        fast: list[Tensor] = list(self.critic.parameters())
        torch._foreach_lerp_(slow, fast, self.config.slow_rate)  # pyright: ignore[reportPrivateImportUsage]


def _by_parts(function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """Return function(rows) computed a few thousand rows at a time: wide intermediate results stay in the cache."""
    return torch.cat([function(part) for part in rows.split(PART)])
