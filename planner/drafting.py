"""From an estimate to a plan, from a plan to the vendor's files: the hand-off before it sends.

Composes what does not know each other: the decision, the plan file, the vendor's adapter and
the rows. Nothing here touches a network, and nothing outside the output that was named.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from planner import counted_by
from planner.catalog import support
from planner.catalog.freshness import freshness
from planner.decision import assessment, options, timing
from planner.decision.realtime import Load
from planner.decision.requirements import Latency, Requirements
from planner.decision.single import Single
from planner.decision.timing import NO_FINISH
from planner.errors import InputError, PlannerError, UnknownFactError, did_you_mean
from planner.handoff import build as builds
from planner.handoff import pilots
from planner.handoff import plan as plans
from planner.handoff.pacing import Direct, Pace
from planner.handoff.providers import adapters, vendors
from planner.money import Usd, difference, dollars
from planner.words import counted, duration, iso, least, percent
from planner.workload import outputs, readers, sources
from planner.workload import profile as profiles
from planner.workload import prompt as prompts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from planner.catalog import Catalog, Model, Source
    from planner.catalog.freshness import Freshness
    from planner.decision.options import Offer, Option
    from planner.decision.timing import Finish, Probability
    from planner.decision.turnaround import FinishedJob
    from planner.handoff.build import Adapter, Built
    from planner.handoff.ledger import Ledger
    from planner.handoff.plan import Plan
    from planner.pipeline import Estimate
    from planner.workload.profile import TokenProfile
    from planner.workload.sizes import Range

_MICRO = 6


class NoPlanError(PlannerError):
    """The answer is no: nothing meets the demand, or the option that was named cannot run."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a plan is told beyond the job: which option, and what goes into each request."""

    choose: str | None = None
    endpoint: str | None = None
    schema: Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    accept_assumed: bool = False
    allow_stale: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """A plan's finish and P(by the deadline), as of another moment than it was made."""

    finish: Finish
    p_deadline: Probability | None
    why_not: str | None = None
    """Why the option can no longer run."""


# --- the plan ---------------------------------------------------------------------------


def make(answer: Estimate, wishes: Wishes, folder: Path, *, draft: bool = False) -> Plan:
    """The plan of an estimate, for a file in `folder`.

    NoPlanError (exit 1) where nothing meets the demand or the option named cannot run.
    InputError: there are no rows to send, no model is named, the answer length is assumed
    (unless accepted, or a `draft` that says so), or the sources are stale (unless allowed).
    """
    option = _chosen(answer, wishes.choose)
    case = next(each for each in answer.cases if each.profile.model == option.model)
    sent = _offers(case, option)
    stale = _evidence(sent, answer)
    _acceptable(case.profile, stale, wishes, draft=draft)
    return plans.sealed(
        {
            "created": iso(answer.now),
            "workload": _workload(answer, wishes, folder),
            "request": _request(answer, case, option, wishes),
            "choice": _choice(answer, case, option, sent[0]),
            "demand": _demand(answer, case, option),
            "cost": _cost(option),
            "finish": _finish(answer, option),
            "tokens": _tokens(case.profile),
            "rates": tuple(plans.rates_of(each.card) for each in sent if each.card is not None),
            "catalog": {
                "digest": answer.catalog.digest,
                "as_of": answer.on,
                "oldest_source": stale.oldest.read if stale.oldest else None,
            },
            "accepted": {
                "assumed_output": case.profile.output.basis == "assumed" and wishes.accept_assumed,
                "stale": stale.refusals if wishes.allow_stale else (),
            },
            "stale": _stale_when(answer, sent),
            "assumptions": answer.assumptions,
            "warnings": answer.warnings,
            "tags": dict(wishes.tags),
        }
    )


def _chosen(answer: Estimate, wanted: str | None) -> Option:
    if not answer.measured.named:
        raise InputError.of("no-model", "a plan is for one model", hint="name it with --model")
    name = wanted or answer.decision.choice
    if name is None:
        raise NoPlanError.of(
            "no-option", answer.decision.why, hint="--choose OPTION takes one that falls short"
        )
    option = answer.option(name)
    if option.gates or option.cost is None:
        reasons = "; ".join(gate.message for gate in option.gates) or "its cost is not known"
        raise NoPlanError.of("cannot-run", f"{option.id} cannot run: {reasons}")
    return option


def _offers(case: options.Case, option: Option) -> tuple[Offer, ...]:
    """The offers of the lanes that the option bills, its own lane first."""
    assert option.cost is not None
    lanes = dict.fromkeys((option.lane, *(each.lane for each in option.cost.components)))
    return tuple(offer for lane in lanes for offer in case.offers if offer.lane.id == lane)


def _evidence(sent: Sequence[Offer], answer: Estimate) -> Freshness:
    sources: list[Source] = []
    begun: list[str] = []
    for offer in sent:
        if offer.card is not None:
            sources += offer.card.sources
            begun += offer.card.begun_since_read
        if offer.support.source is not None:
            sources.append(offer.support.source)
        begun += offer.support.begun_since_read
    return freshness(sources, on=answer.on, begun_since_read=begun)


def _acceptable(profile: TokenProfile, stale: Freshness, wishes: Wishes, *, draft: bool) -> None:
    """Refuse what nobody should pay for without having said so."""
    if profile.output.basis == "assumed" and not (wishes.accept_assumed or draft):
        raise InputError.of(
            "assumed-output",
            "no plan is made from an assumed answer length: most of the cost hangs on it",
            hint="give --output-tokens or --output-sample, or say --accept-assumed",
        )
    if stale.stale and not wishes.allow_stale:
        raise InputError.of(
            "stale-sources",
            f"no plan is made from stale sources: {'; '.join(stale.refusals)}",
            hint="read them again (planner prices confirm SOURCE), or say --allow-stale",
        )


def _workload(answer: Estimate, wishes: Wishes, folder: Path) -> dict[str, Any]:
    facts, job = answer.measured.workload, answer.job
    if facts is None or str(facts.path) == sources.STANDARD_INPUT:
        raise InputError.of(
            "no-rows", "a plan is of rows that can be sent", hint="name a file of rows"
        )
    if job.of_rows is not None and job.of_rows != facts.rows:
        raise InputError.of(
            "of-rows",
            f"the file is a sample of {counted(job.of_rows, 'row')}, and a plan is of the rows "
            "themselves",
            hint="name the whole file, without --of-rows",
        )
    return {
        "path": plans.relative(facts.path, folder),
        "format": facts.format,
        "bytes": facts.bytes,
        "digest": facts.digest,
        "rows": _interval(answer.measured.profiles[0].rows),
        "skip_bad_rows": job.skip_bad_rows,
        "key": wishes.key,
    }


def _request(
    answer: Estimate, case: options.Case, option: Option, wishes: Wishes
) -> dict[str, Any]:
    job, model = answer.job, case.offers[0].model
    assert job.workload is not None
    workload = readers.open_workload(job.workload, format=job.input_format)
    chosen = prompts.choose(
        workload,
        prompt=job.prompt.text if job.prompt else None,
        system=job.system.text if job.system else None,
        skip_bad=job.skip_bad_rows,
    )
    _known_key(wishes.key, chosen)
    prompt = system = None
    if isinstance(chosen.prompt, prompts.Template):
        name = job.prompt.name if job.prompt else "the text column"
        prompt = _template(name, chosen.prompt.prompt)
        if chosen.prompt.system is not None:
            system = _template(job.system.name if job.system else "", chosen.prompt.system)
    return {
        "model": model.id,
        "endpoint": _endpoint(option, wishes, model, case.profile.output.ceiling),
        "max_output_tokens": case.profile.output.ceiling,
        "prompt": prompt,
        "system": system,
        "json_schema": wishes.schema,
        "params": dict(wishes.params),
    }


def _template(name: str, text: str) -> dict[str, str]:
    return {"name": name, "digest": plans.digest(text), "text": text}


def _known_key(key: str | None, chosen: prompts.Chosen) -> None:
    if key is not None and key not in chosen.columns:
        hint = did_you_mean(key, chosen.columns) or f"columns: {', '.join(chosen.columns)}"
        said = f"--key {key}: the rows have no such column"
        raise InputError.of("unknown-column", said, hint=hint)


def _endpoint(option: Option, wishes: Wishes, model: Model, limit: int) -> str | None:
    """The endpoint that is named, or the adapter's first; None where planner builds nothing."""
    if option.provider not in adapters.ADAPTERS:
        if wishes.endpoint is not None:
            adapters.adapter(option.provider)
        return None
    adapter = adapters.adapter(option.provider)
    endpoint = wishes.endpoint or adapter.endpoints[0]
    spec = builds.Spec(
        model=model.id,
        endpoint=endpoint,
        max_output_tokens=limit,
        schema=wishes.schema,
        params=wishes.params,
    )
    builds.check_spec(spec, adapter)
    return endpoint


def _needs(offer: Offer, limit: int) -> str | None:
    """What the lane asks for; where that is for longer answers, only such answers need it."""
    usual = offer.model.max_output
    if offer.lane.max_output is not None and usual is not None and limit <= usual:
        return None
    return offer.lane.needs


def _choice(answer: Estimate, case: options.Case, option: Option, offer: Offer) -> dict[str, Any]:
    model = next(each for each in answer.decision.models if each.model == option.model)
    best = answer.option(model.choice) if model.choice is not None else None
    same = best is not None and best.id == option.id
    lanes = answer.job.requirements.lanes
    why = model.why if same or best is None else f"chosen by hand; recommended: {model.why}"
    if lanes:
        why = f"in the {'lane' if len(lanes) == 1 else 'lanes'} asked for: {why}"
    return {
        "option": option.id,
        "provider": option.provider,
        "model": option.model,
        "lane": option.lane,
        "delivery": option.delivery,
        "strategy": option.strategy,
        "cache": option.cache,
        "verdict": option.verdict.value,
        "grade": option.grade,
        "recommended": None if lanes else model.choice,
        "why": why,
        "gives_up": () if same or best is None else tuple(_given_up(option, best)),
        "needs": _needs(offer, case.profile.output.ceiling),
        "risks": option.risks,
    }


def _given_up(option: Option, best: Option) -> Iterator[str]:
    """What an option gives up against the recommended one, and what it gains."""
    assert option.cost is not None
    assert best.cost is not None
    more = difference(option.cost.expected, best.cost.expected)
    if more:
        side = "more" if more > 0 else "less"
        yield f"{dollars(Usd(abs(more)))} {side} than {best.id} ({dollars(best.cost.expected)})"
    mine, its = option.p_deadline, best.p_deadline
    if mine is not None and its is not None and mine != its:
        yield (
            f"{percent(mine.mean)} ({least(mine.low)}) by the deadline, "
            f"not {percent(its.mean)} ({least(its.low)})"
        )
    p95, other = option.finish.p95, best.finish.p95
    if p95 is not None and other is not None and p95 != other:
        yield f"95 % by {duration(p95)}, not {duration(other)}"
    if p95 is None and other is not None:
        yield f"a finish that is not known, not 95 % by {duration(other)}"


def _demand(answer: Estimate, case: options.Case, option: Option) -> dict[str, Any]:
    demand = answer.job.requirements
    latency = demand.latency
    if latency is None and case.profile.latency is not None:
        mean, cv, _ = case.profile.latency
        latency = Latency(mean=mean, cv=cv)
    return {
        "deadline": iso(answer.job.deadline_at),
        "confidence": _share(demand.confidence),
        "respond_within": _share(demand.respond_within),
        "max_cost": demand.max_cost,
        "region": demand.region,
        "tier": demand.tier(option.provider),
        "limits": dict(demand.limits),
        "latency": None
        if latency is None
        else {"mean": _share(latency.mean), "cv": _share(latency.cv)},
        "concurrency": demand.concurrency,
        "failure_rate": _share(demand.failure_rate),
        "retries": demand.retries,
        "degraded": demand.degraded,
        "seed": answer.job.seed,
    }


def _cost(option: Option) -> dict[str, Any]:
    assert option.cost is not None
    cost = option.cost
    names = ("lane", "meter", "over", "quantity", "rate", "amount")
    return {
        **{each: getattr(cost, each) for each in ("expected", "low", "high", "p95", "ceiling")},
        "components": tuple(
            {name: getattr(part, name) for name in names} for part in cost.components
        ),
    }


def _finish(answer: Estimate, option: Option) -> dict[str, Any]:
    finish, p = option.finish, option.p_deadline
    rescue = None if option.rescue is None else iso(answer.later(option.rescue.at))
    return {
        "p50": _share(finish.p50),
        "p95": _share(finish.p95),
        "bound": _share(finish.bound),
        "batches": finish.batches,
        "waves": finish.waves,
        "rescue_at": rescue,
        "p_deadline": None
        if p is None
        else {name: _share(getattr(p, name)) for name in ("mean", "low", "high")},
    }


def _tokens(profile: TokenProfile) -> dict[str, Any]:
    return {
        "counter": profile.counter,
        "grade": profile.grade,
        "method": profile.method,
        "input": _interval(profile.input),
        "largest_row": profile.sizes.largest,
        "output": _interval(profile.output_total),
        "output_basis": profile.output.basis,
        "shared_prefix": profile.shared_prefix,
        "bytes_per_row": profile.bytes_per_row,
    }


def _stale_when(answer: Estimate, sent: Sequence[Offer]) -> dict[str, Any]:
    changes = [offer.card.next_change for offer in sent if offer.card is not None]
    days = [change.date for change in changes if change is not None and change.rates is not None]
    ends = [offer.support.ends for offer in sent if offer.support.ends is not None]
    return {
        "after": iso(answer.now + plans.MAX_AGE),
        "price_changes": min(days, default=None),
        "retires": min(ends, default=None),
    }


def _interval(of: Range) -> dict[str, int]:
    return {"value": of.value, "low": of.low, "high": of.high}


def _share(value: float | None) -> Decimal | None:
    """A time or a share to six decimals: what is left of a float below that says nothing."""
    return None if value is None else Decimal(repr(round(value, _MICRO)))


# --- later ------------------------------------------------------------------------------


def fresh(plan: Plan, catalog: Catalog, now: datetime, workload: Path | None) -> None:
    """InputError naming everything that has moved since the plan was made."""
    moved = plans.check_fresh(plan, catalog, now, workload=workload)
    if moved:
        last = replace(moved[-1], hint="make another plan: planner plan WORKLOAD ... -o FILE")
        raise InputError(*moved[:-1], last)


def outlook(
    plan: Plan, catalog: Catalog, now: datetime, history: tuple[FinishedJob, ...] = ()
) -> Outlook:
    """The plan's finish and P(by the deadline) from now; sizes are the plan's mean row."""
    case = _case(plan, catalog, now, history)
    for option in assessment.every_option(case):
        if option.id == plan.choice.option:
            gates = "; ".join(gate.message for gate in option.gates)
            return Outlook(
                finish=option.finish, p_deadline=option.p_deadline, why_not=gates or None
            )
    late = f"{plan.choice.option} is no longer possible before the deadline"
    return Outlook(finish=NO_FINISH, p_deadline=None, why_not=late)


def _case(
    plan: Plan, catalog: Catalog, now: datetime, history: tuple[FinishedJob, ...] = ()
) -> options.Case:
    """The question that the plan answered, asked again."""
    model = catalog.model(f"{plan.choice.provider}/{plan.request.model}")
    demand = _requirements(plan, now)
    return options.Case(
        catalog=catalog,
        offers=options.offers(catalog, model, demand, now.date()),
        profile=_profile(plan),
        requirements=demand,
        history=history,
        now=now,
        seed=plan.demand.seed,
    )


def _requirements(plan: Plan, now: datetime) -> Requirements:
    pinned, latency = plan.demand, plan.demand.latency
    deadline = None if plan.deadline is None else (plan.deadline - now).total_seconds()
    return Requirements(
        deadline=deadline,
        confidence=float(pinned.confidence),
        region=pinned.region,
        max_cost=None if pinned.max_cost is None else Usd(pinned.max_cost),
        tiers=() if pinned.tier is None else ((plan.choice.provider, pinned.tier),),
        limits=tuple(pinned.limits.items()),
        latency=None
        if latency is None
        else Latency(mean=float(latency.mean), cv=float(latency.cv)),
        concurrency=pinned.concurrency,
        failure_rate=float(pinned.failure_rate),
        retries=pinned.retries,
        degraded=pinned.degraded,
    )


def _profile(plan: Plan) -> TokenProfile:
    rows, counted = plan.workload.rows.value, plan.tokens
    output = replace(
        outputs.given_output(1, None, plan.request.max_output_tokens),
        mean=Fraction(counted.output.value, rows),
        low=Fraction(counted.output.low, rows),
        high=Fraction(counted.output.high, rows),
    )
    made = profiles.given_profile(
        model=plan.choice.model,
        rows=rows,
        input_tokens=-(-counted.input.value // rows),
        output=output,
        shared_prefix=counted.shared_prefix,
    )
    return replace(made, bytes_per_row=counted.bytes_per_row)


# --- sending one by one -----------------------------------------------------------------

UNLIMITED_CONCURRENCY = 8
"""Requests in flight where no limit of the vendor's is known: it says soon enough when it is more
than it likes."""


def direct(plan: Plan, catalog: Catalog, now: datetime, *, rows: int | None = None) -> Direct:
    """The pace at which so many rows of a plan (all of them) go out, as its makespan assumes.

    UnknownFactError where the vendor has no ordinary lane for the model, or no adapter.
    """
    case = _case(plan, catalog, now)
    if rows is not None:
        case = replace(case, profile=case.profile.for_rows(rows))
    offer = next((each for each in case.offers if each.lane.base), None)
    if offer is None:
        model = case.profile.model
        raise UnknownFactError.of("no-lane", f"{model} has no lane that answers at once")
    own = next(each.lane for each in case.offers if each.lane.id == plan.choice.lane)
    mean = float(case.profile.sizes.mean)
    pace = Pace(
        load=_load(case, offer),
        fresh=mean,
        mean_tokens=mean,
        counts_cache_read=offer.limits.counts_cache_read,
        counts_max_output=offer.limits.counts_max_output,
        firm=frozenset(plan.demand.limits),
    )
    return Direct(
        lane=offer.lane.id,
        pace=pace,
        cancel=float(own.cancel or assessment.ASSUMED_CANCEL),
        envelope=adapters.adapter(plan.choice.provider).envelope,
    )


def _load(case: options.Case, offer: Offer) -> Load:
    schedule = Single(case, offer).schedule
    if isinstance(schedule, timing.Windowed):
        schedule = schedule.inner
    if isinstance(schedule, timing.Paced):
        return schedule.load
    demand = case.requirements
    mean, cv = timing.latency(case.profile, demand)
    return Load(
        rows=case.profile.rows.value,
        latency_mean=mean,
        latency_cv=cv,
        concurrency=demand.concurrency or UNLIMITED_CONCURRENCY,
        failure_rate=demand.failure_rate,
        retries=demand.retries,
    )


# --- building ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Buildable:
    """A plan with everything that its files are made of."""

    plan: Plan
    adapter: Adapter
    recipe: builds.Recipe
    workload: readers.Workload
    batches: bool = True
    """The files are what a vendor's batches are made of; else its rows are sent one by one."""


def buildable(plan: Plan, catalog: Catalog, workload: Path, on: datetime) -> Buildable:
    """The plan ready to build; exit 3 where its vendor has no adapter.

    InputError where planner cannot carry it out: it sends batches, and single requests in a
    vendor's ordinary lane, which need nothing in them that says how they are to be served.
    """
    adapter = adapters.adapter(plan.choice.provider)
    model = catalog.model(f"{plan.choice.provider}/{plan.request.model}")
    lane = support.lane(catalog, model, plan.choice.lane, on=on.date()).lane
    ordinary = lane.base and lane.delivery == "sync"
    if plan.choice.strategy == "split" or not (lane.per_batch is not None or ordinary):
        raise InputError.of(
            "not-sendable",
            f"{plan.choice.option} is sent neither as batches nor in the ordinary lane: planner "
            "builds nothing else",
            hint="--choose takes another option, such as a batch lane alone",
        )
    assert plan.request.endpoint is not None
    limits = support.limits(catalog, model, lane.id, tier=plan.demand.tier, on=on.date())
    limits = replace(limits, **dict(plan.demand.limits))  # type: ignore[arg-type]  # names were checked as flags
    most = lane.per_batch or {}
    recipe = builds.Recipe(
        plan=plan.id,
        nonce=plan.nonce,
        spec=builds.Spec(
            model=plan.request.model,
            endpoint=plan.request.endpoint,
            max_output_tokens=plan.request.max_output_tokens,
            schema=plan.request.json_schema,
            params=plan.request.params,
            region=plan.demand.region,
        ),
        limits=builds.Limits(
            rows=_least(most.get("requests"), limits.queued_requests),
            bytes=most.get("bytes"),
            row_bytes=most.get("request_bytes"),
            tokens=_least(most.get("tokens"), limits.queued_input_tokens),
        ),
        refuses=lane.refuses,
        key=plan.workload.key,
    )
    builds.check_spec(recipe.spec, adapter)
    return Buildable(
        plan=plan,
        adapter=adapter,
        recipe=recipe,
        workload=readers.open_workload(workload, format=plan.workload.format),
        batches=lane.per_batch is not None,
    )


def batches_only(ready: Buildable) -> None:
    """InputError where the files would be no batches, and so of no use by themselves."""
    if not ready.batches:
        raise InputError.of(
            "not-a-batch",
            f"{ready.plan.choice.option} is not sent as batch files alone, so there is nothing to "
            "build",
            hint="--choose takes another option, such as a batch lane alone",
        )


def _least(*limits: int | None) -> int | None:
    return min((each for each in limits if each is not None), default=None)


def answered_before(plan: Plan, ledger: Ledger) -> builds.Known | None:
    """What pilots were answered to the very requests of a plan; None for a pilot itself."""
    if pilots.TAG in plan.tags:
        return None
    provider = plan.choice.provider
    parse, key = vendors.reading(provider), adapters.adapter(provider).envelope
    return pilots.answers(ledger, plan, parse, key)


def build(
    ready: Buildable,
    catalog: Catalog,
    folder: Path,
    *,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
    known: builds.Known | None = None,
) -> Built:
    """The vendor's files in `folder`, which appears whole; those that stand there already stay.

    InputError at a row that cannot be sent (unless the plan skips bad rows), and where the
    folder holds something else.
    """
    plan, workload = ready.plan, ready.workload
    there = builds.standing(folder, plan)
    if there is not None:
        return there
    builds.free(folder, force=force)
    pinned, skip = plan.request, plan.workload.skip_bad_rows
    chosen = prompts.choose(
        workload,
        prompt=pinned.prompt.text if pinned.prompt else None,
        system=pinned.system.text if pinned.system else None,
        prompt_name=pinned.prompt.name if pinned.prompt else "--prompt",
        definitions=prompts.definitions(pinned.params, pinned.json_schema),
        skip_bad=skip,
    )
    model = catalog.model(f"{plan.choice.provider}/{pinned.model}")
    rower = builds.Rower(ready.recipe, ready.adapter, ready_made=pinned.prompt is None)
    rower.check_common()
    first = tuple(_first(workload, chosen.prompt, skip=skip))
    estimator = builds.Estimator(counted_by.catalog(model), first)
    return builds.build(
        workload.rows(skip_bad=skip),
        chosen.prompt,
        rower,
        estimator,
        folder,
        plan=plan,
        progress=progress,
        known=known,
    )


def _first(
    workload: readers.Workload, prompt: prompts.Prompt, *, skip: bool
) -> Iterator[prompts.Request]:
    """Requests of the first rows, which say what kind of text this is."""
    for row in workload.head(skip_bad=skip):
        try:
            yield prompt.render(row)
        except InputError:
            continue
