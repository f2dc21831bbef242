"""What the screens do with jobs: look at the ledger, submit, follow, fetch, end, offer again.

Knows the hand-off and nothing of widgets; every function is called in a thread. A thread that
waits for a vendor wakes as soon as it is not wanted any more: leaving is no reason to lose a
job, which the ledger holds, and no reason to wait for a poll. A run of single requests sends
nothing more then, and waits a little for replies that are on their way: what is dropped may be
paid for, and is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from planner.errors import InputError, PlannerError
from planner.handoff import home
from planner.handoff.clock import Clock
from planner.tui.work import Board
from planner.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from planner.handing import Handoff, Ready, Seat
    from planner.handoff.desk import Step
    from planner.handoff.results import Tally
    from planner.rehearsing import Rehearsed
    from planner.tui.desk import Answer, Desk

LOOK = 0.05
"""Seconds between two looks at whether a waiting thread is still wanted."""
PATIENCE = 10.0
"""Seconds that replies are waited for once nobody wants a run any more."""


def drafted(desk: Desk, answer: Answer, option: str) -> Path:
    """The plan of an option as a new file where the program runs; PlannerError where there is none.

    The file's name is one that is free: nothing that stands there is overwritten.
    """
    from planner.tui import export

    stem = export.stem_of(answer)
    names = (f"{stem}{f'-{n}' if n else ''}{export.PLAN}" for n in count())
    path = next(path for name in names if not (path := Path(name)).exists())
    export.write(path, export.plan_text(desk, answer, option, path.parent))
    return path


class UnwantedError(Exception):
    """Nobody waits for this thread any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What came of an action, in a sentence."""

    text: str
    good: bool = True


class Hands:
    """The jobs of one data home."""

    def __init__(self, desk: Desk, *, time: Clock | None = None) -> None:
        """`time` in place of the machine's own: a rehearsed vendor's leaps."""
        self.desk = desk
        self._time = time
        self.leaving = Event()

    @property
    def data(self) -> Path:
        """Where the ledger is."""
        return home.data_home()

    # --- looking ------------------------------------------------------------------------

    def board(self) -> Board:
        """Every job as it stands now, the newest first; none where there is no ledger."""
        from planner import standing
        from planner.handoff.ledger import Ledger

        ledger = Ledger.read_only(self.data)
        if ledger is None:
            return Board(standings=(), now=self.desk.clock())
        with ledger:
            found = standing.standings(ledger)
        newest = sorted(found, key=lambda each: each.job.created, reverse=True)
        return Board(standings=tuple(newest), now=self.desk.clock())

    def tally(self, job_id: str) -> Tally | None:
        """What became of a job's rows, with their errors; None where nothing can be read."""
        from planner import handing, standing

        try:
            with standing.home_ledger(self.data) as ledger:
                return handing.tally(ledger, ledger.job(job_id))
        except (PlannerError, OSError):
            return None

    # --- doing --------------------------------------------------------------------------

    def follow(self, job_id: str, wanted: Callable[[], bool]) -> Said:
        """Bring a job to its end; PlannerError where a person is needed."""
        with self._taken(job_id, wanted) as job:
            job.admit()
            return _ended(job.drive().run())

    def fetch(self, job_id: str, wanted: Callable[[], bool]) -> Said:
        """Bring home what is there, send nothing, and write the answers."""
        from planner import handing

        found = handing.fetch(job_id, self._seat(wanted), handing.Terms())
        answered, every = found.tally.outcomes["succeeded"], found.tally.rows
        return Said(
            text=f"answered: {answered:,} of {counted(every, 'row')}: {found.file}",
            good=answered == every,
        )

    def cancel(self, job_id: str, wanted: Callable[[], bool]) -> Said:
        """Send nothing more, and end what is out."""
        with self._taken(job_id, wanted) as job:
            over = job.cancel(once=True).over is not None
        return Said(text="ended" if over else "ending; what the vendor bills is brought home by f")

    def again(self, job_id: str) -> Path:
        """The plan of the rows without an answer; InputError where there are none to send."""
        from planner import handing
        from planner.handoff.ledger import Ledger

        with Ledger.open(self.data) as ledger, ledger.lock(job_id):
            found = handing.follow_up(ledger, ledger.job(job_id), self.desk.clock())
        if found is None:
            raise InputError.of(
                "nothing-left",
                "no row would go better a second time",
                hint="rows that would fail again as they are stay out; planner fetch names them",
            )
        return found.plan_path

    @contextlib.contextmanager
    def _taken(self, job_id: str, wanted: Callable[[], bool]) -> Iterator[Handoff]:
        from planner import handing

        with handing.resuming(job_id, self._seat(wanted), handing.Terms()) as job:
            yield job

    # --- submitting ---------------------------------------------------------------------

    def submit(
        self,
        plan: Path,
        wanted: Callable[[], bool],
        ask: Callable[[Ready], bool],
    ) -> Said | None:
        """Open a plan, show what would be sent, and send it after a yes; None after a no.

        Comes back when everything is sent that has room, not when it is done: following is
        another action. PlannerError: the plan is stale, forbidden, without a key, and so on.
        """
        from planner import handing

        with handing.submitting(plan, self._seat(wanted), handing.Terms()) as job:
            if not ask(job.ready):
                return None
            admitted = job.admit()
            drive = job.drive()
            step = drive.once()
            while step.over is None and not step.wait:
                step = drive.once()
            sent = _ended(step)
        return Said(text=f"job {admitted.id}: {sent.text}", good=sent.good)

    def rehearse(self, plan: Path) -> Rehearsed:
        """The whole hand-off against a vendor on this machine; nothing leaves it."""
        from planner import handing, rehearsing

        def silent(_news: object) -> None:
            """Nobody is told."""

        now = self.desk.clock()
        return rehearsing.rehearse(plan, self.desk.catalog(), now, handing.Terms(), silent)

    def _seat(self, wanted: Callable[[], bool]) -> Seat:
        from planner import handing
        from planner.handoff import runner

        return handing.Seat(
            catalog=self.desk.catalog(),
            clock=self._clock(wanted),
            data=self.data,
            carry_out=partial(
                runner.carry_out,
                wanted=lambda: not self.leaving.is_set() and wanted(),
                patience=PATIENCE,
            ),
        )

    def _clock(self, wanted: Callable[[], bool]) -> Clock:
        """Time that goes on only while somebody wants to know; a run's pauses are its own.

        A pause that raised would tear the run's requests off, and they may be paid for.
        """

        def check() -> None:
            if self.leaving.is_set() or not wanted():
                raise UnwantedError

        def sleep(seconds: float) -> None:
            check()
            if self._time is not None:
                return self._time.sleep(seconds)
            left = seconds
            while left > 0:
                check()
                self.leaving.wait(min(LOOK, left))
                left -= LOOK
            return None

        pause = asyncio.sleep if self._time is None else self._time.pause
        return Clock(now=self.desk.clock, sleep=sleep, pause=pause)


def _ended(step: Step) -> Said:
    if step.over == "done":
        return Said(text="done")
    if step.over == "stopped":
        return Said(text=f"stopped: {step.because or 'a person is needed'}", good=False)
    return Said(text="sent; r follows it to the end")
