"""From some rows to all of them: the interval of a mean that was seen on a sample.

Answer lengths are skewed, so the ordinary t interval is too short where it matters: on
small samples. Between `FEWEST_FOR_BOOTSTRAP` and `MOST_FOR_BOOTSTRAP` values the interval
is a seeded bootstrap-t, outside them Student's t (below, resampling has nothing to work
with; above, the two agree). Lognormal totals were rejected: fitted to real traces they
covered 30 % at 200 values where 90 % was stated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEWEST_FOR_BOOTSTRAP = 10
MOST_FOR_BOOTSTRAP = 300
RESAMPLES = 999
COVERAGE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanEstimate:
    """A mean with its interval; `cv` is the spread of single values over the mean."""

    mean: Fraction
    low: Fraction
    high: Fraction
    cv: float
    n: int
    largest: int


def mean_estimate(
    histogram: Mapping[int, int], *, seed: int, population: int | None = None
) -> MeanEstimate:
    """The mean of non-negative values {value: times seen} with its 95 % interval.

    The mean of all may lie below the smallest value that was seen, so only zero bounds it.

    `population` is the size of the finite job the values were drawn from, None for an
    unlimited one; a sample that is the whole job has no error. ValueError without values.
    """
    n = sum(histogram.values())
    if n == 0:
        raise ValueError("no values to take a mean of")
    mean = Fraction(sum(value * times for value, times in histogram.items()), n)
    spread = _deviation(histogram, float(mean), n)
    below, above = _half_widths(histogram, float(mean), spread, n, seed)
    left = 1.0 if population is None else math.sqrt(max(0.0, 1 - n / population))
    return MeanEstimate(
        mean=mean,
        low=max(Fraction(0), mean - _fraction(below * left)),
        high=mean + _fraction(above * left),
        cv=spread / float(mean) if mean else 0.0,
        n=n,
        largest=max(histogram),
    )


def student(share: float, freedom: int) -> float:
    """Quantile of Student's t: exact for 1 and 2 degrees of freedom, Cornish-Fisher beyond.

    The expansion is within 1 % of the exact 97.5 % quantile from 3 degrees on.
    """
    if freedom == 1:
        return math.tan(math.pi * (share - 0.5))
    if freedom == 2:  # noqa: PLR2004 -- the degrees that have a closed form
        return (2 * share - 1) * math.sqrt(2 / (4 * share * (1 - share)))
    z = NormalDist().inv_cdf(share)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def _deviation(histogram: Mapping[int, int], mean: float, n: int) -> float:
    if n == 1:
        # One value says nothing of the spread: take the value itself as the deviation.
        return mean
    squares = math.fsum(times * (value - mean) ** 2 for value, times in histogram.items())
    return math.sqrt(squares / (n - 1))


def _half_widths(
    histogram: Mapping[int, int], mean: float, spread: float, n: int, seed: int
) -> tuple[float, float]:
    """How far the interval reaches below and above the mean."""
    error = spread / math.sqrt(n)
    reach = student(0.5 + COVERAGE / 2, max(1, n - 1))
    below, above = reach, reach
    if error and FEWEST_FOR_BOOTSTRAP <= n <= MOST_FOR_BOOTSTRAP:
        low, high = _bootstrap_t(histogram, mean, n, seed)
        below = high if math.isfinite(high) else reach
        above = -low if math.isfinite(low) else reach
    return below * error, above * error


def _bootstrap_t(
    histogram: Mapping[int, int], mean: float, n: int, seed: int
) -> tuple[float, float]:
    """Lower and upper quantile of the studentised mean over seeded resamples."""
    values = [value for value, times in sorted(histogram.items()) for _ in range(times)]
    random = Random(seed)
    ratios = sorted(_studentised(random.choices(values, k=n), mean) for _ in range(RESAMPLES))
    tail = (1 - COVERAGE) / 2
    last = RESAMPLES - 1
    return ratios[round(tail * last)], ratios[round((1 - tail) * last)]


def _studentised(sample: Sequence[int], mean: float) -> float:
    """How many standard errors the sample's mean is off; infinite where it has no spread."""
    n = len(sample)
    centre = sum(sample) / n
    spread = math.sqrt(sum((value - centre) ** 2 for value in sample) / (n - 1))
    off = centre - mean
    return off / (spread / math.sqrt(n)) if spread else math.copysign(math.inf, off)


def _fraction(value: float) -> Fraction:
    """A half-width as a rational number of tokens, to a millionth of a token."""
    return Fraction(round(value * 1_000_000), 1_000_000)
