"""Lines under titles that stay, with a cursor among them, in as much height as there is.

What the matrix and the lists have in common. The library's own way to say how many lines there
are lays out the whole screen and draws all of it again, several times a key while somebody
types: here that is done only where a scroll bar comes or goes, or a widget changes its size.
"""

from __future__ import annotations

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.widget import Widget

from planner.tui.widgets import Drawn

HEAD = 1
"""Lines that stay in place above the others."""


class Scrolled(Drawn, ScrollView, can_focus=True):
    """Draws line by line and scrolls under its titles."""

    def hold(self, lines: int) -> None:
        """So many lines stand under the titles, and the cursor among them is seen."""
        before, height = self.virtual_size.height, lines + HEAD
        size = Size(self.scrollable_content_region.width, height)
        if self._stands(before, height):
            self.set_reactive(Widget.virtual_size, size)
            if self.show_vertical_scrollbar:
                self.vertical_scrollbar.window_virtual_size = height
            self.scroll_y = self.validate_scroll_y(self.scroll_y)
            self.refresh()
            self.reveal()
        else:
            self.virtual_size = size
            self.refresh(layout=True)
            self.call_after_refresh(self.reveal)

    def _stands(self, before: int, after: int) -> bool:
        """Whether size and scroll bar stay as they are with another number of lines."""
        room = self.size.height
        if before == after or min(before, after) > room > 0:
            return True
        return max(before, after) <= room and not self.styles.is_auto_height

    def on_resize(self) -> None:
        """Another width takes other columns."""
        self.refit()
        self.call_after_refresh(self.reveal)

    def refit(self) -> None:
        """Lay out the columns for the width, and `hold` the lines."""
        raise NotImplementedError

    def reveal(self) -> None:
        """Scroll so that the cursor is seen."""
        raise NotImplementedError

    def scroll_until(self, place: int, *, above: int | None = None) -> None:
        """Scroll so that a line is seen, and the one `above` it where that is out of sight."""
        room, top = self.size.height - HEAD, self.scroll_offset.y
        first = place if above is None else above
        if first < top:
            top = first
        elif place >= top + room:
            top = place - room + 1
        self.scroll_to(y=top, animate=False)
