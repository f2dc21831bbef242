"""The Beta distribution: its distribution function and quantiles.

Own, because the standard library has none and scipy would bring a hundred megabytes for
two functions. The normal approximation was rejected: the interesting shapes here are those
with most of their mass at one end.
"""

from __future__ import annotations

import math
from typing import Final

_TINY: Final = 1e-300
_PRECISION: Final = 1e-16
_MOST_TERMS: Final = 10_000
_MOST_STEPS: Final = 200


def cdf(x: float, a: float, b: float) -> float:
    """I_x(a, b), the regularised incomplete beta function; ValueError unless a, b > 0.

    Continued fraction (DLMF 8.17.22) by Lentz's method, on the side where it converges
    fast. Absolute error below 1e-13 for a + b up to a few hundred.
    """
    _require_shape(a, b)
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _front(1 - x, b, a) * _fraction(1 - x, b, a)
    return _front(x, a, b) * _fraction(x, a, b)


def quantile(p: float, a: float, b: float) -> float:
    """The x with I_x(a, b) = p; ValueError unless a, b > 0 and 0 <= p <= 1.

    Newton's method inside a shrinking bracket.
    """
    _require_shape(a, b)
    if not 0 <= p <= 1:
        message = f"p must be a probability in [0, 1], not {p!r}"
        raise ValueError(message)
    if p in (0, 1):
        return float(p)
    low, high, x = 0.0, 1.0, a / (a + b)
    for _ in range(_MOST_STEPS):
        error = cdf(x, a, b) - p
        low, high = (x, high) if error < 0 else (low, x)
        step = _newton(x, error, a, b)
        following = step if low < step < high else (low + high) / 2
        if abs(following - x) <= _PRECISION * x or error == 0:
            break
        x = following
    return x


def _require_shape(a: float, b: float) -> None:
    if not (a > 0 and b > 0 and math.isfinite(a + b)):
        message = f"a and b must be finite and > 0, not {a!r} and {b!r}"
        raise ValueError(message)


def _log_density(x: float, a: float, b: float) -> float:
    """Log of x^a (1-x)^b / B(a, b)."""
    norm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return norm + a * math.log(x) + b * math.log1p(-x)


def _front(x: float, a: float, b: float) -> float:
    return math.exp(_log_density(x, a, b)) / a


def _newton(x: float, error: float, a: float, b: float) -> float:
    if not 0 < x < 1:
        return -1.0
    log_slope = _log_density(x, a, b) - math.log(x) - math.log1p(-x)
    return x - error * math.exp(-log_slope) if abs(log_slope) < 600 else -1.0  # noqa: PLR2004


def _fraction(x: float, a: float, b: float) -> float:
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    c, value = 1.0, d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) <= _PRECISION:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
