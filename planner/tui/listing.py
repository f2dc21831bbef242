"""A list with titles above and a cursor in it, drawn line by line.

For whatever has one line an item and columns of its own; what a line says comes from a Lines
value. The matrix is not one: its models have headings that the cursor skips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from textual.binding import Binding, BindingType
from textual.message import Message

from planner.tui.scrolled import HEAD, Scrolled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.strip import Strip

    from planner.tui.pieces import Line


class Lines(Protocol):
    """Items as lines; each is known by its id."""

    @property
    def ids(self) -> Sequence[str]:
        """The items in their order."""

    def head(self, width: int) -> Line:
        """The titles."""

    def line(self, place: int, width: int, *, cursor: bool) -> Line:
        """One item."""


class Listing(Scrolled):
    """Items, one of them under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Move", show=False, tooltip="The line above"),
        Binding("down,j", "move(1)", "Move", show=False, tooltip="The line below"),
        Binding("pageup", "move(-10)", "Move", show=False, tooltip="Ten lines up"),
        Binding("pagedown", "move(10)", "Move", show=False, tooltip="Ten lines down"),
        Binding("home", "move(-100000)", "Move", show=False, tooltip="The first line"),
        Binding("end", "move(100000)", "Move", show=False, tooltip="The last line"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"listing--cursor"}

    @dataclass
    class Moved(Message):
        """The cursor is on another item."""

        id: str

    @dataclass
    class Chosen(Message):
        """The item under the cursor was clicked."""

        id: str

    def __init__(self) -> None:
        super().__init__()
        self.lines: Lines | None = None
        self.place = 0

    @property
    def cursor(self) -> str | None:
        """The id of the item under the cursor."""
        ids = self.lines.ids if self.lines is not None else ()
        return ids[self.place] if self.place < len(ids) else None

    def show(self, lines: Lines) -> None:
        """Other items; the cursor stays on its own, or goes to the first."""
        before = self.cursor
        self.lines = lines
        self.place = lines.ids.index(before) if before in lines.ids else 0
        self.refit()

    def refit(self) -> None:
        """As many lines as there are items."""
        self.hold(len(self.lines.ids) if self.lines is not None else 0)

    def render_line(self, y: int) -> Strip:
        """The titles stay, the items scroll under them."""
        width = self.scrollable_content_region.width
        place = self.scroll_offset.y + y - HEAD
        if self.lines is None or (y and place >= len(self.lines.ids)):
            return self.strip((), width)
        if y == 0:
            return self.strip(self.lines.head(width), width)
        cursor = place == self.place
        names = ("listing--cursor",) if cursor else ()
        return self.strip(self.lines.line(place, width, cursor=cursor), width, *names)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        count = len(self.lines.ids) if self.lines is not None else 0
        self._move_to(min(max(self.place + by, 0), count - 1))

    def _move_to(self, place: int) -> None:
        if place not in (self.place, -1):
            self.place = place
            self.refresh()
            self.reveal()
            if self.cursor is not None:
                self.post_message(self.Moved(self.cursor))

    def reveal(self) -> None:
        """Scroll so that the cursor is seen."""
        self.scroll_until(self.place)

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a click on the cursor asks for more."""
        place = self.scroll_offset.y + event.y - HEAD
        if self.lines is None or event.y < HEAD or place >= len(self.lines.ids):
            return
        if place == self.place:
            self.post_message(self.Chosen(self.lines.ids[place]))
        else:
            self._move_to(place)
