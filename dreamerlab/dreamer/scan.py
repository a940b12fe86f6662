"""The recurrent loop over a window with its gradient written out, for the core as the reference sizes it.

autograd would multiply out the gradient of every weight at every step, as thin products of B rows. Here the way back
through time carries the gradient of the state only, and notes what went into each weight and what came back from it;
after the loop every weight has its gradient from all T * B rows in one product. At the usual sizes what counts is the
number of calls, views included: whatever does not wait for another step is computed for all steps at once, before or
after the loop, and memory is laid out and divided before it.

Same formulas as `rssm.RSSM._step` and `observe`, which remain the plain path: the test of this module holds one against
the other. The letters: h deterministic state, z latents, x the core's hidden layer, r, c and u reset gate, candidate
and update gate. What is grouped is (.., G, B, w) instead of (.., B, D).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dreamerlab.dreamer.distributions import draw_with_probs
from dreamerlab.dreamer.maths import tanh
from dreamerlab.dreamer.norms import Normed, norm_gradient, norm_silu, slopes
from dreamerlab.dreamer.products import weight_gradient

SMALL = 1_000_000
"""Multiplications up to which a product costs hardly more than its call."""


class Weights(NamedTuple):
    """What the loop multiplies with; see `core.Hoisted` for the rearranged ones."""

    deter: Float[Tensor, "D hidden"]
    deter_bias: Float[Tensor, " hidden"]
    stoch: Float[Tensor, "S*K hidden"]
    stoch_bias: Float[Tensor, " hidden"]
    inputs_scale: Float[Tensor, "2 hidden"]
    from_inputs: Float[Tensor, "2*hidden D"]
    from_deter: Float[Tensor, "G w w"]
    core_scale: Float[Tensor, " D"]
    gates: Float[Tensor, "G w 3*w"]
    gates_bias: Float[Tensor, " 3*D"]
    posterior: Float[Tensor, "D hidden"]
    posterior_scale: Float[Tensor, " hidden"]
    logits: Float[Tensor, "hidden S*K"]
    logits_bias: Float[Tensor, " S*K"]


class Scanned(NamedTuple):
    """States of a window, time first."""

    features: Float[Tensor, "T B F"]
    classes: Int[Tensor, "T B S"]
    logits: Float[Tensor, "T B S*K"]


def scan(
    start: Float[Tensor, "B F"],
    is_first: Bool[Tensor, "T B"],
    token_term: Float[Tensor, "T B hidden"],
    action_term: Float[Tensor, "T B D"],
    threshold: Float[Tensor, "T B S K"],
    weights: Weights,
    unimix: float,
) -> Scanned:
    """Return the posterior states of a window that continues from `start`, differentiable.

    `token_term` and `action_term` are what token and action add to the first layers of posterior and core, biases
    included; `threshold` is what samples are drawn with (`distributions.thresholds`).
    """
    keep = (~is_first).to(start.dtype).unsqueeze(-1)
    features, classes, logits = _Scan.apply(start, keep, token_term, action_term, threshold, unimix, *weights)
    return Scanned(features, classes, logits)


class _Kept(NamedTuple):
    """What the way back needs beside the states."""

    branches: Normed
    x: Normed
    hidden: Normed
    gates: Float[Tensor, "T G B 3 w"]
    """u, r, the candidate before its reset."""
    c: Float[Tensor, "T G B w"]
    probs: Float[Tensor, "T B S K"]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        start: Tensor,
        keep: Tensor,
        token_term: Tensor,
        action_term: Tensor,
        threshold: Tensor,
        unimix: float,
        *tensors: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        w = Weights(*tensors)
        whole = _whole(w, len(start))
        length, batch, latents, classes = threshold.shape
        (deter, hidden), (groups, width, _) = w.deter.shape, w.gates.shape
        new = start.new_empty
        features, gates = new(length, *start.shape), new(length, groups, batch, 3, width)
        logits = new(length, batch, latents * classes)
        layers = ((batch, 2, hidden), (batch, deter), (batch, hidden))
        normed = [Normed(new(length, *shape[:-1], 1), new(length, *shape)) for shape in layers]
        if whole is None:
            action_term = _grouped(action_term, groups)
        else:
            biases = torch.cat([w.deter_bias, w.stoch_bias]).expand(length, batch, -1)
            action_term = torch.cat([biases, action_term], -1)
        h_after, z_after = features.split([deter, latents * classes], -1)
        steps = _each_step(
            keep=keep,
            token=token_term,
            action=action_term,
            threshold=threshold.flatten(1, 2),
            branches=normed[0],
            x=normed[1],
            hidden=normed[2],
            gates=gates.flatten(3),
            u_and_r=gates[..., :2, :],
            u=gates[..., 0, :],
            r=gates[..., 1, :],
            candidate=gates[..., 2, :],
            state=features,
            h=h_after,
            grouped_h=_grouped(h_after, groups),
            z=z_after.unflatten(-1, (latents, classes)),
            logits=logits,
            latents=logits.view(length, -1, classes),
        )
        # Written over by every step: the state it sees, its first products, x and hidden layer, each normed in place.
        state, first = new(start.shape), new(batch, 2 * hidden + deter)
        x, hidden_layer = new(batch, deter), new(batch, hidden)
        h, z = state.split([deter, latents * classes], 1)
        from_h, from_z, own = first.split([hidden, hidden, deter], 1)
        branches = first[:, : 2 * hidden]
        each_branch = branches.unflatten(1, (2, hidden))
        grouped_h, grouped_own, grouped_x = (_grouped(each, groups) for each in (h, own, x))
        # u first: one sigmoid for two gates.
        gates_weight, gates_bias = w.gates.roll(width, 2), w.gates_bias.view(groups, 1, -1).roll(width, 2)
        numbers = torch.arange(classes, dtype=start.dtype, device=start.device)
        last, c, draws = start, [], []
        for step in steps:
            torch.mul(last, step.keep, out=state)
            if whole is None:
                torch.addmm(w.deter_bias, h, w.deter, out=from_h)
                torch.addmm(w.stoch_bias, z, w.stoch, out=from_z)
                torch.add(step.action, torch.bmm(grouped_h, w.from_deter), out=grouped_own)
            else:
                torch.addmm(step.action, state, whole, out=first)
            norm_silu(each_branch, w.inputs_scale, (each_branch, step.branches))
            torch.addmm(own, branches, w.from_inputs, out=x)
            norm_silu(x, w.core_scale, (x, step.x))
            torch.baddbmm(gates_bias, grouped_x, gates_weight, out=step.gates)
            step.u_and_r.sigmoid_()
            c.append(tanh(step.r * step.candidate))
            torch.lerp(grouped_h, c[-1], step.u, out=step.grouped_h)
            torch.addmm(step.token, step.h, w.posterior, out=hidden_layer)
            norm_silu(hidden_layer, w.posterior_scale, (hidden_layer, step.hidden))
            torch.addmm(w.logits_bias, hidden_layer, w.logits, out=step.logits)
            draws.append(draw_with_probs(step.latents, step.threshold))
            torch.eq(draws[-1][0].view(batch, latents, 1), numbers, out=step.z)
            last = step.state
        drawn, probs = map(torch.stack, zip(*draws, strict=True))
        drawn = drawn.long().view(length, batch, latents)
        ctx.kept = _Kept(normed[0], normed[1], normed[2], gates, torch.stack(c), probs.view_as(threshold))
        ctx.whole, ctx.unimix = whole, unimix
        ctx.save_for_backward(start, keep, features, *tensors)
        ctx.mark_non_differentiable(drawn)
        return features, drawn, logits

    @staticmethod
    def backward(ctx: Any, grad_features: Tensor, _: Tensor | None, grad_logits: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        start, keep, after, *tensors = ctx.saved_tensors
        w, kept = Weights(*tensors), ctx.kept
        before = torch.cat([start.unsqueeze(0), after[:-1]]).mul_(keep)
        length, groups, batch, _, width = kept.gates.shape
        (deter, hidden), latents = w.deter.shape, kept.probs.shape[2:]
        new = start.new_empty
        branches, x, hidden_layer = map(slopes, kept[:3], (w.inputs_scale, w.core_scale, w.posterior_scale))
        # `at` a layer is the gradient of what it returns, `to` it that of its product.
        to_logits, at_hidden, to_hidden = new(grad_logits.shape), new(length, batch, hidden), new(length, batch, hidden)
        at_branches, to_first = new(length, batch, 2, hidden), new(length, batch, 2 * hidden + deter)
        to_branches, to_x = to_first[..., : 2 * hidden].unflatten(-1, (2, hidden)), to_first[..., 2 * hidden :]
        at_x, to_gates = new(length, groups, batch, width), new(groups, length, batch, 3, width)
        steps = _each_step(
            keep=keep,
            at_state=grad_features,
            at_latents=grad_logits.unflatten(-1, latents),
            probs=kept.probs,
            to_latents=to_logits.unflatten(-1, latents),
            to_logits=to_logits,
            at_hidden=at_hidden,
            hidden_slope=hidden_layer.to_x,
            hidden=kept.hidden.normed,
            to_hidden=to_hidden,
            gates_slope=_gates_slope(kept, _grouped(before[..., :deter], groups)),
            u=kept.gates[..., 0, :],
            to_each_gate=to_gates.transpose(0, 1),
            to_gates=to_gates.flatten(3).transpose(0, 1),
            at_x=at_x,
            x_slope=_grouped(x.to_x, groups),
            x=kept.x.normed,
            to_x=to_x,
            at_branches=at_branches.flatten(2),
            at_each_branch=at_branches,
            branches_slope=branches.to_x,
            branches=kept.branches.normed,
            to_branches=to_branches,
            to_first=to_first,
        )
        # Written over by every step: the gradients of the state after it and of the state before it, of the latter past
        # the gates alone (z has none), of h after it with the posterior's share, and of x on its way through the norm.
        state, through, past_gates = new(start.shape), torch.zeros_like(start), torch.zeros_like(start)
        to_h, pulled, keep_after = new(batch, deter), new(batch, deter), keep[0]
        at_h, at_z = state[:, :deter], state[:, deter:].unflatten(1, latents)
        past_h, through_h, through_z = past_gates[:, :deter], through[:, :deter], through[:, deter:]
        grouped_h, grouped_past, grouped_pulled = (_grouped(each, groups) for each in (to_h, past_h, pulled))
        each_h = grouped_h.unsqueeze(2)
        # Transposed in memory as well: products of few rows are up to 1.7 times as fast.
        logits_weight, posterior, gates_weight, from_inputs = (
            each.mT.contiguous() for each in (w.logits, w.posterior, w.gates.roll(width, 2), w.from_inputs)
        )
        first = (w.deter, w.stoch, w.from_deter) if ctx.whole is None else (ctx.whole,)
        first_weights = [each.mT.contiguous() for each in first]
        for step in reversed(steps):
            torch.addcmul(step.at_state, through, keep_after, out=state)
            # Straight-through: the sample has the gradient of the mixed probabilities.
            centred = at_z - (at_z * step.probs).sum(-1, keepdim=True)
            torch.addcmul(step.at_latents, step.probs, centred, value=1.0 - ctx.unimix, out=step.to_latents)
            torch.mm(step.to_logits, logits_weight, out=step.at_hidden)
            norm_gradient(step.at_hidden * step.hidden_slope, step.hidden, out=step.to_hidden)
            torch.addmm(at_h, step.to_hidden, posterior, out=to_h)
            torch.mul(each_h, step.gates_slope, out=step.to_each_gate)
            torch.bmm(step.to_gates, gates_weight, out=step.at_x)
            torch.mul(step.at_x, step.x_slope, out=grouped_pulled)
            norm_gradient(pulled, step.x, out=step.to_x)
            torch.mm(step.to_x, from_inputs, out=step.at_branches)
            norm_gradient(step.at_each_branch * step.branches_slope, step.branches, out=step.to_branches)
            torch.addcmul(grouped_h, grouped_h, step.u, value=-1.0, out=grouped_past)
            if ctx.whole is None:
                from_h, from_z, own = first_weights
                grouped_past.add_(torch.bmm(_grouped(step.to_x, groups), own))
                torch.addmm(past_h, step.to_branches[:, 0], from_h, out=through_h)
                torch.mm(step.to_branches[:, 1], from_z, out=through_z)
            else:
                torch.addmm(past_gates, step.to_first, *first_weights, out=through)
            keep_after = step.keep
        states = (*before.split([deter, len(w.stoch)], -1), after[..., :deter])
        h, z, h_after = (each.flatten(0, 1).contiguous() for each in states)
        products = (*to_branches.unbind(2), to_x, to_hidden, to_logits)
        flat_deter, flat_stoch, flat_x, flat_hidden, flat_logits = (
            each.flatten(0, 1).contiguous() for each in products
        )
        flat_gates = to_gates.flatten(3).flatten(1, 2)
        to_weights = Weights(
            deter=weight_gradient(h, flat_deter),
            deter_bias=flat_deter.sum(0),
            stoch=weight_gradient(z, flat_stoch),
            stoch_bias=flat_stoch.sum(0),
            inputs_scale=(at_branches * branches.to_scale).sum((0, 1)),
            from_inputs=weight_gradient(branches.output.view(-1, 2 * hidden), flat_x),
            from_deter=_blocks_gradient(h, _grouped(flat_x, groups)),
            core_scale=(at_x * _grouped(x.to_scale, groups)).sum((0, 2)).flatten(),
            gates=_blocks_gradient(x.output.flatten(0, 1), flat_gates).roll(-width, 2),
            gates_bias=flat_gates.sum(1).roll(-width, 1).flatten(),
            posterior=weight_gradient(h_after, flat_hidden),
            posterior_scale=(at_hidden * hidden_layer.to_scale).sum((0, 1)),
            logits=weight_gradient(hidden_layer.output.flatten(0, 1), flat_logits),
            logits_bias=flat_logits.sum(0),
        )
        return (through * keep_after, None, to_hidden, flat_x.view_as(to_x), None, None, *to_weights)


def _whole(w: Weights, rows: int) -> Tensor | None:
    """Return what the whole state (h, z) is multiplied with, (D + S*K, 2 * hidden + D): both branches, then x.

    A third of it or more is zeros, but one product instead of three is faster as long as it is `SMALL`; otherwise None.
    """
    (deter, hidden), stoch, groups = w.deter.shape, w.stoch.shape[0], len(w.from_deter)
    if rows * (deter + stoch) * (2 * hidden + deter) > SMALL:
        return None
    whole = w.deter.new_zeros(deter + stoch, 2 * hidden + deter)
    whole[:deter, :hidden], whole[deter:, hidden : 2 * hidden] = w.deter, w.stoch
    blocks = whole[:deter, 2 * hidden :].unflatten(1, (groups, -1)).unflatten(0, (groups, -1))
    blocks.diagonal(dim1=0, dim2=2).copy_(w.from_deter.permute(1, 2, 0))
    return whole


def _gates_slope(kept: _Kept, h: Float[Tensor, "T G B w"]) -> Float[Tensor, "T G B 3 w"]:
    """Return what the gradient of the state after a step is multiplied with on its way to the gates' products."""
    u, r, candidate = kept.gates.unbind(3)
    slope = torch.empty_like(kept.gates)
    to_update, to_reset, to_candidate = slope.unbind(3)
    to_product = torch.ops.aten.tanh_backward(u, kept.c)
    torch.ops.aten.sigmoid_backward.grad_input(kept.c - h, u, grad_input=to_update)
    torch.ops.aten.sigmoid_backward.grad_input(to_product * candidate, r, grad_input=to_reset)
    torch.mul(to_product, r, out=to_candidate)
    return slope


def _blocks_gradient(x: Float[Tensor, "N GI"], grad: Float[Tensor, "G N O"]) -> Float[Tensor, "G I O"]:
    """Return the gradient of a weight of groups, given that of its product group by group."""
    return torch.bmm(_grouped(x, len(grad)).mT, grad)


def _grouped(x: Float[Tensor, "*T N D"], groups: int) -> Float[Tensor, "*T G N w"]:
    return x.unflatten(-1, (groups, -1)).transpose(-3, -2)


def _each_step(**tensors: Tensor | Normed) -> list[SimpleNamespace]:
    """Return what every step sees of tensors that have time first, under the same names."""
    views = (x.unbind(0) if isinstance(x, Tensor) else map(Normed, *map(torch.unbind, x)) for x in tensors.values())
    return [SimpleNamespace(**dict(zip(tensors, step, strict=True))) for step in zip(*views, strict=True)]
