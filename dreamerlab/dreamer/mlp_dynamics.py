"""The core of the modular learner: states without memory, and an MLP that predicts the next one (M-ML-01, M-ML-05).

A state is made of the observation of its own row alone, so nothing is carried from row to row and replay has no latent
states to keep. Time exists in the transition only. It learns to predict the states that the representation makes; those
targets carry no gradient, or states would become what is easy to predict instead of what there is to know.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.actions import ActionCodec
from dreamerlab.dreamer.dynamics import Advanced, ApartPolicy, ImaginedPolicy, Losses, Observed
from dreamerlab.dreamer.gaussian import Normal, gaussian_nll, least_nll, squared_error
from dreamerlab.dreamer.mlp_parts import MlpRepresentation, MlpTransition, Representation, Transition
from dreamerlab.spaces import ActionSpec


class MlpDynamics(nn.Module):
    """Representation and transition behind the contract of `dynamics.Dynamics`."""

    deter, stoch = 0, 0

    def __init__(
        self,
        token_size: int,
        action: ActionSpec,
        config: Config,
        representation: Representation | None = None,
        transition: Transition | None = None,
    ) -> None:
        super().__init__()
        self.codec = ActionCodec(action)
        self.representation = representation or MlpRepresentation(token_size, config)
        self.feature_size = self.representation.size
        self.transition = transition or MlpTransition(self.feature_size, self.codec.size, config)
        self.min_std = config.mlp.min_std
        self.draws = config.mlp.dynamics_loss == "gaussian"
        self.multi_step = config.mlp.multi_step

    def observe(
        self,
        tokens: Float[Tensor, "B T E"],
        prev_action: Shaped[Tensor, "B T A"],
        is_first: Bool[Tensor, "B T"],
        deter: Float[Tensor, "B D"],
        stoch: Int[Tensor, "B S"],
        generator: torch.Generator,
    ) -> Observed:
        """Return the states of a window, each made of its own row; see `dynamics.Dynamics.observe`."""
        rows = is_first.shape
        state = self.representation(tokens.flatten(0, 1)).unflatten(0, rows)
        nothing = torch.zeros((*rows, 0), dtype=torch.int64, device=state.device)
        return Observed(state, state.new_zeros(*rows, 0), nothing, state.new_zeros(*rows, 0, 0))

    def advance(
        self,
        tokens: Float[Tensor, "B E"],
        prev_action: Shaped[Tensor, "B A"],
        is_first: Bool[Tensor, " B"],
        deter: Float[Tensor, "B D"],
        stoch: Int[Tensor, "B S"],
        generator: torch.Generator,
    ) -> Advanced:
        """Return the states of one row each; see `dynamics.Dynamics.advance`."""
        return Advanced(self.representation(tokens), deter, stoch)

    def imagine(
        self, start: Float[Tensor, "N F"], policy: ImaginedPolicy, horizon: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "{horizon}+1 N F"], Shaped[Tensor, "{horizon} N A"]]:
        """Return states of the start and of `horizon` predictions, and the actions; see `dynamics.Dynamics.imagine`."""
        noise: list[Tensor | None] = [None] * horizon
        if self.draws:
            drawn = torch.randn((horizon, *start.shape), generator=generator, device=start.device, dtype=start.dtype)
            noise = list(drawn.unbind(0))
        states, actions = [start], []
        for t in range(horizon):
            action, encoded = policy(states[t], t)
            if encoded is None:
                encoded = self.codec.encode(action)
            states.append(self.transition(states[t], encoded).draw(noise[t]))
            actions.append(action)
        return torch.stack(states), torch.stack(actions)

    def imagine_apart(
        self, start: Float[Tensor, "N F"], policy: ApartPolicy, horizon: int, generator: torch.Generator
    ) -> None:
        """Return None: nothing in a state is a one-hot."""

    def losses(
        self, states: Float[Tensor, "B T D"], action: Shaped[Tensor, "B T A"], is_first: Bool[Tensor, "B T"]
    ) -> Losses:
        """Return `dynamics` and, if asked for, `multi_step`, each (B, T): the error of predicting the state of a row.

        What cannot be foreseen, the first row of a window and of an episode, costs nothing; the others are weighted so
        that the mean over all rows is the mean over those that count.
        """
        encoded = self.codec.encode(action[:, :-1])
        targets, known = states[:, 1:].detach(), ~is_first[:, 1:]
        before = states[:, :-1].flatten(0, 1)
        predicted = self.transition(before, encoded.flatten(0, 1))
        cost = self._cost(predicted, targets.flatten(0, 1)).view(known.shape)
        terms = {"dynamics": rows_that_count(cost, known)}
        with torch.no_grad():
            error = squared_error(predicted.mean, targets.flatten(0, 1)).mean(-1).view(known.shape)
            metrics = {"wm/dynamics_mse": rows_that_count(error, known).mean()}
            if predicted.std is not None:
                metrics["wm/dynamics_nll_nats"] = terms["dynamics"].mean() + least_nll(self.min_std)
                metrics["wm/dynamics_std"] = predicted.std.mean()
        if self.multi_step:
            terms["multi_step"], metrics["wm/multi_step_mse"] = self._from_predictions(states, encoded, targets, known)
        return Losses(terms, metrics)

    def _from_predictions(
        self, states: Tensor, encoded: Tensor, targets: Tensor, known: Tensor
    ) -> tuple[Float[Tensor, "B T"], Float[Tensor, ""]]:
        """Roll on from own predictions, back to the truth every `multi_step` rows and where an episode begins."""
        state, costs, errors = states[:, 0], [], []
        for t in range(known.shape[1]):
            predicted = self.transition(state, encoded[:, t])
            costs.append(self._cost(predicted, targets[:, t]))
            errors.append(squared_error(predicted.mean.detach(), targets[:, t]).mean(-1))
            truth = states[:, t + 1]
            goes_on = known[:, t].unsqueeze(-1)
            state = truth if (t + 1) % self.multi_step == 0 else torch.where(goes_on, predicted.mean, truth)
        return rows_that_count(torch.stack(costs, 1), known), rows_that_count(torch.stack(errors, 1), known).mean()

    def _cost(self, predicted: Normal, target: Tensor) -> Float[Tensor, " N"]:
        """Return the squared error, or how much less likely the target is than it could be; a mean over numbers."""
        if predicted.std is None:
            return squared_error(predicted.mean, target).mean(-1)
        return gaussian_nll(predicted, target).mean(-1) - least_nll(self.min_std)


def rows_that_count(cost: Float[Tensor, "B K"], known: Bool[Tensor, "B K"]) -> Float[Tensor, "B T"]:
    """Return costs of the last K rows of windows as costs of all T = K + 1 rows, 0 where not `known`.

    Their mean over all rows is the mean of those known.
    """
    counts = known.to(cost.dtype)
    rows = cost.shape[0] * (cost.shape[1] + 1)
    weighted = cost * counts * (rows / counts.sum().clamp(min=1.0))
    return torch.cat([weighted.new_zeros(len(cost), 1), weighted], 1)
