"""What every place but Plan has: the bars, the stage between them, the least size.

Plan came first and switches what stands on its stage; the others have one thing on theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Container
from textual.screen import Screen

from planner.tui import notices
from planner.tui.widgets import KeyBar, Prose, TopBar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual import events
    from textual.app import ComposeResult
    from textual.widget import Widget

    from planner.tui.desk import Desk


class Place(Screen[object]):
    """A screen among the places of the program."""

    NAME: ClassVar[str]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.top = TopBar(self.NAME)
        self._small = Prose(id="small")

    def compose(self) -> ComposeResult:
        """The bars, and between them what the place is about."""
        yield self.top
        with Container(id="stage"):
            yield from self.compose_stage()
        yield self._small
        yield KeyBar()

    def compose_stage(self) -> Iterable[Widget]:
        """What the place is about."""
        raise NotImplementedError

    def on_resize(self, event: events.Resize) -> None:
        """Below the least size, say which size is needed (the style sheet hides the rest)."""
        self._small.show(notices.too_small(event.size.width, event.size.height))
