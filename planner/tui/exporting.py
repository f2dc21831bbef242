"""The sheet that writes an answer to a file: a path, what its ending means, the same command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Input

from planner.errors import PlannerError, Problem
from planner.tui import export
from planner.tui.modals import Early, keys_below
from planner.tui.notices import problems
from planner.tui.pieces import BLANK, Paragraph, Piece, Tone, paragraph
from planner.tui.widgets import Prose

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from planner.tui.desk import Answer, Desk


class Export(Early[Path | None]):
    """Where to write; the answer is the path, of a picture that is still to be taken."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", tooltip="Write nothing"),
    ]

    class Refused(Message):
        """Why nothing was written."""

        def __init__(self, found: tuple[Problem, ...]) -> None:
            super().__init__()
            self.found = found

    class Written(Message):
        """The file is there."""

        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

    def __init__(self, desk: Desk, answer: Answer, option: str) -> None:
        super().__init__()
        self._desk, self._answer, self._option = desk, answer, option
        self._field = Input(
            export.suggestion(answer), compact=True, id="path", select_on_focus=False
        )
        self._kinds = Prose()
        self._said = Prose(id="said")

    def compose(self) -> ComposeResult:
        """The path, its meanings, and what went wrong."""
        with VerticalScroll(classes="box", can_focus=False) as box:
            box.border_title = "Export"
            box.border_subtitle = keys_below(
                ("Enter writes", "screen.write"), ("Esc writes nothing", "screen.dismiss")
            )
            yield self._field
            yield self._kinds
            yield self._said

    def on_mount(self) -> None:
        """Typing replaces the ending."""
        self._field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Mark what the ending means, and show the command that writes the same."""
        chosen = next((each for each in export.KINDS if event.value.endswith(each)), None)
        lines = [BLANK]
        for ending, what in export.KINDS.items():
            mark = "▶ " if ending == chosen else "  "
            tone = Tone.STRONG if ending == chosen else Tone.PLAIN
            lines.append(
                Paragraph(body=(Piece(what, tone),), mark=Piece(f"{mark}{ending:<11}", Tone.KEY))
            )
        command = export.command(self._answer, self._option, event.value, self._desk.same)
        if chosen == export.PLAN:
            lines += [BLANK, paragraph(f"option: {self._option}")]
        if command:
            lines += [BLANK, paragraph(command, Tone.MUTED, mark="$ ")]
        self._kinds.show(lines)
        self._said.show(())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the field."""
        event.stop()
        self.action_write()

    def action_write(self) -> None:
        """Write it, in a thread."""
        path = Path(self._field.value.strip()).expanduser()
        self.run_worker(lambda: self._write(path), thread=True, exclusive=True)

    def _write(self, path: Path) -> None:
        """In a thread: a plan needs more of the program than a screen has loaded."""
        try:
            if export.kind(path) != export.PICTURE:
                export.write(path, export.text(self._desk, self._answer, self._option, path))
        except PlannerError as error:
            self.post_message(self.Refused(error.problems))
        else:
            self.post_message(self.Written(path))

    def on_export_refused(self, message: Refused) -> None:
        """Stay open and say why."""
        self._said.show([BLANK, *problems(message.found)])

    def on_export_written(self, message: Written) -> None:
        """The screen below says so, or takes the picture."""
        self.dismiss(message.path)
