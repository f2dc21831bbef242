"""What is drawn again after a change, when a screen is laid out anew, what the mouse selects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from textual.app import App

from planner.tui.listing import Listing
from planner.tui.pieces import Piece, Tone, paragraph
from planner.tui.widgets import Prose

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.pilot import Pilot
    from textual.strip import Strip

    from planner.tui.pieces import Line

pytestmark = pytest.mark.anyio

WIDTH, HEIGHT = 30, 10


class Counted(Prose):
    """Keeps the lines that were drawn."""

    def __init__(self) -> None:
        super().__init__([paragraph(text) for text in ("one", "two", "three")])
        self.seen: list[int] = []

    def render_line(self, y: int) -> Strip:
        self.seen.append(y)
        return super().render_line(y)


@dataclass(frozen=True)
class Numbers:
    """As many items as are asked for."""

    count: int

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(map(str, range(self.count)))

    def head(self, width: int) -> Line:
        return (Piece("number".ljust(width), Tone.MUTED),)

    def line(self, place: int, width: int, *, cursor: bool) -> Line:
        return (Piece(f"{'>' if cursor else ' '}{place}".ljust(width)),)


class Bench(App[None]):
    """Both kinds of widgets, and how often they were laid out."""

    CSS = "Prose { height: auto; } Listing { height: 1fr; overflow-x: hidden; overflow-y: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self.prose, self.listing, self.laid = Counted(), Listing(), 0

    def compose(self) -> ComposeResult:
        yield self.prose
        yield self.listing

    def on_mount(self) -> None:
        self.screen.screen_layout_refresh_signal.subscribe(self, self.count_layout, immediate=True)

    def count_layout(self, _: object) -> None:
        self.laid += 1


async def still(app: Bench, pilot: Pilot[None]) -> None:
    """A scroll bar that comes is a layout of its own: until three looks find no further one."""
    looks = 0
    while looks < 3:
        before = app.laid
        await pilot.pause()
        looks = looks + 1 if app.laid == before else 0


async def test_only_lines_that_differ_are_drawn_again() -> None:
    app = Bench()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        await pilot.pause()
        app.prose.seen.clear()
        app.prose.show([paragraph(text) for text in ("one", "zwei", "three")])
        await pilot.pause()
        assert set(app.prose.seen) == {1}
        app.prose.seen.clear()
        app.prose.show([paragraph(text) for text in ("one", "zwei", "three")])
        await pilot.pause()
        assert app.prose.seen == []


async def test_a_line_more_makes_room_for_itself() -> None:
    app = Bench()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        await pilot.pause()
        assert app.prose.size.height == 3
        app.prose.show([paragraph(text) for text in ("one", "two", "three", "four")])
        await pilot.pause()
        assert app.prose.size.height == 4


@pytest.mark.parametrize(
    ("before", "after", "laid"), [(90, 80, False), (2, 3, False), (2, 90, True), (90, 2, True)]
)
async def test_a_screen_is_laid_out_where_a_scroll_bar_comes_or_goes(
    *, before: int, after: int, laid: bool
) -> None:
    app = Bench()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        app.listing.show(Numbers(before))
        await still(app, pilot)
        app.laid = 0
        app.listing.show(Numbers(after))
        await pilot.pause()
        assert bool(app.laid) is laid
        assert app.listing.show_vertical_scrollbar is (after > HEIGHT)
        assert app.listing.virtual_size.height == after + 1


async def test_fewer_items_scroll_back_to_the_cursor() -> None:
    app = Bench()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        app.listing.show(Numbers(90))
        app.listing.focus()
        await pilot.press("end")
        await pilot.pause()
        assert app.listing.scroll_offset.y == app.listing.max_scroll_y > 0
        app.listing.show(Numbers(60))
        await pilot.pause()
        assert app.listing.cursor == "0"
        assert app.listing.scroll_offset.y == 0


async def test_the_mouse_selects_words() -> None:
    app = Bench()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        await pilot.pause()
        await pilot.mouse_down(app.prose, offset=(1, 0))
        await pilot.hover(app.prose, offset=(1, 1))
        await pilot.mouse_up(app.prose, offset=(1, 1))
        assert app.screen.get_selected_text() == "ne\ntw"
