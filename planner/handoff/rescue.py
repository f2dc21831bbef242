"""Batch first, and at the last safe moment single requests for what it has left undone.

The moment is when the rest, sent one by one with its margin, would just be in time; it comes later
as rows finish. Then the batch is cancelled, and only rows whose batch is over are sent again, so
that no row is paid in both lanes. Every step is taken from what the ledger says: it may be killed
anywhere and taken again, and a scheduler may take the steps instead of a process that waits.

Asking the vendor to give way by raising its priority, or sending both at once and keeping the
first answer, were rejected: no vendor offers the one, and the other pays twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from planner.decision.realtime import quoted
from planner.errors import InputError
from planner.handoff import journal as journals
from planner.handoff import realtime, results, states
from planner.handoff import runner as runners
from planner.handoff.desk import BACKOFF_MOST, UNREACHABLE, Step, waiting
from planner.handoff.vendor import RefusedError
from planner.money import Usd, plus
from planner.words import counted, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from planner.handoff.desk import News
    from planner.handoff.ledger import Attempt, Job, Ledger, Note
    from planner.handoff.pacing import Direct, Pace
    from planner.handoff.realtime import Drive, Leg
    from planner.handoff.runner import Progress, Said
    from planner.handoff.submit import Submitter
    from planner.handoff.vendor import RealtimeVendor

BEGUN, SENDING, STOPPED, OVER = "rescue", "rescue sending", "rescue stopped", "rescue over"
"""Events of the ledger: from the first one on, nothing is sent as a batch any more."""

EARLY: Final = 120.0
"""Seconds before the moment that a scheduler's call switches: it comes a minute late at worst."""
LONGEST_WAIT: Final = 300.0
"""Seconds after which the moment is worked out anew, even if nothing seems to happen."""

Phase = Literal["batch", "cancelling", "realtime", "over"]

_LEFT: Final = frozenset({"canceled", "expired", "missing", "refused", "unsent"})
"""Outcomes of rows that no lane was paid for; those that failed are asked about one by one."""


def last_moment(
    pace: Pace, rows: int, *, deadline: datetime, confidence: float, cancel: float
) -> datetime:
    """When so many rows, sent one by one after a cancel, are done in time with that confidence.

    Deadline - quoted makespan of the rows - seconds of the cancel, as the plan reckons.
    """
    load = replace(pace.load, rows=rows)
    return deadline - timedelta(seconds=quoted(load, confidence) + cancel)


def over(ledger: Ledger, job: Job) -> bool:
    """Whether nothing is left to do; a job with a rescue may be done before its rest is sent."""
    if job.state != "done" or job.strategy != "rescue":
        return job.state == "done"
    kinds = {each.kind for each in ledger.events(job.id)}
    return OVER in kinds or (BEGUN not in kinds and job.stopped_because is not None)


class Rescue:
    """One job, a step at a time; whoever makes one holds the job's lock."""

    def __init__(  # noqa: PLR0913 -- the seams of a rescue
        self,
        submitter: Submitter,
        direct: Direct,
        open_realtime: Callable[[], RealtimeVendor],
        narrate: Callable[[News | Progress | Said], None] = lambda _event: None,
        *,
        both: bool = False,
        reopen: bool = True,
        most_doubts: int | None = None,
        gate: Callable[[Usd], str | None] = lambda _most: None,
        drive: Drive = runners.carry_out,
    ) -> None:
        """`both`: a person says that rows of a batch that does not end are sent as well.

        They may then be paid in both lanes. `reopen`: requests that were stopped go on, since a
        person has looked at why. `gate` says why so many dollars may not be spent now (a policy's
        cap of the day), or None. InputError where the plan has no deadline.
        """
        deadline = submitter.desk.plan.deadline
        if deadline is None:
            raise InputError.of("no-deadline", "a rescue is for a deadline, and the plan has none")
        self.submitter, self.direct, self.deadline = submitter, direct, deadline
        self._open, self._narrate = open_realtime, narrate
        self._both, self._reopen = both, reopen
        self._most_doubts, self._gate, self._drive = most_doubts, gate, drive
        self._desk = submitter.desk
        self._id = self._desk.job.id

    # --- what there is ------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """Where the job stands, by the ledger alone."""
        if over(self._desk.ledger, self._desk.refresh()):
            return "over"
        if self._last(BEGUN) is None:
            return "batch"
        return "realtime" if self._batch_over else "cancelling"

    @property
    def moment(self) -> datetime:
        """When to cancel, as far as is known now; it moves as rows finish."""
        return last_moment(
            self.direct.pace,
            sum(map(_unfinished, self._desk.attempts)),
            deadline=self.deadline,
            confidence=float(self._desk.plan.demand.confidence),
            cancel=self.direct.cancel,
        )

    def announcement(self) -> tuple[str, ...]:
        """What a person must know: when it switches, and what has to be there then."""
        return (
            f"at {iso(self.moment)} what the batch has left is cancelled and sent one by one,",
            f"to be done by {iso(self.deadline)}; the moment comes later as rows finish",
            "this holds only while a runner lives: keep this one, or let a scheduler step in:",
            f"* * * * * planner resume {self._id} --once",
        )

    @property
    def _batch_over(self) -> bool:
        return all(each.state in states.SETTLED for each in self._desk.attempts)

    # --- the loop -----------------------------------------------------------------------

    def run(self) -> Step:
        """Step after step to the end; the last step."""
        while True:
            step = self.step()
            if step.over is not None:
                return step
            self._desk.clock.sleep(min(step.wait, LONGEST_WAIT))

    def once(self) -> Step:
        """All that can be done now, as a scheduler calls it every minute; the last step."""
        while True:
            step = self.step(early=EARLY)
            if step.over is not None or step.wait > 0:
                return step

    def step(self, *, early: float = 0.0) -> Step:
        """The next thing there is to do; in the realtime phase that is the whole run."""
        phase = self.phase
        if phase == "over":
            return Step(did="done", over="done")
        if self._last(OVER) is not None:  # a person has ended it
            self.submitter.cancel()
            return self.submitter.step()
        if phase == "batch":
            return self._wait_for_batch(early)
        return self._end_batch() if phase == "cancelling" else self._finish()

    def _wait_for_batch(self, early: float) -> Step:
        if self._desk.refresh().state == "cancelling":
            return self.submitter.step()  # a person has ended it, which is no rescue
        left = (self.moment - self._desk.now).total_seconds() - early
        if left <= 0 and not self._batch_over:
            return self._begin("the last safe moment")
        step = self.submitter.step()
        if self._batch_over:
            if step.over is None:
                return step
            return self._begin("the batch is over") if self._left() else self._done()
        if step.over is None:
            return replace(step, wait=min(step.wait, max(left, 0.001)) if step.wait else 0.0)
        # A person has to look at it; until the moment there is time for that.
        return Step(did="waiting", wait=max(left, 0.001), because=step.because)

    def _begin(self, why: str) -> Step:
        """From here on nothing goes out as a batch; first in the ledger, then at the vendor."""
        ledger, now = self._desk.ledger, self._desk.now
        ledger.note(self._id, BEGUN, now, why=why, moment=iso(self.moment))
        self._narrate(runners.Said(text=f"rescue: {why}"))
        return Step(did="rescue", because=why)

    def _end_batch(self) -> Step:
        """Cancel, and wait for the end; rows whose batch is over need not wait for the others."""
        self.submitter.cancel()
        step = self.submitter.step()
        if step.over is None and step.wait <= 0:
            return step
        if self._left():
            return self._send()
        if step.over is None:
            return replace(step, because=self._why(step.because) if self._late(2) else step.because)
        if self._both and not self._late(1) and not self._batch_over:
            return waiting("the cancel may still end it", self.direct.cancel / 10)
        return step if self._batch_over else replace(step, because=self._why(step.because))

    def _finish(self) -> Step:
        """The batch is over: send what is left, and close the job."""
        return self._send() if self._left() else self._done()

    def _send(self) -> Step:
        """The runner, on every row that may be sent; its own journal knows how far it is."""
        desk = self._desk
        if not self._reopen and self._last(SENDING, STOPPED) == STOPPED:
            return Step(did="stopped", over="stopped", because=desk.refresh().stopped_because)
        others = {row.index for row in self._rows() if not self._goes(row)}
        try:
            vendor = self._open()
        except UNREACHABLE as error:
            return waiting(str(error), BACKOFF_MOST / 10)
        except RefusedError as error:
            return self._halt(error.message)
        if desk.refresh().state in ("done", "stopped"):
            desk.ledger.settle(self._id, "open", desk.now)
        desk.ledger.note(self._id, SENDING, desk.now)
        outcome = realtime.send(
            self._leg(),
            vendor,
            others=others,
            most_doubts=self._most_doubts,
            narrate=self._narrate,
            drive=self._drive,
            gate=self._gate,
        )
        if not outcome.left:
            return Step(did="realtime")
        self.submitter.write()
        return self._halt(outcome.stopped)

    def _halt(self, because: str | None) -> Step:
        """A person has to look at it; the rest waits."""
        desk = self._desk
        desk.ledger.note(self._id, STOPPED, desk.now, because=because)
        desk.ledger.settle(self._id, "stopped", desk.now, because=because)
        return Step(did="stopped", over="stopped", because=because)

    def _done(self) -> Step:
        desk = self._desk
        if self._last(SENDING) is not None:
            self._settle()
        if desk.refresh().state != "done":
            self.submitter.write()
            desk.ledger.settle(self._id, "done", desk.now)
        desk.ledger.note(self._id, OVER, desk.now)
        return Step(did="done", over="done")

    def _settle(self) -> None:
        """The bill of the single requests by their journal; held is only what is in doubt."""
        standing = journals.standing(self._desk.folder)
        realtime.charge(self._leg(), plus(standing.held, standing.out))

    # --- rows ---------------------------------------------------------------------------

    def _leg(self) -> Leg:
        it = self._desk
        return realtime.Leg(
            ledger=it.ledger,
            job=self._id,
            plan=it.plan,
            shards=tuple(it.shards.values()),
            folder=it.folder,
            direct=self.direct,
            clock=it.clock,
        )

    def _rows(self) -> Iterator[results.Row]:
        """What the batch has made of every row."""
        it = self._desk
        shards = tuple(it.shards.values())
        yield from results.batch_leg(it.ledger, self._id, it.folder, shards, it.vendor.result)

    def _goes(self, row: results.Row) -> bool:
        """Whether a row is for the runner: its batch is over, and it has no answer from there."""
        if row.settled:
            return False
        if row.outcome in ("pending", "lost"):
            return self._both and self._late(1)
        return row.outcome in _LEFT or (row.outcome == "errored" and not row.permanent)

    def _left(self) -> bool:
        """Whether the runner has anything to do."""
        over = [each for each in self._desk.attempts if each.state in states.SETTLED]
        if not over and not self._both:
            return False
        done = journals.standing(self._desk.folder).done
        return any(self._goes(row) and row.index not in done for row in self._rows())

    # --- a batch that does not end ------------------------------------------------------

    def _late(self, times: int) -> bool:
        """Whether the batch should have ended by now, so many times over."""
        begun = next((each.at for each in self._events if each.kind == BEGUN), self._desk.now)
        return (self._desk.now - begun).total_seconds() > times * self.direct.cancel

    def _why(self, because: str | None) -> str:
        unsettled = [each for each in self._desk.attempts if each.state not in states.SETTLED]
        some = counted(sum(each.rows for each in unsettled), "row")
        said = because or "a batch has not ended"
        if self._both:
            return f"{said}: what was open ({some}) was sent again, and may be billed there too"
        return (
            f"{said}: what is open of it ({some}) is not sent again, since it may be answered and "
            "billed there, unless a person says so"
        )

    @property
    def _events(self) -> tuple[Note, ...]:
        return self._desk.ledger.events(self._id)

    def _last(self, *kinds: str) -> str | None:
        """The newest of these events."""
        return next((e.kind for e in reversed(self._events) if e.kind in kinds), None)


def _unfinished(attempt: Attempt) -> int:
    """Rows of a shard that are not known to be answered; vendors keep most counts to the end."""
    return attempt.rows - (attempt.counts.succeeded if attempt.counts is not None else 0)
