"""Actor and critic, trained on imagined rollouts (FACTS A6), and the critic on replay as well (FACTS A7).

`imagine` rolls out, `losses` then runs each network once over all imagined states, with gradient only into its own
parameters. The rollout's first state is the replayed one, so H steps give H + 1 states: actions, advantages and losses
exist for states 0 .. H - 1, rewards for states 1 .. H.

The policy learns by REINFORCE, without any gradient through the rollout (reference), through the imagined dynamics, or
by a mix of both (FACTS A13.14). In the latter two the rollout carries gradient from returns back to actions; world
model and critic pass it on and are frozen meanwhile, so the policy's loss never reaches them (M-ML-21).
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from dreamerlab.config.schedule import parse_schedule
from dreamerlab.config.schema import Config
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.distributions import Encoded, TwoHot
from dreamerlab.dreamer.dynamics import Apart, ApartPolicy, Losses
from dreamerlab.dreamer.family import Imaginable
from dreamerlab.dreamer.freezing import frozen
from dreamerlab.dreamer.maths import lambda_return, moments, replay_return
from dreamerlab.dreamer.networks import MLP
from dreamerlab.dreamer.one_hots import OneHots
from dreamerlab.dreamer.policies import make_policy_head
from dreamerlab.dreamer.policy_objective import PolicyObjective
from dreamerlab.dreamer.return_scale import ReturnScale
from dreamerlab.dreamer.schedules import factor
from dreamerlab.dreamer.stack import rows_at_once, written_out
from dreamerlab.dreamer.temperature import Temperature
from dreamerlab.spaces import ActionSpec


class Imagined(NamedTuple):
    """Rollouts of the policy inside the world model, time first.

    Without gradient, except where the policy learns through the dynamics: features, reward, cont, slow_value and value
    then carry it back to the actions.
    """

    features: Float[Tensor, "H+1 N F"]
    """Without the columns that `one_hots` tells of."""
    action: Shaped[Tensor, "H N A"]
    reward: Float[Tensor, "H N"]
    """Of states 1 .. H."""
    cont: Float[Tensor, "H+1 N"]
    """Predicted discount of states 0 .. H."""
    slow_value: Float[Tensor, "judged N"]
    """The slow critic's value of states 0 .. H, without the last where returns do not bootstrap from it."""
    noise: Float[Tensor, "H N M"] | None = None
    """What the actions were drawn with."""
    value: Float[Tensor, "H+1 N"] | None = None
    """The critic's value of states 0 .. H, where gradient has to pass through it on its way to the actions."""
    raw: Float[Tensor, "H*N O"] | None = None
    """Outputs of the policy in states 0 .. H - 1, with gradient to its parameters, where the rollout has them."""
    one_hots: OneHots | None = None
    """What is known of the features, row by row."""
    bonus: Float[Tensor, "H N"] | None = None
    """Disagreement about each step (`explore.bonus`), not yet part of the reward."""


class Behavior(nn.Module):
    """Policy, critic, slow critic and return scale."""

    def __init__(self, feature_size: int, action: ActionSpec, config: Config) -> None:
        super().__init__()
        model, behavior, twohot = config.model, config.behavior, config.twohot
        self.config = behavior
        self.head = make_policy_head(action, config)
        self.temperature = (
            Temperature(behavior.entropy_scale, behavior.entropy_target, behavior.entropy_target_rate)
            if behavior.entropy_target is not None
            else None
        )
        self.objective = PolicyObjective(self.head, behavior, self.temperature)
        self.discount = 1.0 - 1.0 / behavior.discount_horizon
        # A head that predicts the bare probability of going on leaves the start undiscounted (FACTS A6, A13.7).
        self.start_factor = 1.0 if config.heads.continue_discounted else 1.0 / self.discount
        self.twohot = TwoHot(twohot.bins, twohot.support[1], twohot.spacing)
        self.policy = MLP(feature_size, model.units, model.policy_layers, self.head.outputs, output_scale=0.01)
        self.critic = MLP(feature_size, model.units, model.value_layers, twohot.bins, output_scale=0.0)
        self.slow_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.return_scale = ReturnScale(config)
        self.explore_scale, self.explore_schedule = config.explore.scale, parse_schedule(config.explore.schedule)
        self.explores = config.explore.bonus != "none"
        self._at_once = rows_at_once(model.units)

    def act(self, features: Float[Tensor, "N F"], *, mode: bool, generator: torch.Generator) -> Shaped[Tensor, "N A"]:
        """Return the most likely action (`mode`) or a drawn one; gradients must be disabled."""
        raw = self.policy(features)
        if mode:
            return self.head.mode(raw)
        return self.head.sample(raw, self.head.noise((len(features),), generator, features.device))

    @torch.no_grad()
    def imagine(self, world: Imaginable, start: Float[Tensor, "N F"], generator: torch.Generator) -> Imagined:
        """Return rollouts of the policy from `start`, with everything the world model says about their states."""
        noise = self.head.noise((self.config.horizon, len(start)), generator, start.device)
        if not self.objective.through_dynamics:
            # The policy's loss asks for the gradient of these outputs: it need not run twice.
            tape = self.policy.tape(len(start) * self.config.horizon) if written_out() else None
            policy = self.policy if tape is None else tape.run

            def draw(now: Tensor, known: OneHots | None, t: int) -> tuple[Tensor, None]:
                return self.head.sample(policy(now, known), noise[t]), None

            imagined = self._roll_out(world, start, noise, draw, generator)
            if tape is None:
                return imagined
            with torch.enable_grad():
                states, known = _first(self.config.horizon * len(start), imagined.features, imagined.one_hots)
                return imagined._replace(raw=tape.outputs(states, known))

        def choose(now: Tensor, _: OneHots | None, t: int) -> tuple[Tensor, Tensor]:
            # Only what an action leads to has a part in the gradient, not the state it was chosen in.
            return self.head.sample_encoded(self.policy(now.detach()), noise[t])

        with torch.enable_grad(), frozen(world, self.critic):
            imagined = self._roll_out(world, start, noise, choose, generator)
            value = self._value(imagined.features.flatten(0, 1)).view_as(imagined.cont)
        return imagined._replace(value=value)

    def _roll_out(
        self, world: Imaginable, start: Tensor, noise: Tensor, policy: ApartPolicy, generator: torch.Generator
    ) -> Imagined:
        horizon, rows = self.config.horizon, len(start)
        # A bonus reads whole features, and so does whoever asks for gradients.
        whole = self.explores or torch.is_grad_enabled()
        apart = None if whole else world.dynamics.imagine_apart(start, policy, horizon, generator)
        if apart is None:
            rolled = world.dynamics.imagine(start, lambda now, t: policy(now, None, t), horizon, generator)
            apart = Apart(*rolled, None)
        features, action, known = apart
        flat = features.flatten(0, 1)
        arrived = None if known is None else known.rows(rows)
        reward = world.predict_reward(flat[rows:], arrived).view(horizon, rows)
        cont = world.predict_continue(flat, known).view(horizon + 1, rows)
        # Of the last state only a bootstrap asks.
        judged = horizon + 1 if self.config.bootstrap == "slow" else horizon
        slow_value = self._slow_value(*_first(judged * rows, features, known)).view(judged, rows)
        bonus = world.bonus(features, action)
        return Imagined(features, action, reward, cont, slow_value, noise, one_hots=known, bonus=bonus)

    def losses(self, imagined: Imagined, made: Int[Tensor, ""] | None = None) -> tuple[Losses, Float[Tensor, " N"]]:
        """Return the policy and value losses, (H, N) each, and the return of the starts (for `replay_loss`).

        `made` counts the updates of the actor before this one; only a schedule of the entropy bonus asks for it.
        """
        horizon, rows = imagined.reward.shape
        states = imagined.features.detach()
        flat, known = _first(horizon * rows, states, imagined.one_hots)
        value_logits = self.critic.logits(flat, known)
        with torch.no_grad():
            # The last state lends its value to the returns and has no loss of its own.
            value_probs, says = self._read_out(value_logits)
            known = None if imagined.one_hots is None else imagined.one_hots.rows(horizon * rows)
            value = torch.cat([says, self._value(states[-1], known)]).view(horizon + 1, rows)
            # Probability of getting here, discount included; a dead start state counts for nothing.
            weight = imagined.cont[:-1].cumprod(0)
            if self.start_factor != 1.0:
                weight *= self.start_factor
        bootstrap = imagined.slow_value
        if self.config.bootstrap == "fast":
            bootstrap = value if imagined.value is None else imagined.value
        # Where the rollout carries gradient, so do the returns: this is what reaches the policy through the dynamics.
        reward, explored = self._with_bonus(imagined, made)
        outcome = lambda_return(reward, imagined.cont[1:], bootstrap[1:], self.config.lam)
        returns, slow_value = outcome.detach(), imagined.slow_value.detach()
        scale = self.return_scale.update(returns)
        advantage = (outcome - bootstrap[:-1].detach()) / scale
        noise = None if imagined.noise is None else imagined.noise.flatten(0, 1)
        policy, policy_metrics = self.objective.loss(
            self.policy(flat) if imagined.raw is None else imagined.raw,
            imagined.action.flatten(0, 1),
            noise,
            advantage,
            weight,
            made,
        )

        value_loss, towards, target = self._critic_loss(value_logits, value_probs, returns, slow_value[:horizon])
        value_loss = weight * value_loss
        with torch.no_grad():
            low, high = self.return_scale.ends()
            arrived = imagined.cont[1:]
            of_states = {
                "behavior/imagined_reward": imagined.reward,
                "behavior/value": value[:-1],
                "behavior/imagined_return": returns,
                "behavior/imagined_continue": arrived,
                "behavior/value_loss": value_loss,
                "behavior/value_excess": (towards - self.twohot.floor(target)).view_as(returns),
            }
            averages, deviations = moments(of_states)
            metrics = {
                **policy_metrics,
                **explored,
                **averages,
                "behavior/return_p5": low,
                "behavior/return_p95": high,
                "behavior/return_scale_raw": high - low,
                "behavior/return_scale": scale,
                "behavior/return_scale_at_limit": (scale <= self.return_scale.limit).to(scale.dtype),
                "behavior/imagined_reward_std": deviations[0],
                "behavior/imagined_survival": arrived.prod(0).mean() / self.discount**horizon,
                "behavior/value_std": deviations[1],
                "behavior/value_ceiling_frac": value.abs().max() / self.twohot.largest,
            }
        return Losses({"policy": policy, "value": value_loss}, metrics), returns[0]

    def _with_bonus(self, imagined: Imagined, made: Tensor | None) -> tuple[Float[Tensor, "H N"], dict[str, Tensor]]:
        """Return the imagined rewards with the scaled bonus, if there is one, and what it came to."""
        if imagined.bonus is None:
            return imagined.reward, {}
        assert made is not None or self.explore_schedule.shape == "constant", "a schedule needs the updates made"
        share = 1.0 if made is None else factor(self.explore_schedule, made, imagined.reward.dtype)
        bonus = imagined.bonus * (self.explore_scale * share)
        return imagined.reward + bonus, {"behavior/explore_bonus": bonus.detach().mean()}

    def replay_loss(
        self,
        features: Float[Tensor, "B K F"],
        batch: Batch,
        boot: Float[Tensor, "B K"],
        slow_value: Float[Tensor, "B K"],
    ) -> Losses:
        """Return the critic's loss on the last K replayed states, (B, K - 1).

        Its gradient enters `features`, and with them the world model, if `replay_value_grad` says so. `boot` and
        `slow_value` are the imagined return and the slow critic's value of the same states (FACTS A7).
        """
        kept = boot.shape[1]
        reward, last, terminal = (
            row[:, -kept:].to(boot.dtype).T for row in (batch.reward, batch.is_last, batch.is_terminal)
        )
        returns = replay_return(reward, last, terminal, boot.T, self.discount, self.config.lam).T
        if not self.config.replay_value_grad:
            features = features.detach()
        logits = self.critic.logits(features[:, :-1].flatten(0, 1))
        loss, _, _ = self._critic_loss(logits, logits.detach().softmax(-1), returns, slow_value[:, :-1])
        loss = (1.0 - last.T[:, :-1]) * loss
        return Losses({"replay_value": loss}, {"behavior/replay_value_loss": loss.detach().mean()})

    def _critic_loss(
        self,
        logits: Float[Tensor, "N L"],
        probs: Float[Tensor, "N L"],
        returns: Float[Tensor, "X Y"],
        slow_value: Float[Tensor, "X Y"],
    ) -> tuple[Float[Tensor, "X Y"], Float[Tensor, " N"], Encoded]:
        """Return the loss per element, its part towards the returns without gradient, and the returns as two bins."""
        target = self.twohot.encode(torch.stack([returns, slow_value], -1).flatten(0, 1))  # (N, 2 targets, 2 bins)
        both = self.twohot.cross_entropy(logits, probs, target)
        loss = torch.add(both[:, 0], both[:, 1], alpha=self.config.slow_regularizer)
        return loss.view(returns.shape), both[:, 0].detach(), Encoded(target.bins[:, 0], target.weights[:, 0])

    def predict_value(self, features: Float[Tensor, "N F"]) -> Float[Tensor, " N"]:
        """Return the critic's value of each state."""
        return self._value(features)

    def _value(self, features: Float[Tensor, "N F"], one_hots: OneHots | None = None) -> Float[Tensor, " N"]:
        return self.critic.read_out(features, one_hots, self.twohot.expected)

    def _slow_value(self, features: Float[Tensor, "N F"], one_hots: OneHots | None = None) -> Float[Tensor, " N"]:
        return self.slow_critic.read_out(features, one_hots, self.twohot.expected)

    def _read_out(self, logits: Float[Tensor, "N L"]) -> tuple[Float[Tensor, "N L"], Float[Tensor, " N"]]:
        """Return the softmax of the logits, in their own memory, and the values it stands for; without gradient.

        Some rows at a time; after that the logits are good for nothing but to lead gradients back.
        """
        probs = logits.detach()
        means = [self.twohot.mean(torch.softmax(part, -1, out=part)) for part in probs.split(self._at_once)]
        return probs, torch.cat(means)

    @torch.no_grad()
    def follow(self) -> None:
        """Move the slow critic a step towards the critic; called after every optimiser step (FACTS A6)."""
        slow: list[Tensor] = list(self.slow_critic.parameters())
        fast: list[Tensor] = list(self.critic.parameters())
        torch._foreach_lerp_(slow, fast, self.config.slow_rate)  # pyright: ignore[reportPrivateImportUsage]


def _first(
    count: int, features: Float[Tensor, "states N F"], one_hots: OneHots | None
) -> tuple[Float[Tensor, "{count} F"], OneHots | None]:
    """Return the first `count` rows of the states one after the other, and what is known of them."""
    return features.flatten(0, 1)[:count], None if one_hots is None else one_hots.rows(0, count)
