"""What the policy maximises on imagined states: advantage and entropy, and the gradient that leads there (FACTS A6).

Owns the policy's loss and everything logged about it. Rollouts, returns and their scale are `behavior`'s.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from dreamerlab.config.schedule import parse_schedule
from dreamerlab.config.schema_learning import Behavior as BehaviorConfig
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
            of_actions = self.head.metrics(raw, action)
            if BASE in of_actions:  # under tanh the action's own entropy is another, and has no closed form (M-ENT-05)
                of_actions["behavior/entropy_squashed_nats"] = -log_prob.mean()
            metrics = {
                **self._terms(policy, gain, rewarded, weight, eta),
                **_of_advantages(scaled, log_prob),
                **self._of_entropy(entropy_nats, rewarded, of_actions),
                "behavior/entropy_scale": eta if isinstance(eta, Tensor) else weight.new_full((), eta),
            }
            size = metrics["behavior/gain_abs_mean"] if credit is gain else credit.abs().mean()
            metrics |= _contributions(size, eta * metrics["behavior/entropy_rewarded_nats"])
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

    @staticmethod
    def _terms(
        policy: Tensor, gain: Tensor, rewarded: Tensor, weight: Tensor, eta: Tensor | float
    ) -> dict[str, Tensor]:
        """Split the loss into its two terms (M-ADD-12, M-LOG-02)."""
        total = policy.mean()
        entropy_term = torch.dot(weight.flatten(), rewarded.flatten()) * (-eta / weight.numel())
        return {
            "behavior/policy_loss": total,
            "behavior/policy_gradient_term": total - entropy_term,
            "behavior/entropy_term": entropy_term,
            "behavior/gain_abs_mean": gain.abs().mean(),
        }

    def _of_entropy(self, entropy_nats: Tensor, rewarded: Tensor, of_actions: dict[str, Tensor]) -> dict[str, Tensor]:
        mean = entropy_nats.mean()
        low, high = torch.aminmax(entropy_nats)
        least, largest = self.head.entropy_range
        spread = max(largest - least, 1e-12)  # a single choice has no entropy to have a share of
        return {
            "behavior/entropy_nats": mean,
            "behavior/entropy_rewarded_nats": mean if rewarded is entropy_nats else rewarded.mean(),
            "behavior/entropy_std_nats": entropy_nats.std(correction=0),
            "behavior/entropy_min_nats": low,
            "behavior/entropy_max_nats": high,
            "behavior/entropy_lower_nats": mean.new_full((), least),
            "behavior/entropy_upper_nats": mean.new_full((), largest),
            "behavior/entropy_frac": (of_actions.get(BASE, mean) - least) / spread,
            **of_actions,
        }


def _of_advantages(scaled: Tensor, log_prob: Tensor) -> dict[str, Tensor]:
    size = scaled.abs()
    return {
        "behavior/advantage_mean": scaled.mean(),
        "behavior/advantage_std": scaled.std(correction=0),
        "behavior/advantage_abs_mean": size.mean(),
        "behavior/advantage_abs_max": size.max(),
        "behavior/log_prob_abs_mean": log_prob.abs().mean(),
    }


def _contributions(advantage: Tensor, entropy: Tensor) -> dict[str, Tensor]:
    """Compare what advantages and the entropy bonus weigh in the objective, per state (M-LOG-01, M-ENT-10)."""
    return {
        "behavior/advantage_contribution": advantage,
        "behavior/entropy_contribution": entropy,
        # While nothing is rewarded yet every advantage is 0: a metric has to stay finite.
        "behavior/entropy_advantage_ratio": entropy / advantage.clamp(min=LEAST_ADVANTAGE),
    }
