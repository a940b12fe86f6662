"""The world model of the modular learner: its losses, one for each thing that is predicted (M-ML-01 to M-ML-05).

Reward and continue are read from the state they are received at, like everywhere in this package. The first row of an
episode has no reward: the state cannot tell it from others, so it is left out.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.codecs import Decoder, Encoder
from dreamerlab.dreamer.distributions import continue_excess, continue_loss
from dreamerlab.dreamer.dynamics import Losses, Observed
from dreamerlab.dreamer.gaussian import GaussianHead, gaussian_nll, least_nll
from dreamerlab.dreamer.heads import AuxiliaryHeads
from dreamerlab.dreamer.maths import logit, shift_actions, spread
from dreamerlab.dreamer.mlp_dynamics import MlpDynamics
from dreamerlab.dreamer.mlp_parts import Representation, Scalar, Transition
from dreamerlab.dreamer.one_hots import OneHots
from dreamerlab.spaces import EnvSpec


class MlpWorldModel(nn.Module):
    """Encoder, representation, transition, and the heads for observation, reward and continue; see `family.World`."""

    terms: tuple[str, ...] = ("recon", "reward", "cont", "dynamics", "multi_step", "auxiliary")

    def __init__(
        self,
        spec: EnvSpec,
        config: Config,
        representation: Representation | None = None,
        transition: Transition | None = None,
    ) -> None:
        """Parts that are given take the place of the family's own; the features they read are `encoder`'s."""
        super().__init__()
        model = config.model
        self.discount = 1.0 - 1.0 / config.behavior.discount_horizon
        self.reward_grad = config.heads.reward_grad
        self.continue_discounted = config.heads.continue_discounted
        self.encoder = Encoder(spec, model)
        self.dynamics = MlpDynamics(self.encoder.token_size, spec.action, config, representation, transition)
        size = self.dynamics.feature_size
        # Pictures grow from two parts of what they are made of; here the state is cut in half for them.
        self.decoder = Decoder(size // 2, size, spec, model)
        self.reward = GaussianHead(size, model.units, model.reward_layers, 1, config.mlp.min_std)
        self.cont = Scalar(size, model.units, model.continue_layers)
        self.auxiliary = AuxiliaryHeads(size, config)

    def observe(self, batch: Batch, generator: torch.Generator) -> Observed:
        """Return the states of a batch of windows."""
        prev_action = shift_actions(batch.prev_action, batch.action)
        return self.dynamics.observe(
            self.encoder(batch.obs), prev_action, batch.is_first, batch.context_deter, batch.context_stoch, generator
        )

    def losses(self, batch: Batch, observed: Observed) -> Losses:
        """Return recon, reward, cont, dynamics and, where asked for, multi_step and auxiliary, each (B, T).

        The costs of predicted Normals are counted from the least they can be, so that no row's loss is negative.
        """
        states = observed.features
        flat, shape = states.flatten(0, 1), batch.reward.shape
        decoded = self.decoder.losses(states, batch.obs)

        rewards = self.reward(flat if self.reward_grad else flat.detach())
        received = ~batch.is_first
        cost = gaussian_nll(rewards, batch.reward.view(-1, 1)).view(shape) - least_nll(self.reward.min_std)
        reward = _weighted(cost, received)

        going_on = self.discount if self.continue_discounted else 1.0
        target = going_on * (1.0 - batch.is_terminal.to(reward.dtype))
        going = self.cont(flat).view(shape)
        cont = continue_loss(going, target)

        core = self.dynamics.losses(states, batch.action, batch.is_first)
        auxiliary = self.auxiliary.losses(flat, batch.targets)
        with torch.no_grad():
            assert rewards.std is not None
            error = (rewards.mean.view(shape) - batch.reward).abs()
            metrics = {
                **decoded.metrics,
                "wm/reward_nll_nats": reward.mean() + least_nll(self.reward.min_std),
                "wm/reward_std": rewards.std.mean(),
                "wm/reward_mae": _weighted(error, received).mean(),
                "wm/continue_loss": cont.detach(),
                "wm/continue_excess": continue_excess(cont, target, going_on),
                "wm/continue_accuracy": ((going > logit(0.5 * going_on)) != batch.is_terminal).to(cont.dtype),
                "wm/feature_std": spread(flat.detach()),
                **core.metrics,
                **auxiliary.metrics,
            }
        return Losses({**decoded.terms, "reward": reward, "cont": cont, **core.terms, **auxiliary.terms}, metrics)

    def bonus(self, features: Float[Tensor, "states N F"], action: Shaped[Tensor, "steps N A"]) -> None:
        """Return None: nothing is paid for beside the reward."""
        return

    def predict_reward(self, features: Float[Tensor, "N F"], one_hots: OneHots | None = None) -> Float[Tensor, " N"]:
        """Return the expected reward received on arriving at each state."""
        return self.reward(features).mean.squeeze(-1)

    def predict_continue(self, features: Float[Tensor, "N F"], one_hots: OneHots | None = None) -> Float[Tensor, " N"]:
        """Return the predicted discount of each state: gamma where it goes on, 0 after a death."""
        said = torch.sigmoid(self.cont(features))
        return said if self.continue_discounted else self.discount * said


def _weighted(cost: Float[Tensor, "B T"], counted: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """Return costs, 0 where not `counted`, whose mean over all rows is the mean over those counted."""
    counts = counted.to(cost.dtype)
    return cost * counts * (counts.numel() / counts.sum().clamp(min=1.0))
