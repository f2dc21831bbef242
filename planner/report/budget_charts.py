"""Where the marks of a budget's two charts stand: months as bars, drivers as a tornado.

Geometry only, in the units of an SVG's viewBox; the page draws it. A charting library was
rejected: it brings a script, or megabytes, and the page must open from a mail without either.
Pixels are floats, rounded to a tenth; every amount that is printed comes from `money`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from planner.money import Usd, dollars, total
from planner.report import budget_words as words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from planner.budgets import BudgetAnswer
    from planner.decision.budget import Swing
    from planner.decision.forecast import Figure, Forecast

WIDTH = 760
MOST_SERIES = 5
"""More colours than that cannot be told apart; the smaller jobs share one."""

MOST_DRIVERS = 10
OTHERS = "other jobs"

LEFT, RIGHT, TOP, BOTTOM = 76, 12, 18, 30
"""Room for the labels around the bars of the months."""

BARS_HEIGHT = 270
LINE_HEIGHT = 30
NAMES, VALUES = 230, 84
"""Room for the drivers' names at the left, and for a figure at either end of a bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One rectangle of one job, or of one driver."""

    x: float
    y: float
    width: float
    height: float
    series: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A line of the grid with its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisker:
    """Low to high of a month."""

    x: float
    low: float
    high: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthChart:
    """The months: bars of the jobs on top of each other, with the interval of their sum."""

    height: int
    bars: tuple[Bar, ...]
    whiskers: tuple[Whisker, ...]
    grid: tuple[Tick, ...]
    labels: tuple[Tick, ...]
    limit: Tick | None
    changes: tuple[Tick, ...]
    legend: tuple[tuple[int, str], ...]
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverLine:
    """One driver: its name, its bar around the expected total, and both ends in figures."""

    y: float
    name: str
    bar: Bar
    low: Tick
    high: Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverChart:
    """The drivers, the widest first."""

    height: int
    centre: Tick
    lines: tuple[DriverLine, ...]
    said: str


def _nice(most: Decimal, steps: int = 5) -> Decimal:
    """A round step of the grid: 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return Decimal(1)
    rough = most / steps
    power = Decimal(1).scaleb(rough.adjusted())
    return next((power * n for n in (1, 2, 5) if power * n >= rough), power * 10)


class _Scale:
    """From an amount to a place on an axis."""

    def __init__(self, low: Decimal, high: Decimal, start: float, end: float) -> None:
        self.low, self.start = low, start
        self.unit = (end - start) / float(high - low) if high > low else 0.0

    def __call__(self, value: Decimal) -> float:
        return round(self.start + float(value - self.low) * self.unit, 1)


def _series(answer: BudgetAnswer) -> list[tuple[str, list[Forecast]]]:
    """The jobs to draw, in the order of the file; the smallest together where there are many."""
    found = [job.forecast for job in answer.jobs]
    if len(found) <= MOST_SERIES:
        return [(each.line.name, [each]) for each in found]
    largest = sorted(found, key=lambda each: -each.total.expected)[: MOST_SERIES - 1]
    kept = [(each.line.name, [each]) for each in found if each in largest]
    return [*kept, (OTHERS, [each for each in found if each not in largest])]


def months(answer: BudgetAnswer) -> MonthChart:
    """The chart of the months."""
    whole, rails = answer.budget, answer.judged.rails
    figures, series = whole.by_month, _series(answer)
    top = max([each.high for each in figures] + ([rails.monthly] if rails.monthly else []))
    step = _nice(top)
    steps = max(1, math.ceil(top / step))
    ceiling = step * steps
    up = _Scale(Decimal(0), ceiling, BARS_HEIGHT - BOTTOM, TOP)
    places = _columns(len(figures))
    limit = None
    if rails.monthly is not None:
        limit = Tick(at=up(rails.monthly), label=f"monthly guardrail {dollars(rails.monthly)}")
    changed = {words.month(change.date) for job in answer.jobs for change in job.forecast.changes}
    return MonthChart(
        height=BARS_HEIGHT,
        bars=tuple(_stack(series, whole.months, places, up)),
        whiskers=tuple(_whiskers(whole.months, figures, places, up)),
        grid=tuple(Tick(at=up(step * k), label=f"${step * k:,f}") for k in range(steps + 1)),
        labels=tuple(_labels(whole.months, places)),
        limit=limit,
        changes=tuple(
            Tick(at=x, label="price change")
            for day, (x, _) in zip(whole.months, places, strict=True)
            if words.month(day) in changed
        ),
        legend=tuple((place, name) for place, (name, _) in enumerate(series)),
        said=f"Expected cost of each month with its low and high: {_ends(whole.months, figures)}.",
    )


def _ends(every: Sequence[date], figures: Sequence[Figure]) -> str:
    said = (
        f"{dollars(figures[at].expected)} in {words.month(every[at])}"
        for at in dict.fromkeys((0, len(every) - 1))
    )
    return " to ".join(said)


def _columns(count: int) -> list[tuple[float, float]]:
    """(left edge, width) of the column of each month."""
    width = (WIDTH - LEFT - RIGHT) / count
    return [(round(LEFT + width * place, 1), round(width, 1)) for place in range(count)]


def _stack(
    series: Sequence[tuple[str, list[Forecast]]],
    every: Sequence[date],
    places: Sequence[tuple[float, float]],
    up: _Scale,
) -> Iterator[Bar]:
    for place, (x, width) in enumerate(places):
        below = Decimal(0)
        for number, (name, jobs) in enumerate(series):
            cost = total(each.months[place].cost for each in jobs)
            if cost:
                y, foot = up(below + cost), up(below)
                yield Bar(
                    x=round(x + width * 0.18, 1),
                    y=y,
                    width=round(width * 0.64, 1),
                    height=round(foot - y, 1),
                    series=number,
                    title=f"{words.month(every[place])}, {name}: {dollars(cost)}",
                )
            below += cost


def _whiskers(
    every: Sequence[date],
    figures: Sequence[Figure],
    places: Sequence[tuple[float, float]],
    up: _Scale,
) -> Iterator[Whisker]:
    for day, figure, (x, width) in zip(every, figures, places, strict=True):
        if figure.low != figure.high:
            yield Whisker(
                x=round(x + width / 2, 1),
                low=up(figure.low),
                high=up(figure.high),
                title=f"{words.month(day)}: {words.interval(figure)}",
            )


def _labels(every: Sequence[date], places: Sequence[tuple[float, float]]) -> Iterator[Tick]:
    each_nth = -(-len(every) // 13)
    for place, (day, (x, width)) in enumerate(zip(every, places, strict=True)):
        if place % each_nth == 0:
            year = f" {day:%Y}" if place == 0 or day.month <= each_nth else ""
            yield Tick(at=round(x + width / 2, 1), label=f"{day:%b}{year}")


def drivers(answer: BudgetAnswer) -> DriverChart | None:
    """The tornado; None where no driver has a low and a high."""
    swings = answer.budget.swings[:MOST_DRIVERS]
    if not swings:
        return None
    expected = answer.budget.total.expected
    low = min(*(each.low for each in swings), expected)
    high = max(*(each.high for each in swings), expected)
    across = _Scale(low, high, NAMES + VALUES, WIDTH - VALUES)
    widest = swings[0]
    return DriverChart(
        height=LINE_HEIGHT * len(swings) + 30,
        centre=Tick(at=across(expected), label=f"expected {dollars(expected)}"),
        lines=tuple(_driver(place, each, across) for place, each in enumerate(swings)),
        said=(
            "The total with each driver alone at its low and high end, the widest first: "
            f"{widest.driver} of {widest.job} from {dollars(widest.low)} to {dollars(widest.high)}."
        ),
    )


def _driver(place: int, swing: Swing, across: _Scale) -> DriverLine:
    y = float(26 + LINE_HEIGHT * place)
    left, right = across(swing.low), across(swing.high)
    return DriverLine(
        y=y,
        name=f"{swing.driver}, {swing.job}",
        bar=Bar(
            x=left,
            y=y + 4,
            width=round(max(right - left, 1.0), 1),
            height=LINE_HEIGHT - 12,
            series=0,
            title=f"{swing.driver} of {swing.job}: {_span(swing.low, swing.high)}",
        ),
        low=Tick(at=left - 6, label=dollars(swing.low)),
        high=Tick(at=right + 6, label=dollars(swing.high)),
    )


def _span(low: Usd, high: Usd) -> str:
    return f"{dollars(low)} to {dollars(high)}"
