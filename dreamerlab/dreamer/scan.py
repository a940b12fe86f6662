"""The recurrent loop over a window with its gradient written out, for the core as the reference sizes it.

autograd would multiply out the gradient of every weight at every step, as thin products of B rows. Here the way back
through time carries the gradient of the state only, and notes what went into each weight and what came back from it;
after the loop every weight has its gradient from all T * B rows in one product.

Same formulas as `rssm.RSSM._step` and `observe`, which remain the plain path: the test of this module holds one against
the other. The letters: h deterministic state, z latents, x the core's hidden layer, r, c and u reset gate, candidate
and update gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dreamerlab.dreamer.distributions import sample_with_probs, softmax_gradient
from dreamerlab.dreamer.maths import tanh
from dreamerlab.dreamer.networks import add_blocks
from dreamerlab.dreamer.norms import Normed, norm_silu, norm_silu_gradient
from dreamerlab.dreamer.products import weight_gradient

SMALL = 1_000_000
"""Multiplications up to which a product costs hardly more than its call."""


class Weights(NamedTuple):
    """What the loop multiplies with; see `rssm.Hoisted` for the rearranged ones."""

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


class _Step(NamedTuple):
    """What one step leaves behind for its gradient."""

    h: Tensor
    """State before the step, zeroed where an episode starts; z likewise."""
    z: Tensor
    branches: Tensor
    branches_normed: Normed
    x: Tensor
    x_normed: Normed
    r: Tensor
    candidate: Tensor
    c: Tensor
    u: Tensor
    hidden: Tensor
    hidden_normed: Normed
    probs: Tensor


class _StepGradient(NamedTuple):
    """What comes back to each product and each norm of one step."""

    branches: Tensor
    branches_scale: Tensor
    x: Tensor
    x_scale: Tensor
    gates: Tensor
    hidden: Tensor
    hidden_scale: Tensor
    logits: Tensor


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
        length, batch, latents, classes = threshold.shape
        deter = w.deter.shape[0]
        whole = _whole(w, batch)
        if whole is not None:
            biases = torch.cat([w.deter_bias, w.stoch_bias]).expand(length, batch, -1)
            action_term = torch.cat([biases, action_term], -1)
        features = start.new_zeros(length, batch, start.shape[1])
        logits = start.new_empty(length, batch, latents * classes)
        drawn = torch.empty((length, batch, latents), dtype=torch.int64, device=start.device)
        steps: list[_Step] = []
        state = start
        inputs = zip(*(each.unbind(0) for each in (keep, token_term, action_term, threshold)), strict=True)
        results = (features[..., :deter], features[..., deter:], logits, drawn)
        outputs = zip(*(each.unbind(0) for each in results), strict=True)
        rows = zip(inputs, outputs, features.unbind(0), strict=True)
        for (keep_t, token_t, action_t, threshold_t), out, features_t in rows:
            steps.append(_forward(w, whole, state * keep_t, token_t, action_t, threshold_t, *out))
            state = features_t
        ctx.steps, ctx.unimix, ctx.whole = steps, unimix, whole
        ctx.save_for_backward(keep, features, *tensors)
        ctx.mark_non_differentiable(drawn)
        return features, drawn, logits

    @staticmethod
    def backward(ctx: Any, grad_features: Tensor, _: Tensor | None, grad_logits: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        keep, features, *tensors = ctx.saved_tensors
        w = Weights(*tensors)
        # Looked up once: at small sizes the loop is bound by the number of calls.
        transposed = Weights(*(weight.mT if weight.ndim > 1 else weight for weight in w))
        whole = None if ctx.whole is None else ctx.whole.t()
        pairs = list(zip(*(each.unbind(0) for each in (grad_features, grad_logits, keep)), ctx.steps, strict=True))
        backs: list[_StepGradient] = []
        carry = torch.zeros_like(grad_features[0])
        for grad_state, grad_logits_t, keep_t, step in reversed(pairs):
            back, carry = _backward(w, transposed, whole, step, grad_state + carry, grad_logits_t, ctx.unimix)
            carry = carry.mul_(keep_t)
            backs.append(back)
        backs.reverse()
        grads = _StepGradient(*(torch.cat(parts) for parts in zip(*backs, strict=True)))
        to_token, to_action = (part.unflatten(0, keep.shape[:2]) for part in (grads.hidden, grads.x))
        return (carry, None, to_token, to_action, None, None, *_weight_gradients(w, ctx.steps, features, grads))


def _whole(w: Weights, rows: int) -> Tensor | None:
    """Return what the whole state (h, z) is multiplied with, (D + S*K, 2 * hidden + D): both branches, then x.

    A third of it or more is zeros, but one product instead of three is faster as long as it is `SMALL`; otherwise None.
    """
    deter, stoch = w.deter.shape[0], w.stoch.shape[0]
    branches = torch.block_diag(w.deter, w.stoch)
    if rows * (deter + stoch) * (branches.shape[1] + deter) > SMALL:
        return None
    own = torch.block_diag(*w.from_deter)
    return torch.cat([branches, torch.cat([own, own.new_zeros(stoch, deter)])], 1)


def _forward(
    w: Weights,
    whole: Tensor | None,
    state: Tensor,
    token: Tensor,
    action: Tensor,
    threshold: Tensor,
    h_after: Tensor,
    z_after: Tensor,
    logits: Tensor,
    drawn: Tensor,
) -> _Step:
    """Make one step from `state` (B, F), write its results into the last four, `z_after` zero before.

    With the product of the whole state, `action` starts with the biases of the branches.
    """
    deter, hidden = w.deter.shape
    rows, groups = state.shape[0], w.gates.shape[0]
    h, z = state[:, :deter], state[:, deter:]
    if whole is None:
        inputs, own = state.new_empty(rows, 2 * hidden), add_blocks(action, h, w.from_deter)
        torch.addmm(w.deter_bias, h, w.deter, out=inputs[:, :hidden])
        torch.addmm(w.stoch_bias, z, w.stoch, out=inputs[:, hidden:])
    else:
        product = torch.addmm(action, state, whole)
        inputs, own = product[:, : 2 * hidden], product[:, 2 * hidden :]
    branches, branches_normed = norm_silu(inputs.view(rows, 2, hidden), w.inputs_scale)
    x, x_normed = norm_silu(torch.addmm(own, branches.view(rows, 2 * hidden), w.from_inputs), w.core_scale)
    reset, candidate, update = add_blocks(w.gates_bias, x, w.gates).view(rows, groups, 3, -1).unbind(2)
    r, u = torch.sigmoid(reset), torch.sigmoid(update)
    c = tanh(r * candidate)
    grouped_h = h.view(rows, groups, -1)
    torch.lerp(grouped_h, c, u, out=h_after.view(rows, groups, -1))
    hidden_after, hidden_normed = norm_silu(torch.addmm(token, h_after, w.posterior), w.posterior_scale)
    torch.addmm(w.logits_bias, hidden_after, w.logits, out=logits)
    grouped = logits.view(rows, threshold.shape[1], -1)
    _, probs = sample_with_probs(grouped, threshold, out=drawn)
    z_after.view_as(grouped).scatter_(-1, drawn.unsqueeze(-1), 1.0)
    return _Step(
        *(h, z, branches, branches_normed, x, x_normed, r, candidate, c, u),
        *(hidden_after, hidden_normed, probs),
    )


def _backward(
    w: Weights,
    transposed: Weights,
    whole: Tensor | None,
    step: _Step,
    grad_state: Tensor,
    grad_logits: Tensor,
    unimix: float,
) -> tuple[_StepGradient, Tensor]:
    """Return what comes back to the step's products, and to the state before it, given that of its results."""
    deter, hidden = w.deter.shape
    rows, groups = grad_state.shape[0], w.gates.shape[0]
    grad_h, grad_z = grad_state[:, :deter], grad_state[:, deter:]
    # Straight-through: the sample has the gradient of the mixed probabilities.
    straight = softmax_gradient(grad_z.view_as(step.probs), step.probs)
    to_logits = torch.add(grad_logits, straight.view_as(grad_logits), alpha=1.0 - unimix)
    to_hidden, hidden_scale = _norm_gradient(to_logits @ transposed.logits, step.hidden_normed, w.posterior_scale)
    to_h = torch.addmm(grad_h, to_hidden, transposed.posterior).view(rows, groups, -1)

    h = step.h.view(rows, groups, -1)
    to_product = torch.ops.aten.tanh_backward(to_h * step.u, step.c)
    to_gates = h.new_empty(rows, groups, 3, deter // groups)
    to_reset, to_candidate, to_update = to_gates.unbind(2)
    torch.ops.aten.sigmoid_backward.grad_input(to_product * step.candidate, step.r, grad_input=to_reset)
    torch.mul(to_product, step.r, out=to_candidate)
    torch.ops.aten.sigmoid_backward.grad_input(to_h * (step.c - h), step.u, grad_input=to_update)
    to_gates = to_gates.view(rows, 3 * deter)
    to_x, x_scale = _norm_gradient(add_blocks(None, to_gates, transposed.gates), step.x_normed, w.core_scale)

    to_branches = (to_x @ transposed.from_inputs).view(rows, 2, hidden)
    to_branches, branches_scale = _norm_gradient(to_branches, step.branches_normed, w.inputs_scale)
    back = _StepGradient(to_branches, branches_scale, to_x, x_scale, to_gates, to_hidden, hidden_scale, to_logits)
    kept = torch.addcmul(to_h, to_h, step.u, value=-1.0).view(rows, deter)
    if whole is None:
        to_deter, to_stoch = to_branches.unbind(1)
        before_h = torch.addmm(add_blocks(kept, to_x, transposed.from_deter), to_deter, transposed.deter)
        return back, torch.cat([before_h, to_stoch @ transposed.stoch], -1)
    before = torch.cat([to_branches.view(rows, 2 * hidden), to_x], -1) @ whole
    before[:, :deter] += kept
    return back, before


def _norm_gradient(grad: Tensor, saved: Normed, scale: Tensor) -> tuple[Tensor, Tensor]:
    return norm_silu_gradient(grad, saved, scale, spare=grad)


def _weight_gradients(w: Weights, steps: Sequence[_Step], after: Tensor, grads: _StepGradient) -> Weights:
    """Return the gradient of every weight from all T * B rows; `after` (T, B, F) are the states after each step."""
    deter = w.deter.shape[0]
    h, z = torch.cat([step.h for step in steps]), torch.cat([step.z for step in steps])
    h_after = after.flatten(0, 1)[:, :deter].contiguous()
    branches = torch.cat([step.branches for step in steps]).flatten(1)
    x = torch.cat([step.x for step in steps])
    hidden = torch.cat([step.hidden for step in steps])
    to_deter, to_stoch = (part.contiguous() for part in grads.branches.unbind(1))
    return Weights(
        deter=weight_gradient(h, to_deter),
        deter_bias=to_deter.sum(0),
        stoch=weight_gradient(z, to_stoch),
        stoch_bias=to_stoch.sum(0),
        inputs_scale=grads.branches_scale.sum(0),
        from_inputs=weight_gradient(branches, grads.x),
        from_deter=_blocks_gradient(h, grads.x, w.from_deter),
        core_scale=grads.x_scale.sum(0),
        gates=_blocks_gradient(x, grads.gates, w.gates),
        gates_bias=grads.gates.sum(0),
        posterior=weight_gradient(h_after, grads.hidden),
        posterior_scale=grads.hidden_scale.sum(0),
        logits=weight_gradient(hidden, grads.logits),
        logits_bias=grads.logits.sum(0),
    )


def _blocks_gradient(x: Tensor, grad: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of `weight` in `add_blocks`."""
    groups, inputs, outputs = weight.shape
    return torch.bmm(x.view(-1, groups, inputs).permute(1, 2, 0), grad.view(-1, groups, outputs).transpose(0, 1))
