"""Money is exact: what a law of arithmetic says of amounts holds to the last digit."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.money import (
    ZERO,
    Rate,
    Usd,
    amount,
    difference,
    dollars,
    lowered,
    multiplied,
    plain,
    plus,
    raised,
    scaled,
    total,
    usd,
)

if TYPE_CHECKING:
    from collections.abc import Callable

quantities = st.integers(0, 10**15)
rates = st.decimals(0, 1000, places=6, allow_nan=False).map(Rate)
amounts = st.decimals(0, 10**9, places=9, allow_nan=False).map(Usd)
MILLIONTH_OF_A_CENT = Decimal("0.00000001")


@given(quantities, rates)
def test_an_amount_is_the_exact_product(quantity: int, rate: Rate) -> None:
    assert Fraction(amount(quantity, rate)) == Fraction(quantity) * Fraction(rate) / 10**6


@given(quantities, quantities, rates)
def test_amounts_add_like_quantities(one: int, other: int, rate: Rate) -> None:
    assert plus(amount(one, rate), amount(other, rate)) == amount(one + other, rate)


@given(quantities, quantities, rates, rates)
def test_more_units_or_a_higher_rate_never_cost_less(
    one: int, other: int, low: Rate, high: Rate
) -> None:
    assert amount(min(one, other), min(low, high)) <= amount(max(one, other), max(low, high))


@given(st.lists(amounts), amounts)
def test_a_total_is_exact_in_any_order(parts: list[Usd], last: Usd) -> None:
    exact = sum(map(Fraction, parts), Fraction(last))
    assert Fraction(total([*parts, last])) == exact == Fraction(total([last, *reversed(parts)]))
    assert difference(total([*parts, last]), last) == total(parts)


def test_the_sum_of_nothing_is_zero() -> None:
    assert total([]) == ZERO == 0


@given(rates, st.decimals(0, 10, places=4))
def test_a_multiplied_rate_is_exact(rate: Rate, factor: Decimal) -> None:
    assert Fraction(multiplied(rate, factor)) == Fraction(rate) * Fraction(factor)


@pytest.mark.parametrize("operation", [plus, difference])
def test_a_result_that_would_need_rounding_raises(operation: Callable[[Usd, Usd], Usd]) -> None:
    with pytest.raises(Inexact):
        operation(Usd(Decimal("1e90")), Usd(Decimal("1e-90")))


def test_a_product_that_would_need_rounding_raises() -> None:
    long = Decimal("1." + "3" * 60)
    with pytest.raises(Inexact):
        multiplied(Rate(long), long)
    with pytest.raises(Inexact):
        amount(10**60 + 1, Rate(long))


@given(quantities, rates, amounts)
def test_the_ambient_context_changes_nothing(quantity: int, rate: Rate, other: Usd) -> None:
    expected = plus(amount(quantity, rate), other), dollars(amount(quantity, rate))
    with localcontext(Context(prec=3)):
        assert (plus(amount(quantity, rate), other), dollars(amount(quantity, rate))) == expected


@given(amounts, st.lists(amounts, max_size=4))
def test_raised_and_lowered_hold_their_centre(centre: Usd, deviations: list[Usd]) -> None:
    low, high = lowered(centre, *deviations), raised(centre, *deviations)
    assert 0 <= low <= centre <= high
    assert high >= plus(centre, max(deviations, default=ZERO))
    assert high <= plus(centre, total(deviations)) + MILLIONTH_OF_A_CENT


@given(amounts)
def test_without_a_deviation_an_interval_is_its_centre(centre: Usd) -> None:
    assert lowered(centre, ZERO, ZERO) == raised(centre) == centre


def test_independent_deviations_join_in_quadrature() -> None:
    centre, three, four = (Usd(Decimal(each)) for each in (10, 3, 4))
    assert raised(centre, three, four) == 15
    assert lowered(centre, three, four) == 5
    assert raised(centre, Usd(Decimal(-3)), four) == 15, "the sign of a deviation plays no part"


def test_an_interval_never_reaches_below_zero() -> None:
    assert lowered(Usd(Decimal(1)), Usd(Decimal(2))) == 0


def test_ends_of_intervals_round_outwards() -> None:
    one = Usd(Decimal(1))
    root_of_two = Decimal("1.41421356")
    assert raised(one, one, one) == 1 + root_of_two + MILLIONTH_OF_A_CENT
    assert lowered(Usd(Decimal(2)), one, one) == 2 - root_of_two - MILLIONTH_OF_A_CENT


@given(amounts, st.fractions(0, 1))
def test_a_share_of_a_deviation_is_that_to_a_millionth_of_a_cent(
    deviation: Usd, share: Fraction
) -> None:
    gap = Fraction(scaled(deviation, share)) - Fraction(deviation) * share
    assert abs(gap) <= Fraction(MILLIONTH_OF_A_CENT) / 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0", "$0"),
        ("0.00", "$0"),
        ("1", "$1.00"),
        ("66.88008", "$66.88"),
        ("1234567.891", "$1,234,567.89"),
        ("0.125", "$0.12"),
        ("0.135", "$0.14"),
        ("0.10", "$0.10"),
        ("0.0996", "$0.10"),
        ("0.0994", "$0.099"),
        ("0.05", "$0.050"),
        ("0.0123456", "$0.012"),
        ("0.000000049", "$0.000000049"),
        ("9.99e-8", "$0.00000010"),
        ("-3.5", "-$3.50"),
        ("-0.0123", "-$0.012"),
        ("12345678901234567890123456789012.34", "$12,345,678,901,234,567,890,123,456,789,012.34"),
    ],
)
def test_dollars_for_the_eye(value: str, shown: str) -> None:
    assert dollars(Usd(Decimal(value))) == shown


@given(amounts)
def test_what_is_not_free_is_never_shown_as_free(value: Usd) -> None:
    shown = Decimal(dollars(value).removeprefix("$").replace(",", ""))
    assert (shown == 0) == (value == 0)
    assert abs(shown - value) <= value * Decimal("0.051")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0"),
        ("-0.00", "0"),
        ("1.500", "1.5"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("1e-9", "0.000000001"),
        ("-2.50", "-2.5"),
    ],
)
def test_plain_text_of_an_exact_decimal(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


@given(amounts)
def test_plain_text_is_exact(value: Usd) -> None:
    text = plain(value)
    assert usd(text) == value
    assert "E" not in text
    assert text == "0" or not ("." in text and text.endswith("0"))


@pytest.mark.parametrize("text", ["", "1e3", "-1", "+1", "1_000", "1,000", "nan", "inf", "1."])
def test_only_plain_decimals_are_amounts(text: str) -> None:
    assert usd(text) is None


@pytest.mark.parametrize(("text", "value"), [("25", "25"), ("0.50", "0.50"), (".5", "0.5")])
def test_amounts_from_text(text: str, value: str) -> None:
    assert usd(text) == Decimal(value)
