"""What became of a create whose reply was lost: found by listing, never by sending again.

Where a vendor keeps our tags, or names the file a batch was made of, a batch is ours for certain.
Where it keeps neither, it is the batch that is newer than the newest one before the call, has as
many rows, and is nobody else's in the ledger: probably ours, until its first row says so.

Nothing found is no proof, since the server may still be reading what we sent; it is looked for
again after a minute and after five more. What then follows is a person's choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from planner.handoff import states

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from planner.handoff.ledger import Attempt, Job, Ledger
    from planner.handoff.vendor import Batch, BatchVendor

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
    """Whether another job of the account is in doubt about a batch of the same size."""
    return any(
        other.rows == attempt.rows and other.state in states.IN_DOUBT
        for each in ledger.jobs()
        if each.fingerprint == job.fingerprint and each.id != job.id
        for other in ledger.attempts(each.id)
    )


def strays(
    vendor: BatchVendor, job: Job, doubted: Collection[Attempt], known: Collection[str]
) -> Iterator[Batch]:
    """Batches that are ours for certain, and that the ledger does not know.

    Only of shards whose create was repeated: a batch with our tags that was never in doubt was
    sent from another ledger, and is not ours to end.
    """
    first = min((each.intent_at for each in doubted if each.intent_at is not None), default=None)
    if first is None or not vendor.exact_match:
        return
    for batch in vendor.listed():
        if batch.created < first - SKEW:
            return
        if batch.id not in known and any(mine(batch, job, each) for each in doubted):
            yield batch
