"""The world model: encoder, recurrent core, and the heads for observation, reward and continue (FACTS A4).

Owns the world-model losses, each of shape (B, T). Imagination and the losses of actor and critic are in `behavior`.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.batch import Batch
from dreamerlab.dreamer.codecs import Decoder, Encoder
from dreamerlab.dreamer.distributions import TwoHot, continue_excess, continue_loss
from dreamerlab.dreamer.dynamics import Losses, Observed
from dreamerlab.dreamer.explore import make_explorer
from dreamerlab.dreamer.heads import AuxiliaryHeads
from dreamerlab.dreamer.maths import logit, shift_actions, spread
from dreamerlab.dreamer.networks import MLP
from dreamerlab.dreamer.one_hots import OneHots
from dreamerlab.dreamer.rssm import RSSM
from dreamerlab.spaces import EnvSpec


class WorldModel(nn.Module):
    """Learns to predict what is observed, what is rewarded, and whether it goes on; see `family.World`."""

    terms: tuple[str, ...] = ("recon", "reward", "cont", "dyn", "rep", "auxiliary")

    def __init__(self, spec: EnvSpec, config: Config) -> None:
        super().__init__()
        model = config.model
        self.discount = 1.0 - 1.0 / config.behavior.discount_horizon
        self.reward_grad = config.heads.reward_grad
        self.continue_discounted = config.heads.continue_discounted
        self.encoder = Encoder(spec, model)
        self.dynamics = RSSM(self.encoder.token_size, spec.action, model, config.free_bits)
        size = self.dynamics.feature_size
        self.decoder = Decoder(model.deter, size, spec, model)
        self.twohot = TwoHot(config.twohot.bins, config.twohot.support[1], config.twohot.spacing)
        self.reward = MLP(size, model.units, model.reward_layers, config.twohot.bins, output_scale=0.0)
        self.cont = MLP(size, model.units, model.continue_layers, 1)
        self.auxiliary = AuxiliaryHeads(size, config)
        self.explorer = make_explorer(size, spec.action, config, self.twohot)

    def observe(self, batch: Batch, generator: torch.Generator) -> Observed:
        """Return the states of a batch of windows."""
        prev_action = shift_actions(batch.prev_action, batch.action)
        return self.dynamics.observe(
            self.encoder(batch.obs), prev_action, batch.is_first, batch.context_deter, batch.context_stoch, generator
        )

    def losses(self, batch: Batch, observed: Observed) -> Losses:
        """Return recon, reward, cont, dyn, rep and, with such heads, auxiliary, each (B, T), and their metrics."""
        shape = batch.reward.shape
        features = observed.features.flatten(0, 1)
        known = self.dynamics.one_hots(features.detach())
        decoded = self.decoder.losses(observed.features, batch.obs, known)

        encoded = self.twohot.encode(batch.reward.flatten().to(self.twohot.bins.dtype))
        # Without gradient into the features the latent states know of the reward only what else they need.
        logits = self.reward.logits(features if self.reward_grad else features.detach(), known)
        probs = logits.detach().softmax(-1)
        reward = self.twohot.cross_entropy(logits, probs, encoded).view(shape)

        # The head predicts the discount, gamma until a death, then 0; as an option the probability of going on.
        going_on = self.discount if self.continue_discounted else 1.0
        target = going_on * (1.0 - batch.is_terminal.to(reward.dtype))
        going = self.cont(features, known).view(shape)
        cont = continue_loss(going, target)

        core = self.dynamics.losses(observed)
        auxiliary = self.auxiliary.losses(features, batch.targets)
        terms = {**decoded.terms, "reward": reward, "cont": cont, **core.terms, **auxiliary.terms}
        explored: dict[str, Tensor] = {}
        if self.explorer is not None:
            cost = self.explorer.loss(observed.features, batch)
            explored = {"wm/explore_loss": cost.detach().mean()}
            terms["auxiliary"] = terms["auxiliary"] + cost if "auxiliary" in terms else cost
        with torch.no_grad():
            metrics = {
                **decoded.metrics,
                "wm/reward_loss": reward.detach(),
                "wm/reward_excess": reward - self.twohot.floor(encoded).view(shape),
                "wm/reward_mae": (self.twohot.mean(probs).view(shape) - batch.reward).abs_(),
                "wm/continue_loss": cont.detach(),
                "wm/continue_excess": continue_excess(cont, target, going_on),
                # Half of what the head says of a state that goes on: threshold 0.5 of the bare probability.
                "wm/continue_accuracy": ((going > logit(0.5 * going_on)) != batch.is_terminal).to(cont.dtype),
                "wm/feature_std": spread(features.detach()[::4]),
                **core.metrics,
                **auxiliary.metrics,
                **explored,
            }
        return Losses(terms, metrics)

    def bonus(
        self, features: Float[Tensor, "states N F"], action: Shaped[Tensor, "steps N A"]
    ) -> Float[Tensor, "steps N"] | None:
        """Return what imagined steps are worth for being unknown, unscaled; None without `explore.bonus`."""
        return None if self.explorer is None else self.explorer.bonus(features, action)

    def predict_reward(self, features: Float[Tensor, "N F"], one_hots: OneHots | None = None) -> Float[Tensor, " N"]:
        """Return the expected reward received on arriving at each state; `one_hots` as in `networks.MLP`."""
        return self.reward.read_out(features, one_hots, self.twohot.expected)

    def predict_continue(self, features: Float[Tensor, "N F"], one_hots: OneHots | None = None) -> Float[Tensor, " N"]:
        """Return the predicted discount of each state: gamma where it goes on, 0 after a death.

        That is what the head says, or gamma times what it says where it predicts the probability of going on.
        """
        said = torch.sigmoid(self.cont(features, one_hots).squeeze(-1))
        return said if self.continue_discounted else self.discount * said
