"""LaProp with adaptive gradient clipping over all parameters, with a learning rate per group (FACTS A9).

Order: clip each tensor -> divide by the root of the squared-gradient average -> momentum -> learning rate. The
moments are two flat buffers, so a step is a handful of large operations whatever the number of tensors.
"""

# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from dreamerlab.config.schema_learning import Optimizer as OptimizerConfig

GRADIENT_SCALE = 2.0**16
"""Gradients are held multiplied by this exact power of two.

eps is 1e-20, so a gradient whose SQUARE underflows to 0 would be divided by eps alone: |g| = 3e-18 would move its
parameter by hundreds of learning rates on machines that flush tiny numbers to zero. Scaled, whatever underflows is
far below eps and moves nothing; everything else comes out bit for bit the same.
"""


class LaProp(nn.Module):
    """Optimiser of several named groups of parameters; its moments and count are buffers, its rates are not."""

    updates: Tensor
    square: Tensor
    momentum: Tensor

    def __init__(self, groups: dict[str, tuple[Iterable[nn.Parameter], float]], config: OptimizerConfig) -> None:
        super().__init__()
        self.config = config
        # A plain list: the parameters belong to the agent's modules.
        self.parameters_in_order: list[Tensor] = []
        self.tensors: dict[str, slice] = {}
        self.elements: dict[str, slice] = {}
        self.rates: dict[str, float] = {}
        total = 0
        for name, (parameters, rate) in groups.items():
            members = list(parameters)
            size = sum(p.numel() for p in members)
            count = len(self.parameters_in_order)
            self.tensors[name] = slice(count, count + len(members))
            self.elements[name] = slice(total, total + size)
            self.rates[name] = rate
            self.parameters_in_order += members
            total += size
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("square", torch.zeros(total))
        self.register_buffer("momentum", torch.zeros(total))

    @torch.no_grad()
    def step(self, grads: Sequence[Tensor], inspect: Callable[[Tensor], None] | None = None) -> dict[str, Tensor]:
        """Move the parameters given one gradient each, in order, and return the optimiser's metrics.

        `inspect` is shown the gradient norms, one per tensor, and may raise before anything has moved.
        """
        config = self.config
        grad_norms = torch.stack(torch._foreach_norm(list(grads)))
        if inspect is not None:
            inspect(grad_norms)
        factors, clipped = self._clip_factors(grad_norms)
        clipped_grads = torch._foreach_mul(list(grads), list((factors * GRADIENT_SCALE).unbind()))
        grad = torch.cat([g.flatten() for g in clipped_grads])

        self.updates += 1
        self.square.lerp_(grad.square(), 1.0 - config.beta2)
        root = (self.square / self._bias_correction(config.beta2)).sqrt_().add_(config.eps * GRADIENT_SCALE)
        self.momentum.lerp_(grad.div_(root), 1.0 - config.beta1)

        change = self.momentum / -self._bias_correction(config.beta1)
        warm = self._warmup()
        for name, rate in self.rates.items():
            change[self.elements[name]] *= rate * warm
        parts = change.split([p.numel() for p in self.parameters_in_order])
        changes = [part.view_as(p) for part, p in zip(parts, self.parameters_in_order, strict=True)]
        torch._foreach_add_(self.parameters_in_order, changes)

        metrics = {f"optim/grad_norm_{name}": grad_norms[part].norm() for name, part in self.tensors.items()}
        metrics["optim/clipped_frac"] = clipped.to(grad_norms.dtype).mean()
        metrics["optim/lr_world"] = self.rates["world"] * warm
        return metrics

    def _clip_factors(self, grad_norms: Tensor) -> tuple[Tensor, Tensor]:
        """Return min(1, agc * max(floor, |w|) / |g|) of every tensor, and which tensors that shrinks."""
        if self.config.agc == 0.0:
            return torch.ones_like(grad_norms), torch.zeros_like(grad_norms, dtype=torch.bool)
        weight_norms = torch.stack(torch._foreach_norm(self.parameters_in_order))
        limits = self.config.agc * weight_norms.clamp(min=self.config.agc_min_norm)
        return (limits / grad_norms).clamp(max=1.0), grad_norms > limits

    def _bias_correction(self, beta: float) -> Tensor:
        """Return 1 - beta^updates as a 0-dim tensor."""
        log_beta = math.log(beta) if beta > 0.0 else -math.inf
        return -torch.expm1(self.updates.to(self.square.dtype) * log_beta)

    def _warmup(self) -> Tensor:
        """Return the share of the learning rate in force: update k (from 1) has k / warmup, at most 1."""
        if self.config.warmup_updates == 0:
            return torch.ones_like(self.updates, dtype=self.square.dtype)
        return (self.updates.to(self.square.dtype) / self.config.warmup_updates).clamp(max=1.0)
