"""The sheet that writes what a place shows to a file: a path, its meaning, the same command."""

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
    from collections.abc import Iterator

    from textual.app import ComposeResult
    from textual.screen import Screen

    from planner.tui.export import Kind, Offer


def hand_out(below: Screen[object], offer: Offer) -> None:
    """Ask where to, over that screen; then it says what was written, or its picture is taken."""

    def over(path: Path | None) -> None:
        if path is None:
            return
        if path.exists():
            below.notify(str(path), title="Written")
        else:
            below.call_after_refresh(_take_picture, below, path)

    below.app.push_screen(Export(offer), over)


def _take_picture(of: Screen[object], path: Path) -> None:
    try:
        export.write(path, of.app.export_screenshot(title="planner"))
    except PlannerError as error:
        of.notify(error.problems[0].message, title="Not written", severity="error")
    else:
        of.notify(str(path), title="Written")


class Export(Early[Path | None]):
    """Where to write; the answer is the path, of a picture that is still to be taken."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", tooltip="Write nothing"),
        # Before the box scrolls: the mark is what ↓ is expected to move.
        Binding("down,tab", "turn(1)", show=False, priority=True),
        Binding("up,shift+tab", "turn(-1)", show=False, priority=True),
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

    def __init__(self, offer: Offer) -> None:
        super().__init__()
        self._offer = offer
        self._field = Input(offer.suggestion(), compact=True, id="path", select_on_focus=False)
        self._kinds = Prose()
        self._said = Prose(id="said")

    def compose(self) -> ComposeResult:
        """The path, its meanings, and what went wrong."""
        with VerticalScroll(classes="box", can_focus=False) as box:
            box.border_title = "Export"
            box.border_subtitle = keys_below(
                ("Enter writes", "screen.write"),
                ("↓ another kind", "screen.turn(1)"),
                ("Esc writes nothing", "screen.dismiss"),
            )
            yield self._field
            yield self._kinds
            yield self._said

    def on_mount(self) -> None:
        """The ending can be typed as well as chosen."""
        self._field.focus()

    def turn(self, by: int) -> None:
        """The next kind, or the one before: the name says which, so it gets another ending."""
        self._rename(self._offer.renamed(self._field.value, by))

    def action_choose(self, ending: str) -> None:
        """A kind that was clicked."""
        self._rename(self._offer.ending_in(ending, self._field.value))

    def _rename(self, name: str) -> None:
        """Put that into the field; whoever types at its end goes on there."""
        at_end = self._field.cursor_at_end
        self._field.value = name
        if at_end:
            self._field.action_end()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Mark what the ending means, and show the command that writes the same."""
        chosen = self._offer.meant(event.value)
        lines = [BLANK]
        for ending, kind in self._offer.kinds.items():
            mark = "▶ " if ending == chosen else "  "
            tone = Tone.STRONG if ending == chosen else Tone.PLAIN
            lines.append(
                Paragraph(
                    body=(Piece(kind.what, tone),),
                    mark=Piece(f"{mark}{ending:<11}", Tone.KEY),
                    action=f"choose('{ending}')",
                )
            )
        if chosen is not None:
            lines += self._more(self._offer.kinds[chosen], event.value)
        self._kinds.show(lines)
        self._said.show(())

    def _more(self, kind: Kind, path: str) -> Iterator[Paragraph]:
        """What it is of, and the command."""
        if kind.of:
            yield from (BLANK, paragraph(kind.of))
        if command := kind.command(path):
            yield from (BLANK, paragraph(command, Tone.MUTED, mark="$ "))

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
            text = self._offer.text(path)
            if text is not None:
                export.write(path, text)
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
