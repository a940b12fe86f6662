"""Student's t distribution to ten digits and more: tail probability, quantile, and the tail under an alternative.

Written out because importing a statistics library costs seconds, and a comparison is asked for dozens of times a day.
The upper tail is half a regularised incomplete beta function, by its continued fraction (modified Lentz), on whichever
side of the symmetry relation converges. Tests hold all three against scipy. Users: `welch.py`, `power.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

_TINY = 1e-300
_EPS = 1e-16
_SERIES_FROM = 20.0
_POINTS = 400


def upper_tail(t: float, dof: float) -> float:
    """Return P(T > t) for Student's t with `dof` > 0 degrees of freedom (any real number)."""
    assert dof > 0, dof
    if t < 0:
        return 1.0 - upper_tail(-t, dof)
    square = t * t
    # x = dof / (dof + t^2) and its complement, each computed so that it keeps its digits near 0.
    a, b = dof / 2, 0.5
    x, complement = dof / (dof + square), 1.0 / (1.0 + dof / square) if square > 0 else 0.0
    if complement == 0.0:
        return 0.5
    log_beta = 0.5 * math.log(math.pi) - _log_gamma_step(a)
    front = math.exp(-a * math.log1p(square / dof) + b * math.log(complement) - log_beta)
    if x < (a + 1) / (a + b + 2):
        return 0.5 * front * _fraction(a, b, x) / a
    return 0.5 - 0.5 * front * _fraction(b, a, complement) / b


def two_sided_p(t: float, dof: float) -> float:
    """Return P(|T| > |t|)."""
    return 2.0 * upper_tail(abs(t), dof)


@lru_cache(maxsize=256)
def quantile(probability: float, dof: float) -> float:
    """Return t with P(T <= t) = `probability`, which lies strictly between 0 and 1."""
    assert 0 < probability < 1, probability
    if probability < 0.5:
        return -quantile(1.0 - probability, dof)
    tail, high = 1.0 - probability, 1.0
    while upper_tail(high, dof) > tail:
        high *= 2.0
    return bisect(lambda t: upper_tail(t, dof) > tail, 0.0, high)


def exceedance(threshold: float, dof: float, shift: float) -> float:
    """Return P(|T| > threshold) where T is noncentral t: a normal with mean `shift` over its estimated deviation.

    The mean over the deviation's chi density of the normal tails; in the logarithm of the deviation the integrand dies
    off on both sides so fast that the trapezoid rule converges exponentially.
    """
    left = -40.0 / dof - 9.0 / math.sqrt(dof)
    right = min(2.5, 9.0 / math.sqrt(dof))
    step = (right - left) / _POINTS
    constant = math.log(2.0) + dof / 2 * math.log(dof / 2) - math.lgamma(dof / 2)
    total = 0.0
    for index in range(_POINTS + 1):
        u = left + index * step
        density = math.exp(constant + dof * (u - math.exp(2 * u) / 2))
        limit = threshold * math.exp(u)
        total += density * (_normal_tail(limit - shift) + _normal_tail(limit + shift))
    return total * step


def _normal_tail(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def bisect(below: Callable[[float], bool], low: float, high: float) -> float:
    """Return the point between `low` and `high` up to which `below` holds, to the last digit a float has."""
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if below(middle):
            low = middle
        else:
            high = middle


def _log_gamma_step(a: float) -> float:
    """Return log(gamma(a + 1/2) / gamma(a)); by series where the difference of two logarithms would lose its digits."""
    if a < _SERIES_FROM:
        return math.lgamma(a + 0.5) - math.lgamma(a)
    inverse = 1.0 / a
    cube = inverse**3
    series = -inverse / 8 + cube / 192 - cube * inverse**2 / 640 + 17 * cube**2 * inverse / 14336
    return 0.5 * math.log(a) + series


def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function at x < (a + 1) / (a + b + 2)."""
    c = 1.0
    d = 1.0 / _apart(1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1.0 / _apart(1.0 + even * d), _apart(1.0 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1.0 / _apart(1.0 + odd * d), _apart(1.0 + odd / c)
        value *= d * c
        if abs(d * c - 1.0) < 4 * _EPS:
            return value
    raise AssertionError(f"incomplete beta did not converge at a={a}, b={b}, x={x}")


def _apart(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
