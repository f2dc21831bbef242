"""The Budget screen: what a meeting looks at, from a budget file or from the job that is planned.

Holds an agenda, a question and a stance, each frozen; a key makes a new one and the core is
asked again in a thread. Nothing here adds, prices or scales.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.worker import get_current_worker

from planner.errors import PlannerError, Problem
from planner.tui import notices
from planner.tui.pieces import BLANK, Paragraph, Piece, Tone, paragraph
from planner.tui.places import Place
from planner.tui.widgets import Drawn, Prose

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from textual.app import ComposeResult

    from planner.outlook import Agenda, Page, Question
    from planner.tui.agenda import Source
    from planner.tui.desk import Desk
    from planner.tui.meeting import Stance
    from planner.tui.pieces import Line

TWO, HALF = Fraction(2), Fraction(1, 2)

HELPS = ("retry", "sample")
"""What may be done about a failure."""

EMPTY = (
    Paragraph(body=(Piece("Nothing is planned yet.", Tone.STRONG),)),
    paragraph(
        "This is the page for a meeting: what a job costs a month in realtime and in batch, large "
        "enough to read from the back, and what the saving costs in time.",
        Tone.MUTED,
    ),
    BLANK,
    Paragraph(
        body=(Piece("plan a job first; then 4 shows it"),),
        mark=Piece("1     ", Tone.KEY),
        action="app.place('Plan')",
    ),
    Paragraph(
        body=(Piece("the shipped budget, to look around"),),
        mark=Piece("b     ", Tone.KEY),
        action="sample",
    ),
    BLANK,
    paragraph("With a budget file of your own: planner budget.yaml", Tone.MUTED),
)


class State(StrEnum):
    """What the screen is about."""

    EMPTY = "empty"
    READING = "reading"
    FAILED = "failed"
    SHOWN = "shown"


SHOWN_ONLY = {"volume", "page", "period", "case", "copy", "export"}
"""What means something of a page alone."""


class Board(Drawn):
    """The page, drawn to the size there is."""

    def __init__(self) -> None:
        super().__init__(id="board")
        self.page: Page | None = None
        self.stance: Stance | None = None

    def show(self, page: Page, stance: Stance) -> None:
        """Another page, or the same looked at in another way."""
        self.page, self.stance = page, stance
        self.redraw()

    def drawn(self) -> Iterable[Line]:
        """As large as it goes."""
        if self.page is None or self.stance is None:
            return ()
        from planner.tui import meeting

        return meeting.lines(self.page, self.stance, self.size.width, self.size.height)


class BudgetScreen(Place):
    """Two figures, and what the difference costs in time."""

    NAME = "Budget"
    READING = (
        "Low and high move each driver alone to its end; all figures are at the volume on top.",
        (
            "Each saving is against the ordinary lane at list price, beside its wait, how likely "
            "that is by the deadline, and the grade of what is known about it."
        ),
        "A month is the one named at the bottom; a price that changes in the period is in it.",
    )
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,plus,equals_sign", "volume(1)", "Volume", key_display="↑", tooltip="Twice"),
        Binding("down,minus", "volume(-1)", "Volume", key_display="↓", tooltip="Half the rows"),
        Binding("left", "page(-1)", "Model", key_display="←", tooltip="The model or job before"),
        Binding("right", "page(1)", "Model", key_display="→", tooltip="The next model or job"),
        Binding("m", "period", "Month/year", tooltip="A month, or the whole period"),
        Binding("s", "case", "Low/high", tooltip="As expected, if the high comes, if the low"),
        Binding("r", "runs", "Runs", tooltip="Runs a month: 1, 4, 22, 30"),
        Binding("u", "undo", "Undo", tooltip="Undo the last change of volume or runs"),
        Binding("y", "copy", "Copy", tooltip="Copy the page as Markdown"),
        Binding("x", "export", "Export", tooltip="Write the page, its budget or a picture"),
        Binding("r", "retry", "Retry", tooltip="Read it again, once it is mended"),
        Binding("b", "sample", "Sample", tooltip="The shipped budget, to look around"),
    ]

    @dataclass
    class Read(Message):
        """There is something to talk about."""

        agenda: Agenda

    @dataclass
    class Paged(Message):
        """A question is answered."""

        agenda: Agenda
        asked: Question
        page: Page

    @dataclass
    class Failed(Message):
        """It could not be read or answered."""

        problems: tuple[Problem, ...]

    def __init__(self, desk: Desk, source: Source) -> None:
        super().__init__(desk)
        self.source = source
        self.state = State.EMPTY
        self.agenda: Agenda | None = None
        self.asked: Question | None = None
        self.earlier: tuple[Question, ...] = ()
        self.stance: Stance | None = None
        self._from: Hashable = None
        self._busy = False
        self.board = Board()
        self.notice = Prose(id="notice")

    @property
    def CLI_TWIN(self) -> str:  # noqa: N802 -- as the other screens have it
        """The budget of the file; of a planned job, the estimate that its months are made of."""
        return self.source.command(self.desk)

    def compose_stage(self) -> ComposeResult:
        """The page, or what to do without one."""
        yield self.board
        yield self.notice

    def on_mount(self) -> None:
        """Paint first."""
        self._enter(State.EMPTY)

    def on_screen_resume(self) -> None:
        """Each time it is gone to: another job may have been planned meanwhile."""
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        wanted = self.source.wanted()
        if wanted is not None and wanted != self._from:
            self._from = wanted
            self._read()

    def _read(self) -> None:
        self._enter(State.READING)
        self.run_worker(self._gather, thread=True, exclusive=True, group="read")

    def _gather(self) -> None:
        """In a thread: have everything measured and priced."""
        worker = get_current_worker()
        try:
            agenda = self.source.agenda(self.desk)
        except PlannerError as error:
            self.post_message(self.Failed(error.problems))
        else:
            if not worker.is_cancelled:
                self.post_message(self.Read(agenda))

    def on_budget_screen_read(self, message: Read) -> None:
        """Its first page."""
        from planner.outlook import Question
        from planner.tui.meeting import Stance

        self.agenda, self.asked, self.earlier = message.agenda, Question(), ()
        self.stance = self.stance or Stance()
        self._ask()

    def on_budget_screen_failed(self, message: Failed) -> None:
        """Say what is wrong, where, and what to do."""
        self._busy = False
        self._enter(State.FAILED)
        known = [each for each in self.BINDINGS if isinstance(each, Binding)]
        keys = [(each.key, each.tooltip) for each in known if each.action in HELPS]
        self.notice.show((*notices.problems(message.problems), *notices.next_keys(keys)))

    def _enter(self, state: State) -> None:
        self.state = state
        self.board.display = state is State.SHOWN
        self.notice.display = state is not State.SHOWN
        self.notice.set_class(state is State.FAILED, "-failed")
        if state is State.EMPTY:
            self.notice.show(EMPTY)
        elif state is State.READING:
            self.notice.show(notices.looking_up())
        page = self.board.page
        self.top.show(notices.freshness(self.desk.on, page.evidence.age_days if page else None))
        self.refresh_bindings()

    def check_action(
        self,
        action: str,
        parameters: tuple[object, ...],  # noqa: ARG002 -- the library hands them over
    ) -> bool | None:
        """Whether the action means something now."""
        if action == "undo":
            return bool(self.earlier)
        if action == "runs":
            if self.state is not State.SHOWN or self.agenda is None:
                return False
            return self.agenda.file is None
        if action == "retry":
            return self.state is State.FAILED
        if action == "sample":
            return self.state in {State.EMPTY, State.FAILED}
        return self.state is State.SHOWN or action not in SHOWN_ONLY

    def action_retry(self) -> None:
        """The same file or job once more."""
        self._read()

    # --- questions ----------------------------------------------------------------------

    def _ask(self) -> None:
        """One question at a time, the last one wins."""
        self.refresh_bindings()
        agenda, asked = self.agenda, self.asked
        if self._busy or agenda is None or asked is None:
            return
        self._busy = True
        self.run_worker(lambda: self._page(agenda, asked), thread=True, group="page")

    def _page(self, agenda: Agenda, asked: Question) -> None:
        """In a thread."""
        from planner import outlook

        try:
            found = outlook.page(agenda, asked, now=self.desk.now, on=self.desk.on)
        except PlannerError as error:
            self.post_message(self.Failed(error.problems))
        else:
            self.post_message(self.Paged(agenda, asked, found))

    def on_budget_screen_paged(self, message: Paged) -> None:
        """Show the newest; one that was overtaken by a key is asked again."""
        self._busy = False
        if message.agenda is not self.agenda or message.asked != self.asked:
            self._ask()
        elif self.stance is not None:
            self.board.show(message.page, self.stance)
            self._enter(State.SHOWN)

    def _change(self, asked: Question) -> None:
        if self.asked is not None and asked != self.asked:
            self.earlier = (*self.earlier, self.asked)
            self.asked = asked
            self._ask()

    def _look(self, stance: Stance) -> None:
        self.stance = stance
        if self.board.page is not None:
            self.board.show(self.board.page, stance)

    # --- keys ---------------------------------------------------------------------------

    def action_volume(self, by: int) -> None:
        """Twice the rows, or half."""
        from planner.tui import meeting

        if self.asked is not None:
            volume = meeting.scaled(self.asked.volume, TWO if by > 0 else HALF)
            self._change(replace(self.asked, volume=volume))

    def action_page(self, by: int) -> None:
        """Another model or job."""
        from planner import outlook

        if self.asked is not None and self.agenda is not None:
            place = (self.asked.place + by) % outlook.places(self.agenda)
            self._change(replace(self.asked, place=place))

    def action_runs(self) -> None:
        """More runs a month."""
        from planner.tui import meeting

        if self.asked is not None:
            own = self.agenda.runs if self.agenda is not None else None
            runs = meeting.more_runs(self.asked.runs or own)
            self._change(replace(self.asked, runs=runs))

    def action_undo(self) -> None:
        """The question before."""
        if self.earlier:
            self.asked, self.earlier = self.earlier[-1], self.earlier[:-1]
            self._ask()

    def action_period(self) -> None:
        """A month, or all of it."""
        if self.stance is not None:
            self._look(self.stance.other_period())

    def action_case(self) -> None:
        """The next scenario."""
        if self.stance is not None:
            self._look(self.stance.next_case())

    def action_copy(self) -> None:
        """The page into the terminal's clipboard."""
        from planner.tui import meeting

        if self.board.page is not None and self.stance is not None:
            text = meeting.markdown(self.board.page, self.stance)
            self.app.copy_to_clipboard(text)
            self.notify(notices.copied(text), title="Copied")

    def action_export(self) -> None:
        """The page to a file, to hand out."""
        from planner.tui import export, exporting

        if self.board.page is not None and self.stance is not None:
            offer = export.of_page(self.desk, self.source, self.board.page, self.stance)
            exporting.hand_out(self, offer)

    def action_sample(self) -> None:
        """The shipped budget."""
        from planner import sample

        self.source = self.source.of_file(sample.paths().budget)
        self._begin()
