"""Optimisers over named groups of parameters, each group with a rate, a count of updates and a right to be left out.

    LaProp    clip each tensor -> divide by the root of the squared-gradient average -> momentum -> rate  (FACTS A9)
    AdamClip  clip each group's norm -> momentum, divided by the root of the squared average -> rate  (FACTS A13.13)

The moments are two flat buffers, so a step is a handful of large operations whatever the number of tensors. A group
left out of a step keeps its parameters, moments and count bit for bit; bias correction, warm-up and schedule follow the
group's own count.
"""

# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dreamerlab.config.schedule import parse_schedule
from dreamerlab.config.schema_learning import Optimizer as OptimizerConfig
from dreamerlab.dreamer.schedules import factor

GRADIENT_SCALE = 2.0**16
"""Gradients are held multiplied by this exact power of two.

eps is 1e-20, so a gradient whose SQUARE underflows to 0 would be divided by eps alone: |g| = 3e-18 would move its
parameter by hundreds of learning rates on machines that flush tiny numbers to zero. Scaled, whatever underflows is
far below eps and moves nothing; everything else comes out bit for bit the same.
"""

Groups = Mapping[str, tuple[Iterable[nn.Parameter], float]]
"""Parameters and learning rate by the name of their group."""


class Optimizer(nn.Module, ABC):
    """What both optimisers share; moments and counts are buffers, rates are the config's unless scaled."""

    updates: Int[Tensor, " G"]
    square: Float[Tensor, " P"]
    momentum: Float[Tensor, " P"]
    rates: Float[Tensor, " G"]

    def __init__(self, groups: Groups, config: OptimizerConfig) -> None:
        super().__init__()
        self.config = config
        self.schedule = parse_schedule(config.lr_schedule)
        # A plain list: the parameters belong to the agent's modules.
        self.parameters_in_order: list[Tensor] = []
        self.tensors: dict[str, slice] = {}
        self.elements: dict[str, slice] = {}
        total = 0
        for name, (parameters, _) in groups.items():
            members = list(parameters)
            size = sum(p.numel() for p in members)
            count = len(self.parameters_in_order)
            self.tensors[name] = slice(count, count + len(members))
            self.elements[name] = slice(total, total + size)
            self.parameters_in_order += members
            total += size
        self.names = tuple(groups)
        self.register_buffer("updates", torch.zeros(len(groups), dtype=torch.int64))
        self.register_buffer("square", torch.zeros(total))
        self.register_buffer("momentum", torch.zeros(total))
        # In float64 until used: a rate is the config's number to the last bit, whatever the agent computes in.
        self._configured = {name: rate for name, (_, rate) in groups.items()}
        rates = torch.tensor(list(self._configured.values()), dtype=torch.float64)
        self.register_buffer("rates", rates, persistent=False)

    def parameters_of(self, groups: Sequence[str]) -> list[Tensor]:
        """Return the parameters of `groups`, which stand side by side, in the order in which `step` takes gradients."""
        return self.parameters_in_order[_span(self.tensors, groups)]

    @torch.no_grad()
    def scale_rates(self, groups: Sequence[str], scale: float) -> None:
        """Multiply the configured rates of `groups` by `scale` from now on; 1 gives them back to the last bit."""
        for name in groups:
            self.rates[self.names.index(name)] = self._configured[name] * scale

    def made(self, group: str) -> Int[Tensor, ""]:
        """Return how many updates a group has had."""
        return self.updates[self.names.index(group)]

    @torch.no_grad()
    def step(
        self,
        grads: Sequence[Tensor],
        inspect: Callable[[Tensor], None] | None = None,
        *,
        groups: Sequence[str] | None = None,
    ) -> dict[str, Tensor]:
        """Move the parameters of `groups` (all of them if None) given one gradient each; return metrics.

        `inspect` is shown the gradient norms, one per tensor, and may raise before anything has moved.
        """
        config, names = self.config, self.names if groups is None else tuple(groups)
        parameters = self.parameters_of(names)
        grad_norms = torch.stack(torch._foreach_norm(list(grads)))
        if inspect is not None:
            inspect(grad_norms)
        first = self.tensors[names[0]].start
        tensors = {name: slice(self.tensors[name].start - first, self.tensors[name].stop - first) for name in names}
        factors, clipped = self._clip(parameters, grad_norms, tensors)
        grad = torch.cat([g.flatten() for g in grads])
        numbers = [p.numel() for p in parameters]
        torch._foreach_mul_(grad.split(numbers), list((factors * GRADIENT_SCALE).unbind()))

        part, counted = _span(self.elements, names), slice(self.names.index(names[0]), self.names.index(names[-1]) + 1)
        sizes = [self.elements[name].stop - self.elements[name].start for name in names]
        made = self.updates[counted].clone()
        self.updates[counted] += 1
        count = (made + 1).to(grad.dtype)
        rates = self.rates[counted].to(grad.dtype) * self._warmup(count) * factor(self.schedule, made, grad.dtype)

        square, momentum = self.square[part], self.momentum[part]
        square.lerp_(grad.square(), 1.0 - config.beta2)
        # sqrt(square / correction) + eps, each group with the correction of its own count
        root = square.sqrt()
        _multiply(root, sizes, _bias_correction(config.beta2, count).rsqrt(), out=root)
        change = self._change(grad, root.add_(config.eps * GRADIENT_SCALE), momentum)
        # `grad` is not asked for any more, its memory is.
        _multiply(change, sizes, rates / -_bias_correction(config.beta1, count), out=grad)
        pieces = grad.split(numbers)
        torch._foreach_add_(parameters, [piece.view_as(p) for piece, p in zip(pieces, parameters, strict=True)])

        metrics = {f"optim/grad_norm_{name}": grad_norms[tensors[name]].norm() for name in names}
        metrics["optim/clipped_frac"] = clipped.to(grad_norms.dtype).mean()
        return metrics | {f"optim/lr_{name}": rate for name, rate in zip(names, rates.unbind(), strict=True)}

    @abstractmethod
    def _clip(
        self, parameters: list[Tensor], grad_norms: Float[Tensor, " T"], groups: Mapping[str, slice]
    ) -> tuple[Float[Tensor, " T"], Bool[Tensor, " T"]]:
        """Return what each gradient is multiplied with, and which of them that shrinks."""

    @abstractmethod
    def _change(self, grad: Tensor, root: Tensor, momentum: Tensor) -> Tensor:
        """Move `momentum` in place and return what it asks for before rate and bias correction.

        `grad` may be overwritten.
        """

    def _warmup(self, count: Float[Tensor, " G"]) -> Float[Tensor, " G"] | float:
        """Return the share of the learning rate in force: update k (from 1) has k / warmup, at most 1."""
        if self.config.warmup_updates == 0:
            return 1.0
        return (count / self.config.warmup_updates).clamp(max=1.0)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Accept the state of a time when all groups shared one count."""
        shared = state_dict.get(f"{prefix}updates")
        if shared is not None and shared.ndim == 0:
            state_dict[f"{prefix}updates"] = shared.expand(len(self.names)).clone()
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class LaProp(Optimizer):
    """Momentum of normalised gradients, after clipping every tensor in proportion to its parameters (FACTS A9)."""

    def _clip(
        self, parameters: list[Tensor], grad_norms: Float[Tensor, " T"], groups: Mapping[str, slice]
    ) -> tuple[Float[Tensor, " T"], Bool[Tensor, " T"]]:
        """Return min(1, agc * max(floor, |w|) / |g|) of every tensor, and which tensors that shrinks."""
        if self.config.agc == 0.0:
            return torch.ones_like(grad_norms), torch.zeros_like(grad_norms, dtype=torch.bool)
        weight_norms = torch.stack(torch._foreach_norm(parameters))
        limits = self.config.agc * weight_norms.clamp(min=self.config.agc_min_norm)
        return (limits / grad_norms).clamp(max=1.0), grad_norms > limits

    def _change(self, grad: Tensor, root: Tensor, momentum: Tensor) -> Tensor:
        return momentum.lerp_(grad.div_(root), 1.0 - self.config.beta1)


class AdamClip(Optimizer):
    """Momentum of gradients over the root of their squares, after clipping each group's norm (FACTS A13.13)."""

    def _clip(
        self, parameters: list[Tensor], grad_norms: Float[Tensor, " T"], groups: Mapping[str, slice]
    ) -> tuple[Float[Tensor, " T"], Bool[Tensor, " T"]]:
        """Return min(1, max_norm / |g of the group|) for every tensor of a group, and which that shrinks."""
        limit = self.config.max_norm
        norms = torch.cat([grad_norms[part].norm().expand_as(grad_norms[part]) for part in groups.values()])
        return (limit / norms).clamp(max=1.0), norms > limit

    def _change(self, grad: Tensor, root: Tensor, momentum: Tensor) -> Tensor:
        return momentum.lerp_(grad, 1.0 - self.config.beta1) / root


def make_optimizer(groups: Groups, config: OptimizerConfig) -> Optimizer:
    """Return the optimiser that `optimizer.name` asks for."""
    return {"laprop_agc": LaProp, "adam_clip": AdamClip}[config.name](groups, config)


def _bias_correction(beta: float, count: Float[Tensor, " G"]) -> Float[Tensor, " G"]:
    """Return 1 - beta^count."""
    return -torch.expm1(count * (math.log(beta) if beta > 0.0 else -math.inf))


def _multiply(flat: Float[Tensor, " P"], sizes: Sequence[int], factors: Float[Tensor, " G"], out: Tensor) -> None:
    """Put into `out` each group's stretch of `flat` times the group's factor."""
    for piece, scale, place in zip(flat.split(list(sizes)), factors.unbind(), out.split(list(sizes)), strict=True):
        torch.mul(piece, scale, out=place)


def _span(parts: Mapping[str, slice], names: Sequence[str]) -> slice:
    """Return the stretch that the parts of `names` cover, one after the other without a gap."""
    for before, after in itertools.pairwise(names):
        assert parts[before].stop == parts[after].start, (before, after)
    return slice(parts[names[0]].start, parts[names[-1]].stop)
