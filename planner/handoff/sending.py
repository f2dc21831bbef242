"""The next shard goes out: where nothing is in doubt, the queue has room, and the cap has.

One create at a time in an account, whichever job it is for, because two that are in doubt at
once cannot be told apart where the vendor keeps no marks. The intent is in the ledger before the
call, and the call is made once; sending several at a time was rejected, since what is saved is
seconds of a wait that takes hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from planner.errors import InputError
from planner.handoff import home, resolve, spending, states
from planner.handoff.desk import BACKOFF, FAILURES, UNREACHABLE, Step, made, sha256, waiting
from planner.handoff.ledger import NoRoomError
from planner.handoff.vendor import AmbiguousError, NotSentError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from planner.handoff.desk import Desk
    from planner.handoff.ledger import Attempt
    from planner.handoff.resolve import Resolver

REQUEUE, REQUEUE_MOST = 60.0, 3600.0
"""Seconds until a shard goes again that a full queue sent back; doubled each time."""
STALE: Final = timedelta(hours=2)
"""A batch of another job that nobody has looked at for so long is not counted as queued: it may
be over, and where it is not, the vendor says that its queue is full."""
FRESH_FILE: Final = 5
"""So often may a new file not be found before it is stored again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The most that may be queued in the account at once; None: no limit is known."""

    rows: int | None = None
    tokens: int | None = None
    """Prompt tokens, of the same model."""

    def holds(self, rows: int, tokens: int, attempt: Attempt) -> bool:
        """Whether a shard fits beside so much; alone it always does, being built to the limit."""
        return _fits(self.rows, rows, attempt.rows) and _fits(self.tokens, tokens, attempt.tokens)


def _fits(limit: int | None, there: int, more: int) -> bool:
    return limit is None or not there or there + more <= limit


class Sending:
    """Sends shards, one after the other."""

    def __init__(
        self,
        desk: Desk,
        resolver: Resolver,
        queue: Queue,
        gate: Callable[[Attempt], str | None],
        soonest: Callable[[], float],
    ) -> None:
        """`soonest`: seconds until something that is out may have ended."""
        self._desk, self._resolver = desk, resolver
        self._queue, self._gate, self._soonest = queue, gate, soonest

    def begin(self) -> None:
        """An upload that the last process did not finish is made again: it costs nothing."""
        for attempt in self._desk.within("uploading"):
            self._desk.move(attempt, "not_stored")

    def give_up(self) -> Step | None:
        """A job that is cancelled gives up what it has not sent."""
        unsent = self._desk.within("built", "uploaded")
        if self._desk.job.state != "cancelling" or not unsent:
            return None
        for attempt in unsent:
            self._desk.move(attempt, "given_up")
        self._desk.tell("dropped", shards=len(unsent), rows=sum(each.rows for each in unsent))
        return Step(did="dropped")

    def step(self) -> Step | None:
        """Send the next shard, where nothing is in doubt and there is room for it."""
        desk = self._desk
        waits = desk.within("built", "uploaded")
        if not waits or desk.job.state != "open" or desk.within(*states.IN_DOUBT):
            return None
        attempt = min(waits, key=self._requeue_left)
        left = self._requeue_left(attempt)
        if left:
            return waiting("the vendor's queue was full", left, attempt)
        left = desk.left("create")
        if left:
            return waiting("sending again later", left, attempt)
        return self._room(attempt) or self._send(attempt)

    def _requeue_left(self, attempt: Attempt) -> float:
        """Seconds until a shard goes again that a full queue sent back."""
        if attempt.n == 1:
            return 0
        tries = self._desk.ledger.attempts(attempt.job, all=True)
        before = next(e for e in tries if (e.shard, e.n) == (attempt.shard, attempt.n - 1))
        passed = self._desk.now - (before.last_poll or self._desk.now)
        wait = min(REQUEUE * 2.0 ** min(attempt.n - 2, 20), REQUEUE_MOST)
        return max(wait - passed.total_seconds(), 0)

    # --- room ---------------------------------------------------------------------------

    def _room(self, attempt: Attempt) -> Step | None:
        """Why this shard has to wait, or stop; None: there is room."""
        desk = self._desk
        if not self._queued_beside(attempt):
            return waiting("the queue is full", self._soonest(), attempt)
        purse = self.purse()
        out = bool(desk.within("submitted", "cancelling", "ended", "fetched"))
        verdict = purse.verdict(attempt.ceiling, out=out)
        if verdict == "stop":
            return desk.halt(purse.refusal(attempt.ceiling), attempt)
        if verdict == "wait":
            return waiting("the cap has no room yet", self._soonest(), attempt)
        reason = self._gate(attempt)
        return None if reason is None else desk.halt(reason, attempt)

    def purse(self) -> spending.Purse:
        """What the job has cost and set aside; a repeated create may be billed twice."""
        return spending.purse(self._desk.ledger, self._desk.job)

    def _queued_beside(self, attempt: Attempt) -> bool:
        """Whether the account's queue holds this shard beside what is in it."""
        there = list(self._queued())
        rows = sum(each.rows for each, _ in there)
        tokens = sum(each.tokens for each, same_model in there if same_model)
        return self._queue.holds(rows, tokens, attempt)

    def _queued(self) -> Iterator[tuple[Attempt, bool]]:
        """(what is in the account's queue, whether it is of this model), as far as is known."""
        mine, ledger = self._desk.job, self._desk.ledger
        for job in ledger.jobs():
            if job.fingerprint == mine.fingerprint:
                for each in ledger.attempts(job.id):
                    if each.state in ("submitted", "cancelling") and not self._stale(each):
                        yield each, job.model == mine.model

    def _stale(self, attempt: Attempt) -> bool:
        seen = attempt.last_poll or attempt.created_at
        theirs = attempt.job != self._desk.job.id
        return theirs and (seen is None or self._desk.now - seen > STALE)

    # --- the calls ----------------------------------------------------------------------

    def _send(self, attempt: Attempt) -> Step:
        """The next call that this shard needs, once: store its bytes, or make the batch."""
        desk, path = self._desk, self._desk.path(attempt)
        if sha256(path) != attempt.sha256:
            return desk.halt(f"{path.name} is not what was built: build it again", attempt)
        if desk.vendor.uploads and attempt.file_id is None:
            return self._upload(attempt, path)
        try:
            with _Alone(desk.ledger.folder, desk.job.fingerprint):
                there = self._resolver.late(attempt) or self._resolver.sent_elsewhere(attempt)
                return there or self._create(attempt, path)
        except _BusyError:
            return waiting("another job is sending", BACKOFF, attempt)

    def _upload(self, attempt: Attempt, path: Path) -> Step:
        desk = self._desk
        attempt = desk.move(attempt, "upload")
        desk.tell("uploading", attempt, bytes=attempt.bytes)
        try:
            file_id = desk.vendor.upload(path, f"{attempt.job}-{attempt.shard:05d}{path.suffix}")
        except UNREACHABLE as error:
            desk.move(attempt, "not_stored", error=str(error))
            return desk.later("create", error, attempt)
        except RefusedError as error:
            attempt = desk.move(attempt, "not_stored", error=error.message)
            return self._turned_away(error, attempt)
        desk.forget("create")
        attempt = desk.move(attempt, "stored", file_id=file_id)
        desk.tell("stored", attempt, file=file_id)
        return Step(did="stored", shard=attempt.shard)

    def _create(self, attempt: Attempt, path: Path) -> Step:
        """Intent first, then the one call that costs money."""
        desk = self._desk
        try:
            newest = next((each.id for each in desk.vendor.listed()), None)
        except FAILURES as error:
            return desk.failed("create", error, attempt)
        facts = {"intent_at": desk.now, "high_water": newest, "error": None}
        try:
            attempt = desk.move(attempt, "send", unless=partial(self._gate, attempt), **facts)
        except NoRoomError as error:  # another process has taken it since it was looked for
            return desk.halt(str(error), attempt)
        desk.tell("sending", attempt, rows=attempt.rows, bytes=attempt.bytes)
        try:
            batch = desk.vendor.create(
                path,
                file_id=attempt.file_id,
                endpoint=desk.plan.request.endpoint or "",
                tags=resolve.tags(desk.job, attempt),
            )
        except NotSentError as error:
            desk.move(attempt, "not_sent", error=str(error))
            return desk.later("create", error, attempt)
        except RefusedError as error:
            return self._refused(error, attempt)
        except AmbiguousError as error:
            return self._resolver.doubt(attempt, str(error))
        desk.forget("create")
        attempt = desk.move(attempt, "created", **made(batch))
        desk.tell("sent", attempt, batch=batch.id, rows=attempt.rows, ceiling=attempt.ceiling)
        return Step(did="sent", shard=attempt.shard)

    def _refused(self, error: RefusedError, attempt: Attempt) -> Step:
        """The vendor said no to a create, so nothing exists; what follows is in its reason."""
        desk = self._desk
        if error.kind == "request":
            attempt = desk.move(attempt, "refused", error=error.message)
            return desk.halt(f"shard {attempt.shard} was refused: {error.message}", attempt)
        fresh = error.kind == "missing" and attempt.file_id is not None
        given_up = fresh and desk.delay("create").tries + 1 >= FRESH_FILE
        facts = {"file_id": None} if given_up else {}
        attempt = desk.move(attempt, "turned_away", error=error.message, **facts)
        return desk.later("create", error, attempt) if fresh else self._turned_away(error, attempt)

    def _turned_away(self, error: RefusedError, attempt: Attempt) -> Step:
        """Nothing was made: come again later where that helps, else ask."""
        if error.kind == "full":
            return self._desk.later("create", error, attempt)
        return self._desk.halt(error.message, attempt)


class _BusyError(Exception):
    """Another process is sending in this account."""


class _Alone:
    """The account's lock, as a context that says when it is taken."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        path = folder / home.JOBS / f"account-{fingerprint}.lock"
        self._lock = home.lock(path, "this account")

    def __enter__(self) -> None:
        try:
            self._lock.__enter__()
        except InputError:
            raise _BusyError from None

    def __exit__(self, *raised: object) -> None:
        self._lock.__exit__(*raised)  # type: ignore[arg-type]  # passed on as it came
