"""What became of a create whose reply was lost: found by listing, never by sending again.

Where a vendor keeps our tags, or names the file a batch was made of, a batch is ours for certain.
Where it keeps neither, it is the batch that is newer than the newest one before the call, has as
many rows, and is nobody else's in the ledger: probably ours, until its first row says so.

Nothing found is no proof, since the server may still be reading what we sent; it is looked for
again after a minute and after five more. What then follows is a person's choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Final, Literal

from planner.handoff import states
from planner.handoff.desk import DUPLICATE, FAILURES, FOREIGN, Step, made, waiting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from planner.handoff.desk import Desk
    from planner.handoff.ledger import Attempt, Job, Ledger
    from planner.handoff.vendor import Batch, BatchVendor

OnUnknown = Literal["ask", "rearm"]

JOB_TAG, SHARD_TAG = "planner_job", "planner_shard"

LOOKS: Final = (timedelta(0), timedelta(seconds=60), timedelta(seconds=360))
"""When it is looked for, from the moment at which the reply was missed."""

SKEW: Final = timedelta(days=1)
"""How far the vendor's clock and ours may differ; the walk usually ends much earlier."""


def tags(job: Job, attempt: Attempt) -> Mapping[str, str]:
    """What a batch is marked with, where the vendor keeps such things."""
    return {JOB_TAG: job.id, SHARD_TAG: str(attempt.shard)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a listing says of one create: `several` that nobody can tell apart are held."""

    kind: Literal["exact", "probable", "several", "none"]
    batch: Batch | None = None
    candidates: tuple[str, ...] = ()
    """Ids of the batches that could be it."""
    extra: tuple[Batch, ...] = ()
    """Batches that are ours for certain and one too many."""


def find(vendor: BatchVendor, job: Job, attempt: Attempt, others: Collection[str]) -> Found:
    """The batch of an attempt whose create was not answered.

    `others` are ids that it cannot be: those that the ledger knows, and those whose rows turned
    out to be somebody else's. The vendor's errors of a listing pass through.
    """
    since = [each for each in _since(vendor, attempt) if each.id not in others]
    ours = sorted((each for each in since if mine(each, job, attempt)), key=_age)
    if ours:
        return Found(kind="exact", batch=ours[0], extra=tuple(ours[1:]))
    if vendor.exact_match:
        return Found(kind="none")
    alike = [each for each in since if each.counts is None or each.counts.total == attempt.rows]
    ids = tuple(each.id for each in alike)
    if len(alike) == 1 and alike[0].counts is not None:
        return Found(kind="probable", batch=alike[0], candidates=ids)
    return Found(kind="several" if alike else "none", candidates=ids)


def _since(vendor: BatchVendor, attempt: Attempt) -> Iterator[Batch]:
    """Batches newer than what was the newest before the call, newest first."""
    assert attempt.intent_at is not None
    for batch in vendor.listed():
        if batch.id == attempt.high_water or batch.created < attempt.intent_at - SKEW:
            return
        yield batch


def _age(batch: Batch) -> tuple[datetime, str]:
    return batch.created, batch.id


def mine(batch: Batch, job: Job, attempt: Attempt) -> bool:
    """Whether a batch was certainly made for this attempt's shard."""
    marked = tags(job, attempt).items() <= batch.tags.items()
    return marked or (attempt.file_id is not None and batch.file_id == attempt.file_id)


def next_look(attempt: Attempt, now: datetime) -> float | None:
    """Seconds until it is looked for again; None: it was looked for often enough.

    An attempt in doubt keeps in `last_poll` when the doubt began.
    """
    assert attempt.last_poll is not None
    passed = now - attempt.last_poll
    return next((float((at - passed).total_seconds()) for at in LOOKS if passed < at), None)


def rivals(ledger: Ledger, job: Job, attempt: Attempt) -> bool:
    """Whether a batch of this size may as well be what another job of the account waits for.

    What was in doubt long before this create was heard, if at all, before its high-water mark.
    """
    assert attempt.intent_at is not None
    since = attempt.intent_at - LOOKS[-1]
    return any(
        other.rows == attempt.rows
        and other.state in states.IN_DOUBT
        and (other.last_poll is None or other.last_poll >= since)
        for each in ledger.jobs()
        if each.fingerprint == job.fingerprint and each.id != job.id
        for other in ledger.attempts(each.id)
    )


# --- the step ---------------------------------------------------------------------------


class Resolver:
    """Finds out what became of creates, and ends what was made twice."""

    def __init__(self, desk: Desk, on_unknown: OnUnknown) -> None:
        self._desk = desk
        self._on_unknown = on_unknown
        self._asked: set[int] = set()
        """Shards that this run has asked a person about."""
        self._swept = False
        self._elsewhere: dict[str, Batch] | None = None
        """By the shard's number: what was sent of this plan and is not in this ledger; None: it was
        not looked for yet."""

    def begin(self) -> None:
        """What was being sent when the last process ended is in doubt."""
        for attempt in self._desk.within("sending"):
            self.doubt(attempt, "the process ended while it was sent")

    def doubt(self, attempt: Attempt, why: str) -> Step:
        """A paid batch may exist: nothing is sent until it is known."""
        attempt = self._desk.move(attempt, "reply_lost", last_poll=self._desk.now, error=why)
        self._desk.tell("unknown", attempt, why=why)
        return Step(did="unknown", shard=attempt.shard)

    def step(self) -> Step | None:
        """Look for the batch of a create that was not answered."""
        held = [each for each in self._desk.within("held") if each.shard not in self._asked]
        for attempt in (*self._desk.within("unknown"), *held):
            left = self._desk.left("look", attempt.shard)
            return waiting("looking for a batch", left, attempt) if left else self._look(attempt)
        return None

    def _look(self, attempt: Attempt) -> Step:
        desk = self._desk
        try:
            found = find(desk.vendor, desk.job, attempt, self._known())
        except FAILURES as error:
            return desk.failed("look", error, attempt, shard=attempt.shard)
        desk.forget("look", attempt.shard)
        if found.batch is not None and not self._rivalled(attempt, found):
            return self._take(attempt, found)
        if attempt.state == "held":
            return self._answered(attempt, found)
        return self._nothing(attempt) if found.kind == "none" else self._hold(attempt, found)

    def _rivalled(self, attempt: Attempt, found: Found) -> bool:
        return found.kind == "probable" and rivals(self._desk.ledger, self._desk.job, attempt)

    def _take(self, attempt: Attempt, found: Found) -> Step:
        """It is this batch; what is ours besides it is ended first, while it is still in doubt."""
        assert found.batch is not None
        try:
            for each in found.extra:
                self.end_duplicate(each)
        except FAILURES as error:
            return self._desk.failed("look", error, attempt, shard=attempt.shard)
        self.adopt(attempt, found.batch, found.kind)
        return Step(did="adopted", shard=attempt.shard)

    def adopt(self, attempt: Attempt, batch: Batch, how: str) -> None:
        """This is the batch, by its marks (`exact`) or by its size (`probable`)."""
        attempt = self._desk.move(attempt, "adopted", adopted=how, error=None, **made(batch))
        self._desk.forget("create")
        self._desk.tell("adopted", attempt, batch=batch.id, how=how)

    def _nothing(self, attempt: Attempt) -> Step:
        """Nothing is there yet: look again, and when that was done often enough, decide."""
        desk = self._desk
        wait = next_look(attempt, desk.now)
        if wait is not None:
            desk.delay("look", attempt.shard).until = desk.now + timedelta(seconds=wait)
            desk.tell("looked", attempt, again_in=wait)
            return waiting("looking for a batch", wait, attempt)
        if self._on_unknown == "rearm" or desk.job.state == "cancelling":
            return self._rearm(attempt)
        return self._hold(attempt, Found(kind="none"))

    def _hold(self, attempt: Attempt, found: Found) -> Step:
        """Nobody can say whether a paid batch exists, or which: a person has to."""
        self._asked.add(attempt.shard)
        if attempt.state == "unknown":
            attempt = self._desk.move(attempt, "doubtful")
        ids = ", ".join(found.candidates)
        self._desk.tell("held", attempt, candidates=list(found.candidates))
        return self._desk.halt(
            f"the reply to sending shard {attempt.shard} was lost, and its batch is "
            f"{f'one of {ids}' if ids else 'not found'}",
            attempt,
        )

    def _answered(self, attempt: Attempt, found: Found) -> Step:
        """A shard that a person was asked about, looked at again by a new run."""
        return self._rearm(attempt) if self._on_unknown == "rearm" else self._hold(attempt, found)

    def _rearm(self, attempt: Attempt) -> Step:
        attempt = self._desk.move(attempt, "rearmed")
        self._desk.rearmed[attempt.shard] += 1
        self._desk.tell("rearmed", attempt)
        return Step(did="rearmed", shard=attempt.shard)

    def late(self, attempt: Attempt) -> Step | None:
        """The batch of a create that was given up on, found before it is sent again."""
        desk = self._desk
        if not desk.rearmed[attempt.shard] or attempt.intent_at is None:
            return None
        try:
            found = find(desk.vendor, desk.job, attempt, self._known())
        except FAILURES as error:
            return desk.failed("create", error, attempt)
        if found.batch is None:
            return None
        attempt = desk.move(attempt, "send")
        attempt = desk.move(attempt, "reply_lost", last_poll=desk.now)
        return self._take(attempt, found)

    def sent_elsewhere(self, attempt: Attempt) -> Step | None:
        """A batch of this very shard that is there already is taken, and not made again.

        Where a vendor keeps our marks, those back to when the plan was made say what was sent of
        it from another ledger, or from one that is lost.
        """
        desk = self._desk
        if self._elsewhere is None:
            try:
                self._elsewhere = dict(self._marked()) if desk.vendor.exact_match else {}
            except FAILURES as error:
                return desk.failed("create", error, attempt)
        batch = self._elsewhere.get(str(attempt.shard))
        if batch is None or (batch.counts is not None and batch.counts.total != attempt.rows):
            return None
        attempt = desk.move(attempt, "send", intent_at=batch.created, high_water=None)
        attempt = desk.move(attempt, "reply_lost", last_poll=desk.now)
        return self._take(attempt, Found(kind="exact", batch=batch))

    def _marked(self) -> Iterator[tuple[str, Batch]]:
        """(shard, batch) with this job's marks that the ledger does not know; the oldest last."""
        desk = self._desk
        known = self._known() | desk.named.get(DUPLICATE, set())
        since = datetime.fromisoformat(desk.plan.created) - SKEW
        for batch in takewhile(lambda each: each.created >= since, desk.vendor.listed()):
            empty = batch.phase == "failed" and not batch.results
            if batch.id not in known and not empty and batch.tags.get(JOB_TAG) == desk.job.id:
                yield batch.tags.get(SHARD_TAG, ""), batch

    def _known(self) -> frozenset[str]:
        """Ids that a batch in doubt cannot have."""
        desk = self._desk
        foreign = desk.named.get(FOREIGN, set())
        return desk.ledger.batches(desk.job.provider) | foreign

    # --- made twice ---------------------------------------------------------------------

    @property
    def repeated(self) -> tuple[Attempt, ...]:
        """Attempts whose create was repeated, so that a second batch may turn up."""
        return tuple(each for each in self._desk.attempts if self._desk.rearmed[each.shard])

    def stray(self, batch: Batch, known: Collection[str]) -> bool:
        """Whether a batch is ours for certain and one too many.

        Only of shards whose create was repeated: a batch with our marks that was never in doubt
        was sent from another ledger, and is not ours to end.
        """
        exact = self._desk.vendor.exact_match and batch.id not in known
        return exact and any(mine(batch, self._desk.job, each) for each in self.repeated)

    def end_duplicate(self, batch: Batch) -> None:
        """End it, and say so: rows that did not run cost nothing."""
        desk = self._desk
        if batch.id in desk.named.get(DUPLICATE, ()):
            return
        if batch.phase in ("running", "unknown"):
            desk.vendor.cancel(batch.id)
        desk.name(DUPLICATE, batch.id, status=batch.status)
        desk.tell("duplicate", batch=batch.id, status=batch.status)

    def sweep(self) -> Step | None:
        """Before the end: look for what a repeated create may have made twice."""
        desk = self._desk
        since = [each.intent_at for each in self.repeated if each.intent_at is not None]
        if self._swept or not since or not desk.vendor.exact_match:
            return None
        left = desk.left("sweep")
        if left:
            return waiting("looking for duplicates", left)
        known = desk.ledger.batches(desk.job.provider)
        try:
            for batch in desk.vendor.listed():
                if batch.created < min(since) - SKEW:
                    break
                if self.stray(batch, known):
                    self.end_duplicate(batch)
        except FAILURES as error:
            return desk.later("sweep", error)
        self._swept = True
        return None
