"""Every way to run the job, each with its cost, its finish, its gates and its risks.

An option is assessed alone: nothing here compares two of them (`matrix` does), so adding
an option can never change another's figures. Gates come before scores: an option that
cannot run keeps its figures where they are known, with each reason in a sentence, because
"why not" is half of the answer.

Nothing in this module knows a vendor, a model or a lane by name. It reads what the catalog
says of a lane (delivery, window, limits) and would assess one that does not exist yet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from planner.catalog import prices, support
from planner.decision import realtime, timing
from planner.decision.caching import break_even, cached
from planner.decision.cost import Cost, both, either, job_cost
from planner.decision.timing import NO_FINISH, Finish, Probability
from planner.decision.waiting import waiting
from planner.errors import UnknownFactError
from planner.money import difference, dollars
from planner.words import percent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from planner.catalog import Catalog, LaneFacts, Model
    from planner.catalog.prices import Change, RateCard
    from planner.catalog.support import Limits, Support
    from planner.decision.caching import Cached
    from planner.decision.cost import Caching
    from planner.decision.requirements import Requirements
    from planner.decision.timing import Schedule
    from planner.decision.turnaround import FinishedJob
    from planner.decision.waiting import Waiting
    from planner.money import Usd
    from planner.workload.profile import TokenProfile

HOPELESS = 0.05
"""Below this probability an option cannot meet its deadline for any practical purpose."""

ASSUMED_CANCEL = 600.0
"""Seconds from a cancel to its end where the lane states none (the longest one stated)."""

Strategy = Literal["single", "rescue", "split"]


class Verdict(StrEnum):
    """What an option does about the demand."""

    MEETS = "meets"
    LIKELY = "likely"
    AT_RISK = "at_risk"
    CANNOT = "cannot"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A reason an option cannot run; with `missing_fact` it might, but nobody says so."""

    code: str
    message: str
    missing_fact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescue:
    """When to give up waiting (seconds from the start), and how likely that is unneeded."""

    at: float
    p_no_rescue: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One way to run the whole job with one model."""

    id: str
    provider: str
    model: str
    lane: str
    delivery: str
    strategy: Strategy = "single"
    cache: bool = False
    hits_assumed: bool = False
    """Whether the cost rests on a cache's hit share that nobody has given or reported."""
    cost: Cost | None = None
    finish: Finish = NO_FINISH
    rescue: Rescue | None = None
    p_deadline: Probability | None = None
    grade: str = "D"
    verdict: Verdict = Verdict.UNKNOWN
    gates: tuple[Gate, ...] = ()
    risks: tuple[str, ...] = ()
    dominated: bool = False

    @property
    def complexity(self) -> int:
        """Parts to operate, fewest first: realtime, batch, rescue, split."""
        if self.strategy == "single":
            return 0 if self.delivery == "sync" else 1
        return 2 if self.strategy == "rescue" else 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the catalog says of one model on one lane, at a date and a usage tier."""

    model: Model
    on: date
    support: Support
    limits: Limits
    card: RateCard | None
    """None where no price is known; `no_price` then says why."""
    no_price: str | None = None

    @property
    def lane(self) -> LaneFacts:
        """The lane's facts."""
        return self.support.lane


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One model's job: everything an assessment depends on, and nothing else."""

    catalog: Catalog
    offers: tuple[Offer, ...]
    profile: TokenProfile
    requirements: Requirements
    history: tuple[FinishedJob, ...] = ()
    now: datetime
    seed: int = 0


def offers(
    catalog: Catalog, model: Model, requirements: Requirements, on: date
) -> tuple[Offer, ...]:
    """The offers of a model, base lane first; UnknownFactError for an unknown usage tier."""
    return tuple(_offer(catalog, model, lane, requirements, on) for lane in model.lanes)


def _offer(
    catalog: Catalog, model: Model, lane: str, requirements: Requirements, on: date
) -> Offer:
    facts = support.lane(catalog, model, lane, on=on)
    limits = _limits(catalog, model, facts.lane, requirements, on)
    made = Offer(model=model, on=on, support=facts, limits=limits, card=None)
    try:
        card = prices.card(catalog, model, lane, on=on, region=requirements.region)
    except UnknownFactError as error:
        return replace(made, no_price=error.problems[0].message)
    return replace(made, card=card)


def _limits(
    catalog: Catalog, model: Model, lane: LaneFacts, requirements: Requirements, on: date
) -> Limits:
    tier = requirements.tier(model.provider)
    published = support.limits(catalog, model, lane.id, tier=tier, on=on)
    return _overridden(published, lane, requirements.limits)


def tiers(case: Case) -> tuple[str, ...]:
    """The usage tiers that the vendor publishes, from the lowest to the highest."""
    provider = case.offers[0].model.provider
    return tuple(tier.id for tier in support.tiers(case.catalog, provider))


def at_tier(case: Case, tier: str) -> Case:
    """The same case under another usage tier; UnknownFactError for one that is not published.

    Only limits hang on the tier; prices are left as they are.
    """
    first = case.offers[0]
    demand = replace(case.requirements, tiers=((first.model.provider, tier),))
    return replace(
        case,
        requirements=demand,
        offers=tuple(
            replace(each, limits=_limits(case.catalog, each.model, each.lane, demand, each.on))
            for each in case.offers
        ),
    )


def _overridden(published: Limits, lane: LaneFacts, own: tuple[tuple[str, int], ...]) -> Limits:
    """The vendor's limits with the person's own in place of those they name.

    The person's are those of the ordinary lane and of lanes with published ones: whether
    another realtime lane shares them nobody has said.
    """
    known = published.published or lane.base or lane.delivery != "sync"
    own_limits: dict[str, Any] = dict(own) if known else {}
    return replace(published, **own_limits)


class Assessment:
    """One model's lanes, costed and scheduled once; then options for any deadline.

    Cost and schedule know no deadline, so a what-if on it (a key on the screen, a column of
    the map, the search for a flip) asks only what follows from it.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self._singles = tuple(_Single(case, offer) for offer in case.offers)
        self._cached = tuple(_cached_variants(self._singles))

    def options(self, deadline: float | None) -> tuple[Option, ...]:
        """Each lane alone, then every pair worth joining; `deadline` in seconds from now.

        A lane alone may have a second variant, in which a cache serves what all rows share.
        """
        every = (*self._singles, *self._cached)
        alone = tuple(single.option(deadline) for single in every)
        if deadline is None:
            return alone
        return (
            *alone,
            *_rescues(self._singles, deadline),
            *_splits(self.case, self._singles, alone, deadline),
        )

    def waiting(self) -> Waiting | None:
        """What an hour is worth where the cheapest lane that answers later stops paying.

        Of the lanes whose finish is known and that can run; None where no two can be compared.
        """
        base = next((each for each in self._singles if each.offer.lane.base), None)
        later = min(filter(_expected_by, self._singles), key=_expected, default=None)
        if base is None or not base.usable or later is None:
            return None
        assert base.schedule is not None
        return waiting(
            base.id,
            later.id,
            saved=difference(_expected(base), _expected(later)),
            done_sooner=base.schedule.finish.p50,
            done_later=_expected_by(later),
        )


class Assessments:
    """The last assessment of each model, for whoever asks again with another deadline.

    It belongs to the asker (a screen's session), and is only used where the case is the same
    in everything but its deadline: with or without it the answer is the same.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Assessment] = {}

    def of(self, case: Case) -> Assessment:
        """The assessment of the case, made anew where anything but its deadline has changed."""
        timeless = replace(case, requirements=replace(case.requirements, deadline=None))
        kept = self._kept.get(case.profile.model)
        if kept is None or kept.case != timeless:
            kept = self._kept[case.profile.model] = Assessment(timeless)
        return kept


def every_option(case: Case) -> tuple[Option, ...]:
    """All options of one model for the deadline that is demanded."""
    return Assessment(case).options(case.requirements.deadline)


# --- one lane alone ---------------------------------------------------------------------


class _Single:
    """The assessment of one offer: every part of it is computed once.

    With `cache` a part of the prompts is read from a cache: another cost, and where reads
    draw on no limit another pace. `rival` is the cheapest way without one that answers later.
    """

    def __init__(
        self, case: Case, offer: Offer, cache: Cached | None = None, rival: _Single | None = None
    ) -> None:
        self.case = case
        self.offer = offer
        self.cache = cache
        self.rival = rival
        self.demand = case.requirements
        self.cost, self.no_price = _priced(offer, case.profile, self._caching)
        self.schedule = self._schedule()
        self.gates = tuple(self._gates())

    def option(self, deadline: float | None) -> Option:
        """The option, judged against a deadline."""
        offer = self.offer
        p = None
        if self.schedule is not None and deadline is not None:
            p = self.schedule.by(deadline)
        return Option(
            id=self.id,
            provider=offer.model.provider,
            model=self.case.profile.model,
            lane=offer.lane.id,
            delivery=offer.lane.delivery,
            cache=self.cache is not None,
            hits_assumed=self.cache is not None and self.cache.assumed,
            cost=self.cost,
            finish=self.schedule.finish if self.schedule else Finish(bound=offer.lane.window),
            p_deadline=p,
            grade=self.schedule.grade if self.schedule else "D",
            verdict=self._verdict(p, deadline),
            gates=self.gates,
            risks=tuple(self._risks(deadline)),
        )

    @property
    def id(self) -> str:
        """MODEL/LANE[+cache], as people and files name it."""
        lane = f"{self.case.profile.model}/{self.offer.lane.id}"
        return lane if self.cache is None else f"{lane}+cache"

    @property
    def usable(self) -> bool:
        """Whether the lane can carry rows, and its cost and finish are known."""
        return not self.gates and self.cost is not None and self.schedule is not None

    @property
    def _caching(self) -> Caching | None:
        return self.cache.caching if self.cache else None

    def _schedule(self) -> Schedule | None:
        case, offer = self.case, self.offer
        if offer.support.state == "no" or offer.lane.admission is not None:
            return None
        if offer.lane.delivery == "sync":
            paced = timing.paced(case.profile, offer.limits, self.demand, self.cost, self._caching)
            if paced is None or not offer.lane.open:
                return paced
            return timing.Windowed(inner=paced, spans=timing.open_spans(offer.lane, case.now))
        past = timing.Past(jobs=case.history, now=case.now)
        return timing.delivered(case.profile, offer, self.demand, past, seed=case.seed)

    def _verdict(self, p: Probability | None, deadline: float | None) -> Verdict:
        known = [gate for gate in self.gates if not gate.missing_fact]
        if known:
            return Verdict.CANNOT
        if self.gates or self.cost is None:
            return Verdict.UNKNOWN
        return verdict(self.schedule, p, deadline, self.demand.confidence)

    # gates, in the order a person would ask them

    def _gates(self) -> Iterator[Gate]:
        yield from self._offered()
        yield from self._allowed()
        yield from self._fits()
        yield from self._affordable()

    def _offered(self) -> Iterator[Gate]:
        state = self.offer.support.state
        if state == "no":
            yield Gate(code="unsupported", message=self.offer.support.why)
        elif state == "unknown":
            yield Gate(code="support-unknown", message=self.offer.support.why, missing_fact=True)
        elif self.no_price is not None:
            yield Gate(code="price-unknown", message=self.no_price, missing_fact=True)

    def _allowed(self) -> Iterator[Gate]:
        demand, lane = self.demand, self.offer.lane
        if demand.lanes and lane.id not in demand.lanes:
            yield Gate(code="lane-excluded", message=f"{lane.id} is not among the lanes asked for")
        if demand.respond_within is None:
            return
        if lane.delivery != "sync":
            yield Gate(
                code="respond-within",
                message=f"somebody waits {demand.respond_within:g} s for each answer; "
                f"{lane.title} answers when it is done, not while one waits",
            )
        elif demand.latency is not None and demand.latency.mean > demand.respond_within:
            yield Gate(
                code="respond-within",
                message=f"an answer takes {demand.latency.mean:g} s on average, more than the "
                f"{demand.respond_within:g} s that somebody waits",
            )

    def _fits(self) -> Iterator[Gate]:
        profile, model, lane = self.case.profile, self.offer.model, self.offer.lane
        largest, limit = profile.sizes.largest, profile.output.ceiling
        window = model.max_input or model.context
        if window is not None and largest > window:
            yield Gate(
                code="context",
                message=f"the largest row has {largest:,} prompt tokens, {model.id} takes "
                f"{window:,}",
            )
        elif model.context is not None and largest + limit > model.context:
            yield Gate(
                code="context",
                message=f"the largest row's {largest:,} prompt tokens and {limit:,} for its answer "
                f"are over the context of {model.context:,}",
            )
        most = lane.max_output or model.max_output
        if most is not None and limit > most:
            yield Gate(
                code="max-output",
                message=f"answers of up to {limit:,} tokens are asked for, {model.id} in "
                f"{lane.title} gives {most:,}",
            )
        yield from self._queue()

    def _queue(self) -> Iterator[Gate]:
        profile, limits = self.case.profile, self.offer.limits
        queue = limits.queued_input_tokens
        if self.offer.lane.delivery == "sync":
            over = timing.too_large(profile, limits, self.cost)
            if over is not None:
                name, units = over
                yield Gate(
                    code="rate-limit",
                    message=f"one row takes {units:,} of the limit {name} = "
                    f"{getattr(limits, name):,}: it would never be let through",
                )
        elif queue is not None and profile.sizes.largest > queue:
            yield Gate(
                code="queue-limit",
                message=f"the largest row has {profile.sizes.largest:,} prompt tokens, the queue "
                f"takes {queue:,}",
            )

    def _affordable(self) -> Iterator[Gate]:
        if self.cost is None:
            return
        for code, most, said in self._caps():
            if self.cost.expected > most:
                yield Gate(
                    code=code, message=f"{dollars(self.cost.expected)} expected is over {said}"
                )

    def _caps(self) -> Iterator[tuple[str, Usd | int, str]]:
        """(code, US dollars, name) of what the cost must not pass."""
        cap, monthly = self.demand.max_cost, self.offer.limits.usd_month
        if cap is not None:
            yield "over-budget", cap, f"the cap of {dollars(cap)}"
        if monthly is not None:
            yield "monthly-limit", monthly, f"the tier's monthly spend limit of ${monthly:,}"

    # risks

    def _risks(self, deadline: float | None) -> Iterator[str]:
        if self.gates and not all(gate.missing_fact for gate in self.gates):
            return
        lane, support_ = self.offer.lane, self.offer.support
        if self.cache is not None:
            yield self.cache.said
            yield from self._against_rival(self.cache.caching)
        if isinstance(self.schedule, timing.Delivered):
            yield from timing.delivery_risks(lane, self.schedule)
        elif lane.admission is not None:
            usual = f" (usual: {lane.usual})" if lane.usual else ""
            yield f"requests are turned away while capacity is short, so no finish is named{usual}"
        elif self.schedule is None:
            yield (
                "no realtime limit is published for this usage tier: --limit rpm=N (and itpm, "
                "otpm or tpm) settles when it would be done"
            )
        elif self.demand.respond_within is not None and self.demand.latency is None:
            mean, _ = timing.latency(self.case.profile, self.demand)
            yield f"an answer is assumed to take {mean:.1f} s on average: measure it (--latency)"
        if support_.inferred:
            yield f"inferred, not read: {support_.inferred}"
        yield from self._upper_ends()
        yield from self._changes(deadline)

    def _upper_ends(self) -> Iterator[str]:
        """What is within bounds as expected, and not at the upper end of its interval."""
        for _, most, said in self._caps():
            if self.cost is not None and self.cost.high > most:
                yield f"it may cost up to {dollars(self.cost.high)} (95 %), over {said}"
        model, largest = self.offer.model, self.case.profile.sizes_high.largest
        window = model.max_input or model.context
        if window is not None and largest > window:
            yield (
                f"the largest row may have {largest:,} prompt tokens (95 %), {model.id} takes "
                f"{window:,}"
            )

    def _against_rival(self, caching: Caching) -> Iterator[str]:
        """From which hit share on the cache is worth more than the discount for waiting."""
        card, rival = self.offer.card, self.rival
        if card is None or rival is None or rival.cost is None:
            return
        share = break_even(card, self.case.profile, caching, rival.cost.expected)
        if share is not None:
            yield (
                f"from a hit share of {percent(float(share))} on it costs less than "
                f"{rival.offer.lane.title} without a cache"
            )

    def _changes(self, deadline: float | None) -> Iterator[str]:
        """Dated changes that come before the job may be done."""
        card, change = self.offer.card, self._next_change
        if card is None or change is None or self.cost is None:
            return
        now = self.case.now
        last = card.on + ((now + timedelta(seconds=self._horizon(deadline))).date() - now.date())
        if change.date > last:
            return
        if change.rates is None:
            yield f"{change.what}, which may be before the job is done"
            return
        then = prices.card(
            self.case.catalog, self.offer.model, card.lane, on=change.date, region=card.region
        )
        later, unknown = _priced_by(then, self.case.profile, self._caching)
        yield (
            f"{change.what} on {change.date}, which may be before the job is done: "
            f"{dollars(self.cost.expected)} today, "
            f"{unknown if later is None else dollars(later.expected)} from then on"
        )

    @cached_property
    def _next_change(self) -> Change | None:
        return self.offer.card.next_change if self.offer.card else None

    def _horizon(self, deadline: float | None) -> float:
        """Seconds within which the job runs, as far as can be said."""
        finish = self.schedule.finish if self.schedule else NO_FINISH
        known = (deadline, finish.p95, finish.bound, self.offer.lane.window)
        return max((each for each in known if each is not None), default=0.0)


def _priced(
    offer: Offer, profile: TokenProfile, caching: Caching | None
) -> tuple[Cost | None, str | None]:
    """The cost, or why there is none."""
    if offer.card is None:
        return None, offer.no_price
    return _priced_by(offer.card, profile, caching)


def _priced_by(
    card: RateCard, profile: TokenProfile, caching: Caching | None
) -> tuple[Cost | None, str | None]:
    try:
        card.over(profile.sizes.largest)
        return job_cost(card, profile, caching), None
    except UnknownFactError as error:
        return None, error.problems[0].message


def _cached_variants(singles: tuple[_Single, ...]) -> Iterator[_Single]:
    """Each lane that can run once more with a cache, where the vendor sells one there."""
    later = [each for each in singles if each.usable and each.offer.lane.delivery != "sync"]
    rival = min(later, key=_expected, default=None)
    for single in singles:
        offer, case = single.offer, single.case
        if offer.card is None or single.cost is None or offer.support.state != "yes":
            continue
        found = cached(
            offer.model,
            offer.lane,
            offer.card,
            case.profile,
            case.requirements,
            case.requirements.concurrency or _in_flight(single.schedule),
        )
        if found is not None:
            yield _Single(case, offer, found, rival if offer.lane.delivery == "sync" else None)


def _in_flight(schedule: Schedule | None) -> float | None:
    """Requests that run at once, None where the lane's pace is not known."""
    paced = schedule.inner if isinstance(schedule, timing.Windowed) else schedule
    return paced.load.concurrency if isinstance(paced, timing.Paced) else None


def _expected(single: _Single) -> Usd:
    assert single.cost is not None
    return single.cost.expected


def _expected_by(single: _Single) -> float | None:
    """Mean seconds of a usable lane that answers later; None where they are not known."""
    if not single.usable or not isinstance(single.schedule, timing.Delivered):
        return None
    return single.schedule.expected


def verdict(
    schedule: Schedule | None, p: Probability | None, deadline: float | None, confidence: float
) -> Verdict:
    """What a known cost and a possible finish mean for the demand."""
    if schedule is None:
        return Verdict.UNKNOWN
    if deadline is None:
        return Verdict.UNKNOWN if schedule.finish.p95 is None else Verdict.MEETS
    if p is None:
        return Verdict.UNKNOWN
    if p.low >= confidence:
        return Verdict.MEETS if schedule.vouches_for(deadline) else Verdict.LIKELY
    if p.mean >= confidence:
        return Verdict.LIKELY
    return Verdict.CANNOT if p.mean < HOPELESS else Verdict.AT_RISK


# --- a batch, and realtime for what it leaves -------------------------------------------


def _pairs(singles: tuple[_Single, ...]) -> Iterator[tuple[_Single, _Single]]:
    """Every lane that can be cancelled with the base lane that could take over."""
    base = next((each for each in singles if each.offer.lane.base), None)
    if base is None or not base.usable or not isinstance(base.schedule, timing.Paced):
        return
    for each in singles:
        delivered = isinstance(each.schedule, timing.Delivered)
        if delivered and each.usable and each.offer.lane.per_batch is not None:
            yield each, base


def _rescues(singles: tuple[_Single, ...], deadline: float) -> Iterator[Option]:
    """Batch first; at the last safe moment cancel, and run what is unfinished in realtime."""
    for batch, base in _pairs(singles):
        assert isinstance(base.schedule, timing.Paced)
        assert isinstance(batch.schedule, timing.Delivered)
        cancel = float(batch.offer.lane.cancel or ASSUMED_CANCEL)
        at = deadline - base.schedule.quoted - cancel
        done = batch.schedule.by(at)
        if at > 0 and done is not None:
            yield _rescue(batch, base, Rescue(at=at, p_no_rescue=done.mean), done, deadline)


def _rescue(
    batch: _Single, base: _Single, rescue: Rescue, done: Probability, deadline: float
) -> Option:
    assert isinstance(batch.schedule, timing.Delivered)
    assert batch.cost is not None
    assert base.cost is not None
    sure = batch.demand.confidence
    return Option(
        id=f"{batch.id}>{base.offer.lane.id}",
        provider=batch.offer.model.provider,
        model=batch.case.profile.model,
        lane=batch.offer.lane.id,
        delivery=batch.offer.lane.delivery,
        strategy="rescue",
        cost=either(batch.schedule.done_share(rescue.at), batch.cost, base.cost),
        finish=_rescued(batch.schedule.finish, done, deadline),
        rescue=rescue,
        p_deadline=Probability(
            mean=done.mean + (1 - done.mean) * sure,
            low=done.low + (1 - done.low) * sure,
            high=1.0,
        ),
        grade=batch.schedule.grade,
        verdict=Verdict.MEETS,
        risks=tuple(_rescue_risks(batch)),
    )


def _rescue_risks(batch: _Single) -> Iterator[str]:
    yield "holds only while a runner lives that switches at that moment"
    yield "an outage of the vendor takes both lanes"
    outcomes = batch.offer.lane.billed
    billed = outcomes.get("canceled", outcomes.get("cancelled", "unknown"))
    if billed != "no" and batch.cost is not None:
        said = "are billed" if billed == "yes" else "may be billed: the vendor does not say"
        yield f"cancelled rows {said}; at the most {dollars(batch.cost.expected)} is paid twice"


def _rescued(batch: Finish, done: Probability, deadline: float) -> Finish:
    """The batch's own quantiles where it is done in time, the deadline where it is not."""

    def quantile(share: float, own: float | None) -> float:
        return own if own is not None and done.mean >= share else deadline

    return replace(
        batch,
        p50=quantile(0.5, batch.p50),
        p95=quantile(0.95, batch.p95),
        p95_raw=None,
        bound=deadline,
    )


def _splits(
    case: Case, singles: tuple[_Single, ...], alone: tuple[Option, ...], deadline: float
) -> Iterator[Option]:
    """Realtime and batch side by side, where neither alone meets the deadline."""
    if any(each.verdict is Verdict.MEETS for each in alone):
        return
    for batch, base in _pairs(singles):
        assert isinstance(base.schedule, timing.Paced)
        load = base.schedule.load
        first = realtime.rows_by(load, deadline, case.requirements.confidence)
        if 0 < first < case.profile.rows.value:
            yield _split(case, batch, base, first, deadline)


def _split(case: Case, batch: _Single, base: _Single, first: int, deadline: float) -> Option:
    """`first` rows in realtime, as many as fit the deadline; the others in batch meanwhile."""
    rest = case.profile.rows.value - first
    now = _Single(replace(case, profile=case.profile.for_rows(first)), base.offer)
    later = _Single(replace(case, profile=case.profile.for_rows(rest)), batch.offer)
    assert now.schedule is not None
    assert later.schedule is not None
    assert later.cost is not None
    assert now.cost is not None
    done = later.schedule.by(deadline)
    sure = case.requirements.confidence
    p = None if done is None else replace(done, low=done.low * sure)
    return Option(
        id=f"{batch.id}|{base.offer.lane.id}",
        provider=batch.offer.model.provider,
        model=case.profile.model,
        lane=batch.offer.lane.id,
        delivery=batch.offer.lane.delivery,
        strategy="split",
        cost=both(now.cost, later.cost),
        finish=_later_of(now.schedule.finish, later.schedule.finish),
        p_deadline=p,
        grade=later.schedule.grade,
        verdict=verdict(later.schedule, p, deadline, sure),
        risks=(f"{first:,} rows in realtime beside {rest:,} in batch, from two pools of limits",),
    )


def _later_of(paced: Finish, batch: Finish) -> Finish:
    """Both parts have to be there: the batch's finish, not before the realtime part's."""

    def last(one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else max(one, other)

    return replace(
        batch,
        p50=last(paced.p50, batch.p50),
        p95=last(paced.p95, batch.p95),
        p95_raw=last(paced.p95_raw, batch.p95_raw),
    )
