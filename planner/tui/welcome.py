"""The welcome: what do you want to run; a path that completes itself, and the last ones."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.suggester import Suggester
from textual.widgets import Input

from planner.tui.pieces import BLANK, Paragraph, Piece, Tone, paragraph
from planner.tui.widgets import Prose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.app import ComposeResult

WELCOME = (
    Paragraph(body=(Piece("What do you want to run?", Tone.STRONG),)),
    paragraph(
        "A file of rows (.jsonl, .csv, .tsv): what it will cost, when it is done, batch or "
        "realtime. Nothing leaves this machine.",
        Tone.MUTED,
    ),
)
MOST_LOOKED_AT = 5000
"""Entries of a folder among which a name is completed."""


def _key(key: str, text: str, action: str = "") -> Paragraph:
    return Paragraph(body=(Piece(text),), mark=Piece(f"{key:<12}", Tone.KEY), action=action)


def _keys(recent: Sequence[str], models: Sequence[str] = ()) -> Iterator[Paragraph]:
    if models:
        yield BLANK
        yield paragraph(f"It is asked of the ticked models: {', '.join(models)}.", Tone.STRONG)
    yield BLANK
    enter, sample = "app.simulate_key('enter')", "the shipped sample, seventy support tickets"
    if recent:
        yield _key("Enter", "on the empty line: go on with the newest of these", enter)
        yield _key("↓ ↑", "one of the last ones")
        yield _key("Tab", "completes the path")
        yield _key("Esc, then s", sample, "sample")
    else:
        yield _key("Enter", f"on the empty line: {sample}", enter)
        yield _key("Tab", "completes the path")
    yield _key("Esc, then t", "no file: type rows and tokens", "figures")
    yield _key("Esc, then 2", "only look up which models run in batch", "app.place('Models')")
    yield _key("Ctrl+Q", "leave", "app.quit")
    if recent:
        yield BLANK
    for place, path in enumerate(recent):
        yield replace(paragraph(path, mark="  "), action=f"pick({place})")


class Paths(Suggester):
    """Completes a path by the folder it stands in: a folder, or a file that holds rows."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """The path with its last name completed, or None."""
        return completed(value)


def completed(value: str) -> str | None:
    """The first entry, by name, that begins so; hidden ones only where a dot is typed."""
    folder, begun = os.path.split(value)
    if not value or begun in ("", ".", ".."):
        return None
    try:
        with os.scandir(Path(folder).expanduser() if folder else ".") as entries:
            names = sorted(
                f"{entry.name}/" if entry.is_dir() else entry.name
                for entry, _ in zip(entries, range(MOST_LOOKED_AT), strict=False)
                if entry.name.startswith(begun)
            )
    except OSError:
        return None
    return os.path.join(folder, names[0]) if names else None  # noqa: PTH118 -- as it was typed


class PathField(Input):
    """A line for a path; Tab takes what is suggested, the arrows walk over the last ones."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "cursor_right", show=False),
        Binding("down", "walk(1)", show=False),
        Binding("up", "walk(-1)", show=False),
    ]
    recent: tuple[str, ...] = ()

    def action_walk(self, by: int) -> None:
        """The next of the last paths."""
        places = ("", *self.recent)
        now = places.index(self.value) if self.value in places else 0
        self.value = places[(now + by) % len(places)]
        self.cursor_position = len(self.value)


class Welcome(Vertical):
    """What to run: a path, the sample, or figures."""

    def __init__(self) -> None:
        super().__init__(id="welcome")
        self.field = PathField(
            placeholder="path/to/rows.jsonl", compact=True, id="path", suggester=Paths()
        )
        self._keys = Prose(tuple(_keys(())))

    def compose(self) -> ComposeResult:
        """The question, the line for the path, the keys."""
        yield Prose(WELCOME)
        yield self.field
        yield self._keys

    def on_mount(self) -> None:
        """The path can be typed at once."""
        self.field.focus()

    def offer(self, recent: Sequence[str], models: Sequence[str] = ()) -> None:
        """The last paths, newest first, and the models that the next job is asked of."""
        self.field.recent = tuple(recent)
        self._keys.show(tuple(_keys(recent, models)))

    def enter(self) -> None:
        """Into the field, with what was typed before."""
        if self.field.is_attached:
            self.field.focus()
