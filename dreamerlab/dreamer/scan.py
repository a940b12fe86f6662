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
from dreamerlab.dreamer.norms import Normed, norm_silu, norm_silu_gradient
from dreamerlab.dreamer.products import weight_gradient


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
    threshold: Float[Tensor, "T B S M"],
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
        length, batch, latents, classes = (*threshold.shape[:3], threshold.shape[3] + 1)
        deter = w.deter.shape[0]
        features = start.new_zeros(length, batch, start.shape[1])
        logits = start.new_empty(length, batch, latents * classes)
        drawn = torch.empty((length, batch, latents), dtype=torch.int64, device=start.device)
        steps: list[_Step] = []
        h, z = start[:, :deter], start[:, deter:]
        inputs = zip(*(each.unbind(0) for each in (keep, token_term, action_term, threshold)), strict=True)
        results = (features[..., :deter], features[..., deter:], logits, drawn)
        outputs = zip(*(each.unbind(0) for each in results), strict=True)
        for (keep_t, token_t, action_t, threshold_t), out in zip(inputs, outputs, strict=True):
            steps.append(_forward(w, h * keep_t, z * keep_t, token_t, action_t, threshold_t, *out))
            h, z = out[:2]
        ctx.steps, ctx.unimix = steps, unimix
        ctx.save_for_backward(keep, features, *tensors)
        ctx.mark_non_differentiable(drawn)
        return features, drawn, logits

    @staticmethod
    def backward(ctx: Any, grad_features: Tensor, _: Tensor | None, grad_logits: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        keep, features, *tensors = ctx.saved_tensors
        w = Weights(*tensors)
        # Looked up once: at small sizes the loop is bound by the number of calls.
        transposed = Weights(*(weight.mT if weight.ndim > 1 else weight for weight in w))
        deter = w.deter.shape[0]
        grads_of = (grad_features[..., :deter], grad_features[..., deter:], grad_logits, keep)
        pairs = list(zip(*(each.unbind(0) for each in grads_of), ctx.steps, strict=True))
        backs: list[_StepGradient] = []
        carry_h, carry_z = torch.zeros_like(pairs[0][0]), torch.zeros_like(pairs[0][1])
        for grad_h, grad_z, grad_logits_t, keep_t, step in reversed(pairs):
            back, carry_h, carry_z = _backward(
                *(w, transposed, step, grad_h + carry_h, grad_z + carry_z, grad_logits_t, ctx.unimix)
            )
            carry_h, carry_z = carry_h.mul_(keep_t), carry_z.mul_(keep_t)
            backs.append(back)
        backs.reverse()
        grads = _StepGradient(*(torch.cat(parts) for parts in zip(*backs, strict=True)))
        to_token, to_action = (part.unflatten(0, keep.shape[:2]) for part in (grads.hidden, grads.x))
        to_start = torch.cat([carry_h, carry_z], -1)
        return (to_start, None, to_token, to_action, None, None, *_weight_gradients(w, ctx.steps, features, grads))


def _forward(
    w: Weights,
    h: Tensor,
    z: Tensor,
    token: Tensor,
    action: Tensor,
    threshold: Tensor,
    h_after: Tensor,
    z_after: Tensor,
    logits: Tensor,
    drawn: Tensor,
) -> _Step:
    """Make one step from h (B, D) and z (B, S*K), write its results into the last four, `z_after` zero before."""
    rows, hidden, groups = h.shape[0], w.deter.shape[1], w.gates.shape[0]
    inputs = h.new_empty(rows, 2, hidden)
    torch.addmm(w.deter_bias, h, w.deter, out=inputs[:, 0])
    torch.addmm(w.stoch_bias, z, w.stoch, out=inputs[:, 1])
    branches, branches_normed = norm_silu(inputs, w.inputs_scale)
    shared = torch.addmm(action, branches.view(rows, 2 * hidden), w.from_inputs)
    x, x_normed = norm_silu(_blocks(h, w.from_deter, shared), w.core_scale)
    reset, candidate, update = _blocks(x, w.gates, w.gates_bias).view(rows, groups, 3, -1).unbind(2)
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
    w: Weights, transposed: Weights, step: _Step, grad_h: Tensor, grad_z: Tensor, grad_logits: Tensor, unimix: float
) -> tuple[_StepGradient, Tensor, Tensor]:
    """Return what comes back to the step's products, and to h and z before it, given that of its results."""
    rows, deter, hidden, groups = grad_h.shape[0], w.deter.shape[0], w.deter.shape[1], w.gates.shape[0]
    # Straight-through: the sample has the gradient of the mixed probabilities.
    straight = softmax_gradient(grad_z.view_as(step.probs), step.probs)
    to_logits = torch.add(grad_logits, straight.view_as(grad_logits), alpha=1.0 - unimix)
    to_hidden, hidden_scale = norm_silu_gradient(to_logits @ transposed.logits, step.hidden_normed, w.posterior_scale)
    to_h = torch.addmm(grad_h, to_hidden, transposed.posterior).view(rows, groups, -1)

    h = step.h.view(rows, groups, -1)
    to_product = torch.ops.aten.tanh_backward(to_h * step.u, step.c)
    to_gates = h.new_empty(rows, groups, 3, deter // groups)
    to_reset, to_candidate, to_update = to_gates.unbind(2)
    torch.ops.aten.sigmoid_backward.grad_input(to_product * step.candidate, step.r, grad_input=to_reset)
    torch.mul(to_product, step.r, out=to_candidate)
    torch.ops.aten.sigmoid_backward.grad_input(to_h * (step.c - h), step.u, grad_input=to_update)
    to_gates = to_gates.view(rows, 3 * deter)
    to_x, x_scale = norm_silu_gradient(_blocks(to_gates, transposed.gates), step.x_normed, w.core_scale)

    to_branches = (to_x @ transposed.from_inputs).view(rows, 2, hidden)
    to_branches, branches_scale = norm_silu_gradient(to_branches, step.branches_normed, w.inputs_scale)
    to_deter, to_stoch = to_branches.unbind(1)
    kept = torch.addcmul(to_h, to_h, step.u, value=-1.0).view(rows, deter)
    before_h = torch.addmm(_blocks(to_x, transposed.from_deter, kept), to_deter, transposed.deter)
    back = _StepGradient(to_branches, branches_scale, to_x, x_scale, to_gates, to_hidden, hidden_scale, to_logits)
    return back, before_h, to_stoch @ transposed.stoch


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
    """Return the gradient of `weight` in `_blocks`."""
    groups, inputs, outputs = weight.shape
    return torch.bmm(x.view(-1, groups, inputs).permute(1, 2, 0), grad.view(-1, groups, outputs).transpose(0, 1))


def _blocks(x: Tensor, weight: Tensor, base: Tensor | None = None) -> Tensor:
    """Return base + x @ blockdiag(weight); x (B, G*i), weight (G, i, o)."""
    groups, inputs, outputs = weight.shape
    if groups == 1:
        return x @ weight[0] if base is None else torch.addmm(base, x, weight[0])
    grouped = x.view(-1, groups, inputs).transpose(0, 1)
    if base is None:
        out = torch.bmm(grouped, weight)
    else:
        out = torch.baddbmm(base.view(-1, groups, outputs).transpose(0, 1), grouped, weight)
    return out.transpose(0, 1).reshape(-1, groups * outputs)
