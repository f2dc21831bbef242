"""What changed against an earlier budget: the difference in dollars, by the driver behind it.

Each month and meter is rows x tokens a row x rate; the drivers are swapped from the earlier
budget's to this one's in that order, so the effects add up to the difference exactly, whatever
was rounded. Comparing totals alone would say that it is dearer and not why.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from planner.decision.cost import OUTPUT
from planner.money import ZERO, Usd, difference, plus, scaled, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from planner.decision.budget import Budget
    from planner.decision.forecast import MonthCost


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """Units of one meter and what they cost."""

    quantity: int
    amount: Usd


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthSnapshot:
    """One month of one job as it was budgeted."""

    rows: int
    billed: int
    meters: Mapping[str, Metered]

    @property
    def cost(self) -> Usd:
        """US dollars."""
        return total(each.amount for each in self.meters.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSnapshot:
    """One job as it was budgeted."""

    model: str
    lane: str
    months: Mapping[date, MonthSnapshot]

    @property
    def cost(self) -> Usd:
        """US dollars."""
        return total(each.cost for each in self.months.values())


Snapshot = dict[str, JobSnapshot]
"""A budget by its jobs' names: all that a later one is compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one driver of one job added to the total, or took from it."""

    job: str
    driver: str
    amount: Usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An earlier budget beside this one."""

    name: str
    before: Usd
    now: Usd
    effects: tuple[Effect, ...]

    @property
    def more(self) -> Usd:
        """This one's total less the earlier one's."""
        return difference(self.now, self.before)

    @property
    def share(self) -> Fraction | None:
        """The difference as a share of the earlier total; None where that was nothing."""
        return Fraction(self.more) / Fraction(self.before) if self.before else None


def snapshot(budget: Budget) -> Snapshot:
    """A budget as a later one will compare itself with it."""
    return {
        each.line.name: JobSnapshot(
            model=each.line.profile.model,
            lane=each.line.lane,
            months={month.month: _month(month) for month in each.months},
        )
        for each in budget.forecasts
    }


def _month(of: MonthCost) -> MonthSnapshot:
    meters: dict[str, Metered] = {}
    for part in of.parts:
        for each in part.components:
            known = meters.get(each.meter, Metered(quantity=0, amount=ZERO))
            meters[each.meter] = Metered(
                quantity=known.quantity + each.quantity, amount=plus(known.amount, each.amount)
            )
    return MonthSnapshot(rows=of.rows, billed=of.billed, meters=meters)


def cost(of: Snapshot) -> Usd:
    """The whole budget as it was, in US dollars."""
    return total(each.cost for each in of.values())


def compare(name: str, before: Snapshot, now: Snapshot) -> Comparison:
    """The difference by job and driver, the largest first; effects add up to it exactly."""
    effects = [
        effect
        for job in dict.fromkeys((*before, *now))
        for effect in _effects(job, before.get(job), now.get(job))
        if effect.amount
    ]
    return Comparison(
        name=name,
        before=cost(before),
        now=cost(now),
        effects=tuple(sorted(effects, key=lambda each: (-abs(each.amount), each.job, each.driver))),
    )


def _effects(job: str, before: JobSnapshot | None, now: JobSnapshot | None) -> Iterator[Effect]:
    if before is None or now is None:
        amount = now.cost if now else Usd(-before.cost) if before else ZERO
        yield Effect(job=job, driver="a new job" if now else "a job left out", amount=amount)
        return
    common = [month for month in now.months if month in before.months]
    gone = total(each.cost for day, each in before.months.items() if day not in now.months)
    come = total(each.cost for day, each in now.months.items() if day not in before.months)
    yield Effect(job=job, driver="other months", amount=difference(come, gone))
    sums = _summed(_of_month(before, now, before.months[day], now.months[day]) for day in common)
    for driver, amount in sums.items():
        yield Effect(job=job, driver=driver, amount=amount)


def _summed(found: Iterable[Iterable[tuple[str, Usd]]]) -> dict[str, Usd]:
    sums: dict[str, Usd] = {}
    for month in found:
        for driver, amount in month:
            sums[driver] = plus(sums.get(driver, ZERO), amount)
    return sums


def _of_month(
    before: JobSnapshot, now: JobSnapshot, old: MonthSnapshot, new: MonthSnapshot
) -> Iterator[tuple[str, Usd]]:
    """(driver, US dollars): volume, answers asked again, tokens, then what is left is the price."""
    price = "prices" if before.lane == now.lane else "lane"
    price = price if before.model == now.model else "model"
    for meter in dict.fromkeys((*old.meters, *new.meters)):
        was = old.meters.get(meter, Metered(quantity=0, amount=ZERO))
        is_ = new.meters.get(meter, Metered(quantity=0, amount=ZERO))
        rows = scaled(was.amount, _times(new.rows, old.rows) - 1)
        again = scaled(was.amount, _times(new.billed, old.billed) - _times(new.rows, old.rows))
        tokens = scaled(
            was.amount, _times(is_.quantity, was.quantity) - _times(new.billed, old.billed)
        )
        name = "output-tokens" if meter == OUTPUT else "input-tokens"
        yield "volume", rows
        yield "rejected", again
        yield (name if price != "model" else price), tokens
        explained = total((was.amount, rows, again, tokens))
        yield price, difference(is_.amount, explained)


def _times(now: int, before: int) -> Fraction:
    """How often the earlier figure fits; 1 where there was none, so that the price takes it."""
    return Fraction(now, before) if before else Fraction(1)
