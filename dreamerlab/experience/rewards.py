"""Smoothing of the rewards of an episode (DreamSmooth; FACTS B1, A13.19, M-HK-14).

With r_1 .. r_n the rewards of an episode's n env steps, the smoothed ones are

    ema            s_t = alpha s_{t-1} + (1 - alpha) r_t                       needs no future
    gaussian       s_t = sum_i k_i r_{t+i},  k_i ~ exp(-i^2 / 2 sigma^2), |i| <= 4 sigma, sum k = 1
    uniform        the mean of `width` rewards around t
    backward_sum   s_t = r_t + alpha s_{t+1}                                   needs the rest of the episode

and `edge` says what happens where a kernel reaches over an end of the episode:

    nearest       the first or last reward is repeated (the authors': a reward of 10 at the end becomes 17.5 in all)
    zero          there is nothing: mass that falls outside is lost
    renormalise   the mass of every reward stays inside. gaussian and uniform share it out among the steps that exist;
                  ema gives to the last step what would have come after it; backward_sum is divided by the mass it adds.

The row of reset() takes no part: nothing is received there, and no return counts it.
"""

from __future__ import annotations

import math

import numpy as np

from dreamerlab.config.schema_experience import Smooth


class Smoother:
    """One kernel; `lookahead` is how many later rewards a step waits for, None for all of its episode."""

    def __init__(self, config: Smooth) -> None:
        assert config.kernel != "none"
        self._kernel, self._edge, self._alpha = config.kernel, config.edge, config.used_width
        self.lookahead: int | None = 0
        if self._kernel == "backward_sum":
            self.lookahead = None
        elif self._kernel != "ema":
            self._offsets, self._weights = _window(self._kernel, config.used_width)
            back, ahead = -int(self._offsets[0]), int(self._offsets[-1])
            # Sharing out the mass of a reward takes to know which steps there are around it.
            self.lookahead = ahead + back if self._edge == "renormalise" else ahead
            self._mass = np.concatenate([[0.0], np.cumsum(self._weights)])

    def smooth(self, rewards: np.ndarray) -> np.ndarray:
        """Return the smoothed rewards (n,) of a finished episode."""
        return self.values(rewards, 0, len(rewards), ended=True, previous=None)

    def values(self, rewards: np.ndarray, start: int, stop: int, *, ended: bool, previous: float | None) -> np.ndarray:
        """Return the smoothed rewards of steps `start` to `stop`, given all rewards (n,) of the episode so far.

        Unless the episode has `ended`, `stop + lookahead` must not be beyond n. `previous` is the smoothed reward of
        the step before `start`, None at the first.
        """
        assert ended or (self.lookahead is not None and stop + self.lookahead <= len(rewards)), (stop, len(rewards))
        if start == stop:
            return np.zeros(0)
        if self._kernel == "ema":
            return self._average(rewards, start, stop, ended, previous)
        if self._kernel == "backward_sum":
            return self._sum(rewards)[start:stop]
        return self._convolve(rewards, start, stop, ended)

    def _average(self, rewards: np.ndarray, start: int, stop: int, ended: bool, previous: float | None) -> np.ndarray:
        alpha, smoothed = self._alpha, np.empty(stop - start)
        last = previous
        if last is None:
            last = float(rewards[0]) if self._edge == "nearest" else 0.0
        for step in range(start, stop):
            last = alpha * last + (1 - alpha) * float(rewards[step])
            smoothed[step - start] = last
        if ended and stop == len(rewards) and self._edge == "renormalise":
            smoothed[-1] /= 1 - alpha  # what the steps to come would have got: last * (1 + alpha + alpha^2 + ...)
        return smoothed

    def _sum(self, rewards: np.ndarray) -> np.ndarray:
        alpha, count = self._alpha, len(rewards)
        received = np.asarray(rewards, np.float64)
        if self._edge == "renormalise":
            received = received * (1 - alpha) / (1 - alpha ** np.arange(1, count + 1))
        smoothed, after = np.empty(count), 0.0
        for step in reversed(range(count)):
            after = float(received[step]) + alpha * after
            smoothed[step] = after
        return smoothed

    def _convolve(self, rewards: np.ndarray, start: int, stop: int, ended: bool) -> np.ndarray:
        count = len(rewards)
        steps = np.arange(start, stop)[:, None] + self._offsets
        nearest = np.clip(steps, 0, count - 1)
        values = np.asarray(rewards, np.float64)[nearest]
        if self._edge != "nearest":
            values = np.where(nearest == steps, values, 0.0)
        if self._edge == "renormalise":
            values = values / self._mass_inside(nearest, count if ended else None)
        return values @ self._weights

    def _mass_inside(self, steps: np.ndarray, count: int | None) -> np.ndarray:
        """Return how much of the mass of the reward at each of `steps` lands on steps of the episode."""
        back, ahead = -int(self._offsets[0]), int(self._offsets[-1])
        first = np.full_like(steps, -back) if count is None else np.maximum(-back, steps - count + 1)
        last = np.minimum(ahead, steps)
        return self._mass[last + back + 1] - self._mass[first + back]


def _window(kernel: str, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets (k,) and weights (k,) that sum to 1."""
    if kernel == "gaussian":
        radius = int(4 * width + 0.5)
        offsets = np.arange(-radius, radius + 1)
        weights = np.exp(-0.5 * (offsets / width) ** 2)
        return offsets, weights / math.fsum(weights)
    count = max(1, round(width))
    return np.arange(count) - count // 2, np.full(count, 1 / count)
