"""One job over months: what each costs, with every driver as expected and at its ends.

A month is priced day by day: a change of price inside it cuts its rows at that day, in
proportion to the days, so an announced change falls where it was announced. Every figure is
integer tokens times an exact rate; the only thing rounded is a count of rows, once a month,
half to even. Multiplying a first month by twelve was rejected: it is wrong on the day a price
changes, which is what a budget is asked about.

Low and high come from moving one driver at a time to its end. A job's drivers are taken as
independent and joined in quadrature; several jobs are taken to move together, so their ends
are added. `best` and `worst` put every driver at its end at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Literal

from planner.catalog import prices
from planner.decision.cost import components
from planner.errors import UnknownFactError
from planner.money import ZERO, Usd, difference, lowered, raised, scaled, total
from planner.workload.sizes import End

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from planner.catalog import Catalog, Model
    from planner.catalog.prices import RateCard
    from planner.decision.cost import CostComponent
    from planner.money import Rate
    from planner.workload.profile import TokenProfile

ONE = Fraction(1)
THOUSAND = 1000


class Driver(StrEnum):
    """What a budget hangs on, in the words of its file."""

    ROWS = "rows"
    RUNS = "runs-per-month"
    GROWTH = "growth"
    INPUT = "input-tokens"
    OUTPUT = "output-tokens"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A driver: what is expected, and its low and high ends."""

    low: Fraction
    expected: Fraction
    high: Fraction

    def __post_init__(self) -> None:
        """An interval that does not hold its own value is a defect of ours."""
        if not self.low <= self.expected <= self.high:
            raise ValueError(f"not an interval: {self.low} <= {self.expected} <= {self.high}")

    @classmethod
    def exact(cls, value: Fraction | int) -> Spread:
        """A driver that is known."""
        return cls(low=Fraction(value), expected=Fraction(value), high=Fraction(value))

    def at(self, end: End) -> Fraction:
        """The driver at one of its ends."""
        return {End.LOW: self.low, End.VALUE: self.expected, End.HIGH: self.high}[end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One job of the budget on one model and lane; `first` and `last` are months it runs in.

    `growth` is a share a month, compound, counted from the budget's first month. `rejected` is
    the share of answers that are paid for and not accepted; each is asked again, at most
    `retries` times.
    """

    name: str
    model: Model
    lane: str
    profile: TokenProfile
    rows: Spread
    runs: Spread
    growth: Spread = field(default_factory=lambda: Spread.exact(0))
    rejected: Spread = field(default_factory=lambda: Spread.exact(0))
    retries: int = 2
    region: str | None = None
    first: date | None = None
    last: date | None = None
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """MODEL/LANE."""
        return f"{self.profile.model}/{self.lane}"

    def runs_in(self, month: date) -> bool:
        """Whether the job runs in that month at all."""
        return (self.first is None or month >= self.first) and (
            self.last is None or month <= self.last
        )


# --- months and their prices ------------------------------------------------------------


def months(first: date, count: int) -> tuple[date, ...]:
    """The first days of so many months."""
    start = first.year * 12 + first.month - 1
    return tuple(date((start + k) // 12, (start + k) % 12 + 1, 1) for k in range(count))


def after(month: date) -> date:
    """The first day of the next month."""
    return months(month, 2)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Days of a month with one price; `end` is the first day after it."""

    start: date
    end: date
    card: RateCard | None
    why: str | None = None
    """Why no price is known."""

    @property
    def days(self) -> int:
        """How many."""
        return (self.end - self.start).days


def stretches(
    catalog: Catalog, model: Model, lane: str, month: date, region: str | None = None
) -> tuple[Stretch, ...]:
    """The month cut where the price changes, begins or ends."""
    found: list[Stretch] = []
    start, end = month, after(month)
    while start < end:
        each = _stretch(catalog, model, lane, region, start, end)
        if found and _same(found[-1], each):
            each = Stretch(start=found.pop().start, end=each.end, card=each.card, why=each.why)
        found.append(each)
        start = each.end
    return tuple(found)


def _stretch(
    catalog: Catalog, model: Model, lane: str, region: str | None, start: date, end: date
) -> Stretch:
    try:
        card = prices.card(catalog, model, lane, on=start, region=region)
    except UnknownFactError as unknown:
        later = [day for day in prices.days(catalog, model, lane) if start < day < end]
        why = unknown.problems[0].message
        return Stretch(start=start, end=min(later, default=end), card=None, why=why)
    return Stretch(start=start, end=min(card.until or end, end), card=card)


def _same(one: Stretch, other: Stretch) -> bool:
    if one.card is None or other.card is None:
        return one.card is other.card and one.why == other.why
    return (one.card.rates, one.card.tiers) == (other.card.rates, other.card.tiers)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChange:
    """A price that changes while a job runs."""

    job: str
    id: str
    date: date
    what: str
    state: str | None
    factor: Fraction | None
    """What the same rows cost over what they cost before; None without a price from then on."""


# --- what a line costs ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The end at which each driver is taken; what is not named is taken as expected."""

    ends: Mapping[Driver, End] = field(default_factory=dict)
    volume: Fraction = ONE
    """A what-if: so many times the rows."""

    def at(self, driver: Driver) -> End:
        """The end of that driver."""
        return self.ends.get(driver, End.VALUE)


EXPECTED = Point()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The billed rows of one stretch of days, and what they cost; no components without a price."""

    start: date
    end: date
    rows: int
    card: RateCard | None
    components: tuple[CostComponent, ...]
    why: str | None = None

    @property
    def cost(self) -> Usd:
        """US dollars, of what has a price."""
        return total(each.amount for each in self.components)


@dataclass(frozen=True, kw_only=True)
class MonthCost:
    """One month of one line: rows sent for, rows billed (asked again included), accepted."""

    month: date
    rows: int
    billed: int
    accepted: int
    parts: tuple[Part, ...]

    @cached_property
    def cost(self) -> Usd:
        """US dollars, of what has a price."""
        return total(part.cost for part in self.parts)

    @cached_property
    def gaps(self) -> tuple[Part, ...]:
        """The parts that have rows and no price."""
        return tuple(part for part in self.parts if part.rows and part.why is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Neighbouring days with one price, whatever the month: rows x tokens x rate, summed."""

    start: date
    end: date
    rows: int
    components: tuple[CostComponent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The months of a budget with the prices of one line in each."""

    months: tuple[date, ...]
    prices: tuple[tuple[Stretch, ...], ...]


def calendar(catalog: Catalog, line: Line, period: Sequence[date]) -> Calendar:
    """The prices of a line in every month of the period."""
    return Calendar(
        months=tuple(period),
        prices=tuple(
            stretches(catalog, line.model, line.lane, month, line.region) for month in period
        ),
    )


def attempts(rejected: Fraction, retries: int) -> Fraction:
    """Answers paid for a row: 1 + f + f^2 ... up to the last retry."""
    return sum((rejected**k for k in range(retries + 1)), Fraction(0))


def project(line: Line, known: Calendar, point: Point) -> Projection:
    """Every month of a line with its drivers at that point."""
    return Projection(
        point=point,
        months=tuple(
            _month(line, month, place, found, point)
            for place, (month, found) in enumerate(zip(known.months, known.prices, strict=True))
        ),
    )


def _month(
    line: Line, month: date, place: int, found: tuple[Stretch, ...], point: Point
) -> MonthCost:
    growth = (1 + line.growth.at(point.at(Driver.GROWTH))) ** place
    runs = line.runs.at(point.at(Driver.RUNS)) if line.runs_in(month) else Fraction(0)
    rows = round(line.rows.at(point.at(Driver.ROWS)) * runs * growth * point.volume)
    lost = line.rejected.at(point.at(Driver.REJECTED))
    billed = round(rows * attempts(lost, line.retries))
    return MonthCost(
        month=month,
        rows=rows,
        billed=billed,
        accepted=round(rows * (1 - lost ** (line.retries + 1))),
        parts=tuple(_parts(line, found, billed, point)) if billed else (),
    )


def _parts(line: Line, found: tuple[Stretch, ...], billed: int, point: Point) -> Iterator[Part]:
    """The rows of a month over its stretches, by their days; nothing is lost in rounding."""
    days = sum(each.days for each in found)
    done = gone = 0
    for each in found:
        gone += each.days
        upto = round(Fraction(billed * gone, days))
        yield _part(line, each, upto - done, point)
        done = upto


def _part(line: Line, stretch: Stretch, rows: int, point: Point) -> Part:
    cost: tuple[CostComponent, ...] = ()
    why = stretch.why
    if stretch.card is not None:
        try:
            cost = priced(line.profile, stretch.card, rows, point)
        except UnknownFactError as unknown:
            why = unknown.problems[0].message
    return Part(
        start=stretch.start, end=stretch.end, rows=rows, card=stretch.card, components=cost, why=why
    )


def priced(
    profile: TokenProfile, card: RateCard, rows: int, point: Point = EXPECTED
) -> tuple[CostComponent, ...]:
    """So many rows of the profile at a rate card; UnknownFactError where a rate is missing."""
    sizes = profile.for_rows(rows).prompt_sizes(point.at(Driver.INPUT))
    card.over(sizes.largest)
    output = profile.output
    ends = {End.LOW: output.low, End.VALUE: output.mean, End.HIGH: output.high}
    return components(card, sizes, ends[point.at(Driver.OUTPUT)])


# --- figures with their ends ------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """US dollars: expected, its low and high, and every driver at its end at once."""

    expected: Usd
    low: Usd
    high: Usd
    best: Usd
    worst: Usd

    def at(self, which: Literal["expected", "high"]) -> Usd:
        """The figure that a guardrail looks at."""
        return self.expected if which == "expected" else self.high


def summed(figures: Iterable[Figure]) -> Figure:
    """Jobs that move together: their ends are added."""
    every = tuple(figures)
    return Figure(
        expected=total(each.expected for each in every),
        low=total(each.low for each in every),
        high=total(each.high for each in every),
        best=total(each.best for each in every),
        worst=total(each.worst for each in every),
    )


@dataclass(frozen=True, kw_only=True)
class Projection:
    """The months of a line with its drivers at one point."""

    point: Point
    months: tuple[MonthCost, ...]

    @cached_property
    def cost(self) -> Usd:
        """US dollars of all months, of what has a price."""
        return total(each.cost for each in self.months)

    @cached_property
    def priced(self) -> tuple[MonthCost, ...]:
        """The months whose every row has a price."""
        return tuple(each for each in self.months if each.rows and not each.gaps)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """One line over the period: as expected, with each driver at each end, and all at once."""

    line: Line
    expected: Projection
    ends: Mapping[tuple[Driver, End], Projection]
    best: Projection
    worst: Projection
    doubled: Projection
    """The same with twice the rows."""
    changes: tuple[PriceChange, ...]

    @cached_property
    def months(self) -> tuple[MonthCost, ...]:
        """The months as expected."""
        return self.expected.months

    @cached_property
    def accounts(self) -> tuple[Account, ...]:
        """The arithmetic of the expected cost, one account a price."""
        parts = [part for month in self.months for part in month.parts if part.rows and part.card]
        alike = groupby(parts, key=lambda part: part.card and (part.card.rates, part.card.tiers))
        return tuple(_account(tuple(group)) for _, group in alike)

    @cached_property
    def unpriced(self) -> tuple[tuple[Driver, End], ...]:
        """Ends that reach where no price is published: no interval covers them."""
        known = len(self.expected.priced)
        return tuple(
            key
            for key, each in self.ends.items()
            if any(month.gaps for month in each.months) and len(each.priced) < known
        )

    def figure(self, metric: Callable[[Projection], Usd]) -> Figure:
        """Any figure of the months with its ends."""
        expected = metric(self.expected)
        known = [each for key, each in self.ends.items() if key not in self.unpriced]
        single = [metric(each) for each in known]
        moved = [difference(each, expected) for each in single]
        outer = [metric(self.best), metric(self.worst), expected, *single]
        return Figure(
            expected=expected,
            low=max(min(outer), lowered(expected, *(each for each in moved if each < 0))),
            high=min(max(outer), raised(expected, *(each for each in moved if each > 0))),
            best=min(outer),
            worst=max(outer),
        )

    @cached_property
    def total(self) -> Figure:
        """The whole period, of what has a price."""
        return self.figure(lambda found: found.cost)

    def month(self, place: int) -> Figure:
        """One month."""
        return self.figure(lambda found: found.months[place].cost)

    @cached_property
    def rows(self) -> int:
        """Rows sent for over the period."""
        return sum(each.rows for each in self.months)

    @cached_property
    def per_row(self) -> Figure | None:
        """US dollars a row; like every figure a unit, over the months that have a price."""
        return self._per(lambda each: each.rows, 1)

    @cached_property
    def per_thousand(self) -> Figure | None:
        """US dollars per 1,000 rows."""
        return self._per(lambda each: each.rows, THOUSAND)

    @cached_property
    def per_accepted(self) -> Figure | None:
        """US dollars an accepted row, the rejected answers paid along."""
        return self._per(lambda each: each.accepted, 1)

    def _per(self, count: Callable[[MonthCost], int], units: int) -> Figure | None:
        def metric(found: Projection) -> Usd:
            rows = sum(count(each) for each in found.priced)
            return scaled(_known(found), Fraction(units, rows)) if rows else ZERO

        counted = any(count(each) for each in self.expected.priced)
        return self.figure(metric) if counted else None

    @cached_property
    def per_run(self) -> Figure | None:
        """US dollars a run, on average over its months."""

        def metric(found: Projection) -> Usd:
            runs = self.line.runs.at(found.point.at(Driver.RUNS)) * len(found.priced)
            return scaled(_known(found), 1 / runs) if runs else ZERO

        return self.figure(metric) if self.expected.priced else None


def _account(parts: Sequence[Part]) -> Account:
    """Parts of one price together: quantities add up, and so do their exact amounts."""
    merged: dict[tuple[str, int | None, Rate], CostComponent] = {}
    for part in parts:
        for each in part.components:
            key = (each.meter, each.over, each.rate)
            before = merged[key].quantity if key in merged else 0
            merged[key] = each.part(before + each.quantity)
    return Account(
        start=parts[0].start,
        end=parts[-1].end,
        rows=sum(part.rows for part in parts),
        components=tuple(merged.values()),
    )


def _known(found: Projection) -> Usd:
    return total(each.cost for each in found.priced)


def forecast(catalog: Catalog, line: Line, period: Sequence[date]) -> Forecast:
    """One line over the period, at every end of its drivers."""
    known = calendar(catalog, line, period)
    return Forecast(
        line=line,
        expected=project(line, known, EXPECTED),
        ends={
            (driver, end): project(line, known, Point(ends={driver: end}))
            for driver in Driver
            for end in (End.LOW, End.HIGH)
            if _moves(line, driver)
        },
        best=project(line, known, Point(ends=dict.fromkeys(Driver, End.LOW))),
        worst=project(line, known, Point(ends=dict.fromkeys(Driver, End.HIGH))),
        doubled=project(line, known, Point(volume=Fraction(2))),
        changes=tuple(_changes(line, known)),
    )


def ends_of(line: Line, driver: Driver) -> tuple[Fraction, Fraction]:
    """A driver's own ends."""
    profile = line.profile
    return {
        Driver.ROWS: (line.rows.low, line.rows.high),
        Driver.RUNS: (line.runs.low, line.runs.high),
        Driver.GROWTH: (line.growth.low, line.growth.high),
        Driver.INPUT: (profile.sizes_low.mean, profile.sizes_high.mean),
        Driver.OUTPUT: (profile.output.low, profile.output.high),
        Driver.REJECTED: (line.rejected.low, line.rejected.high),
    }[driver]


def _moves(line: Line, driver: Driver) -> bool:
    low, high = ends_of(line, driver)
    return low != high


def _changes(line: Line, known: Calendar) -> Iterator[PriceChange]:
    """Where two neighbouring stretches of the period differ, and what that does to the rows."""
    run = [
        each
        for month, found in zip(known.months, known.prices, strict=True)
        for each in found
        if line.runs_in(month)
    ]
    for before, now in pairwise(run):
        if _same(before, now) or before.card is None:
            continue
        change = before.card.next_change
        yield PriceChange(
            job=line.name,
            id=line.id,
            date=now.start,
            what=change.what if change else now.why or "",
            state=change.state if change else None,
            factor=_factor(line, before, now),
        )


def _factor(line: Line, before: Stretch, now: Stretch) -> Fraction | None:
    """What the same rows cost after a change over what they cost before."""
    if before.card is None or now.card is None:
        return None
    rows = max(1, line.profile.rows.value)
    try:
        old, new = (
            total(each.amount for each in priced(line.profile, card, rows))
            for card in (before.card, now.card)
        )
    except UnknownFactError:
        return None
    return Fraction(new) / Fraction(old) if old else None
