"""Results come home: fetched whole, proved, taken as ours, counted, billed; then a shard is done.

A fetch that fails releases no row: it is repeated for as long as the vendor keeps the results.
What the vendor calls its batch does not matter here, since a cancelled, an expired and a failed
one may all hold rows that were paid for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from planner.handoff import reasons, results
from planner.handoff.billing import Bill, Book
from planner.handoff.desk import FAILURES, FOREIGN, Step, sha256, standing, waiting
from planner.handoff.vendor import RefusedError
from planner.money import ZERO, difference, total

if TYPE_CHECKING:
    from pathlib import Path

    from planner.handoff.desk import Desk
    from planner.handoff.ledger import Attempt
    from planner.handoff.results import Lines, Proof, Tally

OVER: Final = frozenset({"ended", "failed"})
SHORT_TRIES: Final = 5
"""So often are results that fall short of the vendor's counts fetched before a person is asked."""


class Harvest:
    """Fetches and merges, a shard at a time."""

    def __init__(self, desk: Desk, *, accept_short: bool) -> None:
        self._desk = desk
        self._accept_short = accept_short
        self._asked: set[int] = set()
        """Shards whose results stayed short, so that a person was asked."""

    # --- fetching -----------------------------------------------------------------------

    def fetch(self) -> Step | None:
        """Bring home the results of a batch that is over."""
        desk = self._desk
        ended = [each for each in desk.within("ended") if each.shard not in self._asked]
        if not ended:
            return None
        attempt = min(ended, key=lambda each: desk.left("fetch", each.shard))
        left = desk.left("fetch", attempt.shard)
        if left:
            return waiting("results are not here yet", left, attempt)
        assert attempt.batch_id is not None
        try:
            batch = desk.vendor.retrieve(attempt.batch_id)
            told = {name: each for name, each in standing(batch).items() if each is not None}
            attempt = desk.learn(attempt, **told)  # what was told once stays known
            if not batch.results and batch.phase not in OVER:
                why = f"its status is {batch.status} again"
                return desk.later("fetch", why, attempt, shard=attempt.shard)
            files = results.fetch(desk.vendor, batch, attempt, desk.folder, desk.checkpoint)
        except FAILURES as error:
            return self._failed(error, attempt)
        return self._judge(attempt, files)

    def _failed(self, error: Exception, attempt: Attempt) -> Step:
        if isinstance(error, RefusedError) and error.kind == "missing" and self._expired(attempt):
            return self._lose(attempt)
        return self._desk.failed("fetch", error, attempt, shard=attempt.shard)

    def _expired(self, attempt: Attempt) -> bool:
        return attempt.harvest_by is not None and self._desk.now > attempt.harvest_by

    def _lose(self, attempt: Attempt) -> Step:
        why = reasons.NOT_KEPT
        attempt = self._desk.move(attempt, "gone", error=why)
        self._desk.tell("lost", attempt, why=why, batch=attempt.batch_id)
        return Step(did="lost", shard=attempt.shard)

    def _judge(self, attempt: Attempt, files: tuple[Path, ...]) -> Step:
        """Whether what was downloaded is all there is."""
        desk = self._desk
        lines = self._lines(attempt, files)
        proof = results.prove(lines, attempt.counts)
        fell_short = proof in ("short", "unproved")
        if fell_short and not self._accept_short:
            step = self._short(attempt, files, lines, proof)
            if step is not None:
                return step
        desk.forget("fetch", attempt.shard)
        taken = {"error": results.SHORT} if fell_short and self._accept_short else {}
        attempt = desk.move(attempt, "fetched", **taken)
        told = {"rows": lines.seen, "foreign": lines.foreign, "unreadable": lines.unreadable}
        desk.tell("fetched", attempt, proof=proof, **told)
        return Step(did="fetched", shard=attempt.shard)

    def _lines(self, attempt: Attempt, files: tuple[Path, ...]) -> Lines:
        desk = self._desk
        return results.lines_of(desk.shards[attempt.shard], desk.job.id, files, desk.vendor.result)

    def _short(
        self, attempt: Attempt, files: tuple[Path, ...], lines: Lines, proof: Proof
    ) -> Step | None:
        """Fetch again; None: take it, since the same bytes twice prove what no count does."""
        desk = self._desk
        if self._expired(attempt) and not files:
            return self._lose(attempt)
        delay = desk.delay("fetch", attempt.shard)
        same = ",".join(sha256(path) or "" for path in files)
        if proof == "unproved" and same == delay.seen:
            return None
        delay.seen = same
        expected = None if attempt.counts is None else attempt.counts.succeeded
        told = {"rows": lines.seen, "expected": expected, "unreadable": lines.unreadable}
        desk.tell("short", attempt, proof=proof, **told)
        if delay.tries + 1 < SHORT_TRIES:
            return desk.later("fetch", "results are not whole", attempt, shard=attempt.shard)
        self._asked.add(attempt.shard)
        return desk.halt(
            f"the results of shard {attempt.shard} hold {lines.seen:,} rows, fewer than the "
            "vendor counts",
            attempt,
        )

    # --- merging ------------------------------------------------------------------------

    def merge(self) -> Step | None:
        """Count what a shard came to and what it cost; then its rows are safe."""
        desk = self._desk
        fetched = desk.within("fetched")
        if not fetched:
            return None
        attempt = fetched[0]
        if attempt.adopted == "probable" and self._foreign(attempt):
            return Step(did="foreign", shard=attempt.shard)
        counted = self._counted(attempt)
        attempt = desk.move(attempt, "merged")
        desk.tell("merged", attempt, **outcomes(counted))
        return Step(did="merged", shard=attempt.shard)

    def _foreign(self, attempt: Attempt) -> bool:
        """Whether an adopted batch is somebody else's; it is let go, and never cancelled."""
        desk = self._desk
        lines = self._lines(attempt, results.files_of(desk.folder, attempt))
        if not lines.foreign or lines.seen:
            return False
        assert attempt.batch_id is not None
        desk.name(FOREIGN, attempt.batch_id)
        results.discard(desk.folder, attempt)
        let_go = dict.fromkeys(("batch_id", "adopted", "created_at", "ended_at", "counts"))
        attempt = desk.move(attempt, "foreign", last_poll=desk.now, **let_go)
        desk.tell("foreign", attempt)
        return True

    def _counted(self, attempt: Attempt) -> Tally:
        """The shard's rows by what became of them; its bill goes into the ledger."""
        desk = self._desk
        leg = results.batch_leg(
            desk.ledger, desk.job.id, desk.folder, tuple(desk.shards.values()), desk.vendor.result
        )
        counted, bill = results.Tally(), Bill(Book.of(desk.plan))
        for row in leg.shard(desk.shards[attempt.shard]):
            counted.add(row)
            if row.result is not None and row.result.usage is not None:
                bill.add(row.result.usage, desk.plan.choice.lane)
        self._charge(attempt, bill)
        return counted

    def _charge(self, attempt: Attempt, bill: Bill) -> None:
        """What is known of the bill; the rest of the ceiling stays aside where a rate is not."""
        desk = self._desk
        known, unpriced = bill.known, bill.unpriced
        billed = total(each.amount for each in known if each.amount is not None)
        aside = max(difference(attempt.ceiling, billed), ZERO) if unpriced else ZERO
        desk.ledger.bill(
            desk.job.id,
            "batch",
            known,  # type: ignore[arg-type]  # their rates are known
            desk.now,
            shard=attempt.shard,
            aside=aside,
        )
        for line in unpriced:
            told = {"meter": line.meter, "quantity": line.quantity}
            desk.ledger.note(desk.job.id, "unpriced", desk.now, shard=attempt.shard, **told)
            desk.tell("unpriced", attempt, **told)


def outcomes(counted: Tally) -> dict[str, Any]:
    """Rows by what became of them, as figures."""
    told: dict[str, Any] = {"rows": counted.rows}
    return told | {str(name): count for name, count in counted.outcomes.items()}
