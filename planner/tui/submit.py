"""The doors that something costly goes through: what would be sent, and a typed yes.

A key pressed by mistake sends nothing: the number of rows is typed, under the cost, the ceiling
and the cap. Without a key, against the policy or with a stale plan the door says why it stays
shut; trying it all out on this machine is offered in any case.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input
from textual.worker import get_current_worker

from planner.errors import PlannerError, Problem
from planner.tui.modals import Early, keys_below
from planner.tui.notices import problems
from planner.tui.pieces import BLANK, Paragraph, Piece, Tone, paragraph
from planner.tui.widgets import Prose

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import ComposeResult

    from planner.handing import Ready
    from planner.rehearsing import Rehearsed
    from planner.tui.hands import Hands, Said

LOOK = 0.05
"""Seconds between two looks at whether the door is still open."""


class Confirm(Early[bool]):
    """What would happen, and a word that must be typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "Close", tooltip="Change nothing"),
    ]

    def __init__(self, title: str, said: tuple[Paragraph, ...], word: str) -> None:
        super().__init__()
        self.heading, self.said, self.word = title, said, word

    def compose(self) -> ComposeResult:
        """What would happen over the field."""
        with VerticalScroll(classes="box", can_focus=False) as box:
            box.border_title = self.heading
            box.border_subtitle = f"type {self.word} and Enter · " + keys_below(
                ("Esc changes nothing", "screen.dismiss(False)")
            )
            yield Prose((*self.said, BLANK))
            yield Input(placeholder=self.word, compact=True, id="word")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The word, or nothing happens."""
        event.stop()
        if event.value.strip() == self.word:
            self.dismiss(True)


class Submit(ModalScreen["Said | None"]):
    """A plan before it is sent: everything that a yes is given to."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", key_display="Esc", tooltip="Send nothing"),
        Binding("ctrl+r", "rehearse", "Rehearse", tooltip="All of it, on this machine alone"),
    ]

    @dataclass
    class Opened(Message):
        """The plan is checked, and whose the key is is known."""

        ready: Ready

    @dataclass
    class Over(Message):
        """What came of it; None: nothing was sent."""

        said: Said | None

    @dataclass
    class Rehearsal(Message):
        """What a rehearsal showed."""

        found: Rehearsed

    @dataclass
    class Refused(Message):
        """Why it stays shut."""

        found: tuple[Problem, ...]

    def __init__(self, hands: Hands, plan: Path, *, drafted: bool = False) -> None:
        """`drafted`: the plan was written for this door, and goes where nobody says yes to it."""
        super().__init__()
        self.hands, self.plan, self.drafted = hands, plan, drafted
        self.rows: int | None = None
        self._answer = Event()
        self._yes = False
        self._said = Prose(id="ready")
        self._below = Prose(id="said")
        self._field = Input(placeholder="number of rows", compact=True, id="rows")

    def compose(self) -> ComposeResult:
        """What would be sent, the field for the yes, what came of it."""
        with VerticalScroll(classes="box", can_focus=False) as box:
            box.border_title = f"Submit {self.plan.name}"
            box.border_subtitle = keys_below(
                ("^r rehearses on this machine", "screen.rehearse"),
                ("Esc sends nothing", "screen.leave"),
            )
            yield self._said
            yield self._field
            yield self._below

    def on_mount(self) -> None:
        """Check it in a thread."""
        self._field.display = False
        self._said.show((paragraph("Checking the plan and whose the key is ...", Tone.MUTED),))
        self.run_worker(self._open, thread=True, exclusive=True, group="submit")

    def on_unmount(self) -> None:
        """Whatever waits for an answer has it: no."""
        self._answer.set()
        if self.drafted and not self._yes:
            self.plan.unlink(missing_ok=True)

    def _open(self) -> None:
        """In a thread, which holds the job until it is sent or given up."""
        from planner.tui.hands import UnwantedError

        worker = get_current_worker()

        def wanted() -> bool:
            return not worker.is_cancelled and self.is_attached

        def ask(ready: Ready) -> bool:
            self.post_message(self.Opened(ready))
            while not self._answer.wait(LOOK):
                if not wanted():
                    return False
            return self._yes

        try:
            message: Message = self.Over(self.hands.submit(self.plan, wanted, ask))
        except UnwantedError:
            return
        except PlannerError as error:
            message = self.Refused(error.problems)
        if wanted():
            self.post_message(message)

    def on_submit_opened(self, message: Opened) -> None:
        """Everything that a yes is given to."""
        from planner.tui import work

        ready = message.ready
        self.rows = ready.built.rows
        self._said.show(work.ready(ready, self.hands.desk.clock(), self._width))
        self._below.show((BLANK, _asked(ready.built.rows)))
        self._field.display = True
        self._field.focus()

    @property
    def CLI_TWIN(self) -> str:  # noqa: N802 -- as the screens have it
        """The same door in a shell."""
        return shlex.join(["planner", "submit", str(self.plan)])

    @property
    def _width(self) -> int:
        """Cells inside the box."""
        return max(self._said.size.width, 20)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The very number, or nothing is sent."""
        event.stop()
        if self.rows is None:
            return
        if event.value.replace(",", "").strip() != str(self.rows):
            self._below.show((BLANK, paragraph("That is not the number of rows.", Tone.WARN)))
            return
        self._yes = True
        self._answer.set()
        self._field.display = False
        self._below.show((BLANK, paragraph("Sending ...", Tone.STRONG)))

    def on_submit_over(self, message: Over) -> None:
        """To Jobs, which follows it."""
        self.dismiss(message.said)

    def on_submit_refused(self, message: Refused) -> None:
        """Why not, and what can be done all the same."""
        self._field.display = False
        self._said.show(problems(message.found))
        self._below.show((_rehearsing(),))

    def action_rehearse(self) -> None:
        """The whole hand-off, on this machine alone; the plan stays as it is."""
        self._below.show((BLANK, paragraph("Rehearsing on this machine ...", Tone.MUTED)))
        self.run_worker(self._rehearse, thread=True, exclusive=True, group="rehearse")

    def _rehearse(self) -> None:
        """In a thread."""
        try:
            message: Message = self.Rehearsal(self.hands.rehearse(self.plan))
        except PlannerError as error:
            message = self.Refused(error.problems)
        self.post_message(message)

    def on_submit_rehearsal(self, message: Rehearsal) -> None:
        """What it showed, above the question, which stands."""
        from planner.tui import work

        self._below.show((BLANK, *work.rehearsed(message.found, self._width)))

    def action_leave(self) -> None:
        """Nothing is sent."""
        self._answer.set()
        self.dismiss(None)


def _asked(rows: int) -> Paragraph:
    said = (
        Piece("Type "),
        Piece(f"{rows:,}", Tone.STRONG),
        Piece(" and Enter: these rows are sent. Anything else sends nothing."),
    )
    return Paragraph(body=said)


def _rehearsing() -> Paragraph:
    return Paragraph(
        body=(Piece("tries the whole hand-off out on this machine, without a key"),),
        mark=Piece("^r ", Tone.KEY),
    )
