"""What tokens cost: each row's usage at the rates that its plan pins, exact to the last digit.

A row is priced by itself, because the length of its own prompt decides which tier the whole of it
pays; what is added up is quantities by (lane, meter, tier), and the amount is one multiplication.
Pricing a job's total tokens was rejected: a sum of prompts is longer than any tier's edge.

A rate that nobody published leaves the amount unknown, never zero.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.handoff.usage import BUCKETS, PROMPT
from planner.money import ZERO, Rate, Usd, amount, plus, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from decimal import Decimal

    from planner.handoff.plan import Component, Plan, Rates
    from planner.handoff.usage import Usage

UNSTATED_WRITE = "cache_write"
METERS: Mapping[str, str] = {**{name: name for name in BUCKETS}, "reasoning": "output"}
"""Bucket of a usage -> the meter that it is billed on: reasoning is output that nobody reads."""

Key = tuple[str, str, int | None]
"""(lane, meter, context edge whose tier sets the rate): where tokens are added up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """quantity x rate = amount; None: no rate is known, so no amount is."""

    lane: str
    meter: str
    over: int | None
    quantity: int
    rate: Rate | None
    amount: Usd | None

    @property
    def key(self) -> Key:
        """What it is a line of."""
        return self.lane, self.meter, self.over


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The rates of some lanes: what a plan pins, or what held on another day."""

    lanes: tuple[Rates, ...]

    @classmethod
    def of(cls, plan: Plan) -> Book:
        """The rates that the plan was decided on."""
        return cls(lanes=plan.rates)

    def rate(self, key: Key) -> Rate | None:
        """One meter's rate; None where none is known."""
        lane, meter, over = key
        rates = self._rates(lane, over)
        found = None if rates is None else rates.get(meter, _only_write(meter, rates))
        return None if found is None else Rate(found)

    def edge(self, lane: str, prompt: int) -> int | None:
        """The last context edge that a prompt of so many tokens passes in a lane."""
        reached = [
            tier.over
            for each in self.lanes
            if each.lane == lane
            for tier in each.tiers
            if prompt > tier.over or (tier.inclusive and prompt == tier.over)
        ]
        return max(reached, default=None)

    def line(self, key: Key, quantity: int) -> Line:
        """So many units of one meter, priced."""
        lane, meter, over = key
        rate = self.rate(key)
        return Line(
            lane=lane,
            meter=meter,
            over=over,
            quantity=quantity,
            rate=rate,
            amount=None if rate is None else amount(quantity, rate),
        )

    def priced(self, usage: Usage, lane: str) -> tuple[Line, ...]:
        """The lines of one row; none for meters that it did not use."""
        return tuple(self.line(key, quantity) for key, quantity in self.metered(usage, lane))

    def metered(self, usage: Usage, lane: str) -> Iterator[tuple[Key, int]]:
        """(where one row's tokens count, how many)."""
        over = self.edge(lane, usage.prompt)
        for bucket in PROMPT:
            quantity = getattr(usage, bucket)
            if quantity:
                yield (lane, METERS[bucket], over), quantity
        if usage.written:
            yield (lane, METERS["output"], over), usage.written

    def _rates(self, lane: str, over: int | None) -> Mapping[str, Decimal] | None:
        for each in self.lanes:
            if each.lane != lane:
                continue
            if over is None:
                return each.rates
            return next((tier.rates for tier in each.tiers if tier.over == over), None)
        return None


def _only_write(meter: str, rates: Mapping[str, Decimal]) -> Decimal | None:
    """A write of unstated life costs what all writes cost, where they cost the same."""
    if meter != UNSTATED_WRITE:
        return None
    found = {rate for name, rate in rates.items() if name.startswith(UNSTATED_WRITE)}
    return found.pop() if len(found) == 1 else None


class Bill:
    """Rows added up into lines; memory is that of the lines, whatever the number of rows."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.partly: Usd = ZERO
        """Of the known lines, what stands for rows of which another line has no rate."""
        self._quantities: Counter[Key] = Counter()

    def count(self, usage: Usage, lane: str) -> None:
        """Count one row, whatever it cost."""
        for key, quantity in self.book.metered(usage, lane):
            self._quantities[key] += quantity

    def add(self, usage: Usage, lane: str) -> Usd | None:
        """Count one row; what it cost alone, None where a rate is not known."""
        lines = self.book.priced(usage, lane)
        for line in lines:
            self._quantities[line.key] += line.quantity
        cost = sum_of(lines)
        if cost is None:
            self.partly = plus(self.partly, sum_of(_known(lines)) or ZERO)
        return cost

    @property
    def lines(self) -> tuple[Line, ...]:
        """All rows by lane, meter and tier, in a stable order."""
        kept = sorted(self._quantities.items(), key=lambda each: order(each[0]))
        return tuple(self.book.line(key, quantity) for key, quantity in kept)

    @property
    def known(self) -> tuple[Line, ...]:
        """The lines with an amount."""
        return tuple(_known(self.lines))

    @property
    def unpriced(self) -> tuple[Line, ...]:
        """The lines of which nobody knows what they cost; it is not nothing."""
        return tuple(each for each in self.lines if each.amount is None)

    @property
    def amount(self) -> Usd | None:
        """All lines; None where one has no rate."""
        return sum_of(self.lines)


_METER_ORDER = {meter: place for place, meter in enumerate(dict.fromkeys(METERS.values()))}


def order(key: Key) -> tuple[str, int, int, str]:
    """Lanes by name, short prompts before long ones, meters as a bill lists them."""
    lane, meter, over = key
    return lane, over or 0, _METER_ORDER.get(meter, len(_METER_ORDER)), meter


def _known(lines: Iterable[Line]) -> Iterator[Line]:
    return (each for each in lines if each.amount is not None)


def sum_of(lines: Iterable[Line]) -> Usd | None:
    """The exact sum; None where a line has no amount."""
    amounts = [each.amount for each in lines]
    known = [each for each in amounts if each is not None]
    return total(known) if len(known) == len(amounts) else None


def planned(component: Component) -> Line:
    """A component of a plan as a line of a bill."""
    return Line(
        lane=component.lane,
        meter=component.meter,
        over=component.over,
        quantity=component.quantity,
        rate=Rate(component.rate),
        amount=Usd(component.amount),
    )
