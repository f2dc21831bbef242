"""What the steps of one job share: the ledger, the vendor, the clock, and when to try again.

What must survive a kill is in the ledger, and is looked at there. What is kept here only makes
the loop wait (back-off after a failure, the vendor's hint when to ask again) or spares it a
query; a process that begins anew has forgotten it, and loses a call that costs nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from planner.handoff.vendor import AmbiguousError, NotSentError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from planner.handoff.build import Shard
    from planner.handoff.clock import Clock
    from planner.handoff.ledger import Attempt, Job, Ledger
    from planner.handoff.plan import Plan
    from planner.handoff.states import Event
    from planner.handoff.vendor import Batch, BatchVendor

BACKOFF, BACKOFF_MOST = 5.0, 300.0
"""Seconds after a first failure, doubled after each further one up to the most."""

UNREACHABLE: Final = (NotSentError, AmbiguousError)
"""What a call that costs nothing may raise and be made again for."""
FAILURES: Final = (*UNREACHABLE, RefusedError)
"""All that a vendor's method raises."""

FOREIGN, DUPLICATE, VOUCHED = "foreign batch", "duplicate", "vouched batch"
"""Events that name a batch: somebody else's, one too many, and ours because a person says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Something that happened, for whoever narrates: ids, counts and amounts, never text."""

    kind: str
    """Sending: uploading, stored, sending, sent, dropped. In doubt: unknown, looked, adopted,
    held, rearmed, duplicate, foreign. Following: polled, strange_status, missing, ended, failed,
    requeued, lost, cancelling, cancel, spared. Results: short, fetched, unpriced, merged,
    written. And again (a call is repeated later), stopped, done."""
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


@dataclass(slots=True)
class Delay:
    """When something that failed is tried again."""

    tries: int = 0
    until: datetime | None = None
    seen: str | None = None
    """What came of the last try."""

    def later(self, now: datetime, at_least: float | None = None) -> float:
        """Wait twice as long as the last time, or as long as the vendor asks."""
        seconds = min(BACKOFF * 2.0 ** min(self.tries, 20), BACKOFF_MOST)
        seconds = max(seconds, at_least or 0)
        self.tries += 1
        self.until = now + timedelta(seconds=seconds)
        return seconds

    def left(self, now: datetime) -> float:
        """Seconds to wait still."""
        return 0 if self.until is None else max((self.until - now).total_seconds(), 0)


class Desk:
    """One job as the process that holds its lock works on it."""

    def __init__(  # noqa: PLR0913, PLR0917 -- the seams of the loop
        self,
        ledger: Ledger,
        job: Job,
        plan: Plan,
        shards: Sequence[Shard],
        folder: Path,
        vendor: BatchVendor,
        clock: Clock,
        narrate: Callable[[News], None],
        checkpoint: Callable[[str], None],
    ) -> None:
        ledger.check_account(job, vendor.account)
        self.ledger, self.job, self.plan, self.folder = ledger, job, plan, folder
        self.vendor, self.clock, self.checkpoint = vendor, clock, checkpoint
        self.shards = {each.shard: each for each in shards}
        self._narrate = narrate
        self._attempts = {each.shard: each for each in ledger.attempts(job.id)}
        self._delays: dict[tuple[str, int], Delay] = {}
        events = ledger.events(job.id)
        self.rearmed = Counter(
            each.shard for each in events if each.kind == "rearmed" and each.shard is not None
        )
        """Shards whose create was repeated, and how often."""
        self.named: dict[str, set[str]] = {}
        for each in events:
            if each.kind in (FOREIGN, DUPLICATE, VOUCHED):
                self.named.setdefault(each.kind, set()).add(each.facts["batch_id"])

    # --- what there is ------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The clock's time."""
        return self.clock.now()

    def refresh(self) -> Job:
        """The job as it stands: another process may have said that it is to be cancelled."""
        self.job = self.ledger.job(self.job.id)
        return self.job

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The newest attempt of each shard; only the holder of the lock changes them."""
        return tuple(self._attempts.values())

    def within(self, *wanted: str) -> list[Attempt]:
        """Attempts in one of these states."""
        return [each for each in self._attempts.values() if each.state in wanted]

    def path(self, attempt: Attempt) -> Path:
        """The file with exactly the bytes that are sent."""
        return self.folder / self.shards[attempt.shard].file

    # --- what happens -------------------------------------------------------------------

    def move(self, attempt: Attempt, event: Event, **facts: Any) -> Attempt:
        """An event of the table, in the ledger."""
        return self._keep(self.ledger.move(attempt, event, self.now, **facts))

    def learn(self, attempt: Attempt, **facts: Any) -> Attempt:
        """Facts that change no state."""
        return self._keep(self.ledger.learn(attempt, self.now, **facts))

    def again(self, attempt: Attempt) -> Attempt:
        """A new attempt of a shard whose last one came to nothing."""
        return self._keep(self.ledger.again(attempt, self.now))

    def _keep(self, attempt: Attempt) -> Attempt:
        self._attempts[attempt.shard] = attempt
        return attempt

    def name(self, kind: str, batch_id: str, **facts: Any) -> None:
        """Remember a batch by its id, for good."""
        self.ledger.note(self.job.id, kind, self.now, batch_id=batch_id, **facts)
        self.named.setdefault(kind, set()).add(batch_id)

    def tell(self, kind: str, attempt: Attempt | None = None, **figures: Any) -> None:
        """Narrate."""
        shard = None if attempt is None else attempt.shard
        self._narrate(News(kind=kind, at=self.now, shard=shard, figures=figures))

    # --- waiting ------------------------------------------------------------------------

    def delay(self, what: str, shard: int = 0) -> Delay:
        """When `what` is tried again (of one shard, or of the job)."""
        return self._delays.setdefault((what, shard), Delay())

    def forget(self, what: str, shard: int = 0) -> None:
        """It worked."""
        self._delays.pop((what, shard), None)

    def left(self, what: str, shard: int = 0) -> float:
        """Seconds until it is tried again."""
        return self.delay(what, shard).left(self.now)

    def later(
        self,
        what: str,
        error: Exception | str,
        attempt: Attempt | None = None,
        *,
        shard: int = 0,
    ) -> Step:
        """It failed and cost nothing: the same again, later."""
        asked = error.retry_after if isinstance(error, RefusedError) else None
        wait = self.delay(what, shard).later(self.now, asked)
        self.tell("again", attempt, what=what, why=str(error), seconds=wait)
        return waiting(str(error), wait, attempt)

    # --- stopping -----------------------------------------------------------------------

    def halt(self, why: str, attempt: Attempt | None = None) -> Step:
        """Send nothing more and ask; what is out is still brought home."""
        if self.job.state == "open":
            self.job = self.ledger.settle(self.job.id, "stopped", self.now, because=why)
        self.tell("stopped", attempt, why=why)
        return Step(did="stopped", shard=None if attempt is None else attempt.shard, because=why)

    def stop(self, why: str) -> Step:
        """Not even asking works: leave everything as it is."""
        self.halt(why)
        return Step(did="stopped", over="stopped", because=why)

    def failed(
        self, what: str, error: Exception, attempt: Attempt | None = None, *, shard: int = 0
    ) -> Step:
        """A call that costs nothing failed: later again, or not before a person has acted."""
        if isinstance(error, RefusedError) and error.kind in ("access", "spend_limit"):
            return self.stop(error.message)
        return self.later(what, error, attempt, shard=shard)


def waiting(why: str, wait: float, attempt: Attempt | None = None) -> Step:
    """There is nothing to do for so many seconds."""
    shard = None if attempt is None else attempt.shard
    return Step(did="waiting", shard=shard, wait=max(wait, 0.001), because=why)


def standing(batch: Batch) -> dict[str, Any]:
    """What a batch says of itself that the ledger keeps."""
    return {
        "status": batch.status,
        "counts": batch.counts,
        "expires_at": batch.expires,
        "harvest_by": batch.harvest_by,
    }


def made(batch: Batch) -> dict[str, Any]:
    """The same of a batch that is new."""
    return {"batch_id": batch.id, "created_at": batch.created, **standing(batch)}


def sha256(path: Path) -> str | None:
    """Of a file's bytes; None where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
