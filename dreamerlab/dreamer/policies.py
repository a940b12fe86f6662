"""Policy heads: from the raw outputs of the policy network to actions, log-probabilities and entropies (FACTS A8).

A head draws with noise it is given, so that loops can draw all of it beforehand and tests can force it. Actions are
arrays with one entry per component; log-probability and entropy are summed over components.

    Choices         one or several discrete choices, each a categorical
    BoundedNormal   numbers from a plain Normal: the reference
    TanhNormal      numbers from a Normal squashed by tanh
    Bins            numbers out of evenly spaced ones, a categorical per dimension
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from dreamerlab.config.schema import Config
from dreamerlab.dreamer.distributions import categorical, entropy, sample, thresholds
from dreamerlab.spaces import ActionSpec

HALF_LN_TWO_PI = 0.5 * math.log(2.0 * math.pi)
HALF_LN_TWO_PI_E = HALF_LN_TWO_PI + 0.5
SATURATED = 0.99
"""An action number at least this far from 0 counts as saturated."""


@runtime_checkable
class PolicyHead(Protocol):
    """A distribution over actions, parametrised by the raw outputs (N, outputs) of a network."""

    outputs: int
    entropy_range: tuple[float, float]
    """Least and largest entropy in nats that the head can have (of a TanhNormal: its Normal before tanh)."""

    def noise(
        self, shape: tuple[int, ...], generator: torch.Generator, device: torch.device
    ) -> Float[Tensor, "*shape M"]:
        """Return fresh random numbers for draws of this shape."""
        ...

    def sample(self, raw: Float[Tensor, "N O"], noise: Float[Tensor, "N M"]) -> Shaped[Tensor, "N A"]:
        """Return drawn actions, without gradient."""
        ...

    def sample_encoded(
        self, raw: Float[Tensor, "N O"], noise: Float[Tensor, "N M"]
    ) -> tuple[Shaped[Tensor, "N A"], Float[Tensor, "N E"]]:
        """Return the same draws, and their encoding with gradient to `raw`: reparameterised or straight-through."""
        ...

    def mode(self, raw: Float[Tensor, "N O"]) -> Shaped[Tensor, "N A"]:
        """Return the most likely actions."""
        ...

    def log_prob_and_entropy(
        self, raw: Float[Tensor, "N O"], action: Shaped[Tensor, "N A"], noise: Float[Tensor, "N M"] | None = None
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Return log p(action) and the entropy in nats, both with gradient to `raw`.

        `noise` is what the actions were drawn with, from these raw outputs; a head that can do without ignores it.
        """
        ...

    def metrics(self, raw: Float[Tensor, "N O"], action: Shaped[Tensor, "N A"]) -> dict[str, Tensor]:
        """Return what there is to say about these actions beside their entropy, without gradient."""
        ...


def make_policy_head(spec: ActionSpec, config: Config) -> PolicyHead:
    """Return the head that `spec` and `policy.dist` ask for."""
    policy, unimix = config.policy, config.behavior.policy_unimix
    if spec.is_discrete:
        return Choices(spec.classes, unimix)
    if policy.dist == "categorical":
        return Bins(spec.size, policy.bins, unimix)
    if policy.dist == "tanh_normal":
        return TanhNormal(spec.size, policy.std, squashed_entropy=policy.entropy == "squashed")
    return BoundedNormal(spec.size, policy.std)


class Choices:
    """One categorical per component, with unimix (FACTS A8)."""

    def __init__(self, classes: tuple[int, ...], unimix: float) -> None:
        self.classes, self.unimix = classes, unimix
        self.outputs = sum(classes)
        self.entropy_range = (0.0, sum(math.log(count) for count in classes))

    def noise(
        self, shape: tuple[int, ...], generator: torch.Generator, device: torch.device
    ) -> Float[Tensor, "*shape M"]:
        """Return the thresholds of inverse cumulative sampling, from one uniform number per component."""
        uniform = torch.rand((*shape, len(self.classes)), generator=generator, device=device).unbind(-1)
        parts = [thresholds(u, count, self.unimix) for u, count in zip(uniform, self.classes, strict=True)]
        return torch.cat(parts, -1)

    def sample(self, raw: Float[Tensor, "N O"], noise: Float[Tensor, "N M"]) -> Int[Tensor, "N A"]:
        """Return one drawn choice per component."""
        if len(self.classes) == 1:
            return sample(raw, noise).unsqueeze(-1)
        pairs = zip(raw.split(self.classes, -1), noise.split(self.classes, -1), strict=True)
        return torch.stack([sample(logits, cuts) for logits, cuts in pairs], -1)

    def sample_encoded(
        self, raw: Float[Tensor, "N O"], noise: Float[Tensor, "N M"]
    ) -> tuple[Int[Tensor, "N A"], Float[Tensor, "N O"]]:
        """Return drawn choices and their one-hots side by side, with the gradient of the mixed probabilities."""
        action = self.sample(raw.detach(), noise)
        one_hots = []
        for logits, chosen in zip(raw.split(self.classes, -1), action.unbind(-1), strict=True):
            probs = categorical(logits, self.unimix).probs
            # functional.one_hot would look at the choices first: a question that a recorded update cannot ask.
            one_hot = torch.zeros_like(probs).scatter_(-1, chosen.unsqueeze(-1), 1.0)
            one_hots.append(one_hot + (probs - probs.detach()))
        return action, torch.cat(one_hots, -1)

    def mode(self, raw: Float[Tensor, "N O"]) -> Int[Tensor, "N A"]:
        """Return the likeliest choice of each component."""
        return torch.stack([logits.argmax(-1) for logits in raw.split(self.classes, -1)], -1)

    def log_prob_and_entropy(
        self, raw: Float[Tensor, "N O"], action: Int[Tensor, "N A"], noise: Float[Tensor, "N M"] | None = None
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

    def metrics(self, raw: Float[Tensor, "N O"], action: Int[Tensor, "N A"]) -> dict[str, Tensor]:
        """Return nothing: the entropy says it all."""
        return {}


class Bins:
    """Numbers out of `bins` evenly spaced ones over [-1, 1], a categorical per dimension, with unimix (M-OPT-03).

    An action is stored as its bin's number; whatever number comes back is scored as the nearest bin.
    """

    def __init__(self, size: int, bins: int, unimix: float) -> None:
        self.bins = bins
        self.choices = Choices((bins,) * size, unimix)
        self.outputs, self.entropy_range = self.choices.outputs, self.choices.entropy_range

    def noise(
        self, shape: tuple[int, ...], generator: torch.Generator, device: torch.device
    ) -> Float[Tensor, "*shape M"]:
        """Return the thresholds of inverse cumulative sampling, from one uniform number per dimension."""
        return self.choices.noise(shape, generator, device)

    def sample(self, raw: Float[Tensor, "N O"], noise: Float[Tensor, "N M"]) -> Float[Tensor, "N A"]:
        """Return the numbers of the drawn bins."""
        return self._number(self.choices.sample(raw, noise), raw.dtype)

    def sample_encoded(
        self, raw: Float[Tensor, "N O"], noise: Float[Tensor, "N M"]
    ) -> tuple[Float[Tensor, "N A"], Float[Tensor, "N A"]]:
        """Return the numbers of the drawn bins, without and with the gradient of the mean number."""
        index, one_hots = self.choices.sample_encoded(raw, noise)
        action = self._number(index, raw.dtype)
        every = torch.arange(self.bins, device=raw.device)
        mean = one_hots.unflatten(-1, (-1, self.bins)) @ self._number(every, raw.dtype)
        return action, action + (mean - mean.detach())

    def mode(self, raw: Float[Tensor, "N O"]) -> Float[Tensor, "N A"]:
        """Return the numbers of the likeliest bins."""
        return self._number(self.choices.mode(raw), raw.dtype)

    def log_prob_and_entropy(
        self, raw: Float[Tensor, "N O"], action: Float[Tensor, "N A"], noise: Float[Tensor, "N M"] | None = None
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Return the log-probability of the nearest bins and the entropy, summed over dimensions."""
        index = ((action.clamp(-1.0, 1.0) + 1.0) * (0.5 * (self.bins - 1))).round().long()
        return self.choices.log_prob_and_entropy(raw, index)

    def metrics(self, raw: Float[Tensor, "N O"], action: Float[Tensor, "N A"]) -> dict[str, Tensor]:
        """Return mean and saturation of the drawn numbers."""
        return _of_numbers(action)

    def _number(self, index: Int[Tensor, "*rows"], dtype: torch.dtype) -> Float[Tensor, "*rows"]:
        return index.to(dtype) * (2.0 / (self.bins - 1)) - 1.0


class BoundedNormal:
    """A plain Normal with mean tanh(m) and standard deviation within `std`; neither truncated nor squashed (FACTS A8).

    A draw may leave [-1, 1]: it is scored as it is, and clipped only where it is used.
    """

    def __init__(self, size: int, std: tuple[float, float]) -> None:
        self.size, (self.low, self.high) = size, std
        self.outputs = 2 * size
        self.entropy_range = _entropy_range(size, std)

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

    def sample_encoded(
        self, raw: Float[Tensor, "N O"], noise: Float[Tensor, "N M"]
    ) -> tuple[Float[Tensor, "N A"], Float[Tensor, "N A"]]:
        """Return mean + std * noise, and the same divided by max(1, |.|), the divisor without gradient (FACTS A3)."""
        mean, std = self.parameters_of(raw)
        action = torch.addcmul(mean, std, noise)
        return action.detach(), action / action.detach().abs().clamp(min=1.0)

    def mode(self, raw: Float[Tensor, "N O"]) -> Float[Tensor, "N A"]:
        """Return the mean."""
        return self.parameters_of(raw)[0]

    def log_prob_and_entropy(
        self, raw: Float[Tensor, "N O"], action: Float[Tensor, "N A"], noise: Float[Tensor, "N M"] | None = None
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Return log p(action) and sum of 0.5 ln(2 pi e std^2), which may be negative (DIS-01, M-ENT-01)."""
        mean, std = self.parameters_of(raw)
        log_std = std.log()
        log_prob = -0.5 * ((action - mean) / std).square() - log_std - HALF_LN_TWO_PI
        return log_prob.sum(-1), (log_std + HALF_LN_TWO_PI_E).sum(-1)

    def metrics(self, raw: Float[Tensor, "N O"], action: Float[Tensor, "N A"]) -> dict[str, Tensor]:
        """Return the spread of the policy, and mean and saturation of the drawn numbers."""
        return {**_of_std(self.parameters_of(raw.detach())[1]), **_of_numbers(action)}


class TanhNormal:
    """A Normal squashed by tanh: actions lie within [-1, 1] (FACTS A13.3, DIS-02).

    ln std moves between the logarithms of the two ends of `std` as (1 + tanh(s)) / 2, so that a raw deviation of 0
    gives their geometric mean; the mean before tanh is unbounded. With u the number before tanh,
    ln p(tanh u) = ln N(u) - ln(1 - tanh(u)^2), the latter as 2 (ln 2 - u - softplus(-2u)), which cannot overflow.
    """

    def __init__(self, size: int, std: tuple[float, float], *, squashed_entropy: bool) -> None:
        self.size, self.squashed_entropy = size, squashed_entropy
        self.log_low, self.log_high = (math.log(end) for end in std)
        self.outputs = 2 * size
        self.entropy_range = _entropy_range(size, std)

    def parameters_of(self, raw: Float[Tensor, "N O"]) -> tuple[Float[Tensor, "N A"], Float[Tensor, "N A"]]:
        """Return mean and ln std of the Normal before tanh."""
        mean, deviation = raw.chunk(2, -1)
        return mean, self.log_low + (0.5 * (self.log_high - self.log_low)) * (1.0 + torch.tanh(deviation))

    def noise(
        self, shape: tuple[int, ...], generator: torch.Generator, device: torch.device
    ) -> Float[Tensor, "*shape M"]:
        """Return standard normal numbers, one per dimension."""
        return torch.randn((*shape, self.size), generator=generator, device=device)

    def sample(self, raw: Float[Tensor, "N O"], noise: Float[Tensor, "N M"]) -> Float[Tensor, "N A"]:
        """Return tanh(mean + std * noise)."""
        return self.sample_encoded(raw, noise)[0]

    def sample_encoded(
        self, raw: Float[Tensor, "N O"], noise: Float[Tensor, "N M"]
    ) -> tuple[Float[Tensor, "N A"], Float[Tensor, "N A"]]:
        """Return tanh(mean + std * noise), without and with gradient."""
        mean, log_std = self.parameters_of(raw)
        action = torch.tanh(torch.addcmul(mean, log_std.exp(), noise))
        return action.detach(), action

    def mode(self, raw: Float[Tensor, "N O"]) -> Float[Tensor, "N A"]:
        """Return tanh(mean), the median of every dimension (the density itself may be highest at the edges)."""
        return torch.tanh(self.parameters_of(raw)[0])

    def log_prob_and_entropy(
        self, raw: Float[Tensor, "N O"], action: Float[Tensor, "N A"], noise: Float[Tensor, "N M"] | None = None
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Return log p(action) and the entropy of the action, or of the Normal before tanh if so configured.

        The action's entropy H(u) + E ln(1 - tanh(u)^2) has no closed form: its second term is estimated with the very
        draw that gave the action, reparameterised (M-ENT-05). Without `noise` u is taken back from the action, which
        beyond the last number below 1 is its best guess; with it saturated actions are scored exactly.
        """
        mean, log_std = self.parameters_of(raw)
        std = log_std.exp()
        if noise is None:
            edge = 1.0 - torch.finfo(action.dtype).eps
            noise = (torch.atanh(action.clamp(-edge, edge)) - mean.detach()) / std.detach()
        drawn = torch.addcmul(mean, std, noise)
        fixed = drawn.detach()
        log_prob = -0.5 * ((fixed - mean) / std).square() - log_std - HALF_LN_TWO_PI - _log_slope(fixed)
        entropy_nats = log_std + HALF_LN_TWO_PI_E
        if self.squashed_entropy:
            entropy_nats = entropy_nats + _log_slope(drawn)
        return log_prob.sum(-1), entropy_nats.sum(-1)

    def metrics(self, raw: Float[Tensor, "N O"], action: Float[Tensor, "N A"]) -> dict[str, Tensor]:
        """Return the spread and the entropy before tanh, and mean and saturation of the drawn numbers."""
        log_std = self.parameters_of(raw.detach())[1]
        base = (log_std.mean() + HALF_LN_TWO_PI_E) * self.size
        return {"behavior/entropy_base_nats": base, **_of_std(log_std.exp()), **_of_numbers(action)}


def _log_slope(u: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows"]:
    """Return ln(1 - tanh(u)^2), exact to rounding for every u."""
    return 2.0 * (math.log(2.0) - u - functional.softplus(-2.0 * u))


def _entropy_range(size: int, std: tuple[float, float]) -> tuple[float, float]:
    low, high = (size * (math.log(end) + HALF_LN_TWO_PI_E) for end in std)
    return low, high


def _of_numbers(action: Float[Tensor, "N A"]) -> dict[str, Tensor]:
    saturated = action.abs() >= SATURATED
    return {
        "behavior/action_mean": action.mean(),
        **_by_dimension("behavior/action_mean", action.mean(0)),
        "behavior/action_saturated_frac": saturated.to(action.dtype).mean(),
    }


def _of_std(std: Float[Tensor, "N A"]) -> dict[str, Tensor]:
    low, high = torch.aminmax(std)
    return {
        "behavior/action_std": std.mean(),
        "behavior/action_std_min": low,
        "behavior/action_std_max": high,
        **_by_dimension("behavior/action_std", std.mean(0)),
    }


def _by_dimension(name: str, means: Float[Tensor, " A"]) -> dict[str, Tensor]:
    """Return the mean of each dimension as `name/0` and so on (M-LOG-02)."""
    return {f"{name}/{index}": mean for index, mean in enumerate(means.unbind())}
