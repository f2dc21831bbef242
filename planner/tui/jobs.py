"""The Jobs screen: what was handed off, how it goes against its plan, and what to do next.

Looks at the ledger every few seconds in a thread, without a lock: whoever runs a job is never
disturbed. What a key does with a job is in `hands`, what is said of it in `work`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.message import Message
from textual.worker import get_current_worker

from planner.errors import PlannerError, Problem
from planner.tui import notices
from planner.tui.listing import Listing
from planner.tui.pieces import Tone, paragraph
from planner.tui.places import Place
from planner.tui.widgets import Drawn, Prose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from textual.app import ComposeResult

    from planner.handoff.results import Tally
    from planner.standing import Standing
    from planner.tui.desk import Desk
    from planner.tui.hands import Hands, Said
    from planner.tui.pieces import Line
    from planner.tui.work import Board

LOOK_EVERY = 2.0
"""Seconds between two looks at the ledger."""

DOING = ("follow", "fetch", "again", "cancel")
"""What takes a job into this process's hands."""


class Course(Drawn):
    """Completion over time, drawn to the size there is."""

    def __init__(self) -> None:
        super().__init__(id="course")
        self.board: Board | None = None
        self.job: str | None = None

    def show(self, board: Board, job: str | None) -> None:
        """Another job, or the same later."""
        self.board, self.job = board, job
        self.redraw()

    def drawn(self) -> Iterable[Line]:
        """The chart, or nothing where there is no room for one."""
        from planner.tui import work

        it = self.board.of(self.job) if self.board is not None else None
        if it is None or self.board is None:
            return ()
        return work.completion(it, self.board.now, self.size.width, self.size.height)


class JobsScreen(Place):
    """Jobs as rows, the one under the cursor in full."""

    NAME = "Jobs"
    READING = (
        "> followed by a process · ~ waiting · + done · ! stopped · ? in doubt · x cancelled.",
        "● as it went · the dotted lines are a typical course and one that 95 in 100 keep · ┊ due.",
        "A job belongs to its ledger, not to this screen: leave, and follow it later.",
    )
    AUTO_FOCUS = "Listing"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "fetch", "Fetch", tooltip="Bring home what is there and write the answers"),
        Binding("r", "follow", "Follow", tooltip="Go on with the job, to its end"),
        Binding("t", "again", "Try again", tooltip="Offer rows without an answer as a new job"),
        Binding("c", "cancel", "End", tooltip="Send nothing more, and end what is out"),
        Binding("escape", "stop", "Stop", key_display="Esc", tooltip="Stop following; it goes on"),
    ]

    @dataclass
    class Looked(Message):
        """The ledger as it stands."""

        board: Board

    @dataclass
    class Counted(Message):
        """What became of a job's rows."""

        job: str
        tally: Tally | None

    @dataclass
    class Offered(Message):
        """The plan of the rows without an answer."""

        plan: Path

    @dataclass
    class Done(Message):
        """What came of an action."""

        said: Said

    @dataclass
    class Failed(Message):
        """The ledger could not be read, or (`acting`) an action was refused."""

        problems: tuple[Problem, ...]
        acting: bool = False

    def __init__(self, desk: Desk, hands: Callable[[], Hands]) -> None:
        super().__init__(desk)
        self._make = hands
        self._hands: Hands | None = None
        self.board: Board | None = None
        self.tallies: dict[tuple[str, int], Tally | None] = {}
        self.doing: str | None = None
        self.counts = Prose(id="counts")
        self.listing = Listing()
        self.detail = Prose(id="detail")
        self.course = Course()
        self.said = Prose(id="outcome")
        self.notice = Prose(id="notice")

    @property
    def CLI_TWIN(self) -> str:  # noqa: N802 -- as the other screens have it
        """The jobs, or the one under the cursor."""
        it = self._selected
        return "planner jobs" if it is None else f"planner jobs {it.job.id}"

    @property
    def hands(self) -> Hands:
        """What acts on jobs; loaded when it is first needed."""
        self._hands = self._hands or self._make()
        return self._hands

    def compose_stage(self) -> ComposeResult:
        """The list, then the job under its cursor."""
        yield self.notice
        yield self.counts
        yield self.listing
        with VerticalScroll(id="about", can_focus=False):
            yield self.said
            yield self.detail
            with Container(id="drawn"):
                yield self.course

    def on_mount(self) -> None:
        """Paint first, look afterwards and again and again."""
        self.notice.show(notices.looking_up())
        self._arrange(empty=True)
        self.set_interval(LOOK_EVERY, self._look)

    def on_screen_resume(self) -> None:
        """Look at once."""
        self.call_after_refresh(self._look)

    def on_unmount(self) -> None:
        """Wake every thread that waits for a vendor."""
        if self._hands is not None:
            self._hands.leaving.set()

    def _arrange(self, *, empty: bool) -> None:
        self.notice.display = empty
        for each in (self.counts, self.listing, self.query_one("#about")):
            each.display = not empty

    # --- looking ------------------------------------------------------------------------

    def _look(self) -> None:
        if self.is_current:
            self.run_worker(self._read, thread=True, exclusive=True, group="look")

    def _read(self) -> None:
        """In a thread."""
        try:
            self.post_message(self.Looked(self.hands.board()))
        except PlannerError as error:
            self.post_message(self.Failed(error.problems))

    def on_jobs_screen_looked(self, message: Looked) -> None:
        """Show it; the cursor stays on its job."""
        from planner.tui import work

        self.board = message.board
        self.top.show((f"looked at {message.board.now:%H:%M}",))
        if not message.board.standings:
            self.notice.show(work.EMPTY)
            self._arrange(empty=True)
        else:
            self._arrange(empty=False)
            self.counts.show_lines((work.summary(message.board),))
            self.listing.show(work.grid(message.board))
        self._show_job()

    def on_listing_moved(self) -> None:
        """Another job."""
        self._show_job()

    def _show_job(self) -> None:
        from planner.tui import work

        self.refresh_bindings()
        it = self._selected
        if it is None or self.board is None:
            return
        key = (it.job.id, it.rows.over)
        self.detail.show(work.detail(it, self.board.now, self.tallies.get(key)))
        self.course.show(self.board, it.job.id)
        if it.rows.failed and key not in self.tallies:
            self.tallies[key] = None
            self.run_worker(
                lambda: self._count(it.job.id), thread=True, exclusive=True, group="tally"
            )

    def _count(self, job: str) -> None:
        """In a thread: read what became of the rows."""
        self.post_message(self.Counted(job, self.hands.tally(job)))

    def on_jobs_screen_counted(self, message: Counted) -> None:
        """The errors of a job, grouped."""
        for key in self.tallies:
            if key[0] == message.job:
                self.tallies[key] = message.tally
        self._show_job()

    @property
    def _selected(self) -> Standing | None:
        return self.board.of(self.listing.cursor) if self.board is not None else None

    # --- doing --------------------------------------------------------------------------

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],  # noqa: ARG002 -- the library hands them over
    ) -> bool | None:
        """Whether the action means something for the job under the cursor."""
        if action == "stop":
            return self.doing is not None
        if action not in DOING:
            return True
        if self.doing is not None or self._selected is None:
            return False
        from planner.tui import work

        return work.can(self._selected, action)

    def _act(self, doing: str, act: Callable[[str, Callable[[], bool]], Said]) -> None:
        """Do something with the job under the cursor, in a thread."""
        it = self._selected
        if it is None:
            return
        job = it.job.id
        self.doing = doing
        self.said.show((paragraph(f"{doing} {job[:6]} ... (Esc stops)", Tone.MUTED),))
        self.refresh_bindings()
        self.run_worker(lambda: self._acted(act, job), thread=True, exclusive=True, group="act")

    def _acted(self, act: Callable[[str, Callable[[], bool]], Said], job: str) -> None:
        """In a thread."""
        from planner.tui.hands import Said, UnwantedError

        worker = get_current_worker()
        try:
            message: Message = self.Done(act(job, lambda: not worker.is_cancelled))
        except UnwantedError:
            message = self.Done(Said(text="stopped following; the job stands in the ledger"))
        except PlannerError as error:
            message = self.Failed(error.problems, acting=True)
        self.post_message(message)

    def on_jobs_screen_done(self, message: Done) -> None:
        """Say what came of it, and look again."""
        self.doing = None
        tone = Tone.GOOD if message.said.good else Tone.BAD
        self.said.show((paragraph(message.said.text, tone),))
        self._look()

    def on_jobs_screen_failed(self, message: Failed) -> None:
        """Say what was refused, and why; above the job where there is one."""
        self.doing = None if message.acting else self.doing
        place = self.said if self.board is not None and self.board.standings else self.notice
        place.show(notices.problems(message.problems))
        self.refresh_bindings()
        if message.acting:
            self._look()

    def action_fetch(self) -> None:
        """Bring home what is there."""
        self._act("fetching", self.hands.fetch)

    def action_follow(self) -> None:
        """To the end, or to where a person is needed."""
        self._act("following", self.hands.follow)

    def action_cancel(self) -> None:
        """After a yes."""
        from planner.tui import work
        from planner.tui.submit import Confirm

        it = self._selected
        if it is not None:
            self.app.push_screen(Confirm("End a job", work.ending(it), "end"), self._confirmed)

    def _confirmed(self, yes: bool | None) -> None:  # noqa: FBT001 -- the library's callback
        if yes:
            self._act("ending", self.hands.cancel)

    def action_again(self) -> None:
        """The rows without an answer as a job of their own, through the same door."""
        it = self._selected
        if it is not None:
            job = it.job.id
            self.run_worker(lambda: self._offer(job), thread=True, exclusive=True, group="act")

    def _offer(self, job: str) -> None:
        """In a thread: write the follow-up's plan, then ask as for any other."""
        try:
            self.post_message(self.Offered(self.hands.again(job)))
        except PlannerError as error:
            self.post_message(self.Failed(error.problems, acting=True))

    def on_jobs_screen_offered(self, message: Offered) -> None:
        """Through the same door."""
        from planner.tui.submit import Submit

        self.app.push_screen(Submit(self.hands, message.plan))

    def action_stop(self) -> None:
        """Let go of the job; the ledger holds it."""
        self.workers.cancel_group(self, "act")
