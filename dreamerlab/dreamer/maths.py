"""Pure functions on tensors: symlog, two-hot bins, returns, percentiles. No parameters, no state.

Recursions over time have time as their FIRST axis and accept any shape after it. Rewards, continues and values
are those of the state they arrive at (FACTS A6): index t + 1 follows the action taken at t.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from dreamerlab.dreamer.products import is_intel

LANES = 16
"""Numbers that the widest instructions take at once; rows that are a multiple of it have no ragged end."""


def symlog(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return sign(x) * ln(1 + |x|): a logarithm that keeps sign and passes through 0 (FACTS A5)."""
    return torch.copysign(torch.log1p(x.abs()), x)


def symexp(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return sign(x) * (e^|x| - 1), the inverse of `symlog` (FACTS A5)."""
    return torch.copysign(torch.expm1(x.abs()), x)


def tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the hyperbolic tangent, as 2 sigmoid(2x) - 1 where torch's sigmoid is ten times as fast: no Intel CPU."""
    return torch.rsub(torch.sigmoid(x + x), -1.0, alpha=-2.0) if _by_sigmoid(x) else torch.tanh(x)


def tanh_(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return `tanh` in the memory of x, bit for bit the same; without gradient."""
    return x.add_(x).sigmoid_().mul_(2.0).sub_(1.0) if _by_sigmoid(x) else x.tanh_()


_ON_INTEL = is_intel()


def _by_sigmoid(x: Tensor) -> bool:
    return x.is_cpu and not _ON_INTEL


def logit(p: float) -> float:
    """Return ln(p / (1 - p)), the inverse of the sigmoid."""
    return math.log(p / (1.0 - p))


def spread(rows: Float[Tensor, "N F"]) -> Float[Tensor, ""]:
    """Return the standard deviation of each column over all rows, averaged: 0 where all rows are the same (M-QC-02)."""
    # torch's own goes down columns: ten times as slow.
    return (rows - rows.mean(0)).square().mean(0).sqrt().mean()


@torch.no_grad()
def averaged(metrics: Mapping[str, Tensor]) -> dict[str, Float[Tensor, ""]]:
    """Return metrics, each either one number already or the mean of its elements.

    Those of one shape at once: at small sizes a mean of one costs as much as a mean of ten.
    """
    alike: dict[torch.Size, list[str]] = {}
    for name, value in metrics.items():
        if value.dim():
            alike.setdefault(value.shape, []).append(name)
    numbers = dict(metrics)
    for names in alike.values():
        rows = torch.stack([metrics[name] for name in names]).flatten(1)
        numbers |= zip(names, rows.mean(1).unbind(), strict=True)
    return numbers


@torch.no_grad()
def moments(elements: Mapping[str, Float[Tensor, "*shape"]]) -> tuple[dict[str, Tensor], Float[Tensor, " K"]]:
    """Return the means of tensors of one shape, by the same names, and in the same order their standard deviations.

    All at once, like `averaged`; the deviations are those of just these elements.
    """
    rows = torch.stack(tuple(elements.values())).flatten(1)
    # What normalises layers computes both in one pass that is exact and vectorised; torch's own deviation is neither.
    _, mean, inverse = torch.native_layer_norm(rows, rows.shape[1:], None, None, 0.0)
    return dict(zip(elements, mean.flatten().unbind(), strict=True)), inverse.flatten().reciprocal()


def running_sum(x: Float[Tensor, "*rows K"]) -> Float[Tensor, "*rows K"]:
    """Return the sum of the first 1, 2, .. K elements of every row.

    On a GPU torch refuses its own where everything has to repeat bit for bit; a product with a triangle of ones does.
    On a CPU that is twice as fast for short rows without a ragged end.
    """
    short = x.shape[-1] in (LANES, 2 * LANES)
    if short if x.device.type == "cpu" else torch.are_deterministic_algorithms_enabled():
        return x @ triangle(x.shape[-1], x.dtype, x.device)
    return x.cumsum(-1)


@functools.cache
def triangle(size: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "{size} {size}"]:
    """Return a matrix whose column k has ones in its rows 0 .. k."""
    with torch.inference_mode(False):  # acting may ask first, and learning has to differentiate with it
        return torch.ones(size, size, dtype=dtype, device=device).triu_()


@functools.cache
def ones(size: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, " {size}"]:
    """Return so many ones."""
    with torch.inference_mode(False):
        return torch.ones(size, dtype=dtype, device=device)


@functools.cache
def constant(value: float, dtype: torch.dtype, device: torch.device) -> Float[Tensor, ""]:
    """Return one number; whoever asks gets the same tensor. With one of Python's own a single number takes longer."""
    with torch.inference_mode(False):
        return torch.full((), value, dtype=dtype, device=device)


def symexp_bins(count: int, high: float) -> Float[Tensor, " count"]:
    """Return `count` (odd) bins symexp(linspace(-high, high)), antisymmetric bit for bit, the middle one 0.

    One half is computed and mirrored, so that opposite bins cancel exactly (FACTS A5).
    """
    assert count % 2 == 1, count
    half = symexp(torch.linspace(0.0, high, count // 2 + 1, dtype=torch.float64)).float()[1:]
    return torch.cat([-half.flip(0), torch.zeros(1), half])


def symlog_bins(count: int, high: float) -> Float[Tensor, " count"]:
    """Return `count` (odd) bins linspace(-high, high), antisymmetric bit for bit, the middle one 0 (FACTS A13.8)."""
    assert count % 2 == 1, count
    half = torch.linspace(0.0, high, count // 2 + 1, dtype=torch.float64).float()[1:]
    return torch.cat([-half.flip(0), torch.zeros(1), half])


def lambda_return(
    reward: Float[Tensor, " H *rows"],
    cont: Float[Tensor, " H *rows"],
    value: Float[Tensor, " H *rows"],
    lam: float,
) -> Float[Tensor, " H *rows"]:
    """Return R_0 .. R_{H-1} from the rewards, continues and values of states 1 .. H (FACTS A6).

    R_t = r_{t+1} + c_{t+1} * [(1 - lam) * v_{t+1} + lam * R_{t+1}], with R_H = v_H. The continues already
    contain the discount. Quantities of state 0 are no arguments: they cannot matter.
    """
    one_step = torch.addcmul(reward, cont, value, value=1.0 - lam)
    return _backward_recursion(one_step, lam * cont, value[-1])


def replay_return(
    reward: Float[Tensor, " T *rows"],
    is_last: Float[Tensor, " T *rows"],
    is_terminal: Float[Tensor, " T *rows"],
    boot: Float[Tensor, " T *rows"],
    discount: float,
    lam: float,
) -> Float[Tensor, " T-1 *rows"]:
    """Return R_0 .. R_{T-2} along replayed rows, bootstrapping from imagined returns (FACTS A7).

    R_t = r_{t+1} + g_{t+1} * [(1 - l_{t+1}) * boot_{t+1} + l_{t+1} * R_{t+1}], R_{T-1} = boot_{T-1}, where
    g = discount * (1 - terminal) and l = lam * (1 - last): the end of an episode cuts the trace and still
    bootstraps, a death removes the bootstrap as well.
    """
    live = discount * (1.0 - is_terminal[1:])
    trace = lam * (1.0 - is_last[1:])
    one_step = torch.addcmul(reward[1:], live * (1.0 - trace), boot[1:])
    return _backward_recursion(one_step, live * trace, boot[-1])


def _backward_recursion(
    start: Float[Tensor, " H *rows"], factor: Float[Tensor, " H *rows"], last: Float[Tensor, "*rows"]
) -> Float[Tensor, " H *rows"]:
    """Return x with x_t = start_t + factor_t * x_{t+1}, where x_H = last."""
    out = []
    for start_t, factor_t in zip(reversed(start.unbind(0)), reversed(factor.unbind(0)), strict=True):
        last = torch.addcmul(start_t, factor_t, last)
        out.append(last)
    return torch.stack(out[::-1])


def percentiles(x: Float[Tensor, " ..."], shares: Sequence[float]) -> Float[Tensor, " shares"]:
    """Return percentiles (0..100) of all elements of `x`, linearly interpolated between neighbours (FACTS A6)."""
    ordered = x.flatten().sort().values
    picked = []
    for share in shares:
        position = share / 100.0 * (len(ordered) - 1)
        below = min(int(position), len(ordered) - 1)
        above = min(below + 1, len(ordered) - 1)
        picked.append(torch.lerp(ordered[below], ordered[above], position - below))
    return torch.stack(picked)


def shift_actions(prev: Shaped[Tensor, " B *A"], action: Shaped[Tensor, "B T *A"]) -> Shaped[Tensor, "B T *A"]:
    """Return, for every row, the action taken BEFORE it: `prev`, then all but the last of `action` (FACTS A1)."""
    return torch.cat([prev[:, None], action[:, :-1]], 1)


@torch.no_grad()
def worth(
    recon: Float[Tensor, "B T"],
    returns: Float[Tensor, "B K"] | None = None,
    value_loss: Float[Tensor, "B K"] | None = None,
) -> Float[Tensor, "B T"]:
    """Return how much DreamerV3-XP wants to see each row again: (0.1 + 0.4 value loss) return + 0.5 recon (FACTS B2).

    Of the last K rows imagination started, of the others only the reconstruction is known. A return below 0 counts as
    0, for ranks have a power taken of them.
    """
    rank = 0.5 * recon
    if returns is not None and value_loss is not None:
        rank[:, -returns.shape[1] :] += (0.1 + 0.4 * value_loss) * returns.clamp(min=0.0)
    return rank
