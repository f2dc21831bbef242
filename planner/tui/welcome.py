"""The welcome: what do you want to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.widgets import Input

from planner.tui.pieces import BLANK, Paragraph, Piece, Tone, paragraph
from planner.tui.widgets import Prose

if TYPE_CHECKING:
    from textual.app import ComposeResult

WELCOME = (
    Paragraph(body=(Piece("What do you want to run?", Tone.STRONG),)),
    paragraph(
        "A file of rows (.jsonl, .csv, .tsv): what it will cost, when it is done, batch or "
        "realtime. Nothing leaves this machine.",
        Tone.MUTED,
    ),
)


def _key(key: str, text: str) -> Paragraph:
    return Paragraph(body=(Piece(text),), mark=Piece(f"{key:<12}", Tone.KEY))


WELCOME_KEYS = (
    BLANK,
    _key("Enter", "on the empty line: the shipped sample, seventy support tickets"),
    _key("Esc, then t", "no file: type rows and tokens"),
    _key("Esc, then q", "leave"),
)


class Welcome(Vertical):
    """What to run: a path, the sample, or figures."""

    def __init__(self) -> None:
        super().__init__(id="welcome")
        self.field = Input(placeholder="path/to/rows.jsonl", compact=True, id="path")

    def compose(self) -> ComposeResult:
        """The question, the line for the path, the keys."""
        yield Prose(WELCOME)
        yield self.field
        yield Prose(WELCOME_KEYS)

    def on_mount(self) -> None:
        """The path can be typed at once."""
        self.field.focus()

    def enter(self) -> None:
        """Into the field, with what was typed before."""
        if self.field.is_attached:
            self.field.focus()
