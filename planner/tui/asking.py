"""A screen that asks the core in threads: counting, what-ifs, and a closer look at one model.

The question is a Session; whatever a thread finds comes back as a message with the question it
answers, and what was overtaken by a key is asked again or dropped. What is shown, and which key
asks what, is the business of the screen that is made of this one.
"""

from __future__ import annotations

import time
from dataclasses import replace
from enum import StrEnum
from threading import Event
from typing import TYPE_CHECKING

from textual.message import Message
from textual.screen import Screen
from textual.worker import get_current_worker

from planner.errors import PlannerError
from planner.tui.session import Session, asked_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from textual.timer import Timer
    from textual.worker import Worker

    from planner.errors import Problem
    from planner.job import Job
    from planner.pipeline import Measured
    from planner.tui.desk import Answer, Closer, Desk, Grid, Loosened
    from planner.tui.session import Asked, Inputs
    from planner.workload.passes import Progress

PROGRESS_SECONDS = 0.1
"""No more than ten reports a second: one a row made counting ten times slower."""

STALE_AFTER = 0.15
"""Seconds until figures that are being recomputed are dimmed."""

STEP = 0.02
"""Seconds between two looks at whether a thread is still wanted."""

MOST_COUNTED = 8
"""Jobs whose counts are kept, so that undo need not read a file again."""


def slowed(progress: Callable[[int, int], object]) -> Progress:
    """The same, called ten times a second at the most."""
    last = time.monotonic()

    def report(rows: int, done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS:
            last = now
            progress(rows, done)

    return report


class State(StrEnum):
    """What the screen is about."""

    WELCOME = "welcome"
    COUNTING = "counting"
    FAILED = "failed"
    ANSWERED = "answered"


class Asking(Screen[object]):
    """The session, what was counted for it, and the threads that ask."""

    LOOK_AFTER = 0.25
    """Seconds of no key until a model is looked at more closely: keys come first."""

    class Progressed(Message):
        """So many rows and bytes are counted."""

        def __init__(self, rows: int, done: int) -> None:
            super().__init__()
            self.rows, self.done = rows, done

    class Counted(Message):
        """A count with its answer; `last` unless a closer one follows."""

        def __init__(self, measured: Measured, answer: Answer, *, last: bool) -> None:
            super().__init__()
            self.measured, self.answer, self.last = measured, answer, last

    class Stopped(Message):
        """The counting was ended before anything was known."""

        def __init__(self, asked: Asked) -> None:
            super().__init__()
            self.asked = asked

    class Failed(Message):
        """It could not be counted or answered."""

        def __init__(self, problems: tuple[Problem, ...]) -> None:
            super().__init__()
            self.problems = problems

    class Answered(Message):
        """A what-if was answered."""

        def __init__(self, answer: Answer) -> None:
            super().__init__()
            self.answer = answer

    class Hinted(Message):
        """What would do for the models without an answer."""

        def __init__(self, asked: Asked, loosened: Mapping[str, Loosened]) -> None:
            super().__init__()
            self.asked, self.loosened = asked, loosened

    class Mapped(Message):
        """What wins where, for one model."""

        def __init__(self, asked: Asked, model: str, grid: Grid) -> None:
            super().__init__()
            self.asked, self.model, self.grid = asked, model, grid

    class Looked(Message):
        """What would change one model's choice."""

        def __init__(self, asked: Asked, model: str, closer: Closer) -> None:
            super().__init__()
            self.asked, self.model, self.closer = asked, model, closer

    def __init__(self, desk: Desk, job: Job | None) -> None:
        super().__init__()
        self.desk = desk
        self.session = Session(now=asked_of(job))
        self.state = State.WELCOME if job is None else State.COUNTING
        self.measured: Measured | None = None
        self.problems: tuple[Problem, ...] = ()
        self.tightening = False
        """Whether a closer count goes on behind the answer that is shown."""
        self._known: dict[Job, Measured] = {}
        """By what decides a count."""
        self._busy = False
        self._slow: Timer | None = None
        """What dims the figures once an answer takes long."""
        self._stop = Event()

    # What the screen does with all that.

    @property
    def shown(self) -> Answer | None:
        """The answer that is on the screen, or was before another question."""
        raise NotImplementedError

    @property
    def looked_at(self) -> str | None:
        """The model that a closer look is for."""
        raise NotImplementedError

    @property
    def pictured(self) -> bool:
        """Whether a map is on the screen."""
        raise NotImplementedError

    def enter(self, state: State) -> None:
        """Show what that state is about."""
        raise NotImplementedError

    def accept(self, answer: Answer) -> None:
        """Show the answer to the question of the session."""
        raise NotImplementedError

    def dim(self, *, stale: bool) -> None:
        """Show whether figures are being recomputed."""
        raise NotImplementedError

    # --- a question ---------------------------------------------------------------------

    @property
    def job(self) -> Job | None:
        """The job that is asked about."""
        return self.session.job

    def ask(self, asked: Asked, *, anew: bool = False) -> None:
        """Another question; its job is counted where it was not yet, or `anew`."""
        self.session = self.session.asking(asked)
        self._follow(anew=anew)

    def undo(self) -> None:
        """The question before the last change."""
        self.session = self.session.undone()
        self._follow()

    def _follow(self, *, anew: bool = False) -> None:
        job = self.job
        known = None if anew or job is None else self._known.get(rows_of(job))
        if job is None:
            self.enter(State.WELCOME)
        elif known is None:
            self.count(self.session.now)
        else:
            self._leave_counting()
            self.measured = known if known.job == job else replace(known, job=job)
            self.recompute()

    # --- counting -----------------------------------------------------------------------

    def count(self, asked: Asked) -> None:
        """Count a job from its beginning, in a thread."""
        self._leave_counting()
        self._stop = stop = Event()
        self.enter(State.COUNTING)
        self.run_worker(
            lambda: self._counted(asked, stop), thread=True, exclusive=True, group="count"
        )

    def stop(self) -> None:
        """End the counting at its next report, with what there is by then."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether the end was asked for."""
        return self._stop.is_set()

    def _leave_counting(self) -> None:
        self._stop.set()
        self.tightening = False
        self.workers.cancel_group(self, "count")

    def _counted(self, asked: Asked, stop: Event) -> None:
        """In a thread: count and answer."""
        from planner.workload.draws import StoppedError

        worker = get_current_worker()
        said = slowed(lambda rows, done: self.post_message(self.Progressed(rows, done)))
        assert asked.job is not None

        def stopped() -> bool:
            return stop.is_set() or worker.is_cancelled

        try:
            for measured, last in self.desk.counts(asked.job, said, stopped):
                self._send(worker, self._found(measured, asked, last=last))
        except StoppedError:
            self._send(worker, self.Stopped(asked))
        except PlannerError as error:
            self._send(worker, self.Failed(error.problems))

    def _found(self, measured: Measured, asked: Asked, *, last: bool) -> Counted:
        import planner.tui.answer  # noqa: F401 -- here, where loading it holds up nobody

        return self.Counted(measured, self.desk.answer(measured, asked.inputs), last=last)

    def _send(self, worker: Worker[None], message: Message) -> None:
        if not worker.is_cancelled:
            self.post_message(message)

    def on_asking_counted(self, message: Counted) -> None:
        """A first answer, or a closer one behind it."""
        job = message.measured.job
        self._known[rows_of(job)] = message.measured
        if len(self._known) > MOST_COUNTED:
            del self._known[next(iter(self._known))]
        if job != self.job or self.state not in (State.COUNTING, State.ANSWERED):
            return
        self.measured, self.tightening = message.measured, not message.last
        if message.answer.asked == self.session.now:
            self.accept(message.answer)
            if message.last:
                self.look()
        else:
            self.recompute(anew=True)

    # --- what-if ------------------------------------------------------------------------

    def recompute(self, *, anew: bool = False) -> None:
        """Ask the core for the newest question; one at a time, the last one wins."""
        measured, inputs = self.measured, self.session.inputs
        if measured is None or (self.answers(self.session.now) and not anew):
            self.refresh_bindings()
            return
        if self._busy:
            return
        self._busy = True
        self.workers.cancel_group(self, "look")
        self._slow = self.set_timer(STALE_AFTER, lambda: self.dim(stale=True))
        self.run_worker(lambda: self._decided(measured, inputs), thread=True, group="answer")

    def _free(self) -> None:
        """The question that was asked is answered, or has failed."""
        self._busy = False
        if self._slow is not None:
            self._slow.stop()

    def answers(self, asked: Asked) -> bool:
        """Whether what is shown answers that question."""
        return self.shown is not None and self.shown.asked == asked

    def _decided(self, measured: Measured, inputs: Inputs) -> None:
        """In a thread."""
        try:
            self.post_message(self.Answered(self.desk.answer(measured, inputs)))
        except PlannerError as error:
            self.post_message(self.Failed(error.problems))

    def on_asking_answered(self, message: Answered) -> None:
        """Show the newest answer; one that was overtaken by a key is asked again."""
        self._free()
        stale = self.measured is not message.answer.measured
        if stale or message.answer.asked != self.session.now:
            self.recompute(anew=stale)
        elif self.state in (State.ANSWERED, State.FAILED):
            self.accept(message.answer)
            self.look()

    # --- a closer look ------------------------------------------------------------------

    def look(self) -> None:
        """What the model under the cursor needs, and what wins where: slower, so it comes after."""
        answer, measured, model = self.shown, self.measured, self.looked_at
        if answer is None or measured is None or model is None:
            return
        pictured = self.pictured
        self.run_worker(
            lambda: self._looked(measured, answer, model, pictured=pictured),
            thread=True,
            exclusive=True,
            group="look",
        )

    def _looked(self, measured: Measured, answer: Answer, model: str, *, pictured: bool) -> None:
        """In a thread, and only when no key has come for a moment."""
        worker = get_current_worker()
        end = time.monotonic() + self.LOOK_AFTER
        while time.monotonic() < end and not worker.is_cancelled:
            time.sleep(STEP)

        def stop() -> bool:
            return worker.is_cancelled

        asked = answer.asked
        if any(each.choice is None for each in answer.estimate.decision.models) and not stop():
            found = self.desk.loosened(measured, answer, stop=stop)
            self._send(worker, self.Hinted(asked, found))
        grid = self.desk.lane_map(answer, model, stop=stop) if pictured else None
        if grid is not None:
            self._send(worker, self.Mapped(asked, model, grid))
        closer = self.desk.closer(answer, model, stop=stop)
        if closer is not None:
            self._send(worker, self.Looked(asked, model, closer))
