"""Rows sent one by one, as fast as the plan said and no faster; each paid for once.

One pump admits rows in order (`pacing`), a task a row waits for its reply, and nothing counts
before the journal has it. Everything that can go wrong with a request ends in one of four ways:
the row is done with, it goes again and that counts against its retries, it goes again and that
does not (the vendor was busy), or the whole run stops and says why. Leaving retries to the
vendor's library was rejected: it repeats what may have been billed, and nobody counts it.

A row may be sent twice only after a request of which nobody knows whether it was billed; such
requests are counted, priced at their ceiling, and limited in number.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import signal
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from planner.decision.realtime import FIRST_WAIT, makespan
from planner.handoff import reasons
from planner.handoff.pacing import AT_ONCE, CROWDED, Pacer
from planner.handoff.vendor import Reply, RowResult
from planner.money import ZERO, Usd, plus
from planner.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from planner.handoff.clock import Clock
    from planner.handoff.journal import Journal, Take
    from planner.handoff.pacing import Pace, Ticket
    from planner.handoff.rows import Prices, Row
    from planner.handoff.usage import Usage
    from planner.handoff.vendor import RealtimeVendor

SYNC_EVERY: Final = 1.0
"""Seconds from a reply to the disk, at the most."""
SYNC_ROWS: Final = 200
TURN: Final = 0.5
"""Seconds after which a wait looks up: a person may have asked to stop."""
UNREACHABLE_AFTER: Final = 180.0
"""Seconds in which no request reached the vendor before the run stops."""
TURNED_AWAY: Final = 50
"""Times a row may be turned away while others pass, before it is taken to be at fault."""
DRAIN: Final = 120.0
"""Seconds that replies are waited for after a stop."""
GLANCE: Final = 0.05
"""Seconds between two looks at whether a run is still wanted."""
RATE_OVER: Final = 30.0
"""Seconds that the rate shown is taken over."""
DOUBTS_AT_LEAST: Final = 20
DOUBTS_SHARE: Final = 100
"""Requests in doubt that a run bears: one part in so many of its rows, and some in any case."""
_DOUBLINGS: Final = 10
INTERRUPTED, CAPPED = reasons.INTERRUPTED, reasons.CAPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is; seconds and US dollars."""

    rows: int
    done: int
    """Rows whose last word is on the disk."""
    failed: int
    """Of these, rows without an answer."""
    in_flight: int
    waiting: int
    """Rows that will go again."""
    slots: int
    ambiguous: int
    per_second: float | None
    """Rows done a second, lately; None before the first."""
    elapsed: float
    left: float | None
    """At that rate."""
    planned: float
    """The whole run as the plan has it (P50), counted from its own start."""
    billed: Usd
    held: Usd
    """Ceilings of what is out and of what is in doubt."""
    cap: Usd | None
    waits_for: str | None
    """What keeps the next row from going out; None: nothing does, or there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something that a person should hear at once."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A row that is done with, once the disk has it."""

    row: Row
    reply: Reply
    result: RowResult
    billed: Usd | None
    attempts: int
    seconds: float
    """Of the last request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to, all earlier runs of its journal with it."""

    rows: int
    done: int
    outcomes: Mapping[str, int]
    requests: int
    ambiguous: int
    billed: Usd
    held: Usd
    """Ceilings of requests of which nobody knows whether they were billed."""
    unpriced: int
    usage: Usage | None
    stopped: str | None
    """Why rows are left: INTERRUPTED, CAPPED, or what the vendor said; None: none are."""
    seconds: float
    refused: bool = False
    """Whether it stopped because the vendor refused: the key, or more spending."""

    @property
    def left(self) -> int:
        """Rows that another run has to send."""
        return self.rows - self.done


@dataclass(order=True, slots=True)
class _Again:
    """A row that goes again, and from when on it may."""

    ready: float
    order: int
    row: Row = field(compare=False)


class Runner:
    """One run through the rows of a job, or of a pilot: a new one goes on where it ended."""

    def __init__(  # noqa: PLR0913 -- a run is put together in one place
        self,
        vendor: RealtimeVendor,
        endpoint: str,
        pace: Pace,
        journal: Journal,
        prices: Prices,
        clock: Clock,
        *,
        rows: int,
        cap: Usd | None = None,
        spent: Usd = ZERO,
        most_doubts: int | None = None,
        lately: Callable[[datetime], Iterable[Take]] = lambda _since: (),
        on_answer: Callable[[Answer], None] | None = None,
        narrate: Callable[[Progress | Said], None] | None = None,
    ) -> None:
        """`rows`: how many there are in all, those done before among them.

        `cap` bounds `spent` (of other legs of the job) plus what is billed plus the ceilings of
        what is out or in doubt. `lately` tells what was taken from the account's limits since a
        moment, the oldest first; those of a day outlast a run. `on_answer` hears of each row when
        the disk has it.
        """
        self._vendor, self._endpoint = vendor, endpoint
        self._journal, self._prices, self._clock = journal, prices, clock
        self._pace, self._retries = pace, pace.load.retries
        self._rows, self._cap, self._spent = rows, cap, spent
        allowed = max(DOUBTS_AT_LEAST, rows // DOUBTS_SHARE)
        self._most_doubts = allowed if most_doubts is None else most_doubts
        self._on_answer = on_answer or (lambda _answer: None)
        self._narrate = narrate or (lambda _event: None)
        self._started = clock.now()
        self._pacer = Pacer(pace, 0.0)
        self._remember(lately)
        self._again: list[_Again] = []
        self._order = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopped: str | None = None
        self._refused = False
        self._answers: list[Answer] = []
        self._turned_away: dict[int, tuple[int, int]] = {}
        self._answered = 0
        self._reached = 0.0
        self._waits_for: str | None = None
        self._marks: deque[tuple[float, int]] = deque()
        self._durable = len(journal.standing.done)
        self._broken: BaseException | None = None
        self._planned = makespan(replace(pace.load, rows=max(0, rows - self._durable))).p50

    def _remember(self, lately: Callable[[datetime], Iterable[Take]]) -> None:
        """Begin with the limits of a day as the runs before this one have left them."""
        if self._pacer.lasting:
            now = self._started
            since = now - timedelta(seconds=self._pacer.lasting)
            taken = [
                ((each.at - now).total_seconds(), float(each.requests), float(each.billed))
                for each in lately(since)
            ]
            self._pacer.remember(taken)

    # what a person does

    def interrupt(self) -> None:
        """First: send nothing more and wait for what is out. Second: do not wait either."""
        if self._stopped == INTERRUPTED:
            for task in self._tasks:
                task.cancel()
        self._stop(INTERRUPTED)

    # the run

    async def run(self, rows: Iterable[Row]) -> Outcome:
        """Send every row that is not done with yet; returns when none is out any more."""
        self._report_lost()
        ticker = asyncio.create_task(self._tick())
        ticker.add_done_callback(self._intact)
        try:
            await self._pump(iter(rows))
            await self._drained()
        finally:
            for task in (ticker, *self._tasks):
                task.cancel()
            await asyncio.gather(ticker, *self._tasks, return_exceptions=True)
            self._settle()
        if self._broken is not None:
            raise self._broken
        self._narrate(self.progress())
        return self.outcome()

    async def _pump(self, rows: Iterator[Row]) -> None:
        """Admit rows in order, those that go again before new ones."""
        fresh = next(rows, None)
        while self._stopped is None:
            if self._again and self._again[0].ready <= self._now():
                row = heapq.heappop(self._again).row
            elif fresh is not None:
                row, fresh = fresh, next(rows, None)
            elif self._tasks or self._again:
                await self._look_up()
                continue
            else:
                return
            if self._wanted(row):
                await self._clear(row)

    async def _look_up(self) -> None:
        """Until a reply comes, or the first row that goes again is due."""
        if self._again:
            await self._rest(self._again[0].ready - self._now())
        else:
            await self._reply()

    def _wanted(self, row: Row) -> bool:
        return row.index not in self._journal.standing.done

    async def _clear(self, row: Row) -> None:
        """Let the row go as soon as it may, unless the run stops before."""
        charge, ceiling = self._pace.charge(row.tokens), self._prices.ceiling(row)
        while self._stopped is None:
            if self._pacer.full:
                self._waits_for = "concurrency"
                await self._reply()
            elif not self._affordable(ceiling):
                await self._until_affordable()
            else:
                seconds, self._waits_for = self._pacer.wait(charge, self._now())
                if not seconds:
                    self._send(row, charge, ceiling)
                    return
                await self._rest(seconds)

    def _affordable(self, ceiling: Usd) -> bool:
        return self._cap is None or plus(self._committed, ceiling) <= self._cap

    async def _until_affordable(self) -> None:
        """What is out may cost less than its ceilings; if nothing is, the cap is reached."""
        self._waits_for = "the cap"
        if self._tasks:
            await self._reply()
        else:
            self._stop(CAPPED)

    @property
    def _committed(self) -> Usd:
        """The most that all legs may cost by now."""
        standing = self._journal.standing
        return plus(plus(self._spent, standing.billed), plus(standing.held, standing.out))

    def _send(self, row: Row, charge: Mapping[str, float], ceiling: Usd) -> None:
        """Write the intent, then let the request go."""
        attempt = self._journal.intend(row.index, ceiling, self._clock.now())
        ticket = self._pacer.admit(charge, self._now())
        task = asyncio.create_task(self._ask(row, attempt, ticket))
        self._tasks.add(task)
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        self._intact(task)

    def _intact(self, task: asyncio.Task[None]) -> None:
        """What cannot be written down must not be sent."""
        if not task.cancelled() and task.exception() is not None:
            self._broken = self._broken or task.exception()
            self._stop("the journal cannot be written")

    async def _ask(self, row: Row, attempt: int, ticket: Ticket) -> None:
        sent = self._now()
        try:
            reply = await self._vendor.ask(row.custom_id, self._endpoint, row.body)
        except asyncio.CancelledError:
            self._pacer.abandon()  # its intent stays open: in doubt, as after a kill
            raise
        except Exception as error:  # noqa: BLE001 -- whatever broke, the request may have been billed
            reply = Reply(kind="ambiguous", message=f"{type(error).__name__}: {error}")
        self._landed(row, attempt, ticket, reply, self._now() - sent)

    # what becomes of a reply

    def _landed(self, row: Row, attempt: int, ticket: Ticket, reply: Reply, seconds: float) -> None:
        """Judge the reply, write it down, and send the row again where that is due."""
        now = self._now()
        usage = None if reply.result is None else reply.result.usage
        billed = None if usage is None else self._prices.billed(usage)
        self._pacer.settle(ticket, reply, now, usage=usage, billed=float(billed or 0))
        counts = self._counts(row, reply)
        result = self._last_word(row, reply, self._failures(row) + counts)
        self._journal.record(
            row.index,
            attempt,
            reply,
            final=result is not None,
            counts=counts,
            billed=billed,
            result=result or reply.result,
            at=self._clock.now(),
            seconds=seconds,
        )
        if result is not None:
            done = Answer(
                row=row,
                reply=reply,
                result=result,
                billed=billed,
                attempts=attempt,
                seconds=seconds,
            )
            self._finish(done)
        elif reply.stop is None:
            self._put_back(row, now)
        self._look_around(reply, now)

    def _counts(self, row: Row, reply: Reply) -> bool:
        """Whether a reply counts against the row's retries: not while the vendor is the cause."""
        if reply.stop is not None or reply.kind == "not_sent":
            return False
        if reply.kind in ("limited", "overloaded") and reply.status in CROWDED:
            return self._turned(row) > TURNED_AWAY
        result = reply.result
        return result is None or result.outcome != "succeeded"

    def _turned(self, row: Row) -> int:
        """Times the row was turned away, counted once between answers to others."""
        times, before = self._turned_away.get(row.index, (0, -1))
        if self._answered > before:
            times += 1
            self._turned_away[row.index] = times, self._answered
        return times

    def _failures(self, row: Row) -> int:
        return self._journal.standing.failures.get(row.index, 0)

    def _last_word(self, row: Row, reply: Reply, failures: int) -> RowResult | None:
        """The result that the row is done with; None: it goes again, or the run stops."""
        if reply.stop is not None:
            return None
        result = reply.result
        if result is not None and (result.outcome == "succeeded" or result.permanent):
            return result
        refused = reply.kind == "refused"
        if not refused and (failures <= self._retries or reply.kind == "not_sent"):
            return None
        said = reply.message or reply.kind
        return result or RowResult(
            custom_id=row.custom_id,
            outcome="errored",
            error=f"{reply.kind}: {said}",
            permanent=refused,
        )

    def _finish(self, answer: Answer) -> None:
        self._turned_away.pop(answer.row.index, None)
        self._answers.append(answer)
        if self._journal.unsynced >= SYNC_ROWS:
            self._settle()

    def _put_back(self, row: Row, now: float) -> None:
        """As the plan has it: half a second after the first failure, then twice as long each."""
        failures = self._failures(row)
        wait = FIRST_WAIT * 2 ** min(failures - 1, _DOUBLINGS) if failures else 0.0
        self._order += 1
        heapq.heappush(self._again, _Again(now + wait, self._order, row))

    def _look_around(self, reply: Reply, now: float) -> None:
        """What one reply says of all others."""
        self._answered += reply.kind == "answered"
        if reply.stop is not None:
            self._refused = self._refused or self._stopped is None
            self._stop(reply.stop)
        if reply.kind != "not_sent":
            self._reached = now
        elif now - self._reached > UNREACHABLE_AFTER:
            self._stop(f"unreachable: {reply.message}")
        if self._journal.standing.ambiguous > self._most_doubts:
            self._stop(_too_many(self._journal.standing.ambiguous))

    def _stop(self, why: str) -> None:
        """Send nothing more; the first reason stands."""
        if self._stopped is None:
            self._stopped = why
            self._narrate(
                Said(text=f"stopping ({why}): {counted(len(self._tasks), 'request')} out")
            )
        self._wake.set()

    # waiting

    def _now(self) -> float:
        """Seconds since this run began."""
        return (self._clock.now() - self._started).total_seconds()

    async def _rest(self, seconds: float) -> None:
        await self._clock.pause(min(max(seconds, AT_ONCE), TURN))

    async def _reply(self) -> None:
        """Until a request that is out is done, or somebody asks to stop."""
        self._wake.clear()
        await self._wake.wait()

    async def _drained(self) -> None:
        """What is out comes back, unless that takes too long."""
        until = self._now() + DRAIN
        while self._tasks and self._now() < until:
            await self._rest(TURN)

    # what others see

    async def _tick(self) -> None:
        while True:
            await self._clock.pause(SYNC_EVERY)
            self._settle()
            self._narrate(self.progress())

    def _settle(self) -> None:
        """Bring replies to the disk; only then do their rows count."""
        self._journal.sync()
        answers, self._answers = self._answers, []
        self._durable += len(answers)
        for answer in answers:
            self._on_answer(answer)
        for note in self._pacer.notes:
            self._narrate(Said(text=note))
        self._pacer.notes.clear()

    def _report_lost(self) -> None:
        lost = len(self._journal.lost)
        if lost:
            text = f"out when the last run ended, and may be billed: {counted(lost, 'request')}"
            self._narrate(Said(text=text))
        if self._journal.standing.ambiguous > self._most_doubts:
            self._stop(_too_many(self._journal.standing.ambiguous))

    def progress(self) -> Progress:
        """How far it is, now."""
        standing, now = self._journal.standing, self._now()
        speed = self._speed(now)
        left = self._rows - self._durable
        return Progress(
            rows=self._rows,
            done=self._durable,
            failed=standing.outcomes.total() - standing.outcomes["succeeded"],
            in_flight=len(self._tasks),
            waiting=len(self._again),
            slots=self._pacer.slots,
            ambiguous=standing.ambiguous,
            per_second=speed,
            elapsed=now,
            left=left / speed if speed else None,
            planned=self._planned,
            billed=standing.billed,
            held=plus(standing.held, standing.out),
            cap=self._cap,
            waits_for=self._waits_for if left else None,
        )

    def _speed(self, now: float) -> float | None:
        self._marks.append((now, self._durable))
        while len(self._marks) > 2 and now - self._marks[0][0] > RATE_OVER:  # noqa: PLR2004
            self._marks.popleft()
        since, done = self._marks[0]
        return (
            (self._durable - done) / (now - since) if now > since and self._durable > done else None
        )

    def outcome(self) -> Outcome:
        """What it came to."""
        standing = self._journal.standing
        return Outcome(
            rows=self._rows,
            done=self._durable,
            outcomes=dict(standing.outcomes),
            requests=standing.requests,
            ambiguous=standing.ambiguous,
            billed=standing.billed,
            held=standing.held,
            unpriced=standing.unpriced,
            usage=standing.usage,
            stopped=self._stopped,
            seconds=self._now(),
            refused=self._refused,
        )


def _too_many(doubts: int) -> str:
    return f"in doubt, and may be billed for nothing: {counted(doubts, 'request')}"


def carry_out(
    runner: Runner,
    rows: Iterable[Row],
    vendor: RealtimeVendor,
    *,
    wanted: Callable[[], bool] = lambda: True,
    patience: float = DRAIN,
) -> Outcome:
    """Run to the end in this thread, and let the vendor's connections go.

    Ctrl-C (or a polite kill) stops sending and waits for what is out; a second one does not wait.
    So it is once nobody has `wanted` it any more, and `patience` seconds after that.
    """

    async def attended() -> Outcome:
        loop = asyncio.get_running_loop()
        # Only the main thread of a Unix process can be asked this way.
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            for each in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(each, runner.interrupt)
        watch = loop.create_task(_while_wanted(runner, wanted, patience))
        try:
            return await runner.run(rows)
        finally:
            watch.cancel()
            await vendor.close()

    return asyncio.run(attended())


async def _while_wanted(runner: Runner, wanted: Callable[[], bool], patience: float) -> None:
    """The machine's own time: a person waits, whatever the run's clock says."""
    while wanted():  # noqa: ASYNC110 -- asked, not told: whoever waits is in another thread
        await asyncio.sleep(GLANCE)
    runner.interrupt()
    await asyncio.sleep(patience)
    runner.interrupt()
