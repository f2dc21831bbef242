"""Exact money: Decimal end to end, one place that rounds, and only for the eye.

Every operation on a price runs in a context that traps `Inexact`: a result that would
need rounding raises instead of drifting. Binary floats never enter; where a probability
(a float by nature) weighs two amounts, `blend` first fixes it to `PROBABILITY_DIGITS`
decimals and is exact from there on.
"""

from __future__ import annotations

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

PROBABILITY_DIGITS = 9
CENT = Decimal("0.01")
ZERO = Usd(Decimal(0))

_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_INTERVAL = Context(prec=40, rounding=ROUND_HALF_EVEN)


def amount(quantity: int, rate: Rate) -> Usd:
    """What `quantity` units cost at `rate` US dollars per million: exact."""
    return Usd(_EXACT.scaleb(_EXACT.multiply(Decimal(quantity), rate), -UNITS_PER_RATE))


def total(amounts: Iterable[Usd]) -> Usd:
    """The exact sum."""
    result = Decimal(0)
    for each in amounts:
        result = _EXACT.add(result, each)
    return Usd(result)


def difference(more: Usd, less: Usd) -> Usd:
    """`more` minus `less`, exact; negative when the names lie."""
    return Usd(_EXACT.subtract(more, less))


def multiplied(rate: Rate, multiplier: Decimal) -> Rate:
    """A rate after a lane's, a tier's or a region's multiplier, exact."""
    return Rate(_EXACT.multiply(rate, multiplier))


def blend(probability: float, then: Usd, otherwise: Usd) -> Usd:
    """Expected amount: `then` with the probability, `otherwise` without.

    The probability is fixed to `PROBABILITY_DIGITS` decimals; the rest is exact.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"not a probability: {probability!r}")
    weight = Decimal(f"{probability:.{PROBABILITY_DIGITS}f}")
    return total(
        (
            Usd(_EXACT.multiply(weight, then)),
            Usd(_EXACT.multiply(Decimal(1) - weight, otherwise)),
        )
    )


def widened(centre: Usd, *deviations: Usd) -> Usd:
    """`centre` plus independent deviations in quadrature (pass them negative to go down).

    For the ends of intervals only: a square root is not exact, so the result is rounded
    outwards to a millionth of a cent.
    """
    context = _INTERVAL.copy()
    squares = sum((context.multiply(each, each) for each in deviations), Decimal(0))
    step = context.sqrt(squares)
    down = any(each < 0 for each in deviations)
    end = context.subtract(centre, step) if down else context.add(centre, step)
    rounding = ROUND_FLOOR if down else ROUND_CEILING
    return Usd(end.quantize(Decimal("1e-8"), rounding=rounding, context=context))


def scaled(deviation: Usd, share: Fraction) -> Usd:
    """A share of a deviation, for the ends of intervals; rounded to a millionth of a cent."""
    product = _INTERVAL.multiply(deviation, Decimal(share.numerator))
    quotient = _INTERVAL.divide(product, Decimal(share.denominator))
    return Usd(quotient.quantize(Decimal("1e-8"), context=_INTERVAL))


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
    if abs(value) >= Decimal("0.10"):
        return _signed(value.quantize(CENT, rounding=ROUND_HALF_EVEN))
    exponent = value.adjusted() - 1
    return _signed(value.quantize(Decimal(1).scaleb(exponent), rounding=ROUND_HALF_EVEN))


def _signed(value: Decimal) -> str:
    sign = "-" if value < 0 else ""
    return f"{sign}${abs(value):,f}"
