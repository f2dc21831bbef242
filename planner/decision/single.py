"""One lane alone: its cost, its finish, its gates and its risks.

A lane is assessed alone: nothing here compares two of them, so adding one can never change
another's figures. Gates come before scores, in the order a person would ask them.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from planner.catalog import prices
from planner.decision import timing
from planner.decision.caching import break_even, cached
from planner.decision.cost import Cost, job_cost
from planner.decision.options import Gate, Option, Verdict
from planner.decision.timing import NO_FINISH, Finish, Probability
from planner.errors import UnknownFactError
from planner.money import dollars
from planner.words import percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.catalog.prices import Change, RateCard
    from planner.decision.caching import Cached
    from planner.decision.cost import Caching
    from planner.decision.options import Case, Offer
    from planner.decision.timing import Schedule
    from planner.money import Usd
    from planner.workload.profile import TokenProfile

HOPELESS = 0.05
"""Below this probability an option cannot meet its deadline for any practical purpose."""


class Single:
    """The assessment of one offer: every part of it is computed once.

    With `cache` a part of the prompts is read from a cache: another cost, and where reads
    draw on no limit another pace. `rival` is the cheapest way without one that answers later.
    """

    def __init__(
        self, case: Case, offer: Offer, cache: Cached | None = None, rival: Single | None = None
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
            usd_month=offer.limits.usd_month,
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
        elif (
            self.demand.respond_within is not None
            and self.demand.latency is None
            and self.case.profile.latency is None
        ):
            mean, _ = timing.latency(self.case.profile, self.demand)
            yield f"an answer is assumed to take {mean:.1f} s on average: measure it (--latency)"
        if support_.inferred:
            yield f"inferred, not read: {support_.inferred}"
        yield from self.upper_ends()
        yield from self._changes(deadline)

    def upper_ends(self) -> Iterator[str]:
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


def cached_variants(singles: tuple[Single, ...]) -> Iterator[Single]:
    """Each lane that can run once more with a cache, where the vendor sells one there."""
    later = [each for each in singles if each.usable and each.offer.lane.delivery != "sync"]
    rival = min(later, key=expected, default=None)
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
            yield Single(case, offer, found, rival if offer.lane.delivery == "sync" else None)


def _in_flight(schedule: Schedule | None) -> float | None:
    """Requests that run at once, None where the lane's pace is not known."""
    paced = schedule.inner if isinstance(schedule, timing.Windowed) else schedule
    return paced.load.concurrency if isinstance(paced, timing.Paced) else None


def expected(single: Single) -> Usd:
    """What the lane is expected to cost; only of one that has a cost."""
    assert single.cost is not None
    return single.cost.expected


def expected_by(single: Single) -> float | None:
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
