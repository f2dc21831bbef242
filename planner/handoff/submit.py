"""The one loop of a job of batches: each step does one thing that may be done again after a kill.

A step looks at what the ledger says and takes the most urgent thing there is to do: find out
what became of a create, merge, fetch, ask how batches stand, send the next shard that has room.
So `resume` after a kill is nothing but the next step, and a workflow engine may take one step at
a time. A thread for each batch was rejected: what is possible after a kill would then depend on
which of them were where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.errors import InputError
from planner.handoff import followup, reasons, states
from planner.handoff.desk import FAILURES, VOUCHED, Desk, News, Step
from planner.handoff.following import Following
from planner.handoff.harvest import Harvest, outcomes
from planner.handoff.resolve import OnUnknown, Resolver
from planner.handoff.results import OUT, Format
from planner.handoff.sending import Queue, Sending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from planner.handoff.build import Shard
    from planner.handoff.clock import Clock
    from planner.handoff.ledger import Attempt, Job, Ledger
    from planner.handoff.plan import Plan
    from planner.handoff.results import Tally
    from planner.handoff.vendor import BatchVendor

__all__ = ["News", "OnUnknown", "Queue", "Step", "Submitter"]


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
        form: Format = "jsonl",
        reopen: bool = True,
        accept_short: bool = False,
        checkpoint: Callable[[str], None] = lambda _step: None,
    ) -> None:
        """Put in order what the process before this one was in the middle of.

        `queue` is what the account may have queued at once. `gate` says why a shard may not be
        sent now (a policy's cap of the day), or None. `reopen`: a job that stopped goes on,
        since a person has looked at why; without it, as from cron, what is out is brought home
        and nothing new is sent. `accept_short`: results that stay below the vendor's counts are
        taken as they are.

        InputError where the vendor is opened for another account.
        """
        self.desk = Desk(ledger, job, plan, shards, folder, vendor, clock, narrate, checkpoint)
        self._form = form
        self._resolver = Resolver(self.desk, on_unknown)
        self._following = Following(self.desk, self._resolver)
        self._harvest = Harvest(self.desk, accept_short=accept_short)
        self._sending = Sending(
            self.desk, self._resolver, queue or Queue(), gate, self._following.soonest
        )
        if job.state == "stopped" and reopen:
            ledger.settle(job.id, "open", self.desk.now)
        self.desk.refresh()
        self._resolver.begin()
        self._sending.begin()

    def run(self, until: datetime | None = None) -> Step:
        """Step after step to the end, or to a moment; the last step."""
        clock = self.desk.clock
        while True:
            step = self.step()
            if step.over is not None or (until is not None and clock.now() >= until):
                return step
            if step.wait > 0:
                left = step.wait if until is None else (until - clock.now()).total_seconds()
                clock.sleep(min(step.wait, left))

    def step(self) -> Step:
        """One step; it may be taken again at any time, by any process that holds the lock."""
        step = self._first(
            self._sending.give_up,
            self._following.cancel,
            self._resolver.step,
            self._harvest.merge,
            self._harvest.fetch,
            self._following.step,
            self._sending.step,
        )
        return step or self._finish()

    def collect(self) -> Step:
        """A step that sends nothing and ends nothing: bring home what is over at the vendor."""
        step = self._first(self._harvest.merge, self._harvest.fetch, self._following.step)
        return step or Step(did="collected", over="done")

    def _first(self, *acts: Callable[[], Step | None]) -> Step | None:
        """What the first does that has something to do, else the shortest wait."""
        self.desk.refresh()
        waits: list[Step] = []
        for act in acts:
            step = act()
            if step is not None and not step.wait:
                return step
            if step is not None:
                waits.append(step)
        return min(waits, key=lambda each: each.wait) if waits else None

    def cancel(self) -> None:
        """From now on nothing is sent, and what is out is ended; answers that exist are kept."""
        desk = self.desk
        if desk.refresh().state not in ("done", "cancelling"):
            desk.job = desk.ledger.settle(desk.job.id, "cancelling", desk.now)
            desk.tell("cancelling")

    def adopt(self, shard: int, batch_id: str) -> None:
        """A person says which batch a shard in doubt became; InputError where it cannot be."""
        desk = self.desk
        attempt = next((each for each in desk.within("held") if each.shard == shard), None)
        if attempt is None:
            raise InputError.of("not-in-doubt", f"shard {shard} does not wait for an answer")
        if batch_id in desk.ledger.batches(desk.job.provider):
            raise InputError.of("known-batch", f"batch {batch_id} belongs to another shard")
        try:
            batch = desk.vendor.retrieve(batch_id)
        except FAILURES as error:
            raise InputError.of("no-batch", f"batch {batch_id}: {error}") from None
        if batch.counts is not None and batch.counts.total != attempt.rows:
            raise InputError.of(
                "other-size",
                f"batch {batch_id} has {batch.counts.total:,} rows, and shard {shard} has "
                f"{attempt.rows:,}",
            )
        self._resolver.adopt(attempt, batch, "probable")

    def vouch(self, batch_id: str) -> None:
        """A person says that a batch is ours which was taken for it by its size alone.

        From then on a cancel ends it like any other; without it, it runs to its end, since it
        may be somebody else's. InputError where no shard was adopted so.
        """
        desk = self.desk
        unsure = {each.batch_id for each in desk.attempts if each.adopted == "probable"}
        if batch_id not in unsure:
            raise InputError.of(
                "not-unsure",
                f"batch {batch_id} is none that job {desk.job.id} took for its own by its size",
                hint=f"planner jobs {desk.job.id} lists its batches; those are marked (probably)",
            )
        if batch_id not in desk.named.get(VOUCHED, ()):
            desk.name(VOUCHED, batch_id)

    def write(self) -> Tally:
        """The merged file as far as there are answers, and those of the jobs that it follows."""
        desk = self.desk
        parse = desk.vendor.result
        counted = followup.write(
            desk.ledger, desk.job.id, parse, form=self._form, checkpoint=desk.checkpoint
        )
        desk.tell("written", file=f"results.{self._form}", **outcomes(counted))
        for parent, rows in followup.write_parents(desk.ledger, desk.job, parse):
            desk.tell("written", job=parent, **outcomes(rows))
        return counted

    def _finish(self) -> Step:
        """Nothing is left to do: write the merged file, and say how it ended."""
        desk = self.desk
        swept = self._resolver.sweep()
        if swept is not None:
            return swept
        done = desk.job.state == "done" and (desk.folder / OUT / f"results.{self._form}").exists()
        if not done and any(each.state == "merged" for each in desk.attempts):
            self.write()
        settled = all(each.state in states.SETTLED for each in desk.attempts)
        if desk.job.state == "stopped" or not settled:
            return self._stopped()
        if desk.job.state != "done":
            because = reasons.CANCELLED if desk.job.state == "cancelling" else None
            desk.job = desk.ledger.settle(desk.job.id, "done", desk.now, because=because)
            desk.tell("done")
        return Step(did="done", over="done", because=desk.job.stopped_because)

    def _stopped(self) -> Step:
        """Something waits for a person; a job that is cancelled stays one that is."""
        desk = self.desk
        because = desk.job.stopped_because or "a shard waits for an answer"
        if desk.job.state == "open":
            desk.halt(because)
        return Step(did="stopped", over="stopped", because=because)
