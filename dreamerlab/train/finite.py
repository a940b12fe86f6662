"""Numbers that are not finite end a trial, by the name of the first one.

A loss or gradient is looked at after it is computed and before it reaches the parameters, with one stacked question per
update. On a GPU that question would make the host wait for the device, so there the metrics are asked after the
updates of an env step, when acting waits for them anyway; parameters may be spoilt in memory then, but never on disk:
they are asked before every checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dreamerlab.errors import TrialFailed


class Diverged(TrialFailed):
    """A loss, gradient or parameter is not finite any more: an outcome of training, and no accident."""


def require_finite(values: Mapping[str, Tensor]) -> None:
    """Raise Diverged, naming the first of these scalars that is not finite; they are read from the device at once."""
    if not values:
        return
    numbers = torch.stack([value.detach() for value in values.values()])
    if bool(torch.isfinite(numbers).all()):
        return
    bad = [(name, number) for name, number in zip(values, numbers.tolist(), strict=True) if not math.isfinite(number)]
    bad.sort(key=lambda one: one[0].endswith("/loss"))  # the sum of others is not what went wrong first
    others = [name for name, _ in bad[1:5]]
    also = f" (and so are {', '.join(others)}{', ...' if len(bad) > 5 else ''})" if others else ""
    raise Diverged(f"{bad[0][0]} is {bad[0][1]}, not finite{also}")


class Inspector:
    """Looks at the losses and gradients of an update before its step is made."""

    def __init__(self, module: nn.Module) -> None:
        self._names = {id(parameter): name for name, parameter in module.named_parameters()}

    def __call__(self, losses: Mapping[str, Tensor], parameters: Sequence[Tensor], norms: Tensor) -> None:
        """Raise Diverged when a loss is not finite, or the gradient norm (in `norms`, one each) of a parameter."""
        numbers = torch.cat([torch.stack([value.detach() for value in losses.values()]), norms])
        if bool(torch.isfinite(numbers).all()):
            return
        require_finite(losses)
        gradients = zip(parameters, norms.unbind(), strict=True)
        require_finite({f"{self._names[id(parameter)]} gradient": norm for parameter, norm in gradients})


def require_finite_parameters(module: nn.Module, updates: int) -> None:
    """Raise Diverged, naming the first tensor, when something that `module` has learnt is not finite."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise Diverged(f"{name} is not finite after update {updates}")
