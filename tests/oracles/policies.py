"""The policy's distributions of FACTS A8 and A13.3, one state at a time: sample, log-probability, entropy."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from dreamerlab.config.schema import Config
from dreamerlab.spaces import ActionSpec
from tests.oracles.formulas import draw, entropy, mixed, one_hot, sigmoid
from tests.oracles.stops import Stops

Array = np.ndarray


class Head(Protocol):
    """What the oracle asks of a distribution; `raw` are the policy network's outputs for one state."""

    def sample(self, raw: Array, noise: Array) -> Array:
        """The action array that the noise picks."""
        ...

    def log_prob(self, raw: Array, action: Array) -> float:
        """Of the whole action."""
        ...

    def entropy(self, raw: Array, noise: Array) -> float:
        """Summed over components, in nats."""
        ...

    def encoded(self, raw: Array, action: Array, noise: Array, stops: Stops) -> Array:
        """The encoding of an action already drawn, moving with `raw`: straight-through or reparameterised."""
        ...


class Choices:
    """One categorical for each component, all drawn at once; their log-probabilities and entropies add up."""

    def __init__(self, classes: tuple[int, ...], unimix: float) -> None:
        self.classes, self.unimix = classes, unimix

    def parts(self, raw: Array) -> list[Array]:
        parts = np.split(raw, np.cumsum(self.classes)[:-1])
        return [mixed(part, self.unimix) for part in parts]

    def sample(self, raw: Array, noise: Array) -> Array:
        return np.array([draw(probs, u) for probs, u in zip(self.parts(raw), noise, strict=True)])

    def log_prob(self, raw: Array, action: Array) -> float:
        return sum(math.log(probs[int(a)]) for probs, a in zip(self.parts(raw), action, strict=True))

    def entropy(self, raw: Array, noise: Array) -> float:
        return sum(entropy(probs) for probs in self.parts(raw))

    def encoded(self, raw: Array, action: Array, noise: Array, stops: Stops) -> Array:
        probs = np.concatenate(self.parts(raw))
        one_hots = [one_hot(int(a), k) for a, k in zip(action, self.classes, strict=True)]
        return np.concatenate(one_hots) + probs - stops(lambda: probs)


class Bins:
    """Every dimension takes one of `bins` values evenly spaced over [-1, 1]."""

    def __init__(self, size: int, bins: int, unimix: float) -> None:
        self.choices = Choices((bins,) * size, unimix)
        self.values = np.linspace(-1.0, 1.0, bins)

    def sample(self, raw: Array, noise: Array) -> Array:
        return self.values[self.choices.sample(raw, noise)]

    def log_prob(self, raw: Array, action: Array) -> float:
        nearest = [int(np.argmin(np.abs(self.values - a))) for a in action]
        return self.choices.log_prob(raw, np.array(nearest))

    def entropy(self, raw: Array, noise: Array) -> float:
        return self.choices.entropy(raw, noise)

    def encoded(self, raw: Array, action: Array, noise: Array, stops: Stops) -> Array:
        mean = np.stack([probs @ self.values for probs in self.choices.parts(raw)])
        return action + mean - stops(lambda: mean)


class BoundedNormal:
    """mean tanh(m), deviation (high - low) sigmoid(s + 2) + low, a plain Normal: samples may leave [-1, 1]."""

    def __init__(self, size: int, std: tuple[float, float]) -> None:
        self.size, (self.low, self.high) = size, std

    def moments(self, raw: Array) -> tuple[Array, Array]:
        m, s = raw[: self.size], raw[self.size :]
        return np.tanh(m), (self.high - self.low) * sigmoid(s + 2.0) + self.low

    def sample(self, raw: Array, noise: Array) -> Array:
        mean, std = self.moments(raw)
        return mean + std * noise

    def log_prob(self, raw: Array, action: Array) -> float:
        mean, std = self.moments(raw)
        return float(sum(normal_log_density(a, m, s) for a, m, s in zip(action, mean, std, strict=True)))

    def entropy(self, raw: Array, noise: Array) -> float:
        return float(sum(0.5 * math.log(2.0 * math.pi * math.e * s * s) for s in self.moments(raw)[1]))

    def encoded(self, raw: Array, action: Array, noise: Array, stops: Stops) -> Array:
        drawn = self.sample(raw, noise)
        return drawn / stops(lambda: np.maximum(1.0, np.abs(drawn)))


class TanhNormal:
    """tanh of a Normal: u = mean + std * noise, ln std between the ends' logarithms as (1 + tanh(s)) / 2.

    ln p(tanh u) = ln N(u) - ln(1 - tanh(u)^2). The action's entropy is that of u plus the expectation of the second
    term, which is estimated with the draw itself; optionally the entropy of u alone (FACTS A13.3).
    """

    def __init__(self, size: int, std: tuple[float, float], *, squashed: bool) -> None:
        self.size, self.squashed = size, squashed
        self.low, self.high = math.log(std[0]), math.log(std[1])

    def moments(self, raw: Array) -> tuple[Array, Array]:
        m, s = raw[: self.size], raw[self.size :]
        return m, np.exp(self.low + (self.high - self.low) * (1.0 + np.tanh(s)) / 2.0)

    def sample(self, raw: Array, noise: Array) -> Array:
        mean, std = self.moments(raw)
        return np.tanh(mean + std * noise)

    def log_prob(self, raw: Array, action: Array) -> float:
        mean, std = self.moments(raw)
        total = 0.0
        for a, m, s in zip(action, mean, std, strict=True):
            total += normal_log_density(math.atanh(a), m, s) - math.log(1.0 - a * a)
        return total

    def entropy(self, raw: Array, noise: Array) -> float:
        mean, std = self.moments(raw)
        total = 0.0
        for m, s, e in zip(mean, std, noise, strict=True):
            total += 0.5 * math.log(2.0 * math.pi * math.e * s * s)
            if self.squashed:
                total += math.log(1.0 - math.tanh(m + s * e) ** 2)
        return total

    def encoded(self, raw: Array, action: Array, noise: Array, stops: Stops) -> Array:
        return self.sample(raw, noise)


def normal_log_density(x: float, mean: float, std: float) -> float:
    return -0.5 * ((x - mean) / std) ** 2 - math.log(std) - 0.5 * math.log(2.0 * math.pi)


def make_head(spec: ActionSpec, config: Config) -> Head:
    unimix = config.behavior.policy_unimix
    if spec.is_discrete:
        return Choices(spec.classes, unimix)
    if config.policy.dist == "categorical":
        return Bins(spec.size, config.policy.bins, unimix)
    if config.policy.dist == "tanh_normal":
        return TanhNormal(spec.size, config.policy.std, squashed=config.policy.entropy == "squashed")
    return BoundedNormal(spec.size, config.policy.std)


def encode(spec: ActionSpec, action: Array) -> Array:
    """One-hots side by side, or the numbers with whatever lies beyond [-1, 1] set to the edge (FACTS A3)."""
    if spec.is_discrete:
        return np.concatenate([one_hot(int(a), k) for a, k in zip(action, spec.classes, strict=True)])
    return np.array([a / max(1.0, abs(a)) for a in action])
