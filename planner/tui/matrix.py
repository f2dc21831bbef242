"""The matrix on the screen: draws a Table line by line, and moves a cursor over its options.

Its own `ScrollView`: the library's tables fill ten times slower, and cut a cell without a
sign, which on a cell of money is a wrong price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from planner.tui.scrolled import HEAD, Scrolled
from planner.tui.table import Group, Layout, Row, Table, group_line, head_line, layout, row_line

if TYPE_CHECKING:
    from textual import events
    from textual.geometry import Size
    from textual.strip import Strip


class Matrix(Scrolled):
    """All options of all models, one of them under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Move", show=False, tooltip="The option above"),
        Binding("down,j", "move(1)", "Move", show=False, tooltip="The option below"),
        Binding("pageup", "move(-10)", "Move", show=False, tooltip="Ten options up"),
        Binding("pagedown", "move(10)", "Move", show=False, tooltip="Ten options down"),
        Binding("home", "move(-10000)", "Move", show=False, tooltip="The first option"),
        Binding("end", "move(10000)", "Move", show=False, tooltip="The last option"),
        Binding("tab", "next_model(1)", "Model", show=False, tooltip="The next model's answer"),
        Binding("shift+tab", "next_model(-1)", "Model", show=False, tooltip="The model before"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"matrix--cursor"}

    @dataclass
    class Moved(Message):
        """The cursor is on another option."""

        option_id: str

    @dataclass
    class Chosen(Message):
        """The option under the mouse was clicked while it had the cursor."""

        option_id: str

    def __init__(self) -> None:
        super().__init__()
        self.table: Table | None = None
        self.cursor: str | None = None
        self._laid: Layout | None = None

    # what it shows

    def show(self, table: Table, cursor: str) -> None:
        """Draw another table; the cursor goes to the option of that id."""
        self.table, self.cursor = table, cursor
        self.refit()

    def refit(self) -> None:
        """The columns that the width takes."""
        if self.table is not None:
            self._laid = layout(self.table, self.scrollable_content_region.width)
            self.hold(len(self.table.lines))

    def get_content_height(
        self,
        container: Size,  # noqa: ARG002 -- the library asks with all three
        viewport: Size,  # noqa: ARG002
        width: int,  # noqa: ARG002
    ) -> int:
        """The titles and every line."""
        return HEAD + (len(self.table.lines) if self.table else 0)

    def render_line(self, y: int) -> Strip:
        """The titles stay, the options scroll under them."""
        table, laid, width = self.table, self._laid, self.size.width
        if table is None or laid is None:
            return self.strip((), width)
        if y == 0:
            return self.strip(head_line(table, laid), width)
        place = self.scroll_offset.y + y - HEAD
        if place >= len(table.lines):
            return self.strip((), width)
        line = table.lines[place]
        if isinstance(line, Group):
            return self.strip(group_line(table, laid, line, width), width)
        cursor = line.id == self.cursor
        drawn = row_line(table, laid, line, cursor=cursor)
        return self.strip(drawn, width, *(("matrix--cursor",) if cursor else ()))

    # the cursor

    @property
    def row(self) -> Row | None:
        """The option under the cursor."""
        rows = self.table.rows if self.table else ()
        return next((row for row in rows if row.id == self.cursor), None)

    def action_move(self, by: int) -> None:
        """Move the cursor over the options, not over the models' headings."""
        rows = self.table.rows if self.table else ()
        if rows:
            now = next((n for n, row in enumerate(rows) if row.id == self.cursor), 0)
            self._move_to(rows[min(max(now + by, 0), len(rows) - 1)])

    @property
    def several(self) -> bool:
        """Whether there is another model to move to."""
        return len(self._models()) > 1

    def _models(self) -> list[str]:
        return list(dict.fromkeys(row.model for row in self.table.rows)) if self.table else []

    def action_next_model(self, by: int) -> None:
        """Move to another model's choice, or its first option where it has none."""
        if self.table is None or self.row is None:
            return
        models = self._models()
        wanted = models[(models.index(self.row.model) + by) % len(models)]
        self._move_to(best_row(self.table, wanted))

    def _move_to(self, row: Row) -> None:
        if row.id != self.cursor:
            self.cursor = row.id
            self.refresh()
            self.reveal()
            self.post_message(self.Moved(row.id))

    def reveal(self) -> None:
        """Scroll so that the cursor, and its model's heading where there is room, is seen."""
        if self.table is None or self.row is None:
            return
        lines = self.table.lines
        place = lines.index(self.row)
        self.scroll_until(place, above=place - isinstance(lines[place - 1], Group))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a click on the cursor asks for more."""
        place = self.scroll_offset.y + event.y - HEAD
        if self.table is None or event.y < HEAD or place >= len(self.table.lines):
            return
        line = self.table.lines[place]
        if isinstance(line, Group):
            self._move_to(best_row(self.table, line.model))
        elif line.id == self.cursor:
            self.post_message(self.Chosen(line.id))
        else:
            self._move_to(line)


def best_row(table: Table, model: str) -> Row:
    """The model's choice, or its first option where nothing is chosen."""
    rows = [row for row in table.rows if row.model == model]
    return next((row for row in rows if row.chosen), rows[0])
