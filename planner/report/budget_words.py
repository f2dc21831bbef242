"""A budget in words and tables, once: the terminal, a document and the page draw the same cells.

Had each format its own tables, the same figure would sooner or later be printed in two ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from planner.decision.budget import Outcome
from planner.decision.forecast import Driver
from planner.money import difference, dollars, plain
from planner.report.layout import UNKNOWN, Column
from planner.words import aged, counted, duration, least, percent, portion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from fractions import Fraction

    from planner.budgets import BudgetAnswer, JobAnswer, Wait
    from planner.decision.budget import Breach, Judged, Swing
    from planner.decision.cost import CostComponent
    from planner.decision.forecast import Account, Figure, Forecast, PriceChange
    from planner.money import Usd

LEFT_OUT = (
    "Left out: tax, currency, support plans, tools and storage the vendor bills apart, prompt "
    "caching, and whatever is sent again after an expired batch."
)

INTERVALS = (
    "Low and high move each driver alone to its end; the drivers of a job are taken as independent "
    "(joined in quadrature), jobs are taken to move together (added). Months do not add up to the "
    "low and high of the period."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table with its title, and sentences below it."""

    id: str
    title: str
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


def month(day: date) -> str:
    """A month as `2026-12`."""
    return f"{day:%Y-%m}"


def money(value: Usd | None) -> str:
    """An amount for the eye, or a dash."""
    return UNKNOWN if value is None else dollars(value)


def signed(value: Usd) -> str:
    """A difference with its sign."""
    return f"+{dollars(value)}" if value > 0 else dollars(value)


def _three(figure: Figure | None) -> tuple[str, str, str]:
    if figure is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    return dollars(figure.expected), dollars(figure.low), dollars(figure.high)


# --- the answer first -------------------------------------------------------------------


def period(answer: BudgetAnswer) -> str:
    """`2026-11 to 2027-10, 12 months`."""
    every = answer.budget.months
    if len(every) == 1:
        return month(every[0])
    return f"{month(every[0])} to {month(every[-1])}, {len(every)} months"


def at_least(answer: BudgetAnswer) -> str:
    """What stands before a sum that some rows are missing from."""
    return "" if answer.complete else "at least "


def interval(figure: Figure) -> str:
    """`low $1.00, high $2.00`, or that there is none."""
    if figure.low == figure.high:
        return "no driver has a low or high"
    return f"low {dollars(figure.low)}, high {dollars(figure.high)}"


def headline(answer: BudgetAnswer) -> str:
    """The sum of the period with its ends."""
    total = answer.budget.total
    return f"{at_least(answer)}{dollars(total.expected)} expected ({interval(total)})"


def highlights(answer: BudgetAnswer) -> Iterator[str]:
    """What a meeting asks first, a sentence each."""
    budget = answer.budget
    figures = list(zip(budget.months, budget.by_month, strict=True))
    first, last = figures[0], figures[-1]
    if len(figures) > 1:
        peak = max(figures, key=lambda each: each[1].expected)
        top = "" if peak in (first, last) else f", {_in_month(peak)} at the most"
        yield f"A month: {_in_month(first)}, {_in_month(last)}{top}."
    yield from (f"{change_words(change)}." for change in _changes(answer))
    if budget.swings:
        yield f"What moves it most: {_swing_words(budget.swings[0])}."
    yield f"Twice the rows: {dollars(budget.doubled)}."
    yield from _saved(answer)
    if budget.credits:
        used = difference(budget.total.expected, budget.to_pay)
        yield f"Credits pay {dollars(used)} of it; {dollars(budget.to_pay)} is left to pay."
    yield from _compared(answer)
    yield guardrail_line(answer.judged)


def _in_month(each: tuple[date, Figure]) -> str:
    return f"{dollars(each[1].expected)} in {month(each[0])}"


def _changes(answer: BudgetAnswer) -> Iterator[PriceChange]:
    found = [change for each in answer.jobs for change in each.forecast.changes]
    yield from sorted(found, key=lambda change: change.date)


def change_words(change: PriceChange) -> str:
    """One change of price with what it does."""
    said = f" ({change.state})" if change.state else ""
    effect = (
        "no price from then on"
        if change.factor is None
        else f"the same rows cost {times(change.factor)[1:]} times as much"
    )
    return f"{change.date}: {change.job} ({change.id}): {change.what}{said}: {effect}"


def times(factor: Fraction) -> str:
    """A factor as `x2` or `x1.25`, two decimals."""
    hundredths = round(factor * 100)
    return f"x{hundredths // 100}.{hundredths % 100:02d}".rstrip("0").rstrip(".")


def _swing_words(swing: Swing) -> str:
    return f"{swing.driver} of {swing.job}, {dollars(swing.low)} to {dollars(swing.high)}"


def _saved(answer: BudgetAnswer) -> Iterator[str]:
    for each in answer.jobs:
        if each.saved is not None and each.saved > 0:
            share = portion(_share(each.saved, each.realtime.total.expected))
            yield (
                f"{each.forecast.line.name} in {each.forecast.line.lane} saves "
                f"{dollars(each.saved)} ({share}) against {each.realtime.line.lane} at list "
                f"price, for a wait: {wait_words(each.wait)}."
            )


def _share(part: Usd, whole: Usd) -> Fraction:
    from fractions import Fraction

    return Fraction(part) / Fraction(whole)


def wait_words(wait: Wait | None) -> str:
    """How long one run takes, how likely by its deadline, and how well that is known."""
    if wait is None:
        return "not known"
    finish, p = wait.option.finish, wait.option.p_deadline
    said = [f"typically {duration(finish.p50)}"] if finish.p50 is not None else []
    said += [f"95 % by {duration(finish.p95)}"] if finish.p95 is not None else []
    if wait.deadline is not None and p is not None:
        said.append(f"within {duration(wait.deadline)}: {percent(p.mean)} ({least(p.low)})")
    return f"{', '.join(said) or 'not known'}, grade {wait.option.grade}"


def _compared(answer: BudgetAnswer) -> Iterator[str]:
    found = answer.comparison
    if found is not None:
        share = "" if found.share is None else f" ({portion(found.share, signed=True)})"
        yield (
            f"Against {found.name}: {signed(found.more)}{share}, from {dollars(found.before)} to "
            f"{dollars(found.now)}."
        )


def guardrail_line(judged: Judged) -> str:
    """One line: every guardrail holds, or the first that does not and why."""
    on, outcome = judged.rails.on, judged.outcome
    if not judged.rails.some:
        return "Guardrails: none are set."
    if outcome is Outcome.HOLDS:
        return f"Guardrails: all hold ({on})."
    if outcome is Outcome.AT_HIGH:
        return f"Guardrails: all hold ({on}); not if the high comes: {_first(judged.at_high)}."
    return f"Guardrails: {outcome}: {_first(judged.breaches)}."


def guardrail_lines(judged: Judged) -> Iterator[str]:
    """The same line, and shorter ones after it for where it has no room."""
    yield guardrail_line(judged)
    found = judged.breaches or judged.at_high
    if not found:
        yield "Guardrails hold."
        return
    over = "over at high" if judged.rails.on == "high" else "over"
    lead = {
        Outcome.AT_HIGH: "Guardrails hold; over at high",
        Outcome.OVER: f"Guardrails: {over}",
    }.get(judged.outcome, f"Guardrails: {judged.outcome}")
    more = f" (+{len(found) - 1})" if len(found) > 1 else ""
    yield f"{lead}: {found[0].brief}{more}"
    yield f"{lead}: {', '.join(dict.fromkeys(each.guardrail for each in found))}"


def _first(found: Sequence[Breach]) -> str:
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0].message}{more}"


# --- tables -----------------------------------------------------------------------------


def sections(answer: BudgetAnswer) -> tuple[Section, ...]:
    """Every table, in the order a meeting reads them; those without a row are left out."""
    made = (
        _jobs(answer),
        _months(answer),
        _drivers(answer),
        _savings(answer),
        _alternatives(answer),
        _arithmetic(answer),
        _actuals(answer),
        _baseline(answer),
        _guardrails(answer),
    )
    return tuple(each for each in made if each.rows)


def _right(*titles: str) -> tuple[Column, ...]:
    return tuple(Column(title=title, right=True) for title in titles)


def _jobs(answer: BudgetAnswer) -> Section:
    rows = [_job_cells(each.forecast) for each in answer.jobs]
    if len(rows) > 1:
        total = answer.budget.total
        every = f"{sum(each.forecast.rows for each in answer.jobs):,}"
        rows.append(("all", "", every, "", "", "", "", *_three(total)))
    units = _right("a row", "1,000 rows", "accepted row", "a run", "period", "low", "high")
    return Section(
        id="jobs",
        title="Jobs",
        columns=(Column(title="job"), Column(title="model/lane"), *_right("rows"), *units),
        rows=tuple(rows),
    )


def _job_cells(each: Forecast) -> tuple[str, ...]:
    units = (each.per_row, each.per_thousand, each.per_accepted, each.per_run)
    return (
        each.line.name,
        each.line.id,
        f"{each.rows:,}",
        *(money(unit.expected if unit else None) for unit in units),
        *_three(each.total),
    )


def _months(answer: BudgetAnswer) -> Section:
    budget = answer.budget
    rows = []
    for day, figure, credit in zip(budget.months, budget.by_month, budget.credited, strict=True):
        left = dollars(difference(figure.expected, credit))
        paid = (dollars(credit), left) if budget.credits else ("", "")
        rows.append((month(day), *_three(figure), *paid, _month_note(answer, day)))
    return Section(
        id="months",
        title="Month by month",
        columns=(
            Column(title="month"),
            *_right("expected", "low", "high", "credits", "to pay"),
            Column(title="what changes"),
        ),
        rows=tuple(rows),
        notes=(INTERVALS,),
    )


def _month_note(answer: BudgetAnswer, day: date) -> str:
    said = [
        f"{change.job}: {times(change.factor) if change.factor else 'no price'} from {change.date}"
        for change in _changes(answer)
        if month(change.date) == month(day)
    ]
    for each in answer.jobs:
        line = each.forecast.line
        said += [f"{line.name} begins"] if line.first == day != answer.budget.months[0] else []
        said += [f"{line.name} for the last time"] if line.last == day else []
        place = answer.budget.months.index(day)
        if each.forecast.months[place].gaps:
            said.append(f"{line.name}: not all rows have a price")
    return "; ".join(said)


def _drivers(answer: BudgetAnswer) -> Section:
    rows = tuple(
        (
            swing.job,
            swing.driver.value,
            _ends(swing),
            dollars(swing.low),
            dollars(swing.high),
            dollars(swing.width),
        )
        for swing in answer.budget.swings
    )
    total = answer.budget.total
    note = (
        f"Each driver alone, the others as expected ({dollars(total.expected)}). All at their low "
        f"ends at once: {dollars(total.best)}; all at their high ends: {dollars(total.worst)}."
    )
    return Section(
        id="drivers",
        title="Which assumption moves the total",
        columns=(
            Column(title="job"),
            Column(title="driver"),
            Column(title="from .. to"),
            *_right("total at its low", "at its high", "difference"),
        ),
        rows=rows,
        notes=(note,),
    )


def _ends(swing: Swing) -> str:
    if swing.driver in (Driver.GROWTH, Driver.REJECTED):
        return f"{portion(swing.at_low)} .. {portion(swing.at_high)}"
    return f"{_count(swing.at_low)} .. {_count(swing.at_high)}"


def _count(value: Fraction) -> str:
    """A number of rows, runs or tokens, to two decimals."""
    hundredths = round(value * 100)
    rest = f".{hundredths % 100:02d}".rstrip("0").rstrip(".")
    return f"{hundredths // 100:,}{rest}"


def _savings(answer: BudgetAnswer) -> Section:
    return Section(
        id="savings",
        title="Against realtime at list price",
        columns=(
            Column(title="job"),
            Column(title="lane"),
            *_right("realtime, list", "this budget", "saved"),
            Column(title="the wait of one run, as of today"),
        ),
        rows=tuple(_saving(each) for each in answer.jobs),
        notes=("A finish before a batch's window is likely, never promised by a vendor.",),
    )


def _saving(each: JobAnswer) -> tuple[str, ...]:
    return (
        each.forecast.line.name,
        each.forecast.line.lane,
        money(each.realtime.total.expected),
        money(each.forecast.total.expected),
        money(each.saved),
        wait_words(each.wait),
    )


def _alternatives(answer: BudgetAnswer) -> Section:
    return Section(
        id="alternatives",
        title="Other models and lanes",
        columns=(
            Column(title="job"),
            Column(title="model/lane"),
            *_right("1,000 rows", "period", "difference"),
            Column(title="the wait of one run, as of today"),
        ),
        rows=tuple(row for each in answer.jobs for row in _candidates(each)),
        notes=("The same rows at another price; what a model answers was not judged.",),
    )


def _candidates(job: JobAnswer) -> Iterator[tuple[str, ...]]:
    mine = job.forecast.total.expected
    for each in job.candidates:
        name = job.forecast.line.name
        if each.forecast is None or each.none is not None:
            yield (name, each.id, UNKNOWN, UNKNOWN, UNKNOWN, each.none or "not known")
            continue
        theirs = each.forecast.total.expected
        unit = each.forecast.per_thousand
        yield (
            name,
            each.id,
            money(unit.expected if unit else None),
            money(theirs),
            signed(difference(theirs, mine)),
            wait_words(each.wait),
        )


def _arithmetic(answer: BudgetAnswer) -> Section:
    return Section(
        id="arithmetic",
        title="The arithmetic: rows x tokens x $/M = $",
        columns=(
            Column(title="job"),
            Column(title="days"),
            *_right("rows", "x tokens a row", "= tokens"),
            Column(title="meter"),
            *_right("x $ per million", "= $"),
        ),
        rows=tuple(
            row
            for each in answer.jobs
            for account in each.forecast.accounts
            for row in _account(each.forecast, account)
        ),
        notes=("Rows are those paid for: answers that are rejected and asked again are in.",),
    )


def _account(of: Forecast, account: Account) -> Iterator[tuple[str, ...]]:
    for part in account.components:
        yield (
            of.line.name,
            f"{account.start} .. {account.end - timedelta(days=1)}",
            f"{account.rows:,}",
            f"x {_count(_a_row(part, account.rows))}",
            f"= {part.quantity:,}",
            part.meter + (f" (prompts over {part.over:,})" if part.over else ""),
            f"x ${plain(part.rate)}/M",
            f"= {dollars(part.amount)}",
        )


def _a_row(part: CostComponent, rows: int) -> Fraction:
    from fractions import Fraction

    return Fraction(part.quantity, rows)


def _actuals(answer: BudgetAnswer) -> Section:
    return Section(
        id="actuals",
        title="Spent so far",
        columns=(
            Column(title="month"),
            Column(title="through"),
            *_right("spent", "budgeted for these days", "more"),
        ),
        rows=tuple(
            (
                month(each.spent.month),
                str(each.spent.through or "the whole month"),
                dollars(each.spent.amount),
                dollars(each.budgeted),
                signed(each.more),
            )
            for each in answer.budget.actuals
        ),
        notes=(f"{answer.spent_said}; a part of a month is held against its share of days.",),
    )


def _baseline(answer: BudgetAnswer) -> Section:
    found = answer.comparison
    effects = found.effects if found else ()
    rows = [(each.job, each.driver, signed(each.amount)) for each in effects]
    if found is not None:
        rows.append(("all", "", signed(found.more)))
    return Section(
        id="baseline",
        title=f"What changed against {found.name}" if found else "",
        columns=(Column(title="job"), Column(title="driver"), *_right("difference")),
        rows=tuple(rows),
    )


def _guardrails(answer: BudgetAnswer) -> Section:
    judged, rails = answer.judged, answer.judged.rails
    limits = (
        ("monthly", rails.monthly and dollars(rails.monthly)),
        ("total", rails.total and dollars(rails.total)),
        ("per-1000-rows", rails.per_thousand and dollars(rails.per_thousand)),
        ("increase", rails.increase is not None and portion(rails.increase)),
    )
    broken = {each.guardrail: each.message for each in judged.breaches}
    unknown = broken.pop("price", None)
    high = {each.guardrail: each.message for each in judged.at_high}
    return Section(
        id="guardrails",
        title="Guardrails",
        columns=(Column(title="guardrail"), *_right("at most"), Column(title="")),
        rows=tuple(
            (
                name,
                limit,
                f"x {broken[name]}" if name in broken else _holds(unknown, high.get(name)),
            )
            for name, limit in limits
            if limit
        ),
    )


def _holds(unknown: str | None, high: str | None) -> str:
    """A guardrail that is not broken: it holds, holds for now, or cannot be judged."""
    if unknown is not None:
        return f"? {unknown}"
    return "+ holds" if high is None else f"! holds at expected, breaks at high: {high}"


# --- what it rests on -------------------------------------------------------------------


def assumptions(answer: BudgetAnswer) -> Iterator[str]:
    """What the figures take for granted, job by job."""
    for each in answer.jobs:
        line = each.forecast.line
        growth = portion(line.growth.expected)
        yield (
            f"{line.name}: {_count(line.rows.expected)} rows a run, "
            f"{_count(line.runs.expected)} runs a month, {growth} growth a month (compound), "
            f"{portion(line.rejected.expected)} of the answers rejected and asked again "
            f"({counted(line.retries, 'retry')} at most)"
        )
        yield from (f"{line.name}: {sentence}" for sentence in each.said)


def tags(answer: BudgetAnswer) -> Iterator[str]:
    """The tags of each job that has some."""
    for each in answer.jobs:
        if each.forecast.line.tags:
            said = ", ".join(f"{key}={value}" for key, value in each.forecast.line.tags)
            yield f"{each.forecast.line.name}: {said}"


def sources(answer: BudgetAnswer) -> Iterator[tuple[str, str, str]]:
    """(source, when it was read, address), each once."""
    for each in answer.sources:
        own = f"your own {each.overlay}" if each.overlay else each.id
        yield own, str(each.read_as), each.url


def footer(answer: BudgetAnswer) -> str:
    """As of when, how old, and what is left out."""
    oldest = answer.evidence.oldest
    days = answer.evidence.age_days
    age = f", oldest source {aged(days)} ({oldest.id})" if oldest and days is not None else ""
    return f"Prices as of {answer.on}{age}. {LEFT_OUT}"
