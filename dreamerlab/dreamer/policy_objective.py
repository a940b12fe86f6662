"""What the policy maximises on imagined states: advantage and entropy, and the gradient that leads there (FACTS A6).

Owns the policy's loss and everything logged about it. Rollouts, returns and their scale are `behavior`'s.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from dreamerlab.config.schedule import parse_schedule
from dreamerlab.config.schema_learning import Behavior as BehaviorConfig
from dreamerlab.dreamer.maths import constant, moments
from dreamerlab.dreamer.policies import PolicyHead
from dreamerlab.dreamer.schedules import factor
from dreamerlab.dreamer.temperature import Temperature

BASE = "behavior/entropy_base_nats"
"""The metric that heads have whose actions are squashed."""
LEAST_ADVANTAGE = 1e-8
"""What the advantages weigh at least where something is divided by it."""


class PolicyObjective:
    """The loss -weight * (gain + eta * entropy), with the gain that `behavior.actor_gradient` asks for."""

    def __init__(self, head: PolicyHead, config: BehaviorConfig, temperature: Temperature | None = None) -> None:
        self.head, self.config, self.temperature = head, config, temperature
        self.schedule = parse_schedule(config.entropy_schedule)
        self.through_dynamics = config.actor_gradient != "reinforce"
        self.reinforce_share = {"reinforce": 1.0, "dynamics": 0.0, "mix": config.gradient_mix}[config.actor_gradient]

    def loss(
        self,
        raw: Float[Tensor, "HN O"],
        action: Shaped[Tensor, "HN A"],
        noise: Float[Tensor, "HN M"] | None,
        advantage: Float[Tensor, "H N"],
        weight: Float[Tensor, "H N"],
        made: Int[Tensor, ""] | None = None,
    ) -> tuple[Float[Tensor, "H N"], dict[str, Tensor]]:
        """Return the loss of every imagined state, and metrics.

        REINFORCE: gain = log p(action) * sg(advantage), with gradient to `raw` alone. Through the dynamics: gain =
        advantage, whose gradient leads back to the actions and from there to the policy; its baseline has none. A mix
        adds share * the first to (1 - share) * the second. `made` counts the actor's updates before this one. A
        temperature moves as a side effect, after this loss.
        """
        log_prob, entropy_nats = self.head.log_prob_and_entropy(raw, action, noise)
        log_prob, entropy_nats = log_prob.view_as(weight), entropy_nats.view_as(weight)
        scaled = advantage.detach()
        if self.config.advantage_norm:
            advantage = (advantage - scaled.mean()) / (scaled.std(correction=0) + 1e-8)
        gain = credit = log_prob * advantage.detach()
        if self.through_dynamics:
            gain = torch.lerp(advantage, credit, self.reinforce_share) if self.reinforce_share else advantage
        # Clamped, not subtracted: below the floor there is no gradient, which is the point of the ablation (M-OPT-02).
        floor = self.config.entropy_floor
        rewarded = entropy_nats if floor is None else entropy_nats.clamp(min=floor)
        eta = self._entropy_scale(made, weight)
        policy = -weight * (gain + eta * rewarded)
        with torch.no_grad():
            metrics = self._metrics(policy, gain, credit, scaled, log_prob, entropy_nats, rewarded, weight, eta)
            of_actions = self.head.metrics(raw, action)
            if BASE in of_actions:  # under tanh the action's own entropy is another, and has no closed form (M-ENT-05)
                of_actions["behavior/entropy_squashed_nats"] = -log_prob.mean()
            metrics |= {**of_actions, **self._share(of_actions.get(BASE, metrics["behavior/entropy_nats"]))}
            if self.temperature is not None:
                self.temperature.follow(metrics["behavior/entropy_nats"])
        return policy, metrics

    def _entropy_scale(self, made: Tensor | None, like: Tensor) -> Tensor | float:
        if self.temperature is not None:
            return self.temperature.scale()
        if self.schedule.shape == "constant":
            return self.config.entropy_scale
        assert made is not None, "a schedule of the entropy bonus needs the number of updates made"
        return self.config.entropy_scale * factor(self.schedule, made, like.dtype)

    def _metrics(
        self,
        policy: Float[Tensor, "H N"],
        gain: Float[Tensor, "H N"],
        credit: Float[Tensor, "H N"],
        advantage: Float[Tensor, "H N"],
        log_prob: Float[Tensor, "H N"],
        entropy_nats: Float[Tensor, "H N"],
        rewarded: Float[Tensor, "H N"],
        weight: Float[Tensor, "H N"],
        eta: Tensor | float,
    ) -> dict[str, Tensor]:
        """Return what loss, advantages and entropy are like over all states.

        The loss is split into its two terms (M-ADD-12, M-LOG-02), and what advantages and the entropy bonus weigh in
        the objective, per state, compared (M-LOG-01, M-ENT-10).
        """
        size, gained = advantage.abs(), gain.abs()
        averages, deviations = moments(
            {
                "behavior/advantage_mean": advantage,
                "behavior/entropy_nats": entropy_nats,
                "behavior/policy_loss": policy,
                "behavior/gain_abs_mean": gained,
                "behavior/advantage_contribution": gained if credit is gain else credit.abs(),
                "behavior/advantage_abs_mean": size,
                "behavior/log_prob_abs_mean": log_prob.abs(),
                "behavior/entropy_rewarded_nats": rewarded,
            }
        )
        number = partial(constant, dtype=weight.dtype, device=weight.device)
        scale = eta if isinstance(eta, Tensor) else number(eta)
        entropy_term = torch.dot(weight.flatten(), rewarded.flatten()) * scale * number(-1.0 / weight.numel())
        contribution = scale * averages["behavior/entropy_rewarded_nats"]
        least, largest = torch.aminmax(entropy_nats)
        return {
            **averages,
            "behavior/policy_gradient_term": averages["behavior/policy_loss"] - entropy_term,
            "behavior/entropy_term": entropy_term,
            "behavior/advantage_std": deviations[0],
            "behavior/advantage_abs_max": size.max(),
            "behavior/entropy_std_nats": deviations[1],
            "behavior/entropy_min_nats": least,
            "behavior/entropy_max_nats": largest,
            "behavior/entropy_scale": scale,
            "behavior/entropy_contribution": contribution,
            # While nothing is rewarded yet every advantage is 0: a metric has to stay finite.
            "behavior/entropy_advantage_ratio": contribution
            / averages["behavior/advantage_contribution"].clamp(min=LEAST_ADVANTAGE),
        }

    def _share(self, entropy_nats: Float[Tensor, ""]) -> dict[str, Tensor]:
        """Return the ends of the interval of the entropy, and where in it a mean entropy lies."""
        low, high = self.head.entropy_range
        number = partial(constant, dtype=entropy_nats.dtype, device=entropy_nats.device)
        spread = number(max(high - low, 1e-12))  # a single choice has no entropy to have a share of
        return {
            "behavior/entropy_lower_nats": number(low),
            "behavior/entropy_upper_nats": number(high),
            "behavior/entropy_frac": (entropy_nats - number(low)) / spread,
        }
