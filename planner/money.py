"""Exact money: Decimal end to end, one place that rounds, and only for the eye.

Every operation on a price runs in a context that traps `Inexact`: a result that would
need rounding raises instead of drifting. Binary floats never enter: a probability weighs
quantities (`decision.cost.either`), never amounts.
"""

from __future__ import annotations

import re
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from collections.abc import Iterable
    from fractions import Fraction

Usd = NewType("Usd", Decimal)
"""An amount in US dollars."""

Rate = NewType("Rate", Decimal)
"""US dollars per million units of a meter."""

UNITS_PER_RATE = 6
"""A rate is quoted per 10**6 units."""

CENT = Decimal("0.01")
DIME = Decimal("0.10")
ZERO = Usd(Decimal(0))

_PLAIN = re.compile(r"\d+(\.\d+)?|\.\d+")
_MILLIONTH_OF_A_CENT = Decimal("0.00000001")
_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_INTERVAL = Context(prec=40, rounding=ROUND_HALF_EVEN)
_TWO_DIGITS = Context(prec=2, rounding=ROUND_HALF_EVEN)


def usd(text: str) -> Usd | None:
    """An amount from text, exact; None where the text is no plain decimal number."""
    return Usd(Decimal(text)) if _PLAIN.fullmatch(text) else None


def amount(quantity: int, rate: Rate) -> Usd:
    """What `quantity` units cost at `rate` US dollars per million: exact."""
    return Usd(_EXACT.scaleb(_EXACT.multiply(Decimal(quantity), rate), -UNITS_PER_RATE))


def total(amounts: Iterable[Usd]) -> Usd:
    """The exact sum."""
    result = Decimal(0)
    for each in amounts:
        result = _EXACT.add(result, each)
    return Usd(result)


def plus(one: Usd, other: Usd) -> Usd:
    """The exact sum of two."""
    return Usd(_EXACT.add(one, other))


def difference(more: Usd, less: Usd) -> Usd:
    """`more` minus `less`, exact; negative when the names lie."""
    return Usd(_EXACT.subtract(more, less))


def multiplied(rate: Rate, multiplier: Decimal) -> Rate:
    """A rate after a lane's, a tier's or a region's multiplier, exact."""
    return Rate(_EXACT.multiply(rate, multiplier))


def times(amount: Usd, count: int) -> Usd:
    """So many of the same amount: exact."""
    return Usd(_EXACT.multiply(amount, Decimal(count)))


def ratio(rate: Rate, base: Rate) -> Decimal:
    """One rate over another, to six decimals: for the eye and for data, never multiplied on."""
    return _INTERVAL.divide(rate, base).quantize(Decimal("0.000001"), context=_INTERVAL)


def raised(centre: Usd, *deviations: Usd) -> Usd:
    """`centre` plus independent deviations in quadrature, for the upper end of an interval.

    A square root is not exact, so the result is rounded up to a millionth of a cent;
    without a deviation it is `centre` itself.
    """
    return _widened(centre, deviations, ROUND_CEILING)


def lowered(centre: Usd, *deviations: Usd) -> Usd:
    """`centre` minus independent deviations in quadrature, rounded down; never below zero."""
    return max(ZERO, _widened(centre, deviations, ROUND_FLOOR))


def _widened(centre: Usd, deviations: tuple[Usd, ...], rounding: str) -> Usd:
    if not any(deviations):
        return centre
    squares = Decimal(0)
    for each in deviations:
        squares = _INTERVAL.add(squares, _INTERVAL.multiply(each, each))
    step = _INTERVAL.sqrt(squares)
    up = rounding == ROUND_CEILING
    end = _INTERVAL.add(centre, step) if up else _INTERVAL.subtract(centre, step)
    return Usd(end.quantize(_MILLIONTH_OF_A_CENT, rounding=rounding, context=_INTERVAL))


def scaled(deviation: Usd, share: Fraction) -> Usd:
    """A share of a deviation, for the ends of intervals; rounded to a millionth of a cent."""
    product = _INTERVAL.multiply(deviation, Decimal(share.numerator))
    quotient = _INTERVAL.divide(product, Decimal(share.denominator))
    return Usd(quotient.quantize(_MILLIONTH_OF_A_CENT, context=_INTERVAL))


def plain(value: Decimal) -> str:
    """An exact decimal as data carries it: no exponent, no trailing zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def dollars(value: Usd) -> str:
    """An amount for the eye: cents, or two significant digits below a dime; `$0` only if zero."""
    if value == 0:
        return "$0"
    significant = _TWO_DIGITS.plus(value)
    if significant.copy_abs() >= DIME:
        return _signed(value.quantize(CENT, context=_INTERVAL))
    return _signed(value.quantize(Decimal(1).scaleb(significant.adjusted() - 1), context=_INTERVAL))


def _signed(value: Decimal) -> str:
    sign = "-" if value < 0 else ""
    return f"{sign}${value.copy_abs():,f}"
