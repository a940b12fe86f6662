"""Policy heads: from the raw outputs of the policy network to actions, log-probabilities and entropies (FACTS A8).

A head draws with noise it is given, so that loops can draw all of it beforehand and tests can force it. Actions are
arrays with one entry per component; log-probability and entropy are summed over components.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.distributions import categorical, entropy, sample, thresholds
from dreamerlab.spaces import ActionSpec


@runtime_checkable
class PolicyHead(Protocol):
    """A distribution over actions, parametrised by the raw outputs (N, outputs) of a network."""

    outputs: int

    def noise(
        self, shape: tuple[int, ...], generator: torch.Generator, device: torch.device
    ) -> Float[Tensor, "*shape M"]:
        """Return fresh random numbers for draws of this shape."""
        ...

    def sample(self, raw: Float[Tensor, "N O"], noise: Float[Tensor, "N M"]) -> Shaped[Tensor, "N A"]:
        """Return drawn actions, without gradient."""
        ...

    def mode(self, raw: Float[Tensor, "N O"]) -> Shaped[Tensor, "N A"]:
        """Return the most likely actions."""
        ...

    def log_prob_and_entropy(
        self, raw: Float[Tensor, "N O"], action: Shaped[Tensor, "N A"]
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Return log p(action) and the entropy in nats, both with gradient to `raw`."""
        ...


def make_policy_head(spec: ActionSpec, config: Config) -> PolicyHead:
    """Return the head that `spec` and `policy.dist` ask for."""
    if spec.is_discrete:
        return Choices(spec.classes, config.behavior.policy_unimix)
    return BoundedNormal(spec.size, config.policy.std)


class Choices:
    """One categorical per component, with unimix (FACTS A8)."""

    def __init__(self, classes: tuple[int, ...], unimix: float) -> None:
        self.classes, self.unimix = classes, unimix
        self.outputs = sum(classes)
        self._cuts = [count - 1 for count in classes]

    def noise(
        self, shape: tuple[int, ...], generator: torch.Generator, device: torch.device
    ) -> Float[Tensor, "*shape M"]:
        """Return the thresholds of inverse cumulative sampling, one uniform number per component."""
        uniform = torch.rand((*shape, len(self.classes)), generator=generator, device=device).unbind(-1)
        parts = [thresholds(u, count, self.unimix) for u, count in zip(uniform, self.classes, strict=True)]
        return torch.cat(parts, -1)

    def sample(self, raw: Float[Tensor, "N O"], noise: Float[Tensor, "N M"]) -> Int[Tensor, "N A"]:
        """Return one drawn choice per component."""
        if len(self.classes) == 1:
            return sample(raw, noise).unsqueeze(-1)
        pairs = zip(raw.split(self.classes, -1), noise.split(self._cuts, -1), strict=True)
        return torch.stack([sample(logits, cuts) for logits, cuts in pairs], -1)

    def mode(self, raw: Float[Tensor, "N O"]) -> Int[Tensor, "N A"]:
        """Return the likeliest choice of each component."""
        return torch.stack([logits.argmax(-1) for logits in raw.split(self.classes, -1)], -1)

    def log_prob_and_entropy(
        self, raw: Float[Tensor, "N O"], action: Int[Tensor, "N A"]
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Return log p(action) and the entropy, summed over components."""
        log_probs, entropies = [], []
        for logits, chosen in zip(raw.split(self.classes, -1), action.split(1, -1), strict=True):
            dist = categorical(logits, self.unimix)
            log_probs.append(dist.log_probs.gather(-1, chosen).squeeze(-1))
            entropies.append(entropy(dist))
        if len(log_probs) == 1:
            return log_probs[0], entropies[0]
        return torch.stack(log_probs).sum(0), torch.stack(entropies).sum(0)


class BoundedNormal:
    """A plain Normal with mean tanh(m) and standard deviation within `std`; neither truncated nor squashed (FACTS A8).

    A draw may leave [-1, 1]: it is scored as it is, and clipped only where it is used.
    """

    def __init__(self, size: int, std: tuple[float, float]) -> None:
        self.size, (self.low, self.high) = size, std
        self.outputs = 2 * size

    def parameters_of(self, raw: Float[Tensor, "N O"]) -> tuple[Float[Tensor, "N A"], Float[Tensor, "N A"]]:
        """Return mean and standard deviation; a raw deviation of 0 gives sigma(2) of the way up, 0.8927 of (0.1, 1)."""
        mean, deviation = raw.chunk(2, -1)
        return torch.tanh(mean), (self.high - self.low) * torch.sigmoid(deviation + 2.0) + self.low

    def noise(
        self, shape: tuple[int, ...], generator: torch.Generator, device: torch.device
    ) -> Float[Tensor, "*shape M"]:
        """Return standard normal numbers, one per dimension."""
        return torch.randn((*shape, self.size), generator=generator, device=device)

    def sample(self, raw: Float[Tensor, "N O"], noise: Float[Tensor, "N M"]) -> Float[Tensor, "N A"]:
        """Return mean + std * noise."""
        mean, std = self.parameters_of(raw)
        return torch.addcmul(mean, std, noise).detach()

    def mode(self, raw: Float[Tensor, "N O"]) -> Float[Tensor, "N A"]:
        """Return the mean."""
        return self.parameters_of(raw)[0]

    def log_prob_and_entropy(
        self, raw: Float[Tensor, "N O"], action: Float[Tensor, "N A"]
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Return log p(action) and sum of 0.5 ln(2 pi e std^2), which may be negative (DIS-01, M-ENT-01)."""
        mean, std = self.parameters_of(raw)
        log_std = std.log()
        log_prob = -0.5 * ((action - mean) / std).square() - log_std - 0.5 * math.log(2.0 * math.pi)
        return log_prob.sum(-1), (log_std + 0.5 * math.log(2.0 * math.pi * math.e)).sum(-1)
