"""When a job is done on one lane: catalog limits and demands turned into a finish.

Bridges facts to the two models of time: a lane that answers on the connection is paced by
its limits (`realtime`), one that answers later by what is known of its batches
(`turnaround`, `shipment`). Both come out as a `Schedule`: a finish, and P(done) as a function
of the deadline: whoever needs another one (rescue, flips, map) asks the same object.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, cast

from planner.decision import realtime, turnaround
from planner.decision import shipment as shipments
from planner.words import batches, counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from planner.catalog import LaneFacts, Model, Turnaround
    from planner.catalog.support import Limits
    from planner.decision.cost import Caching, Cost
    from planner.decision.requirements import Requirements
    from planner.workload.profile import TokenProfile

ASSUMED_FIRST_TOKEN = 2.0
ASSUMED_TOKENS_PER_SECOND = 40.0
ASSUMED_LATENCY_CV = 0.8

REQUEST_LIMITS = ("rpm", "itpm", "otpm", "tpm", "usd_10min")
"""One of these must be known before a finish is named; a daily limit alone says too little."""

REALTIME_LIMITS = ("rpm", "rpd", "itpm", "otpm", "tpm", "usd_10min")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probability:
    """P(every row by the deadline): mean, and 10 % and 90 % credible limits."""

    mean: float
    low: float
    high: float


CERTAINLY_NOT = Probability(mean=0.0, low=0.0, high=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """When the last row is done, in seconds from the start; None where it is not known.

    `p95` is the figure to plan with, `p95_raw` the model's own before its margin;
    `bound` is what the vendor documents. The rest explains: what binds and how it splits.
    """

    p50: float | None = None
    p95: float | None = None
    p95_raw: float | None = None
    bound: float | None = None
    batches: int | None = None
    waves: int | None = None
    concurrent: int | None = None
    rows_per_batch: int | None = None
    binding: str | None = None
    last_admission: float | None = None
    rate: float | None = None


NO_FINISH = Finish()
"""Nothing is known of when it is done."""


class Schedule(Protocol):
    """A finish, and how likely an earlier or later one is."""

    @property
    def finish(self) -> Finish:
        """The finish itself."""

    @property
    def grade(self) -> str:
        """Strength of the evidence, A to D."""

    def by(self, deadline: float) -> Probability | None:
        """P(every row within that many seconds of the start); None where nothing is known."""

    def vouches_for(self, deadline: float) -> bool:
        """Whether the evidence is good enough to say "meets" of that deadline."""


class Offered(Protocol):
    """The part of an offer that time depends on."""

    @property
    def model(self) -> Model:
        """The model."""

    @property
    def lane(self) -> LaneFacts:
        """The lane's facts."""

    @property
    def limits(self) -> Limits:
        """The limits of the usage tier."""


# --- lanes that answer on the connection ------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Paced:
    """A realtime client that keeps to its limits; done or not done at a quoted time."""

    load: realtime.Load
    confidence: float
    grade: str

    @cached_property
    def finish(self) -> Finish:
        """The makespan, quoted with its margin."""
        span = self._course.makespan()
        return Finish(
            p50=span.p50,
            p95=span.p95,
            p95_raw=span.p95_raw,
            binding=span.binding,
            last_admission=span.last_admission,
            rate=span.rate,
        )

    @cached_property
    def quoted(self) -> float:
        """Seconds to plan with at the demanded confidence."""
        return self._course.quoted(self.confidence)

    @cached_property
    def _course(self) -> realtime.Course:
        return realtime.Course(self.load)

    def by(self, deadline: float) -> Probability:
        """Sure at the demanded confidence from the quoted time on, and not at all before."""
        if self.quoted > deadline:
            return CERTAINLY_NOT
        return Probability(mean=1.0, low=self.confidence, high=1.0)

    def vouches_for(self, deadline: float) -> bool:
        """The quoted time carries its own margin."""
        return deadline > 0


def paced(
    profile: TokenProfile,
    limits: Limits,
    demand: Requirements,
    cost: Cost | None,
    caching: Caching | None = None,
) -> Paced | None:
    """The realtime schedule; None where the vendor publishes no limit and none was given.

    A concurrency alone is no limit of the vendor's: it would promise what nobody has said.
    """
    buckets = limit_buckets(profile, limits, cost, caching)
    if not any(bucket.name in REQUEST_LIMITS for bucket in buckets):
        return None
    mean, cv = latency(profile, demand)
    needed = realtime.concurrency_needed(buckets, mean)
    load = realtime.Load(
        rows=profile.rows.value,
        latency_mean=mean,
        latency_cv=cv,
        concurrency=demand.concurrency or needed,
        buckets=buckets,
        failure_rate=demand.failure_rate,
        retries=demand.retries,
    )
    known = demand.latency is not None or profile.latency is not None
    return Paced(load=load, confidence=demand.confidence, grade="C" if known else "D")


def latency(profile: TokenProfile, demand: Requirements) -> tuple[float, float]:
    """Seconds of one attempt, mean and CV: given, measured, or assumed from the answer length."""
    if demand.latency is not None:
        return demand.latency.mean, demand.latency.cv
    if profile.latency is not None:
        return profile.latency[:2]
    mean = ASSUMED_FIRST_TOKEN + float(profile.output.mean) / ASSUMED_TOKENS_PER_SECOND
    return mean, ASSUMED_LATENCY_CV


def limit_buckets(
    profile: TokenProfile, limits: Limits, cost: Cost | None, caching: Caching | None
) -> tuple[realtime.Bucket, ...]:
    """The published limits as token buckets, with what one attempt takes of each."""
    uses = _uses(profile, limits, cost, caching)
    spreads = {"otpm": 0.0 if limits.counts_max_output else profile.output.cv}
    return tuple(
        realtime.standard(name, use=uses[name], limit=limit, cv=spreads.get(name, 0.0))
        for name in REALTIME_LIMITS
        if (limit := getattr(limits, name)) is not None and name in uses
    )


def _uses(
    profile: TokenProfile, limits: Limits, cost: Cost | None, caching: Caching | None
) -> dict[str, float]:
    """Mean units an attempt takes of each limit.

    Where the vendor reserves the demanded maximum, an attempt takes that or its mean size,
    whichever is more.
    """
    prompt, answer = float(profile.sizes.mean), float(profile.output.mean)
    fresh = prompt
    if caching is not None and not limits.counts_cache_read:
        fresh -= caching.prefix * float(caching.hit_share)
    reserved = float(profile.output.ceiling) if limits.counts_max_output else 0.0
    uses = {
        "rpm": 1.0,
        "rpd": 1.0,
        "itpm": fresh,
        "otpm": max(answer, reserved),
        "tpm": max(fresh + answer, reserved),
    }
    rows = profile.rows.value
    if cost is not None and rows:
        uses["usd_10min"] = float(cost.expected) / rows
    return uses


def too_large(profile: TokenProfile, limits: Limits, cost: Cost | None) -> tuple[str, int] | None:
    """(limit, units of the largest row) where one row alone is over a limit, else None."""
    largest = float(profile.sizes.largest)
    with_answer = largest + float(profile.output.mean)
    buckets = limit_buckets(profile, limits, cost, None)
    uses = {bucket.name: bucket.use for bucket in buckets}
    uses |= {"itpm": largest, "tpm": max(with_answer, uses.get("tpm", 0.0))}
    over = realtime.oversized(buckets, uses)
    return None if over is None else (over.name, math.ceil(uses[over.name]))


# --- lanes that are not always there ----------------------------------------------------

HORIZON_DAYS = 60
"""How far ahead opening hours are laid out; beyond it nothing is promised."""


@dataclass(frozen=True, kw_only=True)
class Windowed:
    """A schedule that runs only while its lane is open, such as an off-peak discount.

    `spans` are the open stretches ahead, in seconds from now; the job works through them
    and rests between them. Both directions are monotone, so every law of the inner
    schedule holds for this one.
    """

    inner: Paced
    spans: tuple[tuple[float, float], ...]

    @property
    def grade(self) -> str:
        """The inner schedule's evidence."""
        return self.inner.grade

    @cached_property
    def finish(self) -> Finish:
        """The inner finish, with the closed stretches put in."""
        finish = self.inner.finish
        return replace(
            finish,
            p50=self._elapsed(finish.p50),
            p95=self._elapsed(finish.p95),
            p95_raw=self._elapsed(finish.p95_raw),
            last_admission=self._elapsed(finish.last_admission),
        )

    def by(self, deadline: float) -> Probability:
        """The inner probability for the time that the lane is open until then."""
        return self.inner.by(sum(max(0.0, min(end, deadline) - start) for start, end in self.spans))

    def vouches_for(self, deadline: float) -> bool:
        """Opening hours are published; the quoted time carries its own margin."""
        return self.inner.vouches_for(deadline)

    def _elapsed(self, active: float | None) -> float | None:
        """When so many open seconds have passed; None beyond the horizon."""
        left = active
        for start, end in self.spans:
            if left is None or left <= end - start:
                return None if left is None else start + left
            left -= end - start
        return None


def open_spans(lane: LaneFacts, now: datetime) -> tuple[tuple[float, float], ...]:
    """The lane's open stretches from now on, in seconds from now, joined where they touch."""
    spans: list[tuple[float, float]] = []
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for ahead in range(HORIZON_DAYS):
        day = midnight + timedelta(days=ahead)
        for start, end in sorted(_minutes(lane, day.weekday())):
            first = (day + timedelta(minutes=start) - now).total_seconds()
            last = (day + timedelta(minutes=end) - now).total_seconds()
            if last <= 0:
                continue
            if spans and spans[-1][1] >= first:
                spans[-1] = (spans[-1][0], last)
            else:
                spans.append((max(0.0, first), last))
    return tuple(spans)


def _minutes(lane: LaneFacts, weekday: int) -> list[tuple[int, int]]:
    return [span for hours in lane.open if weekday in hours.days for span in hours.minutes]


# --- lanes that answer later ------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The person's own finished batches, and the moment they are looked at from."""

    jobs: tuple[turnaround.FinishedJob, ...]
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """A lane that delivers when it is done: batches, or requests in the background."""

    shipment: shipments.Shipment
    last: shipments.Finish

    @property
    def finish(self) -> Finish:
        """The finish, with how the job splits into batches."""
        return Finish(
            p50=self.last.p50,
            p95=self.last.p95,
            p95_raw=self.last.p95,
            bound=self.last.bound,
            batches=self.shipment.batches,
            waves=self.shipment.waves,
            concurrent=self.shipment.concurrent,
            rows_per_batch=self.shipment.rows_per_batch,
        )

    @property
    def grade(self) -> str:
        """A and B by own batches, C by a public prior, D by a vendor's word."""
        return self.last.grade

    def by(self, deadline: float) -> Probability | None:
        """P(all done); None where nothing is known of the turnaround."""
        chance = self.last.by(deadline)
        if chance.mean is None or chance.low is None or chance.high is None:
            return None
        return Probability(mean=chance.mean, low=chance.low, high=chance.high)

    def done_share(self, time: float) -> float:
        """Expected share of the rows that are done by then; 0 where nothing is known."""
        return self.last.done_share(time) or 0.0

    @cached_property
    def expected(self) -> float | None:
        """Mean seconds until all is done, capped at the documented bound; None without one."""
        return None if self.last.bound is None else self.last.mean_capped(self.last.bound)

    def vouches_for(self, deadline: float) -> bool:
        """Whether the evidence may carry the word "meets" for that deadline.

        Below the documented bound grade D is a vendor's word or a size nobody published.
        """
        return self.last.grade != "D" or (
            self.last.bound is not None and deadline >= self.last.bound
        )


def delivered(
    profile: TokenProfile,
    offer: Offered,
    demand: Requirements,
    past: Past,
    *,
    seed: int,
) -> Delivered:
    """The schedule of an asynchronous lane: its split by the limits, its law by the evidence."""
    lane, limits = offer.lane, offer.limits
    shipment = shipment_of(profile, lane, limits)
    jobs = turnaround.matching(
        past.jobs, provider=offer.model.provider, model=offer.model.id, lane=lane.id
    )
    law = turnaround.posterior(
        _prior(lane.turnaround), jobs, now=past.now, rows=shipment.rows_per_batch
    )
    window = None if lane.window is None else float(lane.window)
    return Delivered(
        shipment=shipment,
        last=shipments.finish(
            law,
            shipment,
            window=window,
            at_window=_at_window(lane.at_window),
            degraded=demand.degraded,
            seed=seed,
        ),
    )


def shipment_of(profile: TokenProfile, lane: LaneFacts, limits: Limits) -> shipments.Shipment:
    """The job as batches under the lane's limits; one where the lane has none."""
    rows, per_batch = profile.rows.value, lane.per_batch or {}
    size = None if profile.bytes_per_row is None else profile.bytes_per_row * rows
    return shipments.split(
        max(1, rows),
        size,
        profile.input.value,
        shipments.SplitLimits(
            requests=per_batch.get("requests"),
            bytes=per_batch.get("bytes"),
            queued_requests=limits.queued_requests,
            queued_tokens=limits.queued_input_tokens,
            active=limits.max_active,
        ),
    )


def _prior(facts: Turnaround | None) -> turnaround.Prior | None:
    if facts is None:
        return None
    return turnaround.Prior(
        p50=facts.p50, p90=facts.p90, worth=facts.worth, grade=cast("turnaround.Grade", facts.grade)
    )


def _at_window(said: str | None) -> shipments.AtWindow:
    """What the vendor does at the window; silence is taken as expiry, the slower case."""
    if said in ("keeps_running", "best_effort"):
        return cast("shipments.AtWindow", said)
    return "expires"


def delivery_risks(lane: LaneFacts, schedule: Delivered) -> tuple[str, ...]:
    """What may go wrong with a lane that answers later, in the words a person needs."""
    return tuple(_delivery_risks(lane, schedule))


def _delivery_risks(lane: LaneFacts, schedule: Delivered) -> Iterator[str]:
    last, shipment = schedule.last, schedule.shipment
    if lane.at_window in ("expires", "expires_without_results"):
        lost = "all its results" if lane.at_window != "expires" else "unfinished rows"
        yield f"completion inside the window is not guaranteed: at its end {lost} expire"
    elif last.bound is not None:
        yield "completion inside the window is not guaranteed"
    if not last.independent and last.bound is not None:
        yield "when it is done was never measured in public: only the vendor's window is known"
    elif not last.independent:
        yield "when it is done was never measured in public, and no window is documented"
    elif last.grade == "D" and not last.degraded:
        yield (
            f"no public batch of {counted(shipment.rows_per_batch, 'row')} was found: the curve of "
            "smaller ones is shown"
        )
    if last.degraded:
        yield "a known incident: nothing is expected before the documented window"
    if shipment.waves > 1:
        yield (
            f"{batches(shipment.batches)}, {shipment.concurrent} at once "
            f"({shipment.held_by} limit): {counted(shipment.waves, 'wave')}"
        )
