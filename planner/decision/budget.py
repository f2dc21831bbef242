"""A budget: its jobs together, credits, what was spent, and what a guardrail says.

Every sum is taken from the jobs' own exact figures (`forecast`). What credits pay is kept apart
from what the jobs cost: a guardrail on a cost that a credit hides would wake nobody until the
credit is used up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from planner.decision.forecast import Driver, Figure, after, ends_of, summed
from planner.money import ZERO, Usd, difference, dollars, plus, scaled, total
from planner.words import counted, portion
from planner.workload.sizes import End

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from planner.decision.forecast import Forecast, Line, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """What one driver of one job does to the total when it moves alone."""

    job: str
    driver: Driver
    low: Usd
    """The budget's total with this driver at its low end."""
    high: Usd
    at_low: Fraction
    at_high: Fraction
    """The driver's own ends; of a counted workload in tokens a row."""

    @property
    def width(self) -> Usd:
        """US dollars between its ends."""
        return difference(self.high, self.low)


# --- what vendors let an account spend --------------------------------------------------


def over_limits(jobs: Iterable[tuple[Forecast, int | None]]) -> Iterator[str]:
    """Where a month of a vendor is over what its usage tier may spend, a sentence for each vendor.

    `jobs` are forecasts of one period, each with the limit in US dollars a month that it runs
    under. Jobs at one vendor draw on one limit; under another one (another tier) they are taken
    to be another account's. Credits are left aside: they pay, and lift no limit.
    """
    accounts: dict[tuple[str, int], list[Forecast]] = {}
    for each, limit in jobs:
        if limit is not None:
            accounts.setdefault((each.line.model.provider, limit), []).append(each)
    for (provider, limit), found in accounts.items():
        costs = zip(*(each.months for each in found), strict=True)
        months = [(month[0].month, total(each.cost for each in month)) for month in costs]
        over = [(day, cost) for day, cost in months if cost > limit]
        if over:
            day, cost = over[0]
            more = f" (and {counted(len(over) - 1, 'more month')})" if len(over) > 1 else ""
            lanes = ", ".join(dict.fromkeys(each.line.lane for each in found))
            yield (
                f"{provider} ({lanes}): {day:%Y-%m} comes to {dollars(cost)}, over the tier's "
                f"monthly spend limit of ${limit:,}{more}"
            )


# --- the budget -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """Money that is already there: used up by the months from `first` to `last`."""

    name: str
    amount: Usd
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What was really spent in a month, up to and including the day `through` (None: all of it)."""

    month: date
    amount: Usd
    through: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """What was spent beside what was budgeted for the same days."""

    spent: Spent
    budgeted: Usd

    @property
    def more(self) -> Usd:
        """Spent beyond the budget; negative where less."""
        return difference(self.spent.amount, self.budgeted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Rows without a price: no figure holds their cost."""

    job: str
    id: str
    start: date
    end: date
    rows: int
    why: str


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Every line over the period, and the sums that people ask for."""

    months: tuple[date, ...]
    forecasts: tuple[Forecast, ...]
    credits: tuple[Credit, ...] = ()
    spent: tuple[Spent, ...] = ()

    @cached_property
    def total(self) -> Figure:
        """The whole period, of what has a price; `gaps` says what is not in it."""
        return summed(each.total for each in self.forecasts)

    @cached_property
    def by_month(self) -> tuple[Figure, ...]:
        """Each month."""
        return tuple(
            summed(each.month(place) for each in self.forecasts)
            for place in range(len(self.months))
        )

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """Days on which a job has rows and no price is known."""
        found: list[Gap] = []
        for each in self.forecasts:
            for month in each.months:
                for part in month.gaps:
                    made = _gap(each.line, part)
                    near = found[-1] if found else None
                    if near and (near.job, near.end) == (made.job, made.start):
                        found.pop()
                        made = _gap(each.line, part, near)
                    found.append(made)
        return tuple(found)

    @cached_property
    def doubled(self) -> Usd:
        """The whole period with twice the rows."""
        return total(each.doubled.cost for each in self.forecasts)

    @cached_property
    def swings(self) -> tuple[Swing, ...]:
        """Which driver moves the total most, that one first."""
        found = [swing for each in self.forecasts for swing in self._swings(each)]
        return tuple(sorted(found, key=lambda each: (-each.width, each.job, each.driver)))

    def _swings(self, of: Forecast) -> Iterator[Swing]:
        everything = self.total.expected
        rest = difference(everything, of.total.expected)
        for driver in dict.fromkeys(driver for driver, _ in of.ends):
            ends = (plus(rest, of.ends[driver, end].cost) for end in (End.LOW, End.HIGH))
            low, high = sorted((*ends,))
            at_low, at_high = ends_of(of.line, driver)
            yield Swing(
                job=of.line.name, driver=driver, low=low, high=high, at_low=at_low, at_high=at_high
            )

    @cached_property
    def credited(self) -> tuple[Usd, ...]:
        """What credits pay of each month's expected cost, each used in the order of the file."""
        left = {place: each.amount for place, each in enumerate(self.credits)}
        return tuple(
            self._drawn(month, figure.expected, left)
            for month, figure in zip(self.months, self.by_month, strict=True)
        )

    def _drawn(self, month: date, due: Usd, left: dict[int, Usd]) -> Usd:
        drawn = ZERO
        for place, each in enumerate(self.credits):
            if (each.first or month) <= month <= (each.last or month):
                taken = min(left[place], difference(due, drawn))
                left[place] = difference(left[place], taken)
                drawn = plus(drawn, taken)
        return drawn

    @cached_property
    def to_pay(self) -> Usd:
        """The expected cost after credits."""
        return difference(self.total.expected, total(self.credited))

    @cached_property
    def actuals(self) -> tuple[Actual, ...]:
        """What was spent beside the budget of the same days."""
        figures = dict(zip(self.months, self.by_month, strict=True))
        return tuple(
            Actual(spent=each, budgeted=_share_of(figures[each.month].expected, each))
            for each in self.spent
            if each.month in figures
        )


def _gap(line: Line, part: Part, before: Gap | None = None) -> Gap:
    return Gap(
        job=line.name,
        id=line.id,
        start=before.start if before else part.start,
        end=part.end,
        rows=part.rows + (before.rows if before else 0),
        why=before.why if before else part.why or "",
    )


def _share_of(expected: Usd, spent: Spent) -> Usd:
    """The budget of the days up to `through`, in proportion to the month's days."""
    if spent.through is None:
        return expected
    gone = (spent.through + timedelta(days=1) - spent.month).days
    return scaled(expected, Fraction(gone, (after(spent.month) - spent.month).days))


# --- guardrails -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrails:
    """What a budget must not exceed; `on` says which figure is held against it."""

    monthly: Usd | None = None
    total: Usd | None = None
    per_thousand: Usd | None = None
    increase: Fraction | None = None
    """A share over the baseline's total."""
    on: Literal["expected", "high"] = "expected"

    @property
    def some(self) -> bool:
        """Whether anything is limited."""
        limits = (self.monthly, self.total, self.per_thousand, self.increase)
        return any(each is not None for each in limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One guardrail that does not hold, or cannot be judged (`unknown`)."""

    guardrail: str
    message: str
    brief: str
    """The same where a line has little room: what it is of, and the limit."""
    unknown: bool = False


class Outcome(StrEnum):
    """What a budget's guardrails say together."""

    HOLDS = "holds"
    AT_HIGH = "holds, not if the high comes"
    OVER = "over"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A budget held against its guardrails."""

    rails: Guardrails
    breaches: tuple[Breach, ...]
    at_high: tuple[Breach, ...]
    """What would break if the high came, where only the expected is held against guardrails."""

    @property
    def outcome(self) -> Outcome:
        """The worst that can be said."""
        if self.breaches:
            return Outcome.UNKNOWN if self.breaches[0].unknown else Outcome.OVER
        return Outcome.AT_HIGH if self.at_high else Outcome.HOLDS


def judged(budget: Budget, rails: Guardrails, baseline: Usd | None = None) -> Judged:
    """The budget held against its guardrails, and against them if the high came.

    `baseline` is the total in US dollars that an increase is held against.
    """
    return Judged(
        rails=rails,
        breaches=breaches(budget, rails, baseline),
        at_high=breaches(budget, replace(rails, on="high"), baseline),
    )


def breaches(budget: Budget, rails: Guardrails, baseline: Usd | None = None) -> tuple[Breach, ...]:
    """Every guardrail that is broken, worst month first; then those nobody can judge."""
    found = [*_monthly(budget, rails), *_totals(budget, rails, baseline), *_units(budget, rails)]
    return tuple(found or _unknown(budget, rails, baseline))


def _unknown(budget: Budget, rails: Guardrails, baseline: Usd | None) -> Iterator[Breach]:
    for gap in budget.gaps[:1] if rails.some else ():
        yield Breach(
            guardrail="price",
            message=f"{gap.job} has no price from {gap.start} on, so the guardrails cannot be "
            f"judged: {gap.why}",
            brief=f"{gap.job} has no price from {gap.start} on",
            unknown=True,
        )
    if rails.increase is not None and baseline is None:
        yield Breach(
            guardrail="increase",
            message="no baseline is named, so the increase cannot be judged",
            brief="no baseline for the increase",
            unknown=True,
        )


def _monthly(budget: Budget, rails: Guardrails) -> Iterator[Breach]:
    if rails.monthly is None:
        return
    limit = rails.monthly
    figures = zip(budget.months, budget.by_month, strict=True)
    held = ((figure.at(rails.on), month) for month, figure in figures)
    over = [each for each in held if each[0] > limit]
    if over:
        amount, month = max(over, key=lambda each: (each[0], -each[1].toordinal()))
        more = f" ({len(over)} months are over)" if len(over) > 1 else ""
        yield Breach(
            guardrail="monthly",
            message=f"{month:%Y-%m} costs {dollars(amount)} ({rails.on}), over the monthly "
            f"{dollars(limit)}{more}",
            brief=f"{month:%Y-%m} {dollars(amount)}, monthly {dollars(limit)}",
        )


def _totals(budget: Budget, rails: Guardrails, baseline: Usd | None) -> Iterator[Breach]:
    amount = budget.total.at(rails.on)
    if rails.total is not None and amount > rails.total:
        yield Breach(
            guardrail="total",
            message=f"the period costs {dollars(amount)} ({rails.on}), over the "
            f"{dollars(rails.total)} allowed",
            brief=f"period {dollars(amount)}, total {dollars(rails.total)}",
        )
    if rails.increase is None or baseline is None:
        return
    allowed = plus(baseline, scaled(baseline, rails.increase))
    expected = budget.total.expected
    if expected > allowed:
        yield Breach(
            guardrail="increase",
            message=f"{dollars(expected)} is {dollars(difference(expected, baseline))} over the "
            f"baseline of {dollars(baseline)}, more than the {portion(rails.increase)} allowed",
            brief=f"period {dollars(expected)}, {dollars(allowed)} with the increase",
        )


def _units(budget: Budget, rails: Guardrails) -> Iterator[Breach]:
    limit = rails.per_thousand
    for each in budget.forecasts if limit is not None else ():
        unit = each.per_thousand
        if limit is not None and unit is not None and unit.at(rails.on) > limit:
            yield Breach(
                guardrail="per-1000-rows",
                message=f"{each.line.name} costs {dollars(unit.at(rails.on))} per 1,000 rows "
                f"({rails.on}), over the {dollars(limit)} allowed",
                brief=f"{each.line.name} {dollars(unit.at(rails.on))}, "
                f"{dollars(limit)} per 1,000 rows",
            )
