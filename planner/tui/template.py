"""The template of a request, edited with the first row's request beside it.

A plain text area: the one with highlighting crashes with the current parser library.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.message import Message
from textual.widgets import TextArea
from textual.worker import get_current_worker

from planner.report.layout import printable
from planner.tui.modals import Early, keys_below
from planner.tui.notices import problems
from planner.tui.pieces import BLANK, Paragraph, Piece, Tone, paragraph
from planner.tui.widgets import Prose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual import events
    from textual.app import ComposeResult

    from planner.tui.desk import Preview

_OPEN = re.compile(r"\{\{\s*([^{}]*)$")
MOST_SHOWN = 4000
"""Characters of a message: enough to see whether it is the right one."""


class Area(TextArea):
    """The text; Tab is its own key, in turn with what is typed before and after it."""

    def __init__(self, text: str, complete: Callable[[], None]) -> None:
        super().__init__(text, show_line_numbers=False, id="template")
        self._complete = complete

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "tab":
            event.stop()
            event.prevent_default()
            self._complete()
        else:
            await super()._on_key(event)


class Template(Early[str | None]):
    """A template and what it makes of the first row; the answer is the template."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "take", "Take it", tooltip="Plan with this template"),
        Binding("escape", "dismiss", "Close", tooltip="Change nothing"),
    ]

    class Previewed(Message):
        """What the template makes of the first row."""

        def __init__(self, preview: Preview) -> None:
            super().__init__()
            self.preview = preview

    def __init__(self, text: str, preview: Callable[[str], Preview]) -> None:
        super().__init__()
        self._preview = preview
        self._insertions: tuple[str, ...] = ()
        self._area = Area(text, self.action_column)
        self._columns = Prose(id="columns")
        self._made = Prose(id="made")

    def compose(self) -> ComposeResult:
        """The template, its columns, the first request."""
        with Container(classes="box", id="editor") as box:
            box.border_title = "Template of the request"
            box.border_subtitle = keys_below(
                ("Ctrl+S takes it", "screen.take"),
                ("Tab puts a column in", "screen.column"),
                ("Esc changes nothing", "screen.dismiss"),
            )
            yield self._area
            yield self._columns
            with VerticalScroll(id="first", can_focus=False):
                yield self._made

    def on_mount(self) -> None:
        """Type at once, behind what is there."""
        self._area.focus()
        self._area.move_cursor(self._area.document.end)
        self._look()

    def on_text_area_changed(self) -> None:
        """The first row again."""
        self._look()

    def _look(self) -> None:
        text = self._area.text
        self.run_worker(lambda: self._looked(text), thread=True, exclusive=True)

    def _looked(self, text: str) -> None:
        """In a thread: rendering is a program of somebody's own."""
        found = self._preview(text)
        if not get_current_worker().is_cancelled:
            self.post_message(self.Previewed(found))

    def on_template_previewed(self, message: Previewed) -> None:
        """Show the request, or what is wrong with the template."""
        found = message.preview
        self._insertions = found.insertions
        names = "  ".join(found.insertions) or "none"
        self._columns.show([paragraph(names, Tone.KEY, mark="columns: ")])
        self._made.show(tuple(_first(found)))

    def action_column(self) -> None:
        """Complete the column that is begun, or put in the first that is not used yet."""
        line, place = self._area.cursor_location
        before = self._area.document.get_line(line)[:place]
        begun = _OPEN.search(before)
        written = "" if begun is None else begun[1].strip()
        text = self._area.text
        fitting = [each for each in self._insertions if written in each]
        unused = [each for each in fitting if each not in text]
        chosen = next(iter(unused or fitting), None)
        if chosen is not None:
            start = (line, place if begun is None else begun.start())
            self._area.replace(chosen, start, (line, place))

    def action_take(self) -> None:
        """Hand the template over."""
        self.dismiss(self._area.text)


def _first(found: Preview) -> Iterator[Paragraph]:
    yield BLANK
    if found.problems:
        yield from problems(found.problems)
        return
    yield paragraph("The first row's request", Tone.MUTED)
    for role, text in found.messages:
        yield paragraph(role, Tone.STRONG)
        cut = text[:MOST_SHOWN]
        for line in cut.split("\n"):
            yield Paragraph(body=(Piece(printable(line)),), mark=Piece("  "))
        if len(text) > MOST_SHOWN:
            yield paragraph(f"… {len(text):,} characters", Tone.MUTED, mark="  ")
