"""The Beta distribution against values of known precision and against itself."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.decision import beta

# From the hypergeometric series and Stirling's in 80-digit decimal arithmetic.
REFERENCE = [
    (0.1, 0.5, 0.5, 0.20483276469913345165),
    (0.9, 0.5, 0.5, 0.79516723530086654835),
    (0.1, 3.6, 0.4, 0.00005332970882847780),
    (0.5, 3.6, 0.4, 0.02265865702459351443),
    (0.9, 3.6, 0.4, 0.32705375683223184620),
    (0.1, 0.4, 3.6, 0.67294624316776815380),
    (0.9, 0.4, 3.6, 0.99994667029117152220),
    (0.1, 3.79716, 0.20284, 0.00001272584837930382),
    (0.9, 3.79716, 0.20284, 0.16302900725551888778),
    (0.1, 0.01, 3.99, 0.99242068090292402347),
    (0.9, 43.6, 0.4, 0.00170169452552244364),
    (0.5, 20, 24, 0.72880799407175800297),
    (0.9, 20, 24, 0.99999999999988198206),
    (0.9, 101.3, 2.7, 0.00091015337476509049),
    (0.9, 400, 100, 0.99999999998401442898),
    (0.1, 0.06, 0.03, 0.29281449735999497142),
]

shapes = st.floats(0.05, 60)
inside = st.floats(1e-3, 1 - 1e-3)


@pytest.mark.parametrize(("x", "a", "b", "expected"), REFERENCE)
def test_cdf_has_thirteen_digits(x: float, a: float, b: float, expected: float) -> None:
    assert beta.cdf(x, a, b) == pytest.approx(expected, rel=0, abs=2e-14)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 99))
def test_whole_shapes_are_a_binomial_tail(a: int, b: int, percent: int) -> None:
    n, p = a + b - 1, Fraction(percent, 100)
    exact = sum((comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(a, n + 1)), Fraction(0))
    assert beta.cdf(percent / 100, a, b) == pytest.approx(float(exact), rel=0, abs=5e-14)


@given(inside, shapes, shapes)
def test_the_two_tails_are_mirror_images(x: float, a: float, b: float) -> None:
    assert beta.cdf(x, a, b) + beta.cdf(1 - x, b, a) == pytest.approx(1, abs=1e-12)


@given(inside, shapes, shapes)
def test_cdf_rises(x: float, a: float, b: float) -> None:
    assert 0 <= beta.cdf(x / 2, a, b) <= beta.cdf(x, a, b) <= 1


@given(inside, st.floats(0.3, 60), st.floats(0.3, 60))
def test_quantile_undoes_cdf(p: float, a: float, b: float) -> None:
    assert beta.cdf(beta.quantile(p, a, b), a, b) == pytest.approx(p, abs=1e-9)


def test_outside_the_unit_interval_nothing_happens() -> None:
    assert (beta.cdf(-1, 2, 3), beta.cdf(0, 2, 3), beta.cdf(1, 2, 3), beta.cdf(2, 2, 3)) == (
        0,
        0,
        1,
        1,
    )
    assert (beta.quantile(0, 2, 3), beta.quantile(1, 2, 3)) == (0, 1)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_mass_squeezed_against_an_end_stays_inside(p: float) -> None:
    assert 0 <= beta.quantile(p, 1e-4, 4) < 0.5
    assert 0.5 < beta.quantile(p, 4, 1e-4) <= 1


@pytest.mark.parametrize(("a", "b"), [(0, 1), (1, 0), (-1, 1), (float("nan"), 1)])
def test_shapes_that_cannot_be_are_refused(a: float, b: float) -> None:
    with pytest.raises(ValueError, match="finite and > 0"):
        beta.cdf(0.5, a, b)


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_probabilities_that_cannot_be_are_refused(p: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        beta.quantile(p, 1, 1)
