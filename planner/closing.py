"""Closing a job's books: its replies and its record, read once, into what it cost and taught.

Composes what does not know each other: the job's folder, the ledger, the vendor's way of writing
results, the catalog. The raw replies are the evidence, not what was merged from them: only they
prove in which tier a row was served, and only they show a row that was answered twice. Taking the
ledger's bill alone was rejected: it can say what it came to, and not why.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from planner.catalog import prices
from planner.decision.budget import Spent
from planner.errors import InputError, UnknownFactError
from planner.handoff import build as builds
from planner.handoff import journal, learned, pilots, results
from planner.handoff import plan as plans
from planner.handoff.billing import Bill, Book
from planner.handoff.providers import vendors
from planner.handoff.reconcile import Actual, Reconciliation, Rows, VendorTotal, reconcile
from planner.handoff.usage import BUCKETS, VENDOR_USAGE, Usage
from planner.money import Usd, difference, total
from planner.workload.tokens import OF_THE_JOB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import date
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.handoff.learned import Lesson
    from planner.handoff.ledger import Attempt, Job, Ledger
    from planner.handoff.plan import Plan
    from planner.handoff.vendor import RowResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply of a vendor about one row, with the lane that the row was sent in."""

    index: int
    lane: str
    result: RowResult
    batch: str | None = None
    seconds: float | None = None
    """Of a realtime request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A job whose books are closed, as far as it went."""

    job: Job
    plan: Plan
    reconciliation: Reconciliation
    lesson: Lesson
    listed: Book | None
    """The vendor's published rates of these lanes, where the catalog knows them."""
    day: date
    """Of the last reply, or of the beginning where there is none."""
    unmeasured: int
    """Answers that do not say what they used; their tokens are in no figure."""

    @property
    def open(self) -> bool:
        """Whether something may still come."""
        return self.job.state in ("open", "cancelling")


def close(
    ledger: Ledger,
    job: Job,
    *,
    catalog: Catalog | None = None,
    listed: Catalog | None = None,
    vendor: Usd | None = None,
) -> Closed:
    """The books of a job; `vendor` is the vendor's own amount, where somebody has read it.

    `catalog` gives the prices in force and those of lanes that the plan does not pin, `listed`
    the published ones. InputError where the job's files are gone.
    """
    folder = ledger.job_folder(job.id)
    plan = _plan(folder, job)
    seen = _Seen(plan, counted=_counted(folder), book=_book(plan, catalog))
    for reply in replies(ledger, job, plan, folder):
        seen.add(reply)
    attempts = ledger.attempts(job.id, all=True)
    last = _last(attempts, folder)
    day = (last or job.created).date()
    actual = seen.actual(
        standing=journal.standing(folder),
        totals=_totals(ledger, job, seen.of_batch),
        doubt=_doubt(ledger, job, attempts),
        vendor=vendor,
    )
    held = reconcile(plan, actual, book=seen.book, in_force=_in_force(plan, seen, catalog, day))
    return Closed(
        job=job,
        plan=plan,
        reconciliation=held,
        lesson=_lesson(job, plan, seen, held, last),
        listed=_rates(plan, listed, seen.lanes, day),
        day=day,
        unmeasured=seen.unmeasured,
    )


def learn(ledger: Ledger, job: Job, catalog: Catalog, now: datetime) -> Lesson | None:
    """Keep what a job that is over has taught; None where there is nothing to keep.

    A rehearsal teaches nothing, a pilot is kept by whoever ran it, and a job whose files are
    gone has only what it taught before.
    """
    known = learned.lesson_of(ledger, job.id)
    if job.rehearsal or job.state not in ("done", "stopped"):
        return known
    if (known is not None and known.source == "pilot") or not readable(ledger, job):
        return known
    lesson = close(ledger, job, catalog=catalog).lesson
    learned.keep(ledger, lesson, now)
    return lesson


def readable(ledger: Ledger, job: Job) -> bool:
    """Whether the job's files are still there to close its books from."""
    return (ledger.job_folder(job.id) / builds.PLAN).is_file()


def _plan(folder: Path, job: Job) -> Plan:
    path = folder / builds.PLAN
    if not path.is_file():
        raise InputError.of(
            "purged",
            f"the files of job {job.id} are gone, so its bill cannot be taken apart",
            where=str(folder),
            hint=f"planner jobs {job.id} shows what it came to",
        )
    return plans.read(path)


def _counted(folder: Path) -> array[int]:
    """Prompt tokens at which each row was counted when it was built."""
    found = array("L")
    with (folder / builds.ROWS).open("rb") as stream:
        found.extend(json.loads(line).get("tokens", 0) for line in stream)
    return found


# --- what was spent ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SoFar:
    """What the jobs of some tags cost in each month up to today."""

    spent: tuple[Spent, ...]
    jobs: int
    unpriced: int
    """Of these, jobs with a meter whose rate is not known: their amounts are the least."""


def so_far(
    ledger: Ledger, wanted: Iterable[Mapping[str, str]], months: Iterable[date], on: date
) -> SoFar:
    """Month by month what was billed for jobs that carry all tags of one of `wanted`.

    No rehearsals; a job counts once, in the months in which its rows were billed. The month of
    `on` is one up to that day, later ones are left out.
    """
    asked = [dict(each) for each in wanted if each]
    found = {job.id for job in ledger.jobs() if not job.rehearsal and _carries(ledger, job, asked)}
    past = [month for month in months if month <= on]
    edges = [datetime(each.year, each.month, 1, tzinfo=UTC) for each in past]
    left = [_billed_since(ledger, found, edge) for edge in edges]
    if past:
        left.append(_billed_since(ledger, found, _next(edges[-1])))
    spent = tuple(
        Spent(
            month=month,
            amount=difference(since, later),
            through=on if (month.year, month.month) == (on.year, on.month) else None,
        )
        for month, (since, later) in zip(past, pairwise(left), strict=True)
    )
    kinds = ({e.kind for e in ledger.events(each)} for each in found)
    return SoFar(spent=spent, jobs=len(found), unpriced=sum("unpriced" in each for each in kinds))


def _carries(ledger: Ledger, job: Job, asked: Iterable[Mapping[str, str]]) -> bool:
    own = _tags(ledger, job)
    return any(each.items() <= own.items() for each in asked)


def _tags(ledger: Ledger, job: Job) -> Mapping[str, str]:
    """Those of its plan; of a job whose files are gone, as far as they were learned."""
    if readable(ledger, job):
        return plans.read(ledger.job_folder(job.id) / builds.PLAN).tags
    lesson = learned.lesson_of(ledger, job.id)
    return {} if lesson is None else lesson.tags


def _billed_since(ledger: Ledger, jobs: set[str], since: datetime) -> Usd:
    return total(each.billed for each in ledger.spent(since) if each.job in jobs)


def _next(month: datetime) -> datetime:
    return (month + timedelta(days=32)).replace(day=1)


# --- the replies ------------------------------------------------------------------------


def replies(ledger: Ledger, job: Job, plan: Plan, folder: Path) -> Iterator[Reply]:
    """Every reply of every leg, once: a line that a file repeats is one reply."""
    parse = vendors.reading(job.provider)
    for attempt in ledger.attempts(job.id, all=True):
        yield from _of_batch(attempt, plan, folder, parse)
    lane = realtime_lane(plan)
    for entry in journal.replies(folder):
        if entry.result is not None:
            yield Reply(index=entry.index, lane=lane, result=entry.result, seconds=entry.seconds)


def _of_batch(
    attempt: Attempt, plan: Plan, folder: Path, parse: Callable[[bytes], RowResult]
) -> Iterator[Reply]:
    told: set[int] = set()
    for path in results.files_of(folder, attempt):
        with path.open("rb") as stream:
            for line in stream:
                result = _parsed(line, parse)
                index = None if result is None else results.index_of(result.custom_id, plan.nonce)
                if result is None or index is None or index in told:
                    continue
                told.add(index)
                batch = attempt.batch_id
                yield Reply(index=index, lane=plan.choice.lane, result=result, batch=batch)


def _parsed(line: bytes, parse: Callable[[bytes], RowResult]) -> RowResult | None:
    try:
        return parse(line) if line.strip() else None
    except ValueError:
        return None


def realtime_lane(plan: Plan) -> str:
    """The lane of a plan's single requests: its own, or the one that follows the batches."""
    others = [each.lane for each in plan.rates if each.lane != plan.choice.lane]
    return others[0] if plan.choice.strategy != "single" and others else plan.choice.lane


# --- what they add up to ----------------------------------------------------------------

_NOTHING, _CANCELED, _EXPIRED, _ERRORED, _BILLED = range(5)
_FATES: Mapping[str, int] = {"canceled": _CANCELED, "expired": _EXPIRED, "errored": _ERRORED}


@dataclass(slots=True)
class _Seen:
    """Replies added up as they come; some bytes a row."""

    plan: Plan
    counted: array[int]
    book: Book
    bill: Bill = field(init=False)
    fates: bytearray = field(init=False)
    lanes: Counter[str] = field(default_factory=Counter)
    proofs: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    used: dict[str | None, list[int]] = field(default_factory=dict)
    """Tokens by batch, a bucket each; None: of realtime requests."""
    seconds: list[float] = field(default_factory=list)
    products: list[int] = field(default_factory=lambda: [0] * 6)
    """The sums of `learned.Pairs`, in its order."""
    at: int = 0
    """Tokens at which billed rows were counted."""
    repeated: int = 0
    truncated: int = 0
    unmeasured: int = 0

    def __post_init__(self) -> None:
        self.bill = Bill(self.book)
        self.fates = bytearray(len(self.counted))

    def add(self, reply: Reply) -> None:
        """Count one reply, of a row that was built."""
        if not 0 <= reply.index < len(self.fates):
            return
        usage, result = reply.result.usage, reply.result
        if usage is None:
            self.unmeasured += result.outcome == "succeeded"
            self._fate(reply.index, _FATES.get(result.outcome, _NOTHING))
            return
        self.repeated += self.fates[reply.index] == _BILLED
        self._fate(reply.index, _BILLED)
        self._used(reply, usage)
        if result.outcome == "succeeded":
            self.lengths[usage.written] += 1
            self.truncated += result.truncated
            if reply.seconds is not None:
                self.seconds.append(reply.seconds)

    def _fate(self, index: int, fate: int) -> None:
        self.fates[index] = max(self.fates[index], fate)

    def _used(self, reply: Reply, usage: Usage) -> None:
        proofs = vendors.PROOFS.get(self.plan.choice.provider, {})
        lane = proofs.get(usage.tier or "", reply.lane)
        self.bill.count(usage, lane)
        self.lanes[lane] += 1
        self.proofs[reply.lane, usage.tier] += 1
        sums = self.used.setdefault(reply.batch, [0] * len(BUCKETS))
        for place, name in enumerate(BUCKETS):
            sums[place] += getattr(usage, name)
        counted, prompt = self.counted[reply.index], usage.prompt
        self.at += counted
        if counted:
            step = (1, counted, prompt, counted**2, prompt**2, counted * prompt)
            self.products = [one + more for one, more in zip(self.products, step, strict=True)]

    @property
    def usage(self) -> Usage:
        """Tokens of all replies."""
        return sum((_usage(each) for each in self.used.values()), Usage())

    @property
    def of_batch(self) -> dict[str, Usage]:
        """Tokens of each batch's replies."""
        return {name: _usage(each) for name, each in self.used.items() if name is not None}

    @property
    def pairs(self) -> learned.Pairs:
        """Rows as they were counted beside what was billed."""
        return learned.Pairs(**dict(zip(_SUMS, self.products, strict=True)))

    def rows(self, ambiguous: int) -> Rows:
        """What became of each row."""
        return Rows(
            built=len(self.fates),
            billed=self.fates.count(_BILLED),
            errored=self.fates.count(_ERRORED),
            expired=self.fates.count(_EXPIRED),
            canceled=self.fates.count(_CANCELED),
            repeated=self.repeated,
            truncated=self.truncated,
            ambiguous=ambiguous,
        )

    def actual(
        self,
        *,
        standing: journal.Standing,
        totals: tuple[VendorTotal, ...],
        doubt: tuple[int, Usd],
        vendor: Usd | None,
    ) -> Actual:
        """All of it, as reconciliation takes it."""
        rows, held = doubt
        ambiguous = standing.ambiguous + rows
        return Actual(
            rows=self.rows(ambiguous),
            quantities={line.key: line.quantity for line in self.bill.lines},
            usage=self.usage,
            replies=self.lanes,
            counted=round(self.at * _measured(self.plan, self.counted)) or None,
            proofs=self.proofs,
            totals=totals,
            at_most=total((standing.held, held)) if ambiguous else None,
            vendor=vendor,
        )


_SUMS = tuple(each.name for each in fields(learned.Pairs))


def _usage(sums: Iterable[int]) -> Usage:
    found: dict[str, int] = dict(zip(BUCKETS, sums, strict=True))
    return Usage(tier=None, **found)


def _measured(plan: Plan, counted: array[int]) -> Fraction:
    """What the plan had learned of the tokenizer, which rows are built without."""
    built = sum(counted)
    if plan.tokens.grade not in OF_THE_JOB or not built:
        return Fraction(1)
    return Fraction(plan.tokens.input.value, built)


def _doubt(ledger: Ledger, job: Job, attempts: Iterable[Attempt]) -> tuple[int, Usd]:
    """(rows, ceilings) of batches that were made again though the first may have been heard."""
    known = {each.shard: each for each in attempts}
    twice = [
        known[each.shard]
        for each in ledger.events(job.id)
        if each.kind == "rearmed" and each.shard in known
    ]
    return sum(each.rows for each in twice), total(each.ceiling for each in twice)


def _totals(ledger: Ledger, job: Job, ours: Mapping[str, Usage]) -> tuple[VendorTotal, ...]:
    """The vendor's own totals of batches, the last word on each."""
    told = {
        str(each.facts["id"]): Usage(**{name: each.facts.get(name, 0) for name in BUCKETS})
        for each in ledger.events(job.id)
        if each.kind == VENDOR_USAGE
    }
    return tuple(
        VendorTotal(name=name, theirs=theirs, ours=ours.get(name, Usage()))
        for name, theirs in told.items()
    )


def _last(attempts: Iterable[Attempt], folder: Path) -> datetime | None:
    """When the last reply came."""
    ended = [each.ended_at for each in attempts if each.ended_at is not None]
    ended += [datetime.fromisoformat(each.at) for each in journal.replies(folder)]
    return max(ended, default=None)


# --- prices -----------------------------------------------------------------------------


def _book(plan: Plan, catalog: Catalog | None) -> Book:
    """The plan's rates; those of its model's other lanes as of the plan's day."""
    pinned = {each.lane for each in plan.rates}
    day = datetime.fromisoformat(plan.created).date()
    others = _rates(plan, catalog, _model_lanes(plan, catalog) - pinned, day)
    return Book(lanes=(*plan.rates, *(others.lanes if others else ())))


def _model_lanes(plan: Plan, catalog: Catalog | None) -> set[str]:
    if catalog is None:
        return set()
    try:
        return set(catalog.model(f"{plan.choice.provider}/{plan.request.model}").lanes)
    except UnknownFactError:
        return set()


def _rates(plan: Plan, catalog: Catalog | None, lanes: Iterable[str], day: date) -> Book | None:
    """The catalog's rates of lanes on a day; None where it knows none of them."""
    found = []
    for lane in sorted(lanes) if catalog is not None else ():
        try:
            assert catalog is not None
            model = catalog.model(f"{plan.choice.provider}/{plan.request.model}")
            card = prices.card(catalog, model, lane, on=day, region=plan.demand.region)
        except UnknownFactError:
            continue
        found.append(plans.rates_of(card))
    return Book(lanes=tuple(found)) if found else None


def _in_force(plan: Plan, seen: _Seen, catalog: Catalog | None, day: date) -> Book | None:
    """What was charged on the day, where the catalog knows all of it and it is not the plan's."""
    now = _rates(plan, catalog, seen.lanes, day)
    if now is None or {each.lane for each in now.lanes} != set(seen.lanes):
        return None
    known = all(now.rate(line.key) is not None for line in seen.bill.lines)
    return now if known else None


# --- what it teaches --------------------------------------------------------------------


def _lesson(
    job: Job, plan: Plan, seen: _Seen, held: Reconciliation, last: datetime | None
) -> Lesson:
    rows = held.actual.rows
    ran = rows.billed + rows.errored == rows.built
    return learned.Lesson(
        job=job.id,
        source="pilot" if pilots.TAG in plan.tags else "job",
        at=last or job.created,
        provider=job.provider,
        model=job.model,
        lane=job.lane,
        template=learned.template_of(plan),
        workload=plan.workload.digest,
        counter=plan.tokens.counter,
        limit=plan.request.max_output_tokens,
        rows=rows.built - rows.not_run,
        failed=rows.errored,
        truncated=rows.truncated,
        lengths=dict(sorted(seen.lengths.items())),
        pairs=seen.pairs,
        cache_read=seen.usage.cache_read,
        times=learned.times_of(seen.seconds),
        tags=plan.tags,
        promise=None
        if pilots.TAG in plan.tags
        else learned.promise_of(
            plan, billed=held.billed, finished=last if ran else None, complete=ran
        ),
    )
