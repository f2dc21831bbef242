"""What a meeting asks of the months ahead: realtime beside batch, at any volume, on any model.

Above `budgets`, whose file it may take its jobs from; a job that was planned is the other
source. Here each question is asked anew while the volume moves, so what was measured is kept and
everything else is recomputed. Scaling the first answer instead was rejected: twice the rows take
another time, and may run into limits that the first volume never met.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from planner import budgets, pipeline
from planner.budgets import Wait
from planner.catalog.freshness import freshness
from planner.decision import baseline, budget, forecast
from planner.decision.forecast import Figure, Line, Spread, summed
from planner.money import difference
from planner.workload.sizes import End

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date, datetime

    from planner.budget_file import Read
    from planner.catalog import Catalog, Model, Source
    from planner.catalog.freshness import Freshness
    from planner.decision.baseline import Snapshot
    from planner.decision.budget import Budget, Credit, Guardrails, Judged, Spent
    from planner.decision.forecast import Forecast, PriceChange
    from planner.decision.turnaround import FinishedJob
    from planner.money import Usd
    from planner.pipeline import Estimate, Measured
    from planner.workload.profile import TokenProfile

MONTHS = 12
"""How far a job that is no budget is looked ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One job on one model, measured once; `line` is in its budgeted lane, or the ordinary one."""

    measured: Measured
    line: Line
    budgeted: bool = False
    """Whether the file budgets the job on this very model and lane."""

    @property
    def model(self) -> str:
        """What the model is called among those measured."""
        return self.line.profile.model


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """What there is to talk about: jobs, each on its models, over a period."""

    title: str
    subjects: tuple[Subject, ...]
    period: tuple[date, ...]
    ours: Catalog
    listed: Catalog
    """Without anybody's own prices: what realtime is compared at."""
    file: str | None = None
    runs: int | None = None
    """Runs a month of a job that is no budget."""
    history: tuple[FinishedJob, ...] = ()
    credits: tuple[Credit, ...] = ()
    spent: tuple[Spent, ...] = ()
    spent_said: str = ""
    """Where what was spent comes from."""
    rails: Guardrails = field(default_factory=budget.Guardrails)
    before: Usd | None = None
    """The total that an increase is held against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Where on the agenda, and at how many times the volume."""

    place: int = 0
    volume: Fraction = Fraction(1)
    runs: int | None = None
    """Runs a month of a job that no file states them of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One way to run it: what a month and the period cost, and how long each job then waits."""

    lanes: tuple[str, ...]
    month: Figure
    period: Figure
    waits: tuple[tuple[str, Wait | None], ...]
    forecasts: tuple[Forecast, ...]
    gaps: tuple[str, ...] = ()
    """Why rows without a price are in no figure."""

    @property
    def over_limits(self) -> tuple[str, ...]:
        """Which months are over what a usage tier may spend, a sentence for each vendor."""
        limits = (budgets.month_limit(wait) for _, wait in self.waits)
        return tuple(budget.over_limits(zip(self.forecasts, limits, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The answer to one question."""

    title: str
    model: str | None
    """None: every job of the file."""
    rows: Spread | None
    """Rows a run."""
    runs: Spread | None
    volume: Fraction
    realtime: Side
    other: Side | None
    """Batch, or what the file budgets; None: the model has no lane that answers later."""
    why: str | None
    month: date
    period: tuple[date, ...]
    changes: tuple[PriceChange, ...]
    evidence: Freshness
    on: date
    place: int
    places: int
    budget: Budget | None = None
    """The file's own, with its credits and what was spent; on the page of all its jobs."""
    spent_said: str = ""
    judged: Judged | None = None
    """That budget held against its guardrails, at the volume that is asked."""


def saved(page: Page, figure: Callable[[Side], Figure], end: End) -> tuple[Usd, Fraction] | None:
    """What waiting saves at an end of the drivers: US dollars, and the share of realtime.

    None where there is nothing to wait for, or where a price is missing on either side.
    """
    if page.other is None or page.realtime.gaps or page.other.gaps:
        return None
    now, later = (at(figure(side), end) for side in (page.realtime, page.other))
    return difference(now, later), Fraction(difference(now, later)) / Fraction(now or 1)


def at(figure: Figure, end: End) -> Usd:
    """A figure as expected, or at an end of its interval."""
    return {End.LOW: figure.low, End.VALUE: figure.expected, End.HIGH: figure.high}[end]


# --- agendas ----------------------------------------------------------------------------


def of_estimate(of: Estimate, *, name: str, runs: int = 1) -> Agenda:
    """A planned job, so many runs a month, on each of its models, from the next month on.

    From the next month, because this one is begun: part of it would be priced as of days past.
    """
    measured = replace(of.measured, job=of.job)
    return Agenda(
        title=name,
        subjects=tuple(
            Subject(
                measured=replace(measured, models=(model,), profiles=(profile,)),
                line=_planned(name, model, profile, of.job.requirements.region, runs),
            )
            for model, profile in zip(measured.models, measured.profiles, strict=True)
        ),
        period=forecast.months(forecast.after(of.on.replace(day=1)), MONTHS),
        ours=of.catalog,
        listed=of.catalog,
        runs=runs,
        history=of.cases[0].history,
    )


def _planned(name: str, model: Model, profile: TokenProfile, region: str | None, runs: int) -> Line:
    rows = profile.rows
    return Line(
        name=name,
        model=model,
        lane=model.lanes[0],
        profile=profile,
        rows=Spread(
            low=Fraction(rows.low), expected=Fraction(rows.value), high=Fraction(rows.high)
        ),
        runs=Spread.exact(runs),
        region=region,
    )


def of_file(
    read: Read,
    ours: Catalog,
    listed: Catalog,
    *,
    on: date,
    earlier: Snapshot | None = None,
    billed: tuple[str, tuple[Spent, ...]] | None = None,
) -> Agenda:
    """The jobs of a budget, each on its own model and on those it is compared with.

    `earlier` is the baseline of its guardrails; `billed` is what was spent as the ledger has it,
    as `budgets.answer` takes it.
    """
    found = [
        Subject(measured=measured, line=line, budgeted=not place)
        for job in budgets.measured(read, ours)
        for place, (measured, line) in enumerate(job)
    ]
    file = read.file
    said, spent = (budgets.AS_STATED, budgets.stated(read)) if billed is None else billed
    return Agenda(
        title=file.title,
        subjects=tuple(found),
        period=budgets.period(read, on),
        ours=ours,
        listed=listed,
        file=read.path.name,
        credits=budgets.credited(read),
        spent=spent,
        spent_said=said,
        rails=budgets.rails(read),
        before=None if earlier is None else baseline.cost(earlier),
    )


# --- answers ----------------------------------------------------------------------------


def places(agenda: Agenda) -> int:
    """How many pages there are: a budget has one of everything before those of its jobs."""
    return len(agenda.subjects) + (agenda.file is not None)


def page(agenda: Agenda, asked: Question, *, now: datetime, on: date) -> Page:
    """The answer; UnknownFactError and InputError as `pipeline.estimate` has them."""
    teller = _Teller(agenda, asked, now, on)
    if agenda.file is not None and not asked.place:
        return teller.whole()
    return teller.one(agenda.subjects[asked.place - (agenda.file is not None)])


class _Teller:
    """One question on its way to an answer."""

    def __init__(self, agenda: Agenda, asked: Question, now: datetime, on: date) -> None:
        self.agenda, self.asked = agenda, asked
        self.now, self.on = now, on
        self.used: list[Forecast] = []
        self.month = agenda.period[0]

    def one(self, of: Subject) -> Page:
        """Realtime beside batch, on one model."""
        lines = [each.line for each in self._budgeted()]
        self.month = self._first_month([*lines, of.line], [of.line])
        line, waits = self._moved(of), self._waits(of)
        batch = _batch_lane(waits)
        now = self._side(of, self._base(line), waits)
        later = None if batch is None else self._side(of, replace(line, lane=batch), waits)
        why = None if batch is not None else f"{line.model.id} has no lane that answers later"
        return self._page(of.line.name, of.model, line, now, later, why)

    def whole(self) -> Page:
        """Every job: all of them in realtime, beside what the file budgets."""
        budgeted = self._budgeted()
        self.month = self._first_month([each.line for each in budgeted])
        pairs = []
        for each in budgeted:
            line, waits = self._moved(each), self._waits(each)
            pairs.append((self._side(each, self._base(line), waits), self._side(each, line, waits)))
        now, later = (_joined(sides) for sides in zip(*pairs, strict=True))
        made = budget.Budget(
            months=self.agenda.period,
            forecasts=later.forecasts,
            credits=self.agenda.credits,
            spent=self.agenda.spent,
        )
        found = self._page(self.agenda.title, None, None, now, later, None)
        return replace(
            found,
            budget=made,
            spent_said=self.agenda.spent_said,
            judged=budget.judged(made, self.agenda.rails, self.agenda.before),
        )

    def _page(
        self,
        title: str,
        model: str | None,
        line: Line | None,
        now: Side,
        later: Side | None,
        why: str | None,
    ) -> Page:
        changes = {change.date: change for each in self.used for change in each.changes}
        return Page(
            title=title,
            model=model,
            rows=None if line is None else line.rows,
            runs=None if line is None else line.runs,
            volume=self.asked.volume,
            realtime=now,
            other=later,
            why=why,
            month=self.month,
            period=self.agenda.period,
            changes=tuple(changes[day] for day in sorted(changes)),
            evidence=freshness(self._sources(), on=self.on),
            on=self.on,
            place=self.asked.place,
            places=places(self.agenda),
        )

    def _budgeted(self) -> list[Subject]:
        return [each for each in self.agenda.subjects if each.budgeted]

    def _first_month(self, *choices: Sequence[Line]) -> date:
        """The first month of the period in which all lines run, of the first choice that has one.

        Else its last. A job is shown in the month of all jobs, so that its page and theirs agree.
        """
        runs = (
            day
            for lines in choices
            for day in self.agenda.period
            if all(line.runs_in(day) for line in lines)
        )
        return next(runs, self.agenda.period[-1])

    def _sources(self) -> Iterator[Source]:
        for each in self.used:
            for month in each.months:
                for part in month.parts:
                    yield from part.card.sources if part.card is not None else ()

    # one job

    def _moved(self, of: Subject) -> Line:
        """The line at the volume that is asked."""
        by, rows = self.asked.volume, of.line.rows
        moved = Spread(low=rows.low * by, expected=rows.expected * by, high=rows.high * by)
        runs = of.line.runs if self.asked.runs is None else Spread.exact(self.asked.runs)
        return replace(of.line, rows=moved, runs=runs)

    def _base(self, line: Line) -> Line:
        """The same job in the ordinary lane."""
        return replace(line, lane=line.model.lanes[0])

    def _waits(self, of: Subject) -> dict[str, Wait]:
        """Each lane of the model by itself, at the volume that is asked, as of today."""
        job = of.measured.job
        job = replace(job, requirements=replace(job.requirements, lanes=()))
        rows = max(1, round(of.line.rows.expected * self.asked.volume))
        found = pipeline.estimate(
            self.agenda.ours,
            of.measured.for_rows(rows),
            job,
            now=self.now,
            on=self.on,
            history=self.agenda.history,
        )
        deadline = job.requirements.deadline
        return {
            each.lane: Wait(deadline=deadline, option=each)
            for each in found.decision.options
            if each.strategy == "single" and not each.cache
        }

    def _side(self, of: Subject, line: Line, waits: dict[str, Wait]) -> Side:
        catalog = self.agenda.ours
        if line.lane == line.model.lanes[0] and not (of.budgeted and line.lane == of.line.lane):
            catalog = self.agenda.listed
            line = replace(line, model=_same(catalog, line.model))
        made = forecast.forecast(catalog, line, self.agenda.period)
        self.used.append(made)
        gaps = dict.fromkeys(part.why for month in made.months for part in month.gaps if part.why)
        return Side(
            lanes=(line.lane,),
            month=made.month(self.agenda.period.index(self.month)),
            period=made.total,
            waits=((line.name, waits.get(line.lane)),),
            forecasts=(made,),
            gaps=tuple(gaps),
        )


def _same(catalog: Catalog, model: Model) -> Model:
    """The model as that catalog knows it; itself where only the other one does."""
    known = {(each.provider, each.id): each for each in catalog.models()}
    return known.get((model.provider, model.id), model)


def _batch_lane(waits: dict[str, Wait]) -> str | None:
    """The lane that takes rows by the batch, or else the first that answers later."""
    later = [each.option for each in waits.values() if each.option.delivery == "async"]
    by_batch = [each for each in later if each.finish.rows_per_batch is not None]
    return next((each.lane for each in (*by_batch, *later)), None)


def _joined(sides: Sequence[Side]) -> Side:
    """Jobs together: their costs added, their waits side by side."""
    return Side(
        lanes=tuple(dict.fromkeys(lane for each in sides for lane in each.lanes)),
        month=summed(each.month for each in sides),
        period=summed(each.period for each in sides),
        waits=tuple(wait for each in sides for wait in each.waits),
        forecasts=tuple(made for each in sides for made in each.forecasts),
        gaps=tuple(gap for each in sides for gap in each.gaps),
    )
