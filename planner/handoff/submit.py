"""The one loop of a job of batches: each step does one thing that may be done again after a kill.

A step looks at what the ledger says, never at what this process remembers, and takes the most
urgent thing there is to do: find out what became of a create, merge, fetch, ask how batches
stand, send the next shard that has room. So `resume` after a kill is nothing but the next step,
and a workflow engine may take one step at a time. A thread for each batch was rejected: what is
possible after a kill would then depend on which of them were where.

What is remembered only makes it wait: back-off after a failure, the vendor's hint when to ask
again. Forgetting it costs a call that costs nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from planner.errors import InputError
from planner.handoff import home, resolve, results, spending, states
from planner.handoff.billing import Book
from planner.handoff.vendor import AmbiguousError, NotSentError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from planner.handoff.build import Shard
    from planner.handoff.clock import Clock
    from planner.handoff.ledger import Attempt, Job, Ledger
    from planner.handoff.plan import Plan
    from planner.handoff.results import Tally
    from planner.handoff.states import Event
    from planner.handoff.vendor import Batch, BatchVendor

OnUnknown = Literal["ask", "rearm"]

LISTED_FROM: Final = 4
"""So many open batches are asked for by one listing; fewer, one by one."""
SOONEST, LATEST, SHARE_OF_AGE = 10.0, 300.0, 0.05
"""Seconds between two looks at a batch: a share of its age, within these."""
BACKOFF, BACKOFF_MOST = 5.0, 300.0
"""Seconds after a first failure, doubled after each further one up to the most."""
REQUEUE, REQUEUE_MOST = 60.0, 3600.0
"""The same, for a shard that found a vendor's queue full after it was taken in."""
SHORT_TRIES: Final = 5
"""So often are results that fall short of the vendor's counts fetched before a person is asked."""
GONE_AFTER: Final = timedelta(minutes=10)
"""A batch that is not found for so long, and GONE_LOOKS times, is gone."""
GONE_LOOKS: Final = 3
STALE: Final = timedelta(hours=48)
"""A batch of another job that nobody followed for so long takes no room in the queue."""
FRESH_FILE: Final = 5
"""So often may a new file not be found before it is stored again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Something that happened, for whoever narrates: ids, counts and amounts, never text."""

    kind: str
    at: datetime
    shard: int | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step did, and when the next one can do something."""

    did: str
    shard: int | None = None
    wait: float = 0
    """Seconds; 0: there is more to do at once."""
    over: Literal["done", "stopped"] | None = None
    because: str | None = None
    """Why it waits or stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The most that may be queued in the account at once; None: no limit is known."""

    rows: int | None = None
    tokens: int | None = None
    """Prompt tokens, of the same model."""


@dataclass(slots=True)
class _Delay:
    """When something that failed is tried again; nothing that must be known after a kill."""

    tries: int = 0
    until: datetime | None = None
    print: str | None = None

    def later(
        self, now: datetime, *, at_least: float | None = None, first: float = BACKOFF
    ) -> float:
        """Wait twice as long as the last time, or as long as the vendor asks."""
        seconds = min(first * 2 ** min(self.tries, 20), BACKOFF_MOST)
        seconds = max(seconds, at_least or 0)
        self.tries += 1
        self.until = now + timedelta(seconds=seconds)
        return seconds

    def left(self, now: datetime) -> float:
        """Seconds to wait still."""
        return 0 if self.until is None else max((self.until - now).total_seconds(), 0)


class Submitter:
    """Brings one job to its end, a step at a time; whoever makes one holds the job's lock."""

    def __init__(  # noqa: PLR0913 -- the seams of the loop
        self,
        ledger: Ledger,
        job: Job,
        plan: Plan,
        shards: Sequence[Shard],
        folder: Path,
        vendor: BatchVendor,
        clock: Clock,
        narrate: Callable[[News], None] = lambda _news: None,
        *,
        on_unknown: OnUnknown = "ask",
        queue: Queue | None = None,
        gate: Callable[[Attempt], str | None] = lambda _attempt: None,
        form: results.Format = "jsonl",
        reopen: bool = True,
        accept_short: bool = False,
        checkpoint: Callable[[str], None] = lambda _step: None,
    ) -> None:
        """`gate` says why a shard may not be sent now (a policy's cap of the day), or None.

        `reopen`: a job that stopped goes on, since a person has looked at why. Without it, as
        from cron, what is out is brought home and nothing new is sent. `accept_short`: results
        that stay below the vendor's counts are taken as they are.
        """
        ledger.check_account(job, vendor.account)
        self.ledger, self.plan, self.folder = ledger, plan, folder
        self.vendor, self.clock = vendor, clock
        self.shards = {each.shard: each for each in shards}
        self.on_unknown, self.queue, self.gate = on_unknown, queue or Queue(), gate
        self.form, self.accept_short = form, accept_short
        self._narrate, self._checkpoint = narrate, checkpoint
        self._id = job.id
        self._delays: dict[tuple[str, int], _Delay] = {}
        self._hints: dict[int, float] = {}
        self._looked: set[int] = set()
        self._short_of: set[int] = set()
        self._swept = False
        self._begin(job, reopen=reopen)

    def _begin(self, job: Job, *, reopen: bool) -> None:
        """What the process before this one was in the middle of is put in order."""
        if job.state == "stopped" and reopen:
            self.ledger.settle(job.id, "open", self.now)
        for attempt in self.attempts:
            if attempt.state == "sending":
                self._doubt(attempt, "the process ended while it was sent")
            elif attempt.state == "uploading":
                self._move(attempt, "not_stored")

    # --- what there is ------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The clock's time."""
        return self.clock.now()

    @property
    def job(self) -> Job:
        """As it stands now."""
        return self.ledger.job(self._id)

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The newest attempt of each shard."""
        return self.ledger.attempts(self._id)

    def _in(self, *wanted: str) -> list[Attempt]:
        return [each for each in self.attempts if each.state in wanted]

    # --- the loop -----------------------------------------------------------------------

    def run(self, until: datetime | None = None) -> Step:
        """Step after step to the end, or to a moment; the last step."""
        while True:
            step = self.step()
            if step.over is not None or (until is not None and self.now >= until):
                return step
            if step.wait > 0:
                left = step.wait if until is None else (until - self.now).total_seconds()
                self.clock.sleep(min(step.wait, left))

    def step(self) -> Step:
        """One step; it may be taken again at any time, by any process that holds the lock.

        InputError where the vendor's library or the disk cannot be used at all.
        """
        waits: list[Step] = []
        for act in (
            self._end_unsent,
            self._resolve,
            self._merge,
            self._fetch,
            self._poll,
            self._cancel_open,
            self._create,
        ):
            step = act()
            if step is not None and step.wait <= 0:
                return step
            if step is not None:
                waits.append(step)
        if waits:
            return min(waits, key=lambda each: each.wait)
        return self._finish()

    def cancel(self) -> None:
        """From now on nothing is sent, and what is out is ended; answers that exist are kept."""
        if self.job.state != "done":
            self.ledger.settle(self._id, "cancelling", self.now)
            self._tell("cancelling")

    def adopt(self, shard: int, batch_id: str) -> None:
        """A person says which batch a shard in doubt became; InputError where it cannot be."""
        attempt = next((each for each in self._in("held") if each.shard == shard), None)
        if attempt is None:
            raise InputError.of("not-in-doubt", f"shard {shard} does not wait for an answer")
        if batch_id in self.ledger.batches(self.job.provider):
            raise InputError.of("known-batch", f"batch {batch_id} belongs to another shard")
        try:
            batch = self.vendor.retrieve(batch_id)
        except (RefusedError, NotSentError, AmbiguousError) as error:
            raise InputError.of("no-batch", f"batch {batch_id}: {error}") from None
        self._adopt(attempt, batch, "probable")

    # --- sending ------------------------------------------------------------------------

    def _end_unsent(self) -> Step | None:
        """A job that is cancelled gives up what it has not sent."""
        if self.job.state != "cancelling":
            return None
        unsent = self._in("built", "uploaded")
        for attempt in unsent:
            self._move(attempt, "given_up")
        if unsent:
            self._tell("dropped", figures={"shards": len(unsent)})
        return Step(did="dropped") if unsent else None

    def _create(self) -> Step | None:
        """Send the next shard, where nothing is in doubt and there is room for it."""
        waiting = self._in("built", "uploaded")
        if not waiting or self.job.state != "open" or self._in(*states.IN_DOUBT):
            return None
        ready = [each for each in waiting if not self._requeue_left(each)]
        if not ready:
            soonest = min(self._requeue_left(each) for each in waiting)
            return self._waiting("the vendor's queue was full", soonest)
        attempt = ready[0]
        left = self._delay("create").left(self.now)
        if left:
            return self._waiting("sending again later", left, attempt)
        return self._room(attempt) or self._send(attempt)

    def _room(self, attempt: Attempt) -> Step | None:
        """Why this shard has to wait, or stop; None: there is room."""
        out = self._in("submitted", "cancelling", "ended", "fetched")
        if not self._queue_fits(attempt):
            return self._waiting("the queue is full", self._soonest(out), attempt)
        purse = spending.purse(self.ledger, self.job, self.attempts, self.ledger.events(self._id))
        verdict = purse.verdict(attempt.ceiling, out=bool(out))
        if verdict == "stop":
            return self._halt(purse.refusal(attempt.ceiling), attempt)
        if verdict == "wait":
            return self._waiting("the cap has no room yet", self._soonest(out), attempt)
        reason = self.gate(attempt)
        return None if reason is None else self._halt(reason, attempt)

    def _queue_fits(self, attempt: Attempt) -> bool:
        """Whether the account's queue holds this shard beside what is in it."""
        rows = tokens = 0
        for each, same_model in self._queued():
            rows += each.rows
            tokens += each.tokens if same_model else 0
        limit = self.queue
        fits_rows = limit.rows is None or not rows or rows + attempt.rows <= limit.rows
        fits = limit.tokens is None or not tokens or tokens + attempt.tokens <= limit.tokens
        return fits_rows and fits

    def _queued(self) -> Iterator[tuple[Attempt, bool]]:
        """(what is in the account's queue, whether it is of this model), as far as is known."""
        mine = self.job
        for job in self.ledger.jobs():
            if job.fingerprint != mine.fingerprint:
                continue
            for each in self.ledger.attempts(job.id):
                if each.state in ("submitted", "cancelling") and not self._stale(each):
                    yield each, job.model == mine.model

    def _stale(self, attempt: Attempt) -> bool:
        seen = attempt.last_poll or attempt.created_at
        return attempt.job != self._id and (seen is None or self.now - seen > STALE)

    def _send(self, attempt: Attempt) -> Step:
        """The next call that this shard needs, once: store its bytes, or make the batch."""
        shard = self.shards[attempt.shard]
        path = self.folder / shard.file
        if _sha256(path) != attempt.sha256:
            return self._halt(f"{path} is not what was built: build it again", attempt)
        if self.vendor.uploads and attempt.state == "built" and attempt.file_id is None:
            return self._upload(attempt, path)
        try:
            with self._alone():
                return self._post(attempt, path)
        except _BusyError:
            return self._waiting("another job is sending", BACKOFF, attempt)

    def _alone(self) -> Any:
        """One create at a time in an account, whichever job it is for."""
        path = self.ledger.folder / home.JOBS / f"account-{self.job.fingerprint}.lock"
        return _Alone(path)

    def _upload(self, attempt: Attempt, path: Path) -> Step:
        attempt = self._move(attempt, "upload")
        self._tell("uploading", attempt, bytes=attempt.bytes)
        name = f"{self._id}-{attempt.shard:05d}{path.suffix}"
        try:
            file_id = self.vendor.upload(path, name)
        except (NotSentError, AmbiguousError) as error:
            self._move(attempt, "not_stored")
            return self._again("create", str(error), attempt)
        except RefusedError as error:
            self._move(attempt, "not_stored", error=error.message)
            return self._turned_away(error, attempt)
        self._forget("create")
        attempt = self._move(attempt, "stored", file_id=file_id)
        self._tell("stored", attempt, file_id=file_id)
        return Step(did="stored", shard=attempt.shard)

    def _post(self, attempt: Attempt, path: Path) -> Step:
        """Intent first, then the one call that costs money."""
        if attempt.intent_at is not None and self._was_rearmed(attempt):
            late = self._late(attempt)
            if late is not None:
                return late
        try:
            high_water = next((each.id for each in self.vendor.listed()), None)
        except (NotSentError, AmbiguousError) as error:
            return self._again("create", str(error), attempt)
        except RefusedError as error:
            return self._turned_away(error, attempt)
        attempt = self._move(attempt, "send", intent_at=self.now, high_water=high_water, error=None)
        self._tell("sending", attempt, rows=attempt.rows, bytes=attempt.bytes)
        try:
            batch = self.vendor.create(
                path,
                file_id=attempt.file_id,
                endpoint=self.plan.request.endpoint or "",
                tags=resolve.tags(self.job, attempt),
            )
        except NotSentError as error:
            self._move(attempt, "not_sent", error=str(error))
            return self._again("create", str(error), attempt)
        except RefusedError as error:
            return self._refused(error, attempt)
        except AmbiguousError as error:
            return self._doubt(attempt, str(error))
        self._forget("create")
        attempt = self._move(attempt, "created", **_made(batch))
        self._tell("sent", attempt, batch=batch.id, rows=attempt.rows, ceiling=attempt.ceiling)
        return Step(did="sent", shard=attempt.shard)

    def _refused(self, error: RefusedError, attempt: Attempt) -> Step:
        """The vendor said no to a create, so nothing exists; what follows is in its reason."""
        if error.kind == "request":
            attempt = self._move(attempt, "refused", error=error.message)
            return self._halt(f"shard {attempt.shard} was refused: {error.message}", attempt)
        if error.kind == "missing" and attempt.file_id is not None:
            delay = self._delay("create")
            stored_again = delay.tries + 1 >= FRESH_FILE
            facts = {"file_id": None} if stored_again else {}
            attempt = self._move(attempt, "turned_away", error=error.message, **facts)
            return self._again("create", "the stored file is not found yet", attempt)
        attempt = self._move(attempt, "turned_away", error=error.message)
        return self._turned_away(error, attempt)

    def _turned_away(self, error: RefusedError, attempt: Attempt | None) -> Step:
        """Nothing was made: come again later where that helps, else stop."""
        if error.kind == "full":
            return self._again("create", error.message, attempt, at_least=error.retry_after)
        return self._halt(error.message, attempt)

    # --- doubt --------------------------------------------------------------------------

    def _doubt(self, attempt: Attempt, why: str) -> Step:
        """A paid batch may exist: nothing is sent until it is known."""
        attempt = self._move(attempt, "reply_lost", last_poll=self.now, error=why)
        self._tell("unknown", attempt, why=why)
        return Step(did="unknown", shard=attempt.shard)

    def _resolve(self) -> Step | None:
        """Look for the batch of a create that was not answered."""
        held = [each for each in self._in("held") if each.shard not in self._looked]
        for attempt in (*self._in("unknown"), *held):
            left = self._delay("look", attempt.shard).left(self.now)
            if left:
                return self._waiting("looking for a batch", left, attempt)
            return self._look(attempt)
        return None

    def _look(self, attempt: Attempt) -> Step:
        try:
            found = resolve.find(self.vendor, self.job, attempt, self._known())
        except (NotSentError, AmbiguousError) as error:
            return self._again("look", str(error), attempt)
        except RefusedError as error:
            return self._look_refused(error, attempt)
        self._delays.pop(("look", attempt.shard), None)
        rivals = found.kind == "probable" and resolve.rivals(self.ledger, self.job, attempt)
        if found.batch is not None and not rivals:
            return self._take(attempt, found)
        if found.kind != "none":
            return self._hold(attempt, found.candidates)
        return self._nothing_found(attempt)

    def _look_refused(self, error: RefusedError, attempt: Attempt) -> Step:
        if error.kind == "full":
            return self._again("look", error.message, attempt, at_least=error.retry_after)
        return self._stop_now(error.message)

    def _take(self, attempt: Attempt, found: resolve.Found) -> Step:
        assert found.batch is not None
        assert found.kind in ("exact", "probable")
        self._adopt(attempt, found.batch, found.kind)
        for each in found.extra:
            self._end_duplicate(each)
        return Step(did="adopted", shard=attempt.shard)

    def _adopt(self, attempt: Attempt, batch: Batch, how: str) -> None:
        attempt = self._move(attempt, "adopted", adopted=how, error=None, **_made(batch))
        self._forget("create")
        self._tell("adopted", attempt, batch=batch.id, how=how)

    def _nothing_found(self, attempt: Attempt) -> Step:
        """Nothing is there yet: look again, and when that was done often enough, decide."""
        if attempt.state == "held":
            return self._answered(attempt)
        wait = resolve.next_look(attempt, self.now)
        if wait is not None:
            self._delay("look", attempt.shard).until = self.now + timedelta(seconds=wait)
            self._tell("looked", attempt, again_in=wait)
            return self._waiting("looking for a batch", wait, attempt)
        if self.on_unknown == "rearm" or self.job.state == "cancelling":
            return self._rearm(attempt)
        return self._hold(attempt, ())

    def _hold(self, attempt: Attempt, candidates: Sequence[str]) -> Step:
        """Nobody can say whether a paid batch exists, or which: a person has to."""
        if attempt.state == "held":
            self._looked.add(attempt.shard)
        else:
            attempt = self._move(attempt, "doubtful")
            self._looked.add(attempt.shard)
        self._tell("held", attempt, candidates=list(candidates))
        several = f"one of {', '.join(candidates)}" if candidates else "not found"
        return self._halt(
            f"the reply to sending shard {attempt.shard} was lost, and its batch is {several}",
            attempt,
        )

    def _answered(self, attempt: Attempt) -> Step:
        """A shard that was held, was asked about, and is looked at again by a new run."""
        self._looked.add(attempt.shard)
        if self.on_unknown == "rearm":
            return self._rearm(attempt)
        return self._hold(attempt, ())

    def _rearm(self, attempt: Attempt) -> Step:
        attempt = self._move(attempt, "rearmed")
        self._tell("rearmed", attempt)
        return Step(did="rearmed", shard=attempt.shard)

    def _late(self, attempt: Attempt) -> Step | None:
        """The batch of a create that was given up on, turned up before it is sent again."""
        try:
            found = resolve.find(self.vendor, self.job, attempt, self._known())
        except (NotSentError, AmbiguousError) as error:
            return self._again("create", str(error), attempt)
        except RefusedError as error:
            return self._turned_away(error, attempt)
        if found.kind != "exact":
            return None
        attempt = self._move(attempt, "send")
        attempt = self._move(attempt, "reply_lost", last_poll=self.now)
        return self._take(attempt, found)

    def _known(self) -> frozenset[str]:
        """Ids that a batch in doubt cannot have."""
        foreign = (
            e.facts["batch"] for e in self.ledger.events(self._id) if e.kind == "foreign batch"
        )
        return self.ledger.batches(self.job.provider) | frozenset(foreign)

    def _rearmed(self) -> frozenset[int]:
        """Shards whose create was repeated."""
        events = self.ledger.events(self._id)
        return frozenset(e.shard for e in events if e.kind == "rearmed" and e.shard is not None)

    def _was_rearmed(self, attempt: Attempt) -> bool:
        return attempt.shard in self._rearmed()

    def _end_duplicate(self, batch: Batch) -> None:
        """A batch that is ours for certain and one too many: rows that did not run cost nothing."""
        told = {e.facts["batch"] for e in self.ledger.events(self._id) if e.kind == "duplicate"}
        if batch.id in told:
            return
        if batch.phase in ("running", "unknown"):
            self.vendor.cancel(batch.id)
        self.ledger.note(self._id, "duplicate", self.now, batch=batch.id, status=batch.status)
        self._tell("duplicate", figures={"batch": batch.id, "status": batch.status})

    def _sweep(self) -> Step | None:
        """Before the end: end what a repeated create may have made twice."""
        doubted = [each for each in self.attempts if each.shard in self._rearmed()]
        if self._swept or not doubted:
            return None
        left = self._delay("sweep").left(self.now)
        if left:
            return self._waiting("looking for duplicates", left)
        known = self.ledger.batches(self.job.provider)
        try:
            for stray in resolve.strays(self.vendor, self.job, doubted, known):
                self._end_duplicate(stray)
        except (NotSentError, AmbiguousError, RefusedError) as error:
            return self._again("sweep", str(error), None)
        self._swept = True
        return None

    # --- following ----------------------------------------------------------------------

    def _poll(self) -> Step | None:
        """Ask how the batches stand whose turn it is."""
        out = self._in("submitted", "cancelling")
        if not out:
            return None
        left = max(self._delay("poll").left(self.now), min(map(self._poll_left, out)))
        if left > 0:
            return self._waiting("batches are running", left)
        due = [each for each in out if self._poll_left(each) <= 0]
        try:
            listed = self._listed(out) if len(out) >= LISTED_FROM or self._rearmed() else {}
            for attempt in due if not listed else out:
                self._seen(attempt, listed.get(attempt.batch_id or ""))
        except (NotSentError, AmbiguousError) as error:
            return self._again("poll", str(error), None)
        except RefusedError as error:
            if error.kind != "full":
                return self._stop_now(error.message)
            return self._again("poll", error.message, None, at_least=error.retry_after)
        self._forget("poll")
        return Step(did="polled")

    def _poll_left(self, attempt: Attempt) -> float:
        """Seconds until this batch is asked for again."""
        seen = attempt.last_poll or attempt.created_at or self.now
        began = attempt.created_at or seen
        age = (self.now - began).total_seconds()
        every = min(max(age * SHARE_OF_AGE, SOONEST), LATEST)
        every = max(every, self._hints.get(attempt.shard, 0))
        return every - (self.now - seen).total_seconds()

    def _soonest(self, out: Iterable[Attempt]) -> float:
        """When something that is out may leave room."""
        waits = [self._poll_left(each) for each in out if each.batch_id is not None]
        return max(min(waits, default=SOONEST), 1)

    def _listed(self, out: Sequence[Attempt]) -> dict[str, Batch]:
        """Open batches by id from one listing; what is ours and one too many is ended."""
        wanted = {each.batch_id for each in out}
        oldest = min(each.created_at or self.now for each in out)
        known = self.ledger.batches(self.job.provider)
        doubted = [each for each in self.attempts if each.shard in self._rearmed()]
        found: dict[str, Batch] = {}
        for batch in self.vendor.listed():
            if batch.id in wanted:
                found[batch.id] = batch
            elif batch.id not in known and any(
                resolve.mine(batch, self.job, each) for each in doubted
            ):
                self._end_duplicate(batch)
            if len(found) == len(wanted) or batch.created < oldest - resolve.SKEW:
                break
        return found

    def _seen(self, attempt: Attempt, batch: Batch | None) -> None:
        """What a batch says of itself, into the ledger."""
        assert attempt.batch_id is not None
        try:
            batch = batch or self.vendor.retrieve(attempt.batch_id)
        except RefusedError as error:
            if error.kind != "missing":
                raise
            self._not_found(attempt)
            return
        self._hints[attempt.shard] = batch.poll_after or 0
        if batch.phase == "ended" or (batch.phase == "failed" and batch.results):
            self._ended(attempt, batch)
        elif batch.phase == "failed":
            self._failed(attempt, batch)
        else:
            self._goes_on(attempt, batch)

    def _goes_on(self, attempt: Attempt, batch: Batch) -> None:
        before = attempt.status
        attempt = self.ledger.learn(attempt, self.now, last_poll=self.now, **_standing(batch))
        told = {"status": batch.status, **_figures(batch)}
        if batch.phase == "unknown" and before != batch.status:
            self._tell("strange_status", attempt, **told)
        else:
            self._tell("polled", attempt, **told)

    def _ended(self, attempt: Attempt, batch: Batch) -> None:
        ended = batch.ended or self.now
        attempt = self._move(
            attempt, "ended", ended_at=ended, last_poll=self.now, **_standing(batch)
        )
        self._tell("ended", attempt, status=batch.status, **_figures(batch))

    def _failed(self, attempt: Attempt, batch: Batch) -> None:
        """It was refused as a whole: again where a queue was full, else a person must look."""
        said = "; ".join(batch.errors) or batch.status
        attempt = self._move(
            attempt,
            "failed",
            error=said,
            ended_at=batch.ended or self.now,
            last_poll=self.now,
            **_standing(batch),
        )
        cancelling = self.job.state == "cancelling"
        if batch.requeue and not cancelling:
            self.ledger.again(attempt, self.now)
            self._tell("requeued", attempt, error=said)
            return
        self._tell("failed", attempt, error=said)
        if not cancelling:
            self._halt(f"shard {attempt.shard} failed: {said}", attempt)

    def _requeue_left(self, attempt: Attempt) -> float:
        """Seconds until a shard goes again that a full queue sent back."""
        if attempt.n == 1:
            return 0
        tries = self.ledger.attempts(self._id, all=True)
        before = [e for e in tries if e.shard == attempt.shard and e.n == attempt.n - 1]
        ended = before[0].ended_at or self.now
        wait = min(REQUEUE * 2 ** min(attempt.n - 2, 20), REQUEUE_MOST)
        return max(wait - (self.now - ended).total_seconds(), 0)

    def _not_found(self, attempt: Attempt) -> None:
        """Not being found is an error to be sure of, never an end: another key sees nothing."""
        events = self.ledger.events(self._id)
        seen = [
            e.at for e in events if e.kind == "missing" and e.facts["batch"] == attempt.batch_id
        ]
        self.ledger.note(self._id, "missing", self.now, batch=attempt.batch_id)
        self._tell("missing", attempt, batch=attempt.batch_id, times=len(seen) + 1)
        if len(seen) + 1 >= GONE_LOOKS and self.now - seen[0] >= GONE_AFTER:
            self._lose(attempt, "its batch is not found any more")
        else:
            self.ledger.learn(attempt, self.now, last_poll=self.now)

    def _lose(self, attempt: Attempt, why: str) -> None:
        attempt = self._move(attempt, "gone", error=why)
        self._tell("lost", attempt, why=why, batch=attempt.batch_id)

    def _cancel_open(self) -> Step | None:
        """Ask for the end of what a cancelled job still has running."""
        if self.job.state != "cancelling":
            return None
        left = self._delay("cancel").left(self.now)
        for attempt in self._in("submitted"):
            if left:
                return self._waiting("cancelling", left, attempt)
            assert attempt.batch_id is not None
            try:
                batch = self.vendor.cancel(attempt.batch_id)
            except (NotSentError, AmbiguousError) as error:
                return self._again("cancel", str(error), attempt)
            except RefusedError as error:
                return self._cancel_refused(error, attempt)
            self._move(attempt, "cancel", last_poll=self.now, **_standing(batch))
            self._tell("cancel", attempt, batch=attempt.batch_id, status=batch.status)
            return Step(did="cancel", shard=attempt.shard)
        return None

    def _cancel_refused(self, error: RefusedError, attempt: Attempt) -> Step:
        """It may have ended meanwhile; asking how it stands says so."""
        if error.kind in ("access", "spend_limit"):
            return self._stop_now(error.message)
        if error.kind == "request":
            self._move(attempt, "cancel")
            return Step(did="cancel", shard=attempt.shard)
        return self._again("cancel", error.message, attempt, at_least=error.retry_after)

    # --- results ------------------------------------------------------------------------

    def _fetch(self) -> Step | None:
        """Bring home the results of a batch that is over."""
        ended = self._in("ended")
        if not ended:
            return None
        attempt = min(ended, key=lambda each: self._delay("fetch", each.shard).left(self.now))
        left = self._delay("fetch", attempt.shard).left(self.now)
        if left:
            return self._waiting("results are not whole yet", left, attempt)
        if self._given_up_on(attempt):
            return None
        assert attempt.batch_id is not None
        try:
            batch = self.vendor.retrieve(attempt.batch_id)
            attempt = self.ledger.learn(attempt, self.now, **_standing(batch))
            files = results.fetch(self.vendor, batch, attempt, self.folder, self._checkpoint)
        except (NotSentError, AmbiguousError) as error:
            return self._again("fetch", str(error), attempt)
        except RefusedError as error:
            return self._fetch_refused(error, attempt)
        return self._judge(attempt, files)

    def _given_up_on(self, attempt: Attempt) -> bool:
        """Results that stayed short: a person was asked, and this run does not ask again."""
        return attempt.shard in self._looked

    def _fetch_refused(self, error: RefusedError, attempt: Attempt) -> Step:
        """A fetch that fails releases no row: it is tried until the results are gone."""
        if error.kind in ("access", "spend_limit"):
            return self._stop_now(error.message)
        if attempt.harvest_by is not None and self.now > attempt.harvest_by:
            self._lose(attempt, "its results were kept until then, and are gone")
            return Step(did="lost", shard=attempt.shard)
        return self._again("fetch", error.message, attempt, at_least=error.retry_after)

    def _judge(self, attempt: Attempt, files: tuple[Path, ...]) -> Step:
        """Whether what was downloaded is all there is."""
        lines = results.lines_of(self.shards[attempt.shard], self._id, files, self.vendor.result)
        proof = results.prove(lines, attempt.counts)
        if proof in ("short", "unproved") and not self.accept_short:
            step = self._short(attempt, files, lines, proof)
            if step is not None:
                return step
        self._delays.pop(("fetch", attempt.shard), None)
        attempt = self._move(attempt, "fetched")
        told = {"rows": lines.seen, "foreign": lines.foreign, "unreadable": lines.unreadable}
        self._tell("fetched", attempt, **told)
        return Step(did="fetched", shard=attempt.shard)

    def _short(
        self, attempt: Attempt, files: tuple[Path, ...], lines: results.Lines, proof: str
    ) -> Step | None:
        """Fetch again; the same bytes twice prove what no count does; None: take it so."""
        delay = self._delay("fetch", attempt.shard)
        same = ",".join(_sha256(path) or "" for path in files)
        if proof == "unproved" and same == delay.print:
            return None
        delay.print = same
        expected = None if attempt.counts is None else attempt.counts.succeeded
        told = {"rows": lines.seen, "expected": expected, "unreadable": lines.unreadable}
        self._tell("short", attempt, **told)
        if delay.tries + 1 >= SHORT_TRIES:
            self._looked.add(attempt.shard)
            return self._halt(
                f"the results of shard {attempt.shard} hold {lines.seen:,} rows, fewer than the "
                "vendor counts",
                attempt,
            )
        return self._again("fetch", "results are not whole", attempt)

    def _merge(self) -> Step | None:
        """Count what a shard came to and what it cost; then its rows are safe."""
        for attempt in self._in("fetched"):
            shard = self.shards[attempt.shard]
            files = results.files_of(self.folder, attempt)
            if attempt.adopted == "probable" and self._foreign(attempt, files):
                return Step(did="foreign", shard=attempt.shard)
            counted = self._counted(self._leg().shard(shard))
            self._bill(attempt, counted)
            attempt = self._move(attempt, "merged")
            self._tell("merged", attempt, **_outcomes(counted))
            return Step(did="merged", shard=attempt.shard)
        return None

    def _foreign(self, attempt: Attempt, files: tuple[Path, ...]) -> bool:
        """Whether an adopted batch is somebody else's; it is let go, and never cancelled."""
        shard = self.shards[attempt.shard]
        lines = results.lines_of(shard, self._id, files, self.vendor.result)
        if not lines.foreign or lines.seen:
            return False
        self.ledger.note(self._id, "foreign batch", self.now, batch=attempt.batch_id)
        results.discard(self.folder, attempt)
        let_go = dict.fromkeys(("batch_id", "adopted", "created_at", "ended_at", "counts"))
        attempt = self._move(attempt, "foreign", last_poll=self.now, **let_go)
        self._tell("foreign", attempt)
        return True

    def _counted(self, rows: Iterable[results.Row]) -> Tally:
        counted = results.tally(Book.of(self.plan), self.plan.choice.lane)
        for row in rows:
            counted.add(row)
        return counted

    def _bill(self, attempt: Attempt, counted: Tally) -> None:
        known = [each for each in counted.bill.lines if each.amount is not None]
        unpriced = [each for each in counted.bill.lines if each.amount is None]
        self.ledger.bill(self._id, "batch", known, self.now, shard=attempt.shard)  # type: ignore[arg-type]  # their rates are known
        for each in unpriced:
            told = {"meter": each.meter, "quantity": each.quantity, "shard": attempt.shard}
            self.ledger.note(self._id, "unpriced", self.now, **told)
            self._tell("unpriced", attempt, meter=each.meter, quantity=each.quantity)

    def _leg(self) -> results.BatchLeg:
        return results.BatchLeg(
            folder=self.folder,
            nonce=self._id,
            shards=tuple(self.shards.values()),
            attempts=self.ledger.attempts(self._id, all=True),
            parse=self.vendor.result,
        )

    # --- the end ------------------------------------------------------------------------

    def _finish(self) -> Step:
        """Nothing is left to do: write the merged file, and say how it ended."""
        swept = self._sweep()
        if swept is not None:
            return swept
        job = self.job
        settled = all(each.state in states.SETTLED for each in self.attempts)
        because = job.stopped_because
        counted = self.write() if any(e.state == "merged" for e in self.attempts) else None
        if job.state == "stopped" or not settled:
            if job.state != "stopped":
                because = "a shard waits for an answer"
                self.ledger.settle(job.id, "stopped", self.now, because=because)
            return Step(did="stopped", over="stopped", because=because)
        if job.state != "done":
            cancelled = "cancelled" if job.state == "cancelling" else None
            self.ledger.settle(job.id, "done", self.now, because=cancelled)
            self._tell("done", figures={} if counted is None else _outcomes(counted))
        return Step(did="done", over="done")

    def write(self, *legs: Iterable[results.Row]) -> Tally:
        """The merged file as far as there are answers; `legs` are what other lanes answered."""
        path = self.folder / results.OUT / f"results.{self.form}"
        counted = results.tally(Book.of(self.plan), self.plan.choice.lane)
        rows = results.merged(self.folder, (self._leg(), *legs))
        results.write(rows, path, counted, form=self.form, checkpoint=self._checkpoint)
        self._tell("written", figures={"file": path.name, **_outcomes(counted)})
        return counted

    # --- small things -------------------------------------------------------------------

    def _move(self, attempt: Attempt, event: Event, **facts: Any) -> Attempt:
        return self.ledger.move(attempt, event, self.now, **facts)

    def _tell(
        self,
        kind: str,
        attempt: Attempt | None = None,
        figures: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        shard = None if attempt is None else attempt.shard
        self._narrate(
            News(kind=kind, at=self.now, shard=shard, figures={**(figures or {}), **more})
        )

    def _delay(self, what: str, shard: int = 0) -> _Delay:
        return self._delays.setdefault((what, shard), _Delay())

    def _forget(self, what: str) -> None:
        self._delays.pop((what, 0), None)

    def _again(
        self, what: str, why: str, attempt: Attempt | None, *, at_least: float | None = None
    ) -> Step:
        """It failed and costs nothing: the same again, later."""
        shard = attempt.shard if attempt is not None and what in ("look", "fetch") else 0
        wait = self._delay(what, shard).later(self.now, at_least=at_least)
        self._tell("again", attempt, what=what, why=why, seconds=wait)
        return self._waiting(why, wait, attempt)

    @staticmethod
    def _waiting(why: str, wait: float, attempt: Attempt | None = None) -> Step:
        shard = None if attempt is None else attempt.shard
        return Step(did="waiting", shard=shard, wait=max(wait, 0.001), because=why)

    def _halt(self, why: str, attempt: Attempt | None) -> Step:
        """Send nothing more and ask; what is out is still brought home."""
        if self.job.state == "open":
            self.ledger.settle(self._id, "stopped", self.now, because=why)
            self._tell("stopped", attempt, why=why)
        return Step(did="stopped", shard=None if attempt is None else attempt.shard, because=why)

    def _stop_now(self, why: str) -> Step:
        """Not even asking works: stop, and keep everything as it is."""
        self.ledger.settle(self._id, "stopped", self.now, because=why)
        self._tell("stopped", figures={"why": why})
        return Step(did="stopped", over="stopped", because=why)


class _BusyError(Exception):
    """Another process is sending in this account."""


class _Alone:
    """The account's lock, as a context that says when it is taken."""

    def __init__(self, path: Path) -> None:
        self._lock = home.lock(path, "this account")

    def __enter__(self) -> None:
        try:
            self._lock.__enter__()
        except InputError:
            raise _BusyError from None

    def __exit__(self, *raised: object) -> None:
        self._lock.__exit__(*raised)  # type: ignore[arg-type]  # passed on as it came


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def _standing(batch: Batch) -> dict[str, Any]:
    """What a batch says of itself that the ledger keeps."""
    return {
        "status": batch.status,
        "counts": batch.counts,
        "expires_at": batch.expires,
        "harvest_by": batch.harvest_by,
    }


def _made(batch: Batch) -> dict[str, Any]:
    return {"batch_id": batch.id, "created_at": batch.created, **_standing(batch)}


def _figures(batch: Batch) -> dict[str, int]:
    counts = batch.counts
    if counts is None:
        return {}
    return {"rows": counts.total, "succeeded": counts.succeeded, "errored": counts.errored}


def _outcomes(counted: Tally) -> dict[str, Any]:
    return {"rows": counted.rows, **counted.outcomes, "billed": counted.bill.amount}
