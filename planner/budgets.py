"""The use case of a budget: its file measured and looked up once, then projected over months.

Above `pipeline`, whose two stages it uses for every job: `measure` counts the rows, `estimate`
says how long one run waits. Only the projection is new here, and it is pure (`decision`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from planner import job as jobs
from planner import pipeline
from planner.catalog import support
from planner.catalog.freshness import freshness
from planner.decision import baseline, budget, forecast
from planner.decision.forecast import Forecast, Line, Spread
from planner.decision.requirements import Requirements
from planner.errors import InputError, PlannerError, Problem, UnknownFactError, did_you_mean
from planner.handoff import plan as plans
from planner.money import Usd, difference
from planner.words import counted
from planner.workload.sizes import End, Sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime

    from planner.budget_file import JobEntry, Read
    from planner.catalog import Catalog, Model, Source
    from planner.catalog.freshness import Freshness
    from planner.decision.baseline import Comparison, Snapshot
    from planner.decision.budget import Budget, Guardrails, Judged
    from planner.decision.options import Option
    from planner.handoff.plan import Plan
    from planner.workload.outputs import OutputProfile
    from planner.workload.profile import TokenProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """How long one run waits in a lane, as of the day of the answer."""

    deadline: float | None
    option: Option


def month_limit(wait: Wait | None) -> int | None:
    """US dollars that the usage tier may spend in a month; None: not known, or no limit."""
    return None if wait is None else wait.option.usd_month


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model and lane beside the budgeted one; `none` says why it has no figures."""

    id: str
    forecast: Forecast | None
    wait: Wait | None
    none: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAnswer:
    """One job of the budget, with what it is held against."""

    forecast: Forecast
    listed: Forecast
    """The same lane at the vendors' published prices, without your own."""
    realtime: Forecast
    """The ordinary realtime lane at its published price."""
    wait: Wait | None
    candidates: tuple[Candidate, ...]
    said: tuple[str, ...]
    """What the figures assume."""

    @property
    def saved(self) -> Usd | None:
        """Below realtime at list price over the period; None where either has a gap."""
        if any(month.gaps for each in (self.forecast, self.realtime) for month in each.months):
            return None
        return difference(self.realtime.total.expected, self.forecast.total.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetAnswer:
    """Everything that the page, the table and the check say."""

    title: str
    file: str
    on: date
    now: datetime
    digest: str
    budget: Budget
    jobs: tuple[JobAnswer, ...]
    judged: Judged
    comparison: Comparison | None
    sources: tuple[Source, ...]
    evidence: Freshness
    warnings: tuple[str, ...]
    spent_said: str
    """Where the actuals come from."""

    @property
    def complete(self) -> bool:
        """Whether every row has a price."""
        return not self.budget.gaps


def answer(
    read: Read,
    catalog: Catalog,
    listed: Catalog,
    *,
    now: datetime,
    on: date,
    earlier: tuple[str, Snapshot] | None = None,
    billed: tuple[str, tuple[budget.Spent, ...]] | None = None,
) -> BudgetAnswer:
    """The budget of a file; `listed` is the catalog without anybody's own prices.

    `billed` is what was spent as the ledger has it, and a sentence that says so, where the file
    asks for that.
    """
    file, months_ = read.file, period(read, on)
    made = tuple(
        _Job(read, place, catalog, listed, months_).answer(now, on)
        for place in range(len(file.jobs))
    )
    whole = _whole_of(read, months_, made, billed)
    compared = None
    if earlier is not None:
        compared = baseline.compare(earlier[0], earlier[1], baseline.snapshot(whole))
    _comparable(read, compared)
    sources = tuple(dict.fromkeys(source for each in made for source in _sources(catalog, each)))
    evidence = freshness(sources, on=on)
    return BudgetAnswer(
        title=file.title,
        file=read.path.name,
        on=on,
        now=now,
        digest=catalog.digest,
        budget=whole,
        jobs=made,
        judged=budget.judged(whole, rails(read), compared.before if compared else None),
        comparison=compared,
        sources=sources,
        evidence=evidence,
        warnings=tuple(_warnings(whole, made, evidence)),
        spent_said=billed[0] if billed is not None else AS_STATED,
    )


def measured(
    read: Read, catalog: Catalog
) -> tuple[tuple[tuple[pipeline.Measured, Line], ...], ...]:
    """Every job of the file on its own model, and then on each that it is compared with.

    For questions that are asked again and again; `answer` asks once.
    """
    return tuple(
        tuple(_Job(read, place, catalog, catalog, ()).measured())
        for place in range(len(read.file.jobs))
    )


AS_STATED = "As the file states it"


def period(read: Read, on: date) -> tuple[date, ...]:
    """The months of a budget, from its own first one or from this one on."""
    return forecast.months(read.file.from_ or on.replace(day=1), read.file.months)


def credited(read: Read) -> tuple[budget.Credit, ...]:
    """The credits of a file."""
    return tuple(
        budget.Credit(name=each.name, amount=Usd(each.amount), first=each.from_, last=each.until)
        for each in read.file.credits
    )


def stated(read: Read) -> tuple[budget.Spent, ...]:
    """What a file states that was spent."""
    return tuple(
        budget.Spent(month=each.month, amount=Usd(each.amount), through=each.through)
        for each in read.file.actuals
    )


def _whole_of(
    read: Read,
    period: tuple[date, ...],
    made: Sequence[JobAnswer],
    billed: tuple[str, tuple[budget.Spent, ...]] | None,
) -> Budget:
    file = read.file
    for place, each in enumerate(file.actuals):
        if each.month not in period:
            raise InputError.of(
                "outside",
                f"{each.month:%Y-%m} is not a month of this budget",
                where=read.where("actuals", place, "month"),
                hint=f"it goes from {period[0]:%Y-%m} to {period[-1]:%Y-%m}",
            )
    return budget.Budget(
        months=period,
        forecasts=tuple(each.forecast for each in made),
        credits=credited(read),
        spent=stated(read) if billed is None else billed[1],
    )


def _comparable(read: Read, compared: Comparison | None) -> None:
    """InputError where a guardrail has nothing to be held against."""
    if read.file.guardrails.increase is not None and compared is None:
        raise InputError.of(
            "no-baseline",
            "guardrails.increase has nothing to be held against",
            where=read.where("guardrails", "increase"),
            hint="name an earlier answer: baseline: FILE, or --baseline FILE",
        )


def rails(read: Read) -> Guardrails:
    """The guardrails of a file."""
    entry = read.file.guardrails
    return budget.Guardrails(
        monthly=None if entry.monthly is None else Usd(entry.monthly),
        total=None if entry.total is None else Usd(entry.total),
        per_thousand=None if entry.per_1000_rows is None else Usd(entry.per_1000_rows),
        increase=None if entry.increase is None else entry.increase.expected,
        on=entry.on,
    )


def _sources(catalog: Catalog, job: JobAnswer) -> Iterator[Source]:
    for each in (job.forecast, job.realtime):
        for month in each.months:
            for part in month.parts:
                if part.card is not None:
                    yield from part.card.sources
    line = job.forecast.line
    yield from line.model.life_sources
    found = support.lane(catalog, line.model, line.lane, on=job.forecast.months[0].month)
    if found.source is not None:
        yield found.source


def _warnings(whole: Budget, made: Sequence[JobAnswer], evidence: Freshness) -> Iterator[str]:
    for gap in whole.gaps:
        yield (
            f"{gap.job}: no price from {gap.start} on, so {counted(gap.rows, 'row')} in no total: "
            f"{gap.why} (from: and until: keep a job to its months; another job takes the rest)"
        )
    for each in made:
        for driver, end in each.forecast.unpriced:
            yield (
                f"{each.forecast.line.name}: with {driver} at its {end} end no price is published, "
                "so no interval covers it"
            )
        yield from _gates(each)
        earliest = each.forecast.line.model.retires_not_before
        if earliest is not None and earliest < forecast.after(whole.months[-1]):
            yield (
                f"{each.forecast.line.name}: its vendor promises {each.forecast.line.model.id} "
                f"until {earliest} only; no later day is announced, and its price is taken to stay"
            )
        if each.forecast.line.profile.output.basis == "assumed":
            yield (
                f"{each.forecast.line.name}: the answer length is assumed, and most of the cost "
                "hangs on it: give output-tokens or output-sample"
            )
    yield from budget.over_limits((each.forecast, month_limit(each.wait)) for each in made)
    yield from evidence.warnings
    yield from evidence.refusals


def _gates(job: JobAnswer) -> Iterator[str]:
    """Why a run may not be possible at all; a missing price has its own warning."""
    for gate in job.wait.option.gates if job.wait is not None else ():
        if gate.code != PRICE_UNKNOWN:
            yield f"{job.forecast.line.name}: {gate.message} [{gate.code}]"


PRICE_UNKNOWN = "price-unknown"


# --- one job ----------------------------------------------------------------------------


class _Job:
    """One entry of the file on its way to an answer; each error says where the entry stands."""

    def __init__(
        self,
        read: Read,
        place: int,
        catalog: Catalog,
        listed: Catalog,
        period: Sequence[date],
    ) -> None:
        self.read, self.place = read, place
        self.entry: JobEntry = read.file.jobs[place]
        self.catalog, self.listed, self.period = catalog, listed, period
        self.plan = self._planned()
        self.model = self._model(self._named(), "model" if self.plan is None else "plan")
        self.lane = self._lane(self.model, self._in_lane(), "lane" if self.plan is None else "plan")

    def answer(self, now: datetime, on: date) -> JobAnswer:
        """Measured, projected, and held against list price and alternatives."""
        models = self._models()
        measured = self._measured(tuple(models))
        profiles = dict(zip(models, map(self._profile, measured.profiles), strict=True))
        timed = pipeline.estimate(self.catalog, measured, measured.job, now=now, on=on)
        options = {each.id: each for each in timed.decision.options}
        line = self._line(self.model, self.lane, profiles[_key(self.model)])
        listed, realtime = self._at_list(line)
        return JobAnswer(
            forecast=forecast.forecast(self.catalog, line, self.period),
            listed=listed,
            realtime=realtime,
            wait=self._wait(options, line.id),
            candidates=tuple(self._candidates(tuple(models.values()), profiles, options, line.id)),
            said=(*line.profile.said, line.profile.output.said),
        )

    def measured(self) -> Iterator[tuple[pipeline.Measured, Line]]:
        """The job on each of its models; in the budgeted lane where the vendor has it."""
        models = self._models()
        made = self._measured(tuple(models))
        for model, whole in zip(models.values(), made.profiles, strict=True):
            profile = self._profile(whole)
            lane = self.lane if self.lane in model.lanes else model.lanes[0]
            alone = replace(made, models=(model,), profiles=(profile,))
            yield alone, self._line(model, lane, profile)

    def _models(self) -> dict[str, Model]:
        """The budgeted model and those it is compared with."""
        others = [
            self._model(name, "compare", "models", place)
            for place, name in enumerate(self.entry.compare.models)
        ]
        return {_key(each): each for each in (self.model, *others)}

    def _wait(self, options: dict[str, Option], id: str) -> Wait | None:
        if id not in options:
            return None
        return Wait(deadline=self._demand().deadline, option=options[id])

    def _candidates(
        self,
        models: Sequence[Model],
        profiles: dict[str, TokenProfile],
        options: dict[str, Option],
        budgeted: str,
    ) -> Iterator[Candidate]:
        """Every model in every lane that is named, but the budgeted pair."""
        lanes = dict.fromkeys((self.lane, *self.entry.compare.lanes))
        vendors = {each for model in models for each in model.lanes}
        for place, lane in enumerate(self.entry.compare.lanes):
            if lane not in vendors:
                self._unknown_lane(lane, tuple(vendors), "compare", "lanes", place)
        for model in models:
            for lane in lanes:
                line = self._line(model, lane, profiles[_key(model)])
                if line.id != budgeted:
                    yield self._candidate(line, options)

    def _candidate(self, line: Line, options: dict[str, Option]) -> Candidate:
        if line.lane not in line.model.lanes:
            return Candidate(
                id=line.id, forecast=None, wait=None, none="its vendor has no such lane"
            )
        made = forecast.forecast(self.catalog, line, self.period)
        gaps = [part.why for month in made.months for part in month.gaps]
        known = bool(made.expected.priced)
        return Candidate(
            id=line.id,
            forecast=made if known else None,
            wait=self._wait(options, line.id),
            none=gaps[0] if gaps else None,
        )

    def _at_list(self, line: Line) -> tuple[Forecast, Forecast]:
        """The line and its realtime lane, at published prices; gaps where there are none."""
        try:
            model = self.listed.model(f"{line.model.provider}/{line.model.id}")
        except UnknownFactError:
            model = line.model
        same = replace(line, model=model)
        return (
            forecast.forecast(self.listed, same, self.period),
            forecast.forecast(self.listed, replace(same, lane=model.lanes[0]), self.period),
        )

    # what the entry is about

    def _planned(self) -> Plan | None:
        """The plan that the entry names; InputError where it is none."""
        if self.entry.plan is None:
            return None
        try:
            return plans.read(self.read.beside(self.entry.plan))
        except PlannerError as error:
            raise _placed(error, self._where("plan")) from None

    def _named(self) -> str:
        if self.plan is not None:
            return f"{self.plan.choice.provider}/{self.plan.request.model}"
        assert self.entry.model is not None
        return self.entry.model

    def _in_lane(self) -> str:
        found = self.entry.lane if self.plan is None else self.plan.choice.lane
        assert found is not None
        return found

    # names, with their place in the file

    def _where(self, *steps: str | int) -> str:
        return self.read.where("jobs", self.place, *steps)

    def _model(self, name: str, *steps: str | int) -> Model:
        try:
            return self.catalog.model(name)
        except PlannerError as error:
            raise _placed(error, self._where(*steps)) from None

    def _lane(self, model: Model, lane: str, *steps: str | int) -> str:
        if lane not in model.lanes:
            self._unknown_lane(lane, model.lanes, *steps)
        return lane

    def _unknown_lane(self, lane: str, known: Sequence[str], *steps: str | int) -> None:
        hint = did_you_mean(lane, known) or f"lanes: {', '.join(known)}"
        raise UnknownFactError.of(
            "unknown-lane", f"no lane {lane!r}", where=self._where(*steps), hint=hint
        )

    # from the entry to a line

    def _measured(self, models: tuple[str, ...]) -> pipeline.Measured:
        entry = self.entry
        if self.plan is not None:
            return self._figures(self.plan, models)
        rows = None if entry.rows is None else int(entry.rows.expected)
        counted = entry.workload is not None
        job = jobs.Job(
            workload=self.read.beside(entry.workload) if entry.workload else None,
            input_format=entry.input_format,
            rows=None if counted else rows,
            of_rows=rows if counted else None,
            input_tokens=_whole(entry.input_tokens),
            prompt=self._text("prompt", entry.prompt, entry.prompt_file),
            system=self._text("system", entry.system, entry.system_file),
            skip_bad_rows=entry.skip_bad_rows,
            output=self._output(),
            models=models,
            requirements=self._demand(),
            seed=entry.seed,
        )
        try:
            return pipeline.measure(self.catalog, job)
        except PlannerError as error:
            raise _placed(error, self._where("name")) from None

    def _figures(self, plan: Plan, models: tuple[str, ...]) -> pipeline.Measured:
        """A plan's own figures, for every model that is compared."""
        rows = self.entry.rows
        known = plan.workload.rows.value
        job = jobs.Job(
            rows=known if rows is None else int(rows.expected),
            input_tokens=-(-plan.tokens.input.value // known),
            output=jobs.Output(
                tokens=max(1, round(Fraction(plan.tokens.output.value, known))),
                limit=plan.request.max_output_tokens,
            ),
            models=models,
            shared_prefix=plan.tokens.shared_prefix,
            requirements=self._demand(),
            seed=self.entry.seed,
        )
        return pipeline.measure(self.catalog, job)

    def _text(self, key: str, text: str | None, file: str | None) -> jobs.Text | None:
        if text is not None:
            return jobs.Text(text=text, name=f"{key} of {self.entry.name}")
        return None if file is None else jobs.text_file(self.read.beside(file), f"{key}-file")

    def _output(self) -> jobs.Output:
        entry = self.entry
        if entry.output_sample is None:
            return jobs.Output(tokens=_whole(entry.output_tokens), limit=entry.max_output_tokens)
        path, column = jobs.sample_file(str(self.read.beside(entry.output_sample)))
        return jobs.Output(sample=path, sample_field=column, limit=entry.max_output_tokens)

    def _demand(self) -> Requirements:
        entry = self.entry
        try:
            demand = Requirements(
                deadline=None
                if entry.deadline is None
                else jobs.seconds(entry.deadline, "deadline"),
                region=entry.region,
                tiers=() if entry.tier is None else (jobs.tier(entry.tier),),
                limits=tuple(jobs.limit(f"{name}={n}") for name, n in entry.limits.items()),
            )
            if entry.confidence is None:
                return demand
            return replace(demand, confidence=jobs.share(entry.confidence, "confidence"))
        except PlannerError as error:
            raise _placed(error, self._where("name")) from None

    def _profile(self, profile: TokenProfile) -> TokenProfile:
        """The measured profile with the ends that the file states for its tokens."""
        entry = self.entry
        if self.plan is not None:
            return _of_plan(self.plan, profile)
        tokens = entry.input_tokens
        if tokens is not None:
            mean = tokens.expected
            profile = replace(
                profile,
                sizes_low=profile.sizes.stretched(tokens.low / mean),
                sizes_high=profile.sizes.stretched(tokens.high / mean),
            )
        if entry.output_tokens is not None:
            profile = replace(profile, output=_ranged(profile.output, entry.output_tokens))
        return profile

    def _line(self, model: Model, lane: str, profile: TokenProfile) -> Line:
        entry = self.entry
        counted = profile.rows
        return Line(
            name=entry.name,
            model=model,
            lane=lane,
            profile=profile,
            rows=entry.rows
            or Spread(
                low=Fraction(counted.at(End.LOW)),
                expected=Fraction(counted.value),
                high=Fraction(counted.at(End.HIGH)),
            ),
            runs=entry.runs_per_month,
            growth=entry.growth,
            rejected=entry.rejected,
            retries=entry.retries,
            region=entry.region if self.plan is None else self.plan.demand.region,
            first=entry.from_,
            last=entry.until,
            tags=tuple({**(self.plan.tags if self.plan else {}), **entry.tags}.items()),
        )


def _of_plan(plan: Plan, profile: TokenProfile) -> TokenProfile:
    """A profile with exactly the tokens of a plan, spread evenly over its rows.

    Of prompts that pass a context edge a plan keeps only what they cost, so such a job is the
    cheaper one here; a workload instead of the plan counts them.
    """
    known, rows = plan.tokens, plan.workload.rows.value
    size, larger = divmod(known.input.value, rows)
    sizes = Sizes.of({k: n for k, n in ((size, rows - larger), (size + 1, larger)) if n})
    low, high = (
        sizes.stretched(Fraction(end, known.input.value or 1))
        for end in (known.input.low, known.input.high)
    )
    output = replace(
        profile.output,
        mean=Fraction(known.output.value, rows),
        low=Fraction(known.output.low, rows),
        high=Fraction(known.output.high, rows),
        ceiling=plan.request.max_output_tokens,
        said=f"answers as the plan {plan.nonce} has them ({known.output_basis})",
    )
    total = profile.rows.value
    tiers = any(each.over is not None for each in plan.cost.components)
    short = "; its long prompts are priced as if all were of the mean size" if tiers else ""
    counted = f"rows and tokens as the plan {plan.nonce} has them, counted with {known.counter}"
    return replace(
        profile,
        sizes=sizes.for_rows(total),
        sizes_low=low.for_rows(total),
        sizes_high=high.for_rows(total),
        output=output,
        said=(f"{counted}{short}",),
    )


def _key(model: Model) -> str:
    return f"{model.provider}/{model.id}"


def _whole(spread: Spread | None) -> int | None:
    return None if spread is None else int(spread.expected)


def _ranged(output: OutputProfile, tokens: Spread) -> OutputProfile:
    """Stated ends of the answer length; a limit cuts them as it cuts the answers."""
    most = Fraction(output.ceiling)
    return replace(
        output,
        low=min(tokens.low, output.mean),
        high=max(output.mean, min(tokens.high, most)),
    )


def _placed(error: PlannerError, where: str) -> PlannerError:
    """The same error, saying which entry of the file it is about."""
    return type(error)(
        *(
            Problem(
                code=each.code,
                message=each.message,
                where=where if each.where is None else f"{each.where} (from {where})",
                hint=each.hint,
            )
            for each in error.problems
        )
    )
