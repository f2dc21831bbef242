"""Handing a plan off: what both faces call to submit, resume, fetch and cancel.

Everything that can be known without asking the vendor is checked first: that nothing has moved,
that no figure is assumed, what the policy says of vendor, model, region and address. Only then
is the vendor asked whose the key is, and nothing that costs is done before the face has shown
`Ready` and heard a yes. The loop itself is `handoff.submit`; here it is given its parts.

Clock, data home and key come in as arguments, so that a rehearsal (`rehearsing`) is the same
hand-off with other ones, and not a second code path that may say otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from planner import closing, drafting
from planner.canary import Canary, FirstRows
from planner.catalog import support
from planner.errors import InputError, VendorError
from planner.handoff import build as builds
from planner.handoff import (
    followup,
    home,
    policy,
    realtime,
    reasons,
    rescue,
    results,
    spending,
    states,
)
from planner.handoff import plan as plans
from planner.handoff import runner as runners
from planner.handoff.ledger import Ledger
from planner.handoff.providers import regions, vendors
from planner.handoff.rescue import Rescue
from planner.handoff.submit import Queue, Step, Submitter
from planner.handoff.vendor import AmbiguousError, NotSentError, RefusedError
from planner.money import Usd, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from planner.catalog import Catalog
    from planner.catalog.facts import LaneFacts as Lane
    from planner.drafting import Outlook
    from planner.handoff.build import Built
    from planner.handoff.clock import Clock
    from planner.handoff.followup import FollowUp
    from planner.handoff.keys import Key
    from planner.handoff.ledger import Attempt, Job
    from planner.handoff.plan import Plan
    from planner.handoff.policy import Policy
    from planner.handoff.results import Format, Tally
    from planner.handoff.runner import Progress, Said
    from planner.handoff.submit import News, OnUnknown
    from planner.handoff.vendor import Account, BatchVendor, RealtimeVendor

    Event = News | Progress | Said
    """What is worth telling while a job goes on."""


def _silent(_event: Event) -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a person says beside the plan."""

    max_cost: Usd | None = None
    """Instead of the plan's own cap."""
    base_url: str | None = None
    on_unknown: OnUnknown = "ask"
    form: Format = "jsonl"
    accept_short: bool = False
    both: bool = False
    """Rows of a batch that does not end go one by one as well, and may be paid twice."""
    ours: tuple[str, ...] = ()
    """Batches that were taken for the job's by their size alone, and that a person vouches for:
    a cancel may end them."""
    doubts: int | None = None
    """So many requests may be in doubt before a run stops; None: one in a hundred rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where a hand-off happens: this machine and today, or a rehearsal."""

    catalog: Catalog
    clock: Clock
    data: Path
    key: Key | None = None
    """None: the one that is found."""
    rehearsal: bool = False
    narrate: Callable[[Event], None] = _silent
    progress: Callable[[int, int], None] | None = None
    """Of a build: rows and bytes read."""
    carry_out: realtime.Drive = runners.carry_out
    """What takes a run of single requests to its end, or to where it is stopped."""

    @property
    def now(self) -> datetime:
        """The clock's time."""
        return self.clock.now()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A job that waits for a yes: everything that is shown before anything is sent."""

    plan: Plan
    vendor: str
    """Its name for people."""
    lane: Lane
    account: Account
    built: Built
    outlook: Outlook
    ceilings: tuple[Usd, ...]
    """The most that each shard may cost."""
    cap: Usd | None
    left_today: Usd | None
    """What the policy's cap of the day leaves; None: there is no such cap."""
    job: Job | None
    """The job that this plan is already."""
    parent: str | None = None
    """The job whose unfinished rows these are."""
    twins: tuple[Job, ...] = ()
    """Other jobs that sent these very rows with this very request."""
    region: str | None = None
    """Where rows are processed, and how far that is proved; None: the plan names no region."""
    announced: tuple[str, ...] = ()
    """What a person must know of a rescue."""

    @property
    def ceiling(self) -> Usd:
        """The most that all of it may cost; a rescue may send all of it at the dearer rates."""
        most = total(self.ceilings)
        rescued = self.plan.choice.strategy == "rescue"
        return max(most, Usd(self.plan.cost.ceiling)) if rescued else most

    @property
    def at_most(self) -> Usd:
        """The same, under its cap."""
        return self.ceiling if self.cap is None else min(self.ceiling, self.cap)


class Drive(Protocol):
    """What brings a job on: the loop of its batches, a realtime run, or the one after the other."""

    def run(self) -> Step:
        """To the end, or to where a person is needed."""

    def once(self) -> Step:
        """What can be done now."""


class Handoff:
    """One job in this process's hands: locked, its vendor open, ready to be driven."""

    def __init__(
        self, seat: Seat, terms: Terms, ready: Ready, ledger: Ledger, open_: _Open, rules: Policy
    ) -> None:
        self.ready = ready
        self.ledger = ledger
        self._seat, self._terms = seat, terms
        self._open, self._rules = open_, rules

    @property
    def folder(self) -> Path:
        """The job's own folder."""
        return self.ready.built.folder

    @property
    def now(self) -> datetime:
        """The time where it happens."""
        return self._seat.now

    @property
    def job(self) -> Job:
        """As it stands; InputError before it was admitted."""
        return self.ledger.job(self.ready.plan.nonce)

    @property
    def batches(self) -> bool:
        """Whether it is sent as batches, at first at least."""
        return self._open.batches is not None

    def admit(self) -> Job:
        """Make it a job of the ledger, once the yes was heard; nothing is sent yet.

        InputError where the policy's cap of the day has no room for the job at all.
        """
        ready = self.ready
        if not self._seat.rehearsal and ready.job is None:
            least = min(ready.ceilings, default=ready.ceiling) if self.batches else ready.at_most
            policy.check_day(self._rules, self.ledger, self._seat.now, least)
        return self.ledger.admit(
            ready.plan,
            ready.account,
            self._open.versions,
            ready.built.shards if self.batches else (),
            ready.ceilings if self.batches else (),
            ready.cap,
            self._seat.now,
            parent=ready.parent,
            rehearsal=self._seat.rehearsal,
        )

    def drive(self, *, reopen: bool = True) -> Drive:
        """What brings the job on, as its plan's strategy says.

        `reopen`: a job that stopped goes on, since a person has looked at why.
        """
        if self._open.batches is None:
            return _Direct(self, self._seat, self._terms, self._open, self._room, reopen)
        loop = self.loop(self._open.batches, reopen=reopen)
        if self.ready.plan.choice.strategy != "rescue":
            return _Batches(loop)
        direct = drafting.direct(self.ready.plan, self._seat.catalog, self._seat.now)
        return Rescue(
            loop,
            direct,
            self._open.realtime,
            self._seat.narrate,
            both=self._terms.both,
            reopen=reopen,
            most_doubts=self._terms.doubts,
            gate=self._room,
            drive=self._seat.carry_out,
        )

    def loop(self, vendor: BatchVendor, *, reopen: bool = True) -> Submitter:
        """The loop of the job's batches; InputError where a batch is vouched for that is sure."""
        made = Submitter(
            self.ledger,
            self.job,
            self.ready.plan,
            self.ready.built.shards,
            self.folder,
            vendor,
            self._seat.clock,
            self._seat.narrate,
            on_unknown=self._terms.on_unknown,
            queue=_queue(self.ready.plan, self._seat.catalog, self._seat.now),
            gate=self._gate,
            form=self._terms.form,
            reopen=reopen,
            accept_short=self._terms.accept_short,
        )
        for each in self._terms.ours:
            made.vouch(each)
        return made

    @property
    def finished(self) -> bool:
        """Whether nothing is left to drive: over, cancelled, or rescued to its end."""
        return rescue.over(self.ledger, self.job)

    def collect(self) -> Step:
        """Bring home what is over at the vendor, as far as it is there now; nothing is sent."""
        if self._open.batches is None:
            return Step(did="collected", over="done")
        loop = self.loop(self._open.batches, reopen=False)
        while not (step := loop.collect()).wait and step.over is None:
            pass
        return step

    def cancel(self, *, once: bool = False) -> Step:
        """Send nothing more, end what is out, and bring home what there is.

        `once`: as far as it goes without waiting.
        """
        job, now = self.job, self._seat.now
        if not self.finished and self.ready.plan.choice.strategy == "rescue":
            self.ledger.note(job.id, rescue.OVER, now)  # first: no later step sends the rest
        if job.state == "done":
            return Step(did="done", over="done")
        if self._open.batches is None:
            self.ledger.settle(job.id, "done", now, because=reasons.CANCELLED)
            return Step(did="done", over="done")
        loop = self.loop(self._open.batches, reopen=False)
        loop.cancel()
        while not (step := loop.step()).wait and step.over is None:
            pass
        if step.over is None and not once:
            step = loop.run()
        return step

    def first_rows(self) -> FirstRows:
        """Some rows to be asked in realtime before the rest goes."""
        ready = self.ready
        return FirstRows(
            plan=ready.plan,
            shards=ready.built.shards,
            folder=self.folder,
            catalog=self._seat.catalog,
            now=self._seat.now,
            open_vendor=self._open.realtime,
            gate=self._room,
        )

    def try_first(self, count: int) -> Canary | None:
        """Ask so many rows in realtime; None where something was sent already.

        VendorError, InputError as of `FirstRows.ask`; the job has to be admitted.
        """
        attempts = self.ledger.attempts(self.job.id)
        begun = self.ready.job is not None and not self.batches
        if begun or any(each.state != "built" for each in attempts):
            return None
        return self.first_rows().ask(self.ledger, self.job, count)

    def learn(self) -> None:
        """Keep what the job has taught, once it is over, for the next estimate."""
        closing.learn(self.ledger, self.job, self._seat.catalog, self._seat.now)

    def tally(self) -> Tally:
        """Rows by what became of them, read from what is here."""
        return tally(self.ledger, self.job)

    def _gate(self, attempt: Attempt) -> str | None:
        """Why the day's cap has no room for a shard."""
        return self._room(attempt.ceiling)

    def _room(self, wanted: Usd) -> str | None:
        """Why the day's cap has no room for so much more."""
        if self._seat.rehearsal:
            return None
        try:
            policy.check_day(self._rules, self.ledger, self._seat.now, wanted)
        except InputError as refused:
            return refused.problems[0].message
        return None


@dataclass(frozen=True, slots=True)
class _Batches:
    """A job of batches alone."""

    loop: Submitter

    def run(self) -> Step:
        return self.loop.run()

    def once(self) -> Step:
        return self.loop.step()


@dataclass(frozen=True, slots=True)
class _Direct:
    """A job whose rows all go one by one: a run is a step, which may be taken again."""

    handoff: Handoff
    seat: Seat
    terms: Terms
    open_: _Open
    room: Callable[[Usd], str | None]
    reopen: bool

    def run(self) -> Step:
        ready, seat, job = self.handoff.ready, self.seat, self.handoff.job
        if job.state == "done":
            return Step(did="done", over="done", because=job.stopped_because)
        if self._waits(job):
            return Step(did="stopped", over="stopped", because=job.stopped_because)
        leg = realtime.Leg(
            ledger=self.handoff.ledger,
            job=ready.plan.nonce,
            plan=ready.plan,
            shards=ready.built.shards,
            folder=ready.built.folder,
            direct=drafting.direct(ready.plan, seat.catalog, seat.now),
            clock=seat.clock,
        )
        vendor = self.open_.realtime()
        parse = vendors.reading(ready.plan.choice.provider)
        outcome = realtime.run(
            leg,
            vendor,
            parse,
            form=self.terms.form,
            most_doubts=self.terms.doubts,
            narrate=seat.narrate,
            drive=seat.carry_out,
            gate=self.room,
        )
        if outcome.left:
            return Step(did="stopped", over="stopped", because=outcome.stopped)
        return Step(did="done", over="done")

    def once(self) -> Step:
        return self.run()

    def _waits(self, job: Job) -> bool:
        """Whether somebody has to look first; not at an interrupt, which is its own reason."""
        looked = self.reopen or job.stopped_because == runners.INTERRUPTED
        return job.state == "stopped" and not looked


# --- opening a job ----------------------------------------------------------------------


@contextlib.contextmanager
def submitting(path: Path, seat: Seat, terms: Terms) -> Iterator[Handoff]:
    """The job of a plan file, built and checked; nothing is sent and nothing is admitted.

    A plan that is a job already is that job. InputError (exit 2): the plan is stale, rests on
    an assumed answer length, is forbidden, cannot be sent, or is being run by another process.
    UnknownFactError (exit 3): planner hands nothing to its vendor. VendorError (exit 4).
    """
    plan = plans.read(path)
    with contextlib.ExitStack() as stack:
        ledger = stack.enter_context(Ledger.open(seat.data))
        stack.enter_context(ledger.lock(plan.nonce))
        job = next((each for each in ledger.jobs() if each.id == plan.nonce), None)
        if job is None:
            stack.callback(_unless_admitted, ledger, plan.nonce)
            workload = plans.workload_path(plan, path.parent)
            _sendable(plan, seat, workload)
            rules = _allowed(plan, seat, terms)
            built = _built(plan, seat, workload, ledger)
        else:
            rules = _allowed(plan, seat, terms, job)
            built = _standing(job, ledger)
        parent = _parent(path, ledger)
        case = _Case(plan=plan, built=built, job=job, rules=rules, parent=parent)
        yield stack.enter_context(_opened(case, ledger, seat, terms))


def _unless_admitted(ledger: Ledger, job_id: str) -> None:
    """Nobody said yes: the prompts that were built for sending do not stay."""
    if all(each.id != job_id for each in ledger.jobs()):
        shutil.rmtree(ledger.job_folder(job_id), ignore_errors=True)


@contextlib.contextmanager
def resuming(name: str, seat: Seat, terms: Terms, *, sends: bool = True) -> Iterator[Handoff]:
    """A job that was admitted before, by the beginning of its id; errors as of `submitting`.

    Without `sends` it is only to be brought home or ended, which a policy of later does not hinder.
    """
    with contextlib.ExitStack() as stack:
        ledger = stack.enter_context(Ledger.open(seat.data))
        job = ledger.job(name)
        stack.enter_context(ledger.lock(job.id))
        built = _standing(job, ledger)
        plan = plans.read(built.folder / builds.PLAN)
        rules = _allowed(plan, seat, terms, job) if sends else _reachable(plan, seat, terms, job)
        case = _Case(plan=plan, built=built, job=job, rules=rules, parent=job.parent)
        yield stack.enter_context(_opened(case, ledger, seat, terms))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What is known of a job before its vendor is asked."""

    plan: Plan
    built: Built
    job: Job | None
    rules: Policy
    parent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A vendor whose account is known."""

    account: Account
    versions: Mapping[str, str]
    batches: BatchVendor | None
    """None: the job is sent one by one."""
    realtime: Callable[[], RealtimeVendor]


def _parent(path: Path, ledger: Ledger) -> str | None:
    """The job whose follow-up a plan file is, by where it stands."""
    folder = path.resolve().parent
    ours = (
        folder.name == followup.FOLDER
        and folder.parents[1] == (ledger.folder / home.JOBS).resolve()
    )
    return folder.parent.name if ours else None


def _sendable(plan: Plan, seat: Seat, workload: Path) -> None:
    """What is refused before anybody is asked for money or a key."""
    drafting.fresh(plan, seat.catalog, seat.now, workload)
    if plan.tokens.output_basis == "assumed" and not plan.accepted.assumed_output:
        raise InputError.of(
            "assumed-output",
            "this plan rests on an assumed answer length: nothing is sent on a guess",
            hint="plan again with --output-tokens or --output-sample, or with --accept-assumed",
        )
    vendors.about(plan.choice.provider)


def _allowed(plan: Plan, seat: Seat, terms: Terms, job: Job | None = None) -> Policy:
    """The policy, which has nothing against this plan; a rehearsal is not under it."""
    if seat.rehearsal:
        return policy.Policy()
    rules = policy.read()
    where = vendors.address(plan.choice.provider, _base_url(terms, job))
    regions.check(plan.choice.provider, plan.demand.region, where)
    policy.check(rules, _sending(plan, seat, where))
    return rules


def _reachable(plan: Plan, seat: Seat, terms: Terms, job: Job) -> Policy:
    """A policy that has nothing against the address, which is all that is asked of it."""
    if not seat.rehearsal:
        where = vendors.address(plan.choice.provider, _base_url(terms, job))
        policy.check_address(policy.read(), where)
    return policy.Policy()


def _base_url(terms: Terms, job: Job | None) -> str | None:
    """What was said now, else where the job went before; None: as the library resolves it."""
    return terms.base_url or (job.base_url if job is not None else None)


def _sending(
    plan: Plan, seat: Seat, base_url: str, account: Account | None = None
) -> policy.Sending:
    return policy.Sending(
        provider=plan.choice.provider,
        model=plan.request.model,
        region=plan.demand.region,
        base_url=base_url,
        kept=_lane(plan, seat).per_batch is not None,
        account=account,
    )


def _lane(plan: Plan, seat: Seat) -> Lane:
    model = seat.catalog.model(f"{plan.choice.provider}/{plan.request.model}")
    return support.lane(seat.catalog, model, plan.choice.lane, on=seat.now.date()).lane


def _built(plan: Plan, seat: Seat, workload: Path, ledger: Ledger) -> Built:
    """The job's files; rows that a pilot was answered already are not sent again."""
    ready = drafting.buildable(plan, seat.catalog, workload, seat.now)
    folder, known = ledger.job_folder(plan.nonce), drafting.answered_before(plan, ledger)
    return drafting.build(ready, seat.catalog, folder, progress=seat.progress, known=known)


def _standing(job: Job, ledger: Ledger) -> Built:
    """The files of a job; InputError where they are gone."""
    folder = ledger.job_folder(job.id)
    shards = followup.shards_of(folder)
    if not shards:
        raise InputError.of(
            "job-purged", f"the files of job {job.id} are not there any more", where=str(folder)
        )
    return builds.Built(folder=folder, shards=shards, reused=builds.reused(folder), already=True)


@contextlib.contextmanager
def _opened(case: _Case, ledger: Ledger, seat: Seat, terms: Terms) -> Iterator[Handoff]:
    """The vendor asked whose the key is, and what follows from the answer."""
    plan, lane = case.plan, _lane(case.plan, seat)
    with _vendor(case, seat, terms, batches=lane.per_batch is not None) as open_:
        account = open_.account
        if case.job is not None:
            ledger.check_account(case.job, account)
        if not seat.rehearsal:
            policy.check(case.rules, _sending(plan, seat, account.base_url, account))
        ready = Ready(
            plan=plan,
            vendor=vendors.about(plan.choice.provider).name,
            lane=lane,
            account=account,
            built=case.built,
            outlook=drafting.outlook(plan, seat.catalog, seat.now, ledger.finished()),
            ceilings=spending.ceilings(plan, case.built.shards),
            cap=_cap(plan, case.job, terms),
            left_today=policy.room(case.rules, ledger, seat.now),
            job=case.job,
            parent=case.parent,
            twins=tuple(_twins(ledger, plan)),
            region=regions.said(plan.choice.provider, plan.demand.region, account.base_url),
        )
        yield Handoff(seat, terms, ready, ledger, open_, case.rules)


@contextlib.contextmanager
def _vendor(case: _Case, seat: Seat, terms: Terms, *, batches: bool) -> Iterator[_Open]:
    provider, base_url = case.plan.choice.provider, _base_url(terms, case.job)
    single = partial(vendors.open_realtime, provider, base_url=base_url, key=seat.key)
    if not batches:
        asked_once = asked(single)
        account = asked_once.account
        asyncio.run(asked_once.close())
        yield _Open(account=account, versions={}, batches=None, realtime=lambda: asked(single))
        return
    vendor = asked(partial(vendors.open_batches, provider, base_url=base_url, key=seat.key))
    try:
        yield _Open(
            account=vendor.account,
            versions=vendor.versions,
            batches=vendor,
            realtime=lambda: asked(single),
        )
    finally:
        vendor.close()


def _twins(ledger: Ledger, plan: Plan) -> Iterator[Job]:
    """Jobs of another plan that asked the same: a plan made twice is paid for twice."""
    for job in ledger.jobs():
        path = ledger.job_folder(job.id) / builds.PLAN
        if job.id == plan.nonce or job.rehearsal or job.model != plan.request.model:
            continue
        if path.is_file():
            other = plans.read(path)
            rows, asked = other.workload.digest, other.request
            if (rows, asked) == (plan.workload.digest, plan.request):
                yield job


def _cap(plan: Plan, job: Job | None, terms: Terms) -> Usd | None:
    """What was said now, else before, else when it was planned."""
    if terms.max_cost is not None:
        return terms.max_cost
    if job is not None:
        return job.cap
    return None if plan.demand.max_cost is None else Usd(plan.demand.max_cost)


def _queue(plan: Plan, catalog: Catalog, now: datetime) -> Queue:
    model = catalog.model(f"{plan.choice.provider}/{plan.request.model}")
    known = support.limits(catalog, model, plan.choice.lane, tier=plan.demand.tier, on=now.date())
    known = replace(known, **dict(plan.demand.limits))  # type: ignore[arg-type]  # names were checked as flags
    return Queue(rows=known.queued_requests, tokens=known.queued_input_tokens)


def asked(question: Callable[[], Any]) -> Any:
    """What a vendor answers; VendorError (exit 4) with what went wrong."""
    try:
        return question()
    except RefusedError as error:
        said = f" (request {error.request_id})" if error.request_id else ""
        raise VendorError.of("vendor-refused", f"{error.message}{said}") from None
    except (NotSentError, AmbiguousError) as error:
        raise VendorError.of("no-answer", str(error)) from None


# --- how it ended -----------------------------------------------------------------------


def refused(ledger: Ledger, job: Job) -> bool:
    """Whether a job that stopped did so because of what its vendor said."""
    because = job.stopped_because or ""
    said = [each for each in ledger.events(job.id) if each.kind == realtime.REFUSED]
    if said and said[-1].facts.get("because") == job.stopped_because:
        return True
    return any(
        each.state in ("rejected", "invalid") or (each.error is not None and each.error in because)
        for each in ledger.attempts(job.id)
    )


def tally(ledger: Ledger, job: Job) -> Tally:
    """Rows of a job by what became of them; needs no key and asks nobody."""
    found = results.Tally()
    for row in followup.rows_of(ledger, job.id, vendors.reading(job.provider)):
        found.add(row)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The answers of a job, as far as there are any."""

    job: Job
    tally: Tally
    file: Path
    billed: Usd
    more: FollowUp | None
    """A plan of the rows that have no answer."""


def fetch(name: str, seat: Seat, terms: Terms) -> Fetched:
    """Bring home what is over at the vendor, and write the answers; nothing is sent.

    The vendor is asked only where something is still there. Errors as of `resuming`.
    """
    with Ledger.open(seat.data) as ledger:
        job = ledger.job(name)
        if any(each.state in states.REMOTE for each in ledger.attempts(job.id)):
            with resuming(job.id, seat, terms, sends=False) as handoff:
                handoff.collect()
        with ledger.lock(job.id):
            built = _standing(job, ledger)
            parse = vendors.reading(job.provider)
            found = followup.write(ledger, job.id, parse, form=terms.form)
            job = ledger.job(job.id)
            return Fetched(
                job=job,
                tally=found,
                file=built.folder / results.OUT / f"results.{terms.form}",
                billed=ledger.exposure(job.id).billed,
                more=follow_up(ledger, job, seat.now) if found.unfinished else None,
            )


def follow_up(ledger: Ledger, job: Job, now: datetime) -> FollowUp | None:
    """The plan of the rows that have no answer, once the job itself sends none of them any more.

    None before: of a rescue whose batches are over the rest is still to go, one by one.
    """
    attempts = ledger.attempts(job.id)
    if not rescue.over(ledger, job) or any(each.state not in states.SETTLED for each in attempts):
        return None
    plan = plans.read(ledger.job_folder(job.id) / builds.PLAN)
    return followup.make(ledger, job, plan, vendors.reading(job.provider), now)


def opened(provider: str, base_url: str | None) -> BatchVendor:
    """A vendor's batches for whoever only looks; under the policy like everything else."""
    rules = policy.read()
    policy.check_place(rules, provider, vendors.address(provider, base_url))
    vendor: BatchVendor = asked(partial(vendors.open_batches, provider, base_url=base_url))
    return vendor
