"""Actor and critic of the modular learner: a policy that learns through the model, a critic of squared errors.

    actor    -mean(lambda-returns) - alpha * H, with gradient back through dynamics, reward and continue to the actions
             (pathwise; choices pass it on straight-through), M-ML-06
    critic   mean (V(s) - sg(return))^2 on imagined states, which it sees detached, M-ML-07, M-ML-26

World model and critic pass the actor's gradient on and are frozen meanwhile; besides, each group of parameters has a
backward pass of its own for its own losses (`family.Parts.isolated`), so that nothing can reach another (M-ML-21).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.dynamics import Losses
from dreamerlab.dreamer.family import Imaginable
from dreamerlab.dreamer.freezing import frozen
from dreamerlab.dreamer.gaussian import squared_error
from dreamerlab.dreamer.maths import lambda_return, moments
from dreamerlab.dreamer.mlp_parts import Scalar
from dreamerlab.dreamer.networks import MLP
from dreamerlab.dreamer.policies import make_policy_head
from dreamerlab.dreamer.policy_objective import PolicyObjective
from dreamerlab.spaces import ActionSpec


class Imagined(NamedTuple):
    """Rollouts of the policy inside the world model, time first, with gradient back to the actions."""

    features: Float[Tensor, "H+1 N F"]
    action: Shaped[Tensor, "H N A"]
    noise: Float[Tensor, "H N M"]
    """What the actions were drawn with."""
    reward: Float[Tensor, "H N"]
    """Of states 1 .. H."""
    cont: Float[Tensor, "H+1 N"]
    """Predicted discount of states 0 .. H."""
    value: Float[Tensor, "H+1 N"]
    """The critic's value of states 0 .. H."""

    @property
    def slow_value(self) -> Float[Tensor, "judged N"]:
        """There is one critic, and it does not wait for itself."""
        return self.value


class MlpBehavior(nn.Module):
    """Policy and critic; see `family.Behavior`."""

    def __init__(self, feature_size: int, action: ActionSpec, config: Config) -> None:
        super().__init__()
        model = config.model
        # What this family has no choice about, whatever the leaves that act under another family say.
        self.config = config.behavior.model_copy(update={"actor_gradient": "dynamics", "advantage_norm": False})
        self.discount = 1.0 - 1.0 / self.config.discount_horizon
        self.head = make_policy_head(action, config)
        self.objective = PolicyObjective(self.head, self.config)
        self.policy = MLP(feature_size, model.units, model.policy_layers, self.head.outputs, output_scale=0.01)
        self.critic = Scalar(feature_size, model.units, model.value_layers, output_scale=0.0)

    def act(self, features: Float[Tensor, "N F"], *, mode: bool, generator: torch.Generator) -> Shaped[Tensor, "N A"]:
        """Return the most likely action (`mode`) or a drawn one; gradients must be disabled."""
        raw = self.policy(features)
        if mode:
            return self.head.mode(raw)
        return self.head.sample(raw, self.head.noise((len(features),), generator, features.device))

    def imagine(self, world: Imaginable, start: Float[Tensor, "N F"], generator: torch.Generator) -> Imagined:
        """Return rollouts of the policy from `start`, with everything the world model says about their states."""
        horizon, rows = self.config.horizon, len(start)
        noise = self.head.noise((horizon, rows), generator, start.device)

        def choose(now: Tensor, t: int) -> tuple[Tensor, Tensor]:
            # Only what an action leads to has a part in the gradient, not the state it was chosen in.
            return self.head.sample_encoded(self.policy(now.detach()), noise[t])

        with torch.enable_grad(), frozen(world, self.critic):
            features, action = world.dynamics.imagine(start, choose, horizon, generator)
            flat = features.flatten(0, 1)
            reward = world.predict_reward(flat[rows:]).view(horizon, rows)
            cont = world.predict_continue(flat).view(horizon + 1, rows)
            value = self.critic(flat).view(horizon + 1, rows)
        return Imagined(features, action, noise, reward, cont, value)

    def losses(self, imagined: Imagined, made: Int[Tensor, ""] | None = None) -> tuple[Losses, Float[Tensor, " N"]]:
        """Return the policy and value losses, (H, N) each, and the return of the starts.

        From the policy's loss the value of the state is subtracted, which has no gradient: what is logged then is an
        advantage. `made` counts the updates of the actor before this one.
        """
        horizon, rows = imagined.reward.shape
        states = imagined.features[:-1].detach().flatten(0, 1)
        outcome = lambda_return(imagined.reward, imagined.cont[1:], imagined.value[1:], self.config.lam)
        returns, value = outcome.detach(), imagined.value[:-1].detach()
        policy, policy_metrics = self.objective.loss(
            self.policy(states),
            imagined.action.flatten(0, 1),
            imagined.noise.flatten(0, 1),
            outcome - value,
            torch.ones_like(value),
            made,
        )
        value_loss = squared_error(self.critic(states).view(horizon, rows), returns)
        with torch.no_grad():
            cont = imagined.cont[1:].detach()
            reward, error = imagined.reward.detach(), value - returns
            of_states = {
                "behavior/imagined_reward": reward,
                "behavior/value": value,
                "behavior/imagined_return": returns,
                "behavior/imagined_continue": cont,
                "behavior/value_mse": error.square(),
                "behavior/td_error": error,
            }
            averages, deviations = moments(of_states)
            metrics = {
                **policy_metrics,
                **averages,
                "behavior/imagined_reward_std": deviations[0],
                "behavior/imagined_survival": cont.prod(0).mean() / self.discount**horizon,
                "behavior/value_std": deviations[1],
            }
        return Losses({"policy": policy, "value": value_loss}, metrics), returns[0]

    def replay_loss(
        self,
        features: Float[Tensor, "B K F"],
        batch: Batch,
        boot: Float[Tensor, "B K"],
        slow_value: Float[Tensor, "B K"],
    ) -> Losses:
        """Return nothing: this critic learns in imagination alone."""
        return Losses({}, {})

    def predict_value(self, features: Float[Tensor, "N F"]) -> Float[Tensor, " N"]:
        """Return the critic's value of each state."""
        return self.critic(features)

    def follow(self) -> None:
        """Nothing follows the critic."""
