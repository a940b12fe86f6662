"""Categorical with unimix, straight-through samples, KL, entropy; two-hot regression; continue probability.

Functions on logits rather than distribution objects: the step is bound by the number of tensor operations at
small sizes. `torch.softmax` is avoided for latents of few classes (on rows shorter than `maths.LANES` it is several
times slower than its parts), samples use one uniform number each by inverting the cumulative distribution.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from dreamerlab.dreamer.maths import LANES, ones, running_sum, symexp, symexp_bins, symlog, symlog_bins


class Categorical(NamedTuple):
    """Probabilities over the last axis and their logarithms, unimix applied."""

    probs: Float[Tensor, "*rows K"]
    log_probs: Float[Tensor, "*rows K"]

    def detach(self) -> Categorical:
        """Return the same distribution without gradient."""
        return Categorical(self.probs.detach(), self.log_probs.detach())


def categorical(logits: Float[Tensor, "*rows K"], unimix: float) -> Categorical:
    """Return p = (1 - unimix) * softmax(logits) + unimix / K and log p (FACTS A3)."""
    shifted = logits - logits.detach().amax(-1, keepdim=True)
    exp = shifted.exp()
    total = exp.sum(-1, keepdim=True)
    if unimix == 0.0:
        return Categorical(exp / total, shifted - total.log())
    probs = exp * ((1.0 - unimix) / total) + unimix / logits.shape[-1]
    return Categorical(probs, probs.log())


def entropy(dist: Categorical) -> Float[Tensor, "*rows"]:
    """Return -sum p log p over the last axis, in nats."""
    return -(dist.probs * dist.log_probs).sum(-1)


@torch.no_grad()
def mean_entropy(dist: Categorical, rows: int) -> Float[Tensor, ""]:
    """Return the entropy of all latents of a row, in nats, averaged over so many rows."""
    return (dist.probs * dist.log_probs).sum() / -rows


@torch.no_grad()
def same_class(p_logits: Float[Tensor, "*rows K"], q_logits: Float[Tensor, "*rows K"]) -> Float[Tensor, ""]:
    """Return the share of rows in which both have the same most likely class."""
    # Twice as fast as argmax on the short rows of the latents.
    return (p_logits.max(-1).indices == q_logits.max(-1).indices).mean(dtype=p_logits.dtype)


def kl_divergence(p: Categorical, q: Categorical) -> Float[Tensor, "*rows"]:
    """Return KL(p || q), summed over latents and classes (the last two axes), in nats (FACTS A4)."""
    return (p.probs * (p.log_probs - q.log_probs)).sum((-2, -1))


def kl_both_ways(
    p_logits: Float[Tensor, "*rows S K"],
    q_logits: Float[Tensor, "*rows S K"],
    p: Categorical,
    q: Categorical,
    unimix: float,
) -> tuple[Float[Tensor, "*rows"], Float[Tensor, "*rows"]]:
    """Return KL(p || q) twice: with gradient to `q_logits`, and with gradient to `p_logits`.

    What `kl_divergence` gives with the one and then the other detached, with the gradient written out: a third of the
    operations. `p` and `q` are the `categorical` of the logits, which callers have at hand.
    """
    return _BothWays.apply(p_logits, q_logits, *p.detach(), *q.detach(), unimix)  # type: ignore[no-any-return]


class _BothWays(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, p_logits: Tensor, q_logits: Tensor, p: Tensor, log_p: Tensor, q: Tensor, log_q: Tensor, unimix: float
    ) -> tuple[Tensor, Tensor]:
        ratio = log_p - log_q
        ctx.save_for_backward(p, q, ratio)
        ctx.unimix = unimix
        kl = (p * ratio).sum((-2, -1))
        return kl, kl.clone()

    @staticmethod
    def backward(ctx: Any, to_q: Tensor, to_p: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        p, q, ratio = ctx.saved_tensors
        even = ctx.unimix / p.shape[-1]
        # With p = even + share: dKL/dp = log p - log q + 1 (the 1 is lost in the softmax), dKL/dq = -p / q. Without
        # unimix share / q is 1, also where q has come to 0.
        own, other = p - even, q - even
        pulled_p = own * ratio * to_p[..., None, None]
        pulled_q = (even / q - 1.0 if even else -1.0) * p * to_q[..., None, None]
        factor = -1.0 / (1.0 - ctx.unimix)
        to_p_logits = torch.addcmul(pulled_p, own, pulled_p.sum(-1, keepdim=True), value=factor)
        to_q_logits = torch.addcmul(pulled_q, other, pulled_q.sum(-1, keepdim=True), value=factor)
        return to_p_logits, to_q_logits, None, None, None, None, None


def leave_free(
    kl: Float[Tensor, "B T"], nats: float, mode: Literal["clip", "straight_through", "mean_then_clip"] = "clip"
) -> Float[Tensor, "B T"]:
    """Return the KL of every element with its free bits (FACTS A4, A13.10).

    clip: max(nats, KL), no gradient below. straight_through: the same value with the whole gradient, KL +
    sg(max(0, nats - KL)) (M-CP-52). mean_then_clip: max(nats, mean KL) everywhere.
    """
    if nats == 0.0:
        return kl
    if mode == "straight_through":
        return kl + (nats - kl.detach()).clamp(min=0.0)
    if mode == "mean_then_clip":
        return kl.mean().clamp(min=nats).expand_as(kl)
    return kl.clamp(min=nats)


def thresholds(uniform: Float[Tensor, "*rows"], classes: int, unimix: float) -> Float[Tensor, "*rows K"]:
    """Return what `sample` compares the cumulative softmax with; it needs no logits: one call may serve many steps.

    The first class whose mixed cumulative probability exceeds u is drawn. Solved for the softmax part c:
    (1 - unimix) * c_k + unimix * (k + 1) / K <= u  <=>  c_k <= (u - unimix * (k + 1) / K) / (1 - unimix).
    The last class is drawn if no other is: its threshold is out of reach.
    """
    return (uniform / (1.0 - unimix)).unsqueeze(-1) - _uniform_part(classes, unimix, uniform.dtype, uniform.device)


@functools.cache
def _uniform_part(classes: int, unimix: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # acting may ask first
        part = torch.arange(1, classes + 1, device=device, dtype=dtype) * (unimix / (1.0 - unimix) / classes)
        part[-1] = math.inf
        return part


def sample(logits: Float[Tensor, "*rows K"], threshold: Float[Tensor, "*rows K"]) -> Int[Tensor, "*rows"]:
    """Return a class drawn by inverting the cumulative distribution, given `thresholds` of uniform numbers."""
    # torch's own softmax is five times slower on shorter rows.
    weights = logits.softmax(-1) if logits.shape[-1] >= LANES else _exp(logits)
    cumulative = running_sum(weights)
    return _count_reached(cumulative, cumulative[..., -1:], threshold).long()


def draw_with_probs(
    logits: Float[Tensor, "*rows K"], threshold: Float[Tensor, "*rows K"]
) -> tuple[Float[Tensor, "*rows"], Float[Tensor, "*rows K"]]:
    """Return what `sample` returns, as floating-point numbers, and the softmax of the logits; without gradient."""
    exp = _exp(logits)
    cumulative = running_sum(exp)
    total = cumulative[..., -1:]
    return _count_reached(cumulative, total, threshold), exp.div_(total)


def _exp(logits: Float[Tensor, "*rows K"]) -> Float[Tensor, "*rows K"]:
    """Return what a softmax divides by its sum: e^logits, with 1 for the largest of each row; without gradient."""
    return (logits - logits.amax(-1, keepdim=True)).exp_()


def _count_reached(
    cumulative: Float[Tensor, "*rows K"], total: Float[Tensor, "*rows 1"], threshold: Float[Tensor, "*rows K"]
) -> Float[Tensor, "*rows"]:
    """Return how many of the cumulative sums do not exceed their threshold's share of the last one.

    Even of a softmax that one need not be 1: what lies above it must not draw a class whose probability is 0.
    """
    # As a product: counting truth values along short rows takes three times as long.
    reach = threshold * total
    return torch.le(cumulative, reach, out=reach) @ ones(reach.shape[-1], reach.dtype, reach.device)


def softmax_gradient(grad: Float[Tensor, "*rows K"], probs: Float[Tensor, "*rows K"]) -> Float[Tensor, "*rows K"]:
    """Return the gradient of the logits, given that of their softmax `probs`."""
    weighted = probs * grad
    return torch.addcmul(weighted, probs, weighted.sum(-1, keepdim=True), value=-1.0)


class _StraightThrough(torch.autograd.Function):
    """One-hot forward, gradient of the mixed probabilities backward: onehot + p - sg(p) (FACTS A3)."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, threshold: Tensor, one_hot_rows: Tensor, unimix: float
    ) -> tuple[Tensor, Tensor]:
        drawn, probs = draw_with_probs(logits, threshold)
        index = drawn.long()
        ctx.save_for_backward(probs)
        ctx.unimix = unimix
        ctx.mark_non_differentiable(index)
        ctx.set_materialize_grads(False)
        return functional.embedding(index, one_hot_rows), index

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: None) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        (probs,) = ctx.saved_tensors
        return softmax_gradient(grad, probs).mul_(1.0 - ctx.unimix), None, None, None


def sample_straight_through(
    logits: Float[Tensor, "*rows K"],
    threshold: Float[Tensor, "*rows M"],
    one_hot_rows: Float[Tensor, "R K"],
    unimix: float,
) -> tuple[Float[Tensor, "*rows K"], Int[Tensor, "*rows"]]:
    """Return a drawn one-hot that carries the gradient of the mixed probabilities, and its class.

    `one_hot_rows` is a table whose row k is the one-hot of class k (further rows are ignored).
    """
    return _StraightThrough.apply(logits, threshold, one_hot_rows, unimix)  # type: ignore[no-any-return]


class Encoded(NamedTuple):
    """A scalar as weights on two neighbouring bins."""

    bins: Int[Tensor, "*rows 2"]
    weights: Float[Tensor, "*rows 2"]


class TwoHot(nn.Module):
    """Regression by classification on symexp bins: targets and read-out in raw space (FACTS A5).

    With `symlog` spacing bins are even in symlog space, targets are weighted and the mean is taken there, and symexp
    comes last: what is read out of a mixture is too small then (FACTS A13.8).

    Bins are numbered upwards. Among the logits they lie outwards: first the negative ones, from the middle out, then
    0, then the positive ones, from the middle out; so opposite bins pair up without reversing anything.
    """

    bins: Tensor
    upper: Tensor
    column: Tensor

    def __init__(self, count: int, high: float, spacing: Literal["symexp", "symlog"] = "symexp") -> None:
        super().__init__()
        self.middle = count // 2
        self.in_symlog = spacing == "symlog"
        bins = symlog_bins(count, high) if self.in_symlog else symexp_bins(count, high)
        self.largest = math.expm1(high)
        """The largest number that can be read out, in raw space."""
        self.register_buffer("bins", bins, persistent=False)
        self.register_buffer("upper", functional.pad(bins[self.middle + 1 :], (0, 1)), persistent=False)
        # Column of each bin among the logits.
        column = torch.cat([torch.arange(self.middle).flip(0), torch.arange(self.middle, count)])
        self.register_buffer("column", column, persistent=False)

    def mean(self, probs: Float[Tensor, "*rows L"]) -> Float[Tensor, "*rows"]:
        """Return sum p_i b_i; opposite bins are paired, so that a uniform distribution gives exactly 0.

        Columns behind the last bin's do not count (`networks.MLP.logits`).
        """
        return self._paired(probs)

    def expected(self, logits: Float[Tensor, "*rows L"]) -> Float[Tensor, "*rows"]:
        """Return the `mean` of the distribution with these logits; without gradient it is divided by its sum last."""
        if torch.is_grad_enabled():
            return self.mean(logits.softmax(-1))
        weights = _exp(logits)
        return self._paired(weights, weights.sum(-1))

    def _paired(
        self, weights: Float[Tensor, "*rows L"], total: Float[Tensor, "*rows"] | None = None
    ) -> Float[Tensor, "*rows"]:
        half = self.middle + 1
        # With a column behind the last bin's, halves are even: bin 0 and that column meet, and count for nothing.
        pairs = min(weights.shape[-1] - half, half)
        mean = (weights[..., half : half + pairs] - weights[..., :pairs]) @ self.upper[:pairs]
        mean = mean if total is None else mean / total
        return symexp(mean) if self.in_symlog else mean

    def encode(self, x: Float[Tensor, "*rows"]) -> Encoded:
        """Return the two bins around x, weighted linearly in the bins' space; beyond the range all on the edge."""
        x = (symlog(x) if self.in_symlog else x).contiguous()
        above = torch.bucketize(x, self.bins, right=True).clamp_(1, len(self.bins) - 1)
        bins = torch.stack([above - 1, above], -1)
        low, high = self.bins[bins].unbind(-1)
        share = ((x - low) / (high - low)).clamp(0.0, 1.0)
        return Encoded(bins, torch.stack([1.0 - share, share], -1))

    def cross_entropy(
        self, logits: Float[Tensor, "N L"], probs: Float[Tensor, "N L"], target: Encoded
    ) -> Float[Tensor, " N *targets"]:
        """Return -sum target * log softmax(logits) for one or several targets per row.

        `probs` is the softmax of the logits, which callers have at hand; no gradient passes through it.
        """
        return _TwoHotCrossEntropy.apply(  # type: ignore[no-any-return]
            logits, probs.detach(), self.column[target.bins], target.weights
        )

    @staticmethod
    def floor(target: Encoded) -> Float[Tensor, "*rows"]:
        """Return the entropy of the target: the cross-entropy cannot go below it (FACTS A5)."""
        return torch.special.entr(target.weights).sum(-1)


class _TwoHotCrossEntropy(torch.autograd.Function):
    """Cross-entropy on two columns per target; the gradient is softmax - target (FACTS F3), from a softmax at hand."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, probs: Tensor, columns: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(probs, columns, weights)
        # Probabilities that underflow count as the smallest normal number: 87 nats, with the exact gradient.
        picked = probs.gather(-1, columns.flatten(1)).clamp_(min=torch.finfo(probs.dtype).tiny).log_()
        return -(picked.view_as(weights) * weights).sum(-1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        probs, columns, weights = ctx.saved_tensors
        pulled = (weights * grad.unsqueeze(-1)).flatten(1)
        grad_logits = probs * pulled.sum(-1, keepdim=True)  # weights of a target sum to 1
        return grad_logits.scatter_add_(-1, columns.flatten(1), pulled.neg_()), None, None, None


def continue_loss(logit: Float[Tensor, "*rows"], target: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows"]:
    """Return the binary cross-entropy of sigmoid(logit) against a target probability (FACTS A4)."""
    return functional.binary_cross_entropy_with_logits(logit, target, reduction="none")


def continue_excess(
    loss: Float[Tensor, "*rows"], target: Float[Tensor, "*rows"], going_on: float
) -> Float[Tensor, "*rows"]:
    """Return how far `continue_loss` is above the least it can be: the entropy of a target that is `going_on` or 0."""
    floor = -sum(p * math.log(p) for p in (going_on, 1.0 - going_on) if p > 0.0)
    return torch.sub(loss, target, alpha=floor / going_on)
