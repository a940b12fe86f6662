"""The recurrent state-space model: a block-diagonal GRU with categorical latents (FACTS A3).

The time loops hold only what is recurrent. Everything else is hoisted: action branch and token projection before
the loop, prior logits after it, random numbers in one draw. `_hoist` rearranges the weights of the first core layer
accordingly; the parameters themselves stay as the reference has them, so clipping and initialisation agree.
Losses of heads live in `world_model`, the use of imagined states in `behavior`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional

from dreamerlab.config.schema_learning import FreeBits
from dreamerlab.config.schema_model import Model
from dreamerlab.dreamer.actions import ActionCodec, one_hot_rows
from dreamerlab.dreamer.core import Hoisted, gates
from dreamerlab.dreamer.distributions import (
    categorical,
    kl_both_ways,
    kl_divergence,
    leave_free,
    mean_entropy,
    same_class,
    sample,
    sample_straight_through,
)
from dreamerlab.dreamer.distributions import thresholds as sampling_thresholds
from dreamerlab.dreamer.dynamics import Advanced, Apart, ApartPolicy, ImaginedPolicy, Losses, Observed
from dreamerlab.dreamer.maths import tanh, tanh_
from dreamerlab.dreamer.networks import MLP, BlockLinear, Linear, NormSiLU, add_blocks, add_blocks_
from dreamerlab.dreamer.norms import rms_silu, rms_silu_
from dreamerlab.dreamer.one_hots import OneHots, bias_inside, one_hot_product
from dreamerlab.dreamer.products import add_product, affine
from dreamerlab.dreamer.scan import Scanned, Weights, scan
from dreamerlab.dreamer.stack import written_out
from dreamerlab.spaces import ActionSpec


class RSSM(nn.Module):
    """Deterministic state (N, D) and S categorical latents of K classes; see `dynamics.Dynamics`."""

    one_hot: Tensor
    first_column: Tensor
    column_numbers: Tensor
    update_shift: Tensor

    def __init__(self, token_size: int, action: ActionSpec, model: Model, free_bits: FreeBits) -> None:
        super().__init__()
        self.deter, self.stoch, self.classes = model.deter, model.stoch, model.classes
        self.hidden, self.groups, self.unimix = model.hidden, model.blocks, model.unimix
        self.free_bits = free_bits
        # How much of the deterministic state the posterior reads: none of it when it is absolute (FACTS A3).
        self.posterior_sees = 0 if model.absolute_posterior else model.deter
        self.feature_size = self.deter + self.stoch * self.classes
        width = self.deter // self.groups
        # -- core
        self.deter_input = Linear(self.deter, self.hidden)
        self.deter_norm = NormSiLU(self.hidden)
        self.stoch_input = Linear(self.stoch * self.classes, self.hidden)
        self.stoch_norm = NormSiLU(self.hidden)
        self.codec = ActionCodec(action)
        self.action_input = Linear(self.codec.size, self.hidden)
        self.action_norm = NormSiLU(self.hidden)
        self.core = BlockLinear(self.groups, width + 3 * self.hidden, width)
        self.core_norm = NormSiLU(self.deter)
        rest = (
            nn.Sequential(BlockLinear(self.groups, width, width), NormSiLU(self.deter))
            for _ in range(model.dyn_layers - 1)
        )
        self.core_rest = nn.Sequential(*rest)
        self.gates = BlockLinear(self.groups, width, 3 * width)
        # -- posterior p(z | h, token) and prior p(z | h)
        logits = self.stoch * self.classes
        self.posterior = MLP(self.posterior_sees + token_size, self.hidden, model.posterior_layers, logits)
        self.prior = MLP(self.deter, self.hidden, model.prior_layers, logits)
        # -- constants; index -1 picks the last row, which is zero
        self.register_buffer("one_hot", one_hot_rows(self.classes), persistent=False)
        first = torch.arange(self.stoch) * self.classes
        self.register_buffer("first_column", first, persistent=False)
        numbers = torch.arange(logits, dtype=torch.get_default_dtype()).view(self.stoch, self.classes) + self.deter
        self.register_buffer("column_numbers", torch.block_diag(*numbers.unsqueeze(-1)), persistent=False)
        shift = torch.tensor([0.0, 0.0, -1.0]).repeat(self.groups).repeat_interleave(width)
        self.register_buffer("update_shift", shift, persistent=False)
        self._read: tuple[Tensor, ...] | None = None
        self._kept: tuple[list[tuple[int, int]], Hoisted] | None = None

    def observe(
        self,
        tokens: Float[Tensor, "B T E"],
        prev_action: Shaped[Tensor, "B T A"],
        is_first: Bool[Tensor, "B T"],
        deter: Float[Tensor, "B D"],
        stoch: Int[Tensor, "B S"],
        generator: torch.Generator,
    ) -> Observed:
        """Return posterior states of a window; see `dynamics.Dynamics.observe`."""
        hoisted = self._hoist() if torch.is_grad_enabled() else self._kept_hoist()
        batch, length = is_first.shape
        # Time first: a window observed step by step, as in acting, draws the same numbers.
        uniform = torch.rand((length, batch, self.stoch), generator=generator, device=tokens.device)
        threshold = sampling_thresholds(uniform, self.classes, self.unimix)
        first_time = is_first.T
        actions = prev_action.transpose(0, 1).masked_fill(first_time.unsqueeze(-1), self.codec.spec.none)
        action_term = self._action_term(hoisted, actions)
        first = self.posterior.first.linear
        token_term = affine(tokens.transpose(0, 1).flatten(0, 1), first.weight[self.posterior_sees :], first.bias)
        token_term = token_term.unflatten(0, (length, batch))
        start = torch.cat([deter, functional.embedding(stoch % len(self.one_hot), self.one_hot).flatten(1)], -1)
        inputs = (start, first_time, token_term, action_term, threshold)
        fast = torch.is_grad_enabled() and written_out() and self.posterior_sees > 0
        if fast and not self.core_rest and len(self.posterior.rest) == 1:
            features, classes, logits = scan(*inputs, self._scan_weights(hoisted), self.unimix)
        else:
            features, classes, logits = self._scan_plainly(*inputs, hoisted)
        features = features.transpose(0, 1)
        logits = logits.transpose(0, 1).unflatten(-1, (self.stoch, self.classes))
        return Observed(features, features[..., : self.deter], classes.transpose(0, 1), logits)

    def advance(
        self,
        tokens: Float[Tensor, "B E"],
        prev_action: Shaped[Tensor, "B A"],
        is_first: Bool[Tensor, " B"],
        deter: Float[Tensor, "B D"],
        stoch: Int[Tensor, "B S"],
        generator: torch.Generator,
    ) -> Advanced:
        """Return the posterior state after one row, bit for bit that of `observe`; see `dynamics.Dynamics.advance`."""
        hoisted = self._kept_hoist()
        uniform = torch.rand((len(deter), self.stoch), generator=generator, device=deter.device)
        first = self.posterior.first.linear
        token_term = affine(tokens, first.weight[self.posterior_sees :], first.bias)
        latent = functional.embedding(stoch % len(self.one_hot), self.one_hot).flatten(1)
        # Most steps start no episode: nothing to forget.
        if is_first.any():
            prev_action = prev_action.masked_fill(is_first.unsqueeze(-1), self.codec.spec.none)
            keep = (~is_first).to(deter.dtype).unsqueeze(-1)
            deter, latent = deter * keep, latent * keep
        deter = self._step(hoisted, deter, latent, self._action_term(hoisted, prev_action))
        drawn = sample(self._posterior(deter, token_term), sampling_thresholds(uniform, self.classes, self.unimix))
        latent = functional.embedding(drawn, self.one_hot).flatten(1)
        return Advanced(torch.cat([deter, latent], -1), deter, drawn)

    def _posterior(self, deter: Float[Tensor, "B D"], token_term: Float[Tensor, "B hidden"]) -> Float[Tensor, "B S K"]:
        first = self.posterior.first
        weight = first.linear.weight[: self.posterior_sees]
        hidden = first.norm(torch.addmm(token_term, deter[:, : self.posterior_sees], weight))
        return self.posterior.rest(hidden).view(-1, self.stoch, self.classes)

    def _scan_plainly(
        self,
        start: Float[Tensor, "B F"],
        is_first: Bool[Tensor, "T B"],
        token_term: Float[Tensor, "T B hidden"],
        action_term: Float[Tensor, "T B D"],
        threshold: Float[Tensor, "T B S M"],
        hoisted: Hoisted,
    ) -> Scanned:
        """Return what `scan.scan` returns, step by step, with the gradient left to autograd; takes any layers."""
        keep = (~is_first).to(start.dtype).unsqueeze(-1)
        deter, latent = start.split([self.deter, self.feature_size - self.deter], -1)
        features, classes, logits = [], [], []
        for t in range(len(keep)):
            deter = self._step(hoisted, deter * keep[t], latent * keep[t], action_term[t])
            logit = self._posterior(deter, token_term[t])
            if torch.is_grad_enabled():
                latent, drawn = sample_straight_through(logit, threshold[t], self.one_hot, self.unimix)
            else:
                drawn = sample(logit, threshold[t])
                latent = functional.embedding(drawn, self.one_hot)
            latent = latent.flatten(1)
            features.append(torch.cat([deter, latent], -1))
            classes.append(drawn)
            logits.append(logit.flatten(1))
        return Scanned(torch.stack(features), torch.stack(classes), torch.stack(logits))

    def _scan_weights(self, hoisted: Hoisted) -> Weights:
        """Return what `scan.scan` multiplies with; one group gets its axis back."""
        width = self.deter // self.groups
        output = self.posterior.rest[0]
        assert isinstance(output, Linear), output
        return Weights(
            deter=self.deter_input.weight,
            deter_bias=self.deter_input.bias,
            stoch=self.stoch_input.weight,
            stoch_bias=self.stoch_input.bias,
            inputs_scale=hoisted.inputs_scale,
            from_inputs=hoisted.from_inputs,
            from_deter=hoisted.from_deter.view(self.groups, width, width),
            core_scale=self.core_norm.scale,
            gates=hoisted.gates.view(self.groups, width, 3 * width),
            gates_bias=hoisted.gates_bias,
            posterior=self.posterior.first.linear.weight[: self.deter],
            posterior_scale=self.posterior.first.norm.scale,
            logits=output.weight,
            logits_bias=output.bias,
        )

    def losses(self, observed: Observed) -> Losses:
        """Return `dyn` and `rep`: the same KL(posterior || prior), with the stop-gradient on either side (FACTS A4).

        Each is clipped at the free bits per element, after summing over latents: below, the gradient is 0 (see
        `distributions.leave_free` for other ways).
        """
        prior_logits = self.prior(observed.deter).unflatten(-1, (self.stoch, self.classes))
        posterior_logits = observed.posterior_logits
        fast = written_out()
        with torch.set_grad_enabled(torch.is_grad_enabled() and not fast):
            prior, posterior = categorical(prior_logits, self.unimix), categorical(posterior_logits, self.unimix)
        if fast:
            dyn, rep = kl_both_ways(posterior_logits, prior_logits, posterior, prior, self.unimix)
        else:
            dyn, rep = kl_divergence(posterior.detach(), prior), kl_divergence(posterior, prior.detach())
        raw = dyn.detach()
        nats, mode = self.free_bits.nats, self.free_bits.mode
        dyn, rep = leave_free(dyn, nats, mode), leave_free(rep, nats, mode)
        metrics = {
            "wm/kl_nats": raw,
            "wm/kl_dyn_nats": dyn.detach(),
            "wm/kl_rep_nats": rep.detach(),
            "wm/free_bits_frac": (raw < nats).to(raw.dtype),
            "wm/prior_entropy_nats": mean_entropy(prior, raw.numel()),
            "wm/posterior_entropy_nats": mean_entropy(posterior, raw.numel()),
            # Of every eighth window: the share is as good, and an eighth as dear.
            "wm/latent_agreement_frac": same_class(prior_logits[::8], posterior_logits[::8]),
        }
        return Losses({"dyn": dyn, "rep": rep}, metrics)

    def imagine(
        self, start: Float[Tensor, "N F"], policy: ImaginedPolicy, horizon: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "{horizon}+1 N F"], Shaped[Tensor, "{horizon} N A"]]:
        """Return features of the start and of `horizon` prior steps, and the actions; see `dynamics.Dynamics`."""
        uniform = self._imagined_draws(horizon, start, generator)
        if not torch.is_grad_enabled() and written_out():
            return self._imagine(start, lambda now, _, t: policy(now, t), uniform, None)[:2]
        rows, hoisted = len(start), self._hoist()
        deter, latent = start.split([self.deter, self.feature_size - self.deter], -1)
        states, actions = [start], []
        for t in range(horizon):
            action, encoded = policy(states[t], t)
            deter = self._step(hoisted, deter, latent, self._action_term(hoisted, action, encoded))
            logit = self.prior(deter).view(rows, self.stoch, self.classes)
            cuts = sampling_thresholds(uniform[t], self.classes, self.unimix)
            latent = sample_straight_through(logit, cuts, self.one_hot, self.unimix)[0].flatten(1)
            states.append(torch.cat([deter, latent], -1))
            actions.append(action)
        return torch.stack(states), torch.stack(actions)

    def imagine_apart(
        self, start: Float[Tensor, "N F"], policy: ApartPolicy, horizon: int, generator: torch.Generator
    ) -> Apart | None:
        """Return what `imagine` does with the latents' classes instead of their one-hots; see `dynamics.Dynamics`."""
        known = self.one_hots(start)
        if known is None:
            return None
        return self._imagine(start, policy, self._imagined_draws(horizon, start, generator), known)

    def _imagine(self, start: Tensor, policy: ApartPolicy, uniform: Sequence[Tensor], known: OneHots | None) -> Apart:
        """Return a rollout without gradient; its features end with the deterministic state if one-hots are known."""
        rows, hoisted = len(start), self._hoist()
        weight, bias = self.stoch_input.weight, self.stoch_input.bias
        if known is not None:
            weight, bias = bias_inside(weight, bias, OneHots(0, known.columns)), None
        deter, latent = start.split([self.deter, self.feature_size - self.deter], -1)
        first = start if known is None else deter
        features = start.new_empty(len(uniform) + 1, *first.shape)
        states = features.unbind(0)
        states[0].copy_(first)
        columns, actions = [] if known is None else [known.columns], []
        for t, drawn_with in enumerate(uniform):
            action, encoded = policy(states[t], known, t)
            core = None if known is None else OneHots(0, known.columns - self.deter)
            from_latent = one_hot_product(latent, weight, bias, core)
            term = self._action_term(hoisted, action, encoded)
            deter = self._step_in_place(hoisted, deter, from_latent, term, None if known is None else states[t + 1])
            # Step by step: of all steps they would not fit the cache.
            cuts = sampling_thresholds(drawn_with, self.classes, self.unimix)
            drawn = sample(self.prior(deter).view(rows, self.stoch, self.classes), cuts)
            if known is None:
                latent = functional.embedding(drawn, self.one_hot).flatten(1)
                torch.cat([deter, latent], -1, out=states[t + 1])
            else:
                known = OneHots(self.deter, drawn + (self.first_column + self.deter))
                columns.append(known.columns)
            actions.append(action)
        told = OneHots(self.deter, torch.cat(columns)) if columns else None
        return Apart(features, torch.stack(actions), told)

    def _imagined_draws(self, horizon: int, start: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        return torch.rand((horizon, len(start), self.stoch), generator=generator, device=start.device).unbind(0)

    def one_hots(self, features: Float[Tensor, "N F"]) -> OneHots | None:
        """Return which columns of posterior or imagined features are 1, if gathering pays; None if it does not."""
        # Summing a few rows of a weight beats the product on a CPU, if there are many others.
        wide = self.stoch * self.classes >= 128 and self.classes >= 8
        if not (wide and features.device.type == "cpu" and written_out()):
            return None
        return OneHots(self.deter, (features[:, self.deter :] @ self.column_numbers).long())

    def _action_term(self, hoisted: Hoisted, action: Tensor, encoded: Tensor | None = None) -> Tensor:
        """Return what actions (*, A) add to the first core layer, (*, D); `encoded` (*, E) stands for them if given."""
        if encoded is None and self.codec.is_single_choice:
            return functional.embedding(action.squeeze(-1) % len(hoisted.actions), hoisted.actions)
        branch = self.action_input(self.codec.encode(action) if encoded is None else encoded)
        branch = (rms_silu if torch.is_grad_enabled() else rms_silu_)(branch, self.action_norm.scale)
        weight = self._action_weight() if self.codec.is_single_choice else hoisted.actions
        return torch.matmul(branch, weight).add_(self.core.bias)

    def _action_weight(self) -> Tensor:
        """Return the first core layer as seen from the action branch, (hidden, D)."""
        return self.core.weight[:, -self.hidden :].transpose(0, 1).reshape(self.hidden, self.deter)

    def _step(self, hoisted: Hoisted, deter: Tensor, latent: Tensor, action_term: Tensor) -> Tensor:
        """Return the next deterministic state (N, D) from state, latents (N, S*K) and the hoisted action term."""
        rows = len(deter)
        inputs = torch.cat([self.deter_input(deter), self.stoch_input(latent)], -1).view(rows, 2, self.hidden)
        inputs = rms_silu(inputs, hoisted.inputs_scale).view(rows, 2 * self.hidden)
        shared = affine(inputs, hoisted.from_inputs, action_term)
        x = self.core_norm(add_blocks(shared, deter, hoisted.from_deter))
        reset, candidate, update = gates(hoisted, self.core_rest(x))
        candidate = tanh(torch.sigmoid(reset) * candidate)
        # h' = u * c + (1 - u) * h
        return torch.lerp(deter, candidate, torch.sigmoid(update))

    def _step_in_place(
        self, hoisted: Hoisted, deter: Tensor, from_latent: Tensor, action_term: Tensor, out: Tensor | None
    ) -> Tensor:
        """Return what `_step` does, without gradient, in `out` if given; the memory of both terms is used and lost.

        One product a branch: under bfloat16 each is rounded on its own.
        """
        shared = action_term
        weights = hoisted.from_inputs.split(self.hidden)
        for branch, scale, weight in zip(
            [self.deter_input(deter), from_latent], hoisted.inputs_scale, weights, strict=True
        ):
            shared = add_product(shared, rms_silu_(branch, scale), weight)
        x = rms_silu_(add_blocks_(shared, deter, hoisted.from_deter), self.core_norm.scale)
        reset, candidate, update = gates(hoisted, self.core_rest(x))
        candidate = tanh_(candidate.mul_(reset.sigmoid_()))
        return torch.lerp(deter, candidate, update.sigmoid_(), out=out)

    def _kept_hoist(self) -> Hoisted:
        """Return `_hoist()` without gradient, computed anew only when a weight has changed: acting asks each step."""
        # Every change in place counts a tensor's version up, an optimiser's as well as a loaded checkpoint's.
        # Looked up once, like `networks.MLP._layers`.
        if self._read is None or self._read[0] is not self.deter_norm.scale:
            self._read = self._hoisted_weights()
        weights = [(weight.data_ptr(), weight._version) for weight in self._read]
        if self._kept is None or self._kept[0] != weights:
            with torch.inference_mode(False), torch.no_grad():
                self._kept = (weights, self._hoist())
        return self._kept[1]

    def _hoisted_weights(self) -> tuple[Tensor, ...]:
        """Return the parameters that `_hoist` reads."""
        scales = self.deter_norm.scale, self.stoch_norm.scale, self.action_norm.scale
        branch = self.action_input.weight, self.action_input.bias
        return (*scales, *branch, self.core.weight, self.core.bias, self.gates.weight, self.gates.bias)

    def _hoist(self) -> Hoisted:
        """Return the core's weights rearranged for the loops; cheap, once per pass, differentiable."""
        width = self.deter // self.groups
        own, branches, _ = self.core.weight.split([width, 2 * self.hidden, self.hidden], 1)
        actions = self._action_weight()
        if self.codec.is_single_choice:
            action_branch = self.action_norm(self.action_input(self.codec.rows))
            actions = torch.addmm(self.core.bias, action_branch, actions)
        return Hoisted(
            actions=actions,
            inputs_scale=torch.stack([self.deter_norm.scale, self.stoch_norm.scale]),
            from_inputs=branches.transpose(0, 1).reshape(2 * self.hidden, self.deter),
            from_deter=own.squeeze(0),
            gates=self.gates.weight.squeeze(0),
            gates_bias=self.gates.bias + self.update_shift,
        )
