"""How the batches that are out stand: asked for seldom enough, believed only as far as it helps.

A status that nobody has documented is asked about again, and said. A batch that is not found is
an error to be sure of, never an end, since under another key nothing is found. Many batches are
asked for by one listing; a webhook was rejected, because it needs an address that a vendor can
reach, and may be lost as well.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from planner.handoff import reasons
from planner.handoff.desk import FAILURES, VOUCHED, Step, standing, waiting
from planner.handoff.resolve import SKEW
from planner.handoff.usage import BUCKETS, VENDOR_USAGE
from planner.handoff.vendor import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.handoff.desk import Desk
    from planner.handoff.ledger import Attempt
    from planner.handoff.resolve import Resolver
    from planner.handoff.vendor import Batch

LISTED_FROM: Final = 4
"""So many open batches are asked for by one listing; fewer, one by one."""
SOONEST, LATEST, SHARE_OF_AGE = 10.0, 300.0, 0.05
"""Seconds between two looks at a batch: a share of its age, within these."""
GONE_AFTER: Final = timedelta(minutes=10)
"""A batch that is not found for so long, and GONE_LOOKS times, is gone."""
GONE_LOOKS: Final = 3


class Following:
    """Asks how batches stand, and for the end of those that are to be cancelled."""

    def __init__(self, desk: Desk, resolver: Resolver) -> None:
        self._desk, self._resolver = desk, resolver
        self._spared: set[int] = set()
        """Shards whose batch is not ended, since it may be somebody else's."""
        self._hints: dict[int, float] = {}

    def step(self) -> Step | None:
        """Ask how the batches stand whose turn it is."""
        desk = self._desk
        out = desk.within("submitted", "cancelling")
        if not out:
            return None
        left = max(desk.left("poll"), min(map(self._left, out)))
        if left > 0:
            return waiting("batches are running", left)
        try:
            self._ask(out)
        except FAILURES as error:
            return desk.failed("poll", error)
        desk.forget("poll")
        return Step(did="polled")

    def _ask(self, out: Sequence[Attempt]) -> None:
        due = [each for each in out if self._left(each) <= 0]
        many = len(out) >= LISTED_FROM or bool(self._resolver.repeated)
        listed = self._listed(out) if many else {}
        for attempt in out if listed else due:
            self._seen(attempt, listed.get(attempt.batch_id or ""))

    def soonest(self) -> float:
        """Seconds until something that is out may be seen to have ended."""
        out = self._desk.within("submitted", "cancelling")
        return max(min(map(self._left, out), default=SOONEST), 1)

    def _left(self, attempt: Attempt) -> float:
        """Seconds until this batch is asked for again."""
        now = self._desk.now
        seen = attempt.last_poll or attempt.created_at or now
        age = (now - (attempt.created_at or seen)).total_seconds()
        every = min(max(age * SHARE_OF_AGE, SOONEST), LATEST)
        every = max(every, self._hints.get(attempt.shard, 0))
        return every - (now - seen).total_seconds()

    def _listed(self, out: Sequence[Attempt]) -> dict[str, Batch]:
        """Open batches by id from one listing; what is ours and one too many is ended."""
        desk = self._desk
        wanted = {each.batch_id for each in out}
        oldest = min(each.created_at or desk.now for each in out)
        known = desk.ledger.batches(desk.job.provider)
        found: dict[str, Batch] = {}
        for batch in desk.vendor.listed():
            if batch.id in wanted:
                found[batch.id] = batch
            elif self._resolver.stray(batch, known):
                self._resolver.end_duplicate(batch)
            if len(found) == len(wanted) or batch.created < oldest - SKEW:
                break
        return found

    # --- one batch ----------------------------------------------------------------------

    def _seen(self, attempt: Attempt, batch: Batch | None) -> None:
        """What a batch says of itself, into the ledger."""
        assert attempt.batch_id is not None
        try:
            batch = batch or self._desk.vendor.retrieve(attempt.batch_id)
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
        desk, before = self._desk, attempt.status
        attempt = desk.learn(attempt, last_poll=desk.now, **standing(batch))
        strange = batch.phase == "unknown" and before != batch.status
        kind = "strange_status" if strange else "polled"
        desk.tell(kind, attempt, status=batch.status, **figures(batch))

    def _ended(self, attempt: Attempt, batch: Batch) -> None:
        desk = self._desk
        if batch.usage is not None:
            # Kept for reconciliation: what its rows say is held against it.
            used = {name: getattr(batch.usage, name) for name in BUCKETS}
            desk.ledger.note(attempt.job, VENDOR_USAGE, desk.now, id=batch.id, **used)
        facts = {"ended_at": batch.ended or desk.now, "last_poll": desk.now, **standing(batch)}
        attempt = desk.move(attempt, "ended", **facts)
        desk.tell("ended", attempt, status=batch.status, **figures(batch))

    def _failed(self, attempt: Attempt, batch: Batch) -> None:
        """It was refused as a whole: again where a queue was full, else a person must look."""
        desk, said = self._desk, "; ".join(batch.errors) or batch.status
        facts = {"ended_at": batch.ended or desk.now, "last_poll": desk.now, **standing(batch)}
        attempt = desk.move(attempt, "failed", error=said, **facts)
        if batch.requeue and desk.job.state != "cancelling":
            desk.again(attempt)
            desk.tell("requeued", attempt, error=said)
            return
        desk.tell("failed", attempt, error=said)
        desk.halt(f"shard {attempt.shard} failed: {said}", attempt)

    def _not_found(self, attempt: Attempt) -> None:
        """Be sure of it before it is taken for gone: its rows may have been paid."""
        desk, batch_id = self._desk, attempt.batch_id
        events = desk.ledger.events(attempt.job)
        seen = [e.at for e in events if e.kind == "missing" and e.facts["batch_id"] == batch_id]
        desk.ledger.note(attempt.job, "missing", desk.now, batch_id=batch_id)
        desk.tell("missing", attempt, batch=batch_id, times=len(seen) + 1)
        if len(seen) + 1 >= GONE_LOOKS and desk.now - seen[0] >= GONE_AFTER:
            why = reasons.NOT_FOUND
            attempt = desk.move(attempt, "gone", error=why)
            desk.tell("lost", attempt, why=why, batch=batch_id)
        else:
            desk.learn(attempt, last_poll=desk.now)

    # --- cancelling ---------------------------------------------------------------------

    def cancel(self) -> Step | None:
        """Ask for the end of what a cancelled job still has running."""
        desk = self._desk
        out = desk.within("submitted") if desk.job.state == "cancelling" else []
        running = [each for each in out if not self._spare(each)]
        if not running:
            return None
        left = desk.left("cancel")
        return waiting("cancelling", left, running[0]) if left else self._cancel(running[0])

    def _cancel(self, attempt: Attempt) -> Step:
        assert attempt.batch_id is not None
        try:
            batch = self._desk.vendor.cancel(attempt.batch_id)
        except FAILURES as error:
            if isinstance(error, RefusedError) and error.kind in ("request", "missing"):
                return self._cancelled(attempt, None)  # it may be over; its status says so
            return self._desk.failed("cancel", error, attempt)
        return self._cancelled(attempt, batch)

    def _spare(self, attempt: Attempt) -> bool:
        """Whether a batch goes on because only its size says that it is ours."""
        vouched = attempt.batch_id in self._desk.named.get(VOUCHED, ())
        spared = attempt.adopted == "probable" and not vouched
        if spared and attempt.shard not in self._spared:
            self._spared.add(attempt.shard)
            self._desk.tell("spared", attempt, batch=attempt.batch_id, job=attempt.job)
        return spared

    def _cancelled(self, attempt: Attempt, batch: Batch | None) -> Step:
        facts: dict[str, Any] = {} if batch is None else standing(batch)
        attempt = self._desk.move(attempt, "cancel", **facts)
        self._desk.forget("cancel")
        self._desk.tell("cancel", attempt, batch=attempt.batch_id, status=attempt.status)
        return Step(did="cancel", shard=attempt.shard)


def figures(batch: Batch) -> dict[str, Any]:
    """Rows of a batch, as far as its vendor tells."""
    counts = batch.counts
    if counts is None:
        return {}
    told = {"succeeded": counts.succeeded, "errored": counts.errored}
    return {"rows": counts.total, **told, "canceled": counts.canceled, "expired": counts.expired}
