"""The interval of a mean: exact mean, honest width, the same answer for the same seed."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.workload.sampling import (
    FEWEST_FOR_BOOTSTRAP,
    MOST_FOR_BOOTSTRAP,
    mean_estimate,
    student,
)

if TYPE_CHECKING:
    from collections.abc import Callable

small_samples = st.dictionaries(st.integers(0, 5000), st.integers(1, 8), min_size=1, max_size=12)


@given(small_samples, st.integers(0, 2**32))
def test_the_interval_holds_the_exact_mean(seen: dict[int, int], seed: int) -> None:
    found = mean_estimate(seen, seed=seed)
    values = [value for value, times in seen.items() for _ in range(times)]
    assert found.mean == Fraction(sum(values), len(values))
    assert 0 <= found.low <= found.mean <= found.high
    assert (found.n, found.largest) == (len(values), max(values))


@given(small_samples, st.integers(0, 2**32))
def test_neither_order_nor_chance_moves_the_interval(seen: dict[int, int], seed: int) -> None:
    backwards = dict(reversed(seen.items()))
    assert mean_estimate(seen, seed=seed) == mean_estimate(backwards, seed=seed)


@given(small_samples)
def test_a_sample_that_is_the_whole_job_has_no_error(seen: dict[int, int]) -> None:
    found = mean_estimate(seen, seed=0, population=sum(seen.values()))
    assert found.low == found.mean == found.high


@given(small_samples, st.integers(0, 1000))
def test_the_interval_widens_with_what_was_not_seen(seen: dict[int, int], more: int) -> None:
    n = sum(seen.values())
    part = mean_estimate(seen, seed=0, population=n + more)
    larger = mean_estimate(seen, seed=0, population=n + 2 * more)
    unlimited = mean_estimate(seen, seed=0)
    assert unlimited.low <= larger.low <= part.low
    assert part.high <= larger.high <= unlimited.high


def test_the_correction_for_a_finite_job_is_the_root_of_the_share_not_seen() -> None:
    seen = {1000: 400, 1100: 400}
    whole, half = (mean_estimate(seen, seed=0, population=size) for size in (None, 1600))
    assert float(half.high - half.mean) == pytest.approx(
        float(whole.high - whole.mean) * math.sqrt(1 / 2), abs=1e-5
    )


def test_no_values_have_no_mean() -> None:
    with pytest.raises(ValueError, match="no values"):
        mean_estimate({}, seed=0)


# --- very small samples -------------------------------------------------------------------


def test_one_value_says_nothing_of_the_spread() -> None:
    found = mean_estimate({100: 1}, seed=0)
    assert found.cv == 1
    assert found.low == 0, "the mean of all may lie far below the only value seen"
    assert float(found.high) == pytest.approx(100 + 12.7062 * 100, rel=1e-4)


def test_two_values() -> None:
    """t(97.5 %, 1 degree) = 12.706; s / sqrt(2) = 70.71 / 1.414 = 50; 150 + 635.3."""
    found = mean_estimate({100: 1, 200: 1}, seed=0)
    assert found.low == 0
    assert float(found.high) == pytest.approx(150 + 12.7062 * 50, rel=1e-4)
    assert found.cv == pytest.approx(math.sqrt(5000) / 150)


def test_equal_values_have_no_width() -> None:
    for n in (2, FEWEST_FOR_BOOTSTRAP, MOST_FOR_BOOTSTRAP + 1):
        found = mean_estimate({300: n}, seed=0)
        assert found.low == found.high == 300
        assert found.cv == 0


def test_a_mean_of_zero_is_no_division_by_zero() -> None:
    assert mean_estimate({0: 20}, seed=0).cv == 0


@pytest.mark.parametrize("n", [FEWEST_FOR_BOOTSTRAP, 20, 100])
def test_one_outlier_never_closes_the_upper_end(n: int) -> None:
    """Most resamples then have no spread at all: they count as infinitely far, not as exact."""
    found = mean_estimate({0: n - 1, 1000: 1}, seed=0)
    assert found.high >= 2 * found.mean


# --- bootstrap-t against Student's t ------------------------------------------------------


def half_widths(seen: dict[int, int]) -> tuple[float, float]:
    found = mean_estimate(seen, seed=0)
    return float(found.mean - found.low), float(found.high - found.mean)


def skewed(n: int) -> dict[int, int]:
    """Nine values in ten near 100, one in ten at 900."""
    return {99: n // 2, 101: n - n // 2 - n // 10, 900: n // 10}


def test_below_the_bootstrap_the_interval_is_symmetric() -> None:
    """Student's t on nine values: 2.306 standard errors."""
    seen = {2000: 8, 2900: 1}
    below, above = half_widths(seen)
    assert below == pytest.approx(above)
    assert above == pytest.approx(student(0.975, 8) * 300 / math.sqrt(9), abs=1e-5)


@pytest.mark.parametrize("n", [30, MOST_FOR_BOOTSTRAP])
def test_the_bootstrap_reaches_further_to_the_side_of_the_long_answers(n: int) -> None:
    below, above = half_widths(skewed(n))
    assert above > 1.1 * below


def test_above_the_bootstrap_the_interval_is_symmetric_again() -> None:
    below, above = half_widths(skewed(MOST_FOR_BOOTSTRAP + 1))
    assert below == pytest.approx(above, abs=1e-5)


def lognormal(random: Random) -> int:
    return max(1, round(math.exp(random.gauss(5, 0.7))))


def normal(random: Random) -> int:
    return max(0, round(random.gauss(300, 60)))


@pytest.mark.parametrize(
    ("law", "true_mean", "n", "least"),
    [
        (normal, 300, 2, 0.90),
        (normal, 300, 5, 0.90),
        (normal, 300, 20, 0.90),
        (lognormal, math.exp(5 + 0.7**2 / 2), 2, 0.85),
        (lognormal, math.exp(5 + 0.7**2 / 2), 20, 0.85),
        (lognormal, math.exp(5 + 0.7**2 / 2), 400, 0.90),
    ],
)
def test_intervals_cover_the_true_mean(
    law: Callable[[Random], int], true_mean: float, n: int, least: float
) -> None:
    """A seeded study of 120 samples; 95 % is stated, and reached where nothing is skewed."""
    random = Random(11)
    found = [
        mean_estimate(Counter(law(random) for _ in range(n)), seed=turn) for turn in range(120)
    ]
    covered = sum(each.low <= true_mean <= each.high for each in found) / len(found)
    assert covered >= least
    assert covered < 1 or n <= 2, "an interval that always holds the mean is too wide"


# --- Student's t --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("freedom", "exact"),
    [
        (1, 12.7062),
        (2, 4.30265),
        (3, 3.18245),
        (4, 2.77645),
        (8, 2.30600),
        (29, 2.04523),
        (299, 1.96793),
    ],
)
def test_quantiles_of_students_t(freedom: int, exact: float) -> None:
    assert student(0.975, freedom) == pytest.approx(exact, rel=0.01)
    assert student(0.025, freedom) == pytest.approx(-exact, rel=0.01)
    assert student(0.5, freedom) == pytest.approx(0, abs=1e-12)
